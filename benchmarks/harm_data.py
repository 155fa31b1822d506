"""The data of the shipped `toxicity` model: comments and messages with labels, and prose that has nothing to judge.

python benchmarks/harm_data.py ../shared/data harm     # writes what `onggi classifier toxicity` is trained on

Labels lie in benchmarks/data/harm by the ids of documents; the texts are those of the development corpora.
"""

import argparse
from pathlib import Path

import polars as pl
import xxhash

LABELS = Path(__file__).parent / "data" / "harm"
LABELLED = ("ko_comments_kocohub", "ko_reviews_nsmc", "ko_chat_songys", "en_noisy")
HATE = {"hate": 1, "offensive": 0, "none": 0}
"""Of kocohub: what is rude but no insult is `offensive` there, as is sarcasm, and not toxic here."""
ABUSE = {"hate": 1, "offensive": 1, "neither": 0}
"""Of t-davidson: `offensive` are slurs that are not hateful."""
UNREAD = {
    "ko_wiki_korquad": 400, "ko_law": 200, "ko_docs_mixed": 300, "ko_chat_songys": 400, "en_docs_mixed": 400,
    "en_sms": 500, "en_irc": 300,
}  # fmt: skip
"""How many documents of a source are taken for not toxic without being read: of 60 chats, 120 short messages and 30
pieces of IRC that were read, none was toxic."""
MAX_CHARS = 1200


def is_odd(text: str) -> bool:
    """Which half a text is in, wherever it stands."""
    return bool(xxhash.xxh3_64_intdigest(text.strip().encode()) & 1)


def read_texts(data: Path) -> pl.DataFrame:
    """`id` and `text` of all documents that may have a label."""
    files = [data / "text" / f"{name}.parquet" for name in LABELLED]
    return pl.concat([pl.read_parquet(path, columns=["id", "text"]) for path in files]).unique("id", keep="first")


def judged(data: Path, part: str) -> pl.DataFrame:
    """Documents judged under docs/harm-rubric.md, of the part `train` or `test`."""
    labels = pl.read_csv(LABELS / "judged.tsv", separator="\t").filter(pl.col("part") == part)
    return _with_texts(data, labels)


def human(data: Path, half: str) -> pl.DataFrame:
    """Documents that people labelled, of the `odd` or the `even` half; `name` is what they called each."""
    labels = pl.read_csv(LABELS / "human.tsv", separator="\t").filter(pl.col("half") == half)
    meaning = HATE | {f"t-davidson {name}": label for name, label in ABUSE.items()}
    prefix = pl.when(pl.col("set") == "t-davidson").then(pl.lit("t-davidson ")).otherwise(pl.lit(""))
    named = labels.with_columns(name=pl.col("label"), label=(prefix + pl.col("label")).replace_strict(meaning))
    return _with_texts(data, named)


def weak(data: Path) -> pl.DataFrame:
    """Comments that nobody read, taken for not toxic: an earlier model scored them low and no list found a word."""
    ids = pl.read_csv(LABELS / "weak.tsv", separator="\t")
    return _with_texts(
        data, ids.with_columns(label=pl.lit(0), language=pl.lit("ko"), source=pl.lit("ko-comments unread"))
    )


def in_file(name: str) -> pl.DataFrame:
    """A set whose texts lie beside its labels: `curse`, labelled by people, or `composed`."""
    rows = pl.read_csv(LABELS / f"{name}.tsv", separator="\t", quote_char=None)
    language = pl.when(pl.col("text").str.contains("[가-힣ㄱ-ㅣ]")).then(pl.lit("ko")).otherwise(pl.lit("en"))
    digests = pl.Series([xxhash.xxh3_128_hexdigest(text.encode()) for text in rows["text"]])
    return rows.with_columns(digests.alias("id"), language.alias("language"), source=pl.lit(name))


def curse(half: str) -> pl.DataFrame:
    """2runo/Curse-detection-data, of the `odd` or the `even` half."""
    rows = in_file("curse")
    return rows.filter(pl.Series([is_odd(text) == (half == "odd") for text in rows["text"]]))


def _with_texts(data: Path, labels: pl.DataFrame) -> pl.DataFrame:
    found = labels.join(read_texts(data), on="id", how="inner", maintain_order="left")
    if len(found) != len(labels):
        raise SystemExit(f"{data}: {len(labels) - len(found):,} of {len(labels):,} labelled documents are not there")
    return found


def unread(data: Path, odd: bool) -> pl.DataFrame:
    """Documents of one half that are taken for not toxic, each cut to MAX_CHARS; the first of each source by id."""
    found = []
    for name, n_docs in UNREAD.items():
        rows = _source(data, name).sort("id")
        mine = rows.filter(pl.Series([is_odd(text) == odd for text in rows["text"]])).head(n_docs)
        language = pl.lit(name[:2])
        found.append(mine.select("id", pl.col("text").str.slice(0, MAX_CHARS), language=language, set=pl.lit(name)))
    return pl.concat(found)


def _source(data: Path, name: str) -> pl.DataFrame:
    if name not in ("en_sms", "en_irc"):
        return pl.read_parquet(data / "text" / f"{name}.parquet", columns=["id", "text", "source"])
    rows = pl.read_parquet(data / "text" / "en_noisy.parquet", columns=["id", "text", "source"])
    return rows.filter(pl.col("source").str.contains({"en_sms": "sms", "en_irc": "irc"}[name]))


def training_set(data: Path) -> pl.DataFrame:
    """What is trained on and, as part `tune`, what the rounds are evaluated by; the odd half is for tests alone."""
    columns = ["id", "text", "language", "source", "label", "part"]
    train = judged(data, "train").rename({"set": "source"}).with_columns(pl.col("text").str.slice(0, MAX_CHARS))
    plain = unread(data, odd=False).rename({"set": "source"}).with_columns(label=0, part=pl.lit("train"))
    more = [rows.with_columns(part=pl.lit("train")) for rows in (weak(data), curse("even"), in_file("composed"))]
    tune = human(data, "even").rename({"set": "source"}).with_columns(part=pl.lit("tune"))
    parts = [
        rows.with_columns(pl.col("label").cast(pl.Int64)).select(columns) for rows in (train, *more, plain, tune)
    ]
    tests = (judged(data, "test"), human(data, "odd"), curse("odd"))
    held_out = {text.strip() for rows in tests for text in rows["text"]}
    rows = pl.concat(parts).unique("id", keep="first", maintain_order=True)
    return rows.filter(~pl.col("text").str.strip_chars().is_in(list(held_out)))


def write(data: Path, folder: Path) -> None:
    """Write the file that the manifest `toxicity` names."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = training_set(data)
    rows.write_parquet(folder / "toxicity.parquet")
    print(rows.group_by("part", "source", "label").len().sort("part", "source", "label"))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path, help="the development corpora")
    arguments.add_argument("folder", type=Path, help="where to write")
    given = arguments.parse_args()
    write(given.data, given.folder)
