"""The data of the shipped models `adult` and `gambling`: composed texts, and ordinary ones of data/text.

python benchmarks/spam_data.py ../shared/data spam     # writes what `onggi classifier gambling` is trained on
"""

import argparse
import random
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from spam_texts import FOLDER, SPELLINGS, Text, fill, read_phrases, read_slots, read_texts, spelled

SMS = "justmarkham/DAT8:sms"
SEED = 20250301
N_COPIES = 10
"""Of each composed advertisement, each with other values and spellings."""
N_PAGES = 250
"""Pages of several advertisements of one kind and language."""
N_ORDINARY_COPIES = 3
N_MIXED = {"gambling": 3000, "adult": 3000, "other": 2500, "news": 2000, "common": 700}
"""Texts of phrases in any order, per language."""
PROSE = {
    "ko": ("ko_petitions", "ko_books_misc", "ko_wiki_korquad", "ko_chat_songys"),
    "en": ("en_books_misc", "en_noisy"),
}
SHORT = {"ko": ("ko_comments_kocohub", "ko_reviews_nsmc", "ko_chat_songys"), "en": ("en_noisy",)}
N_JOINED = 8000
"""Per language."""
SHARE_CUT = 0.3
SEPARATORS = (" ", " ", ", ", " / ", "\n", " | ", "!! ", ". ", "")
SHARE_HIDDEN = 0.3
WINDOW_CHARS = (40, 600)
TAKEN = {  # rows of each file, of the half for training
    "ko_comments_kocohub": 4500, "ko_reviews_nsmc": 5000, "ko_chat_songys": 1000, "ko_petitions": 700, "ko_law": 300,
    "ko_wiki_korquad": 400, "ko_docs_mixed": 500, "ko_books_misc": 200, "ko_ms_cpp": 300, "en_noisy": 5000,
    "en_docs_mixed": 700, "en_books_misc": 700, "koen_html_docs": 500, "en_ms_cpp": 200,
}  # fmt: skip
SEXUAL = re.compile(
    r"(?i)\b(sex\w*|porn\w*|fuck\w*|dick|cock|pussy|pussies|suck\w*|cum|naked|nude\w*|boob\w*|tits?|hoe?s?|slut\w*|"
    r"horny|ass|booty|head|xxx|casino\w*|bet|bets|gambl\w*)\b|섹스|야동|자위|창녀|걸레|몸팔|성매매|토토|카지노|도박|바카라"
)
"""Unlabelled texts with these words teach nothing, since some of them may be what is looked for."""


def is_for_training(row_id: str) -> bool:
    """The even half, by the last digit of the id, which is a hash."""
    return int(row_id[-1], 16) % 2 == 0


def read_sms() -> tuple[set[str], set[str]]:
    """Rows of the SMS collection that advertise what is adult, and those that count neither way."""
    text = (FOLDER / "sms_adult.txt").read_text("utf-8")
    adult, neither = text.split("# neither")
    return set(re.findall(r"\bL\d+", adult)), set(re.findall(r"\bL\d+", neither))


def windows(text: str, rng: random.Random) -> str:
    """A part of a text, as long as an advertisement or a short page."""
    size = rng.randint(*WINDOW_CHARS)
    start = rng.randrange(max(len(text) - size, 0) + 1)
    return text[start : start + size]


def _row(source: str, language: str, kind: str, text: str) -> dict[str, object]:
    return {
        "source": source,
        "language": language,
        "text": text,
        **{k: int(kind == k) for k in ("gambling", "adult")},
    }


def composed_rows(texts: list[Text], rng: random.Random) -> Iterator[dict[str, object]]:
    """Advertisements and ordinary texts that use their words, by the authors for training."""
    slots = read_slots()
    for item in texts:
        n_copies = N_ORDINARY_COPIES if item.kind == "none" else N_COPIES
        for copy in range(n_copies):
            how = "plain" if item.kind == "none" or copy < n_copies / 2 else rng.choice(list(SPELLINGS))
            text = spelled(fill(item.text, slots, rng), how, rng)
            times = rng.choice((1, 1, 1, 1, 2, 4)) if item.kind != "none" else 1
            yield _row(f"composed/{item.author}", item.language, item.kind, " ".join([text] * times))


def page_rows(texts: list[Text], rng: random.Random) -> Iterator[dict[str, object]]:
    """Pages: several texts of one kind, one after the other."""
    slots = read_slots()
    groups = sorted({(item.kind, item.language) for item in texts})
    for kind, language in groups:
        mine = [item.text for item in texts if (item.kind, item.language) == (kind, language)]
        for _ in range(N_PAGES):
            lines = [fill(rng.choice(mine), slots, rng) for _ in range(rng.randint(2, 8))]
            yield _row("composed/pages", language, kind, "\n".join(lines))


def mixed_rows(prose: dict[str, list[str]], rng: random.Random) -> Iterator[dict[str, object]]:
    """Phrases in any order, so that no sentence is learnt by heart: what counts is which phrases come together.

    In half of them they stand among words of ordinary prose, as they do on a page that speaks like a guide.
    """
    phrases, slots = read_phrases(), read_slots()
    for language in ("ko", "en"):
        for kind, n_rows in N_MIXED.items():
            for row in range(n_rows):
                n = rng.choice((2, 2, 3, 3, 4, 5, 6, 8, 12))
                mine = rng.choices(phrases[kind, language], k=n)
                mine += rng.choices(phrases["common", language], k=rng.randint(0, n) if kind != "news" else 0)
                if row % 2:
                    mine += _some_words(rng.choice(prose[language]), rng.randint(n, 5 * n), rng)
                rng.shuffle(mine)
                text = fill((" " if row % 2 else rng.choice(SEPARATORS)).join(mine), slots, rng)
                how = rng.choice(list(SPELLINGS)) if rng.random() < SHARE_HIDDEN else "plain"
                yield _row(f"mixed/{kind}", language, kind, spelled(text, how, rng))


def _some_words(text: str, n_words: int, rng: random.Random) -> list[str]:
    """Pieces of up to three words of a text."""
    words = text.split()[:400]
    starts = [rng.randrange(len(words)) for _ in range(max(n_words // 2, 1))]
    return [" ".join(words[start : start + rng.randint(1, 3)]) for start in starts]


def read_prose(data: Path) -> dict[str, list[str]]:
    """Ordinary prose by language, of the half for training."""
    prose = {}
    for language, names in PROSE.items():
        frames = [pl.read_parquet(data / "text" / f"{name}.parquet").sort("id") for name in names]
        rows = [row for frame in frames for row in frame.iter_rows(named=True) if is_for_training(row["id"])]
        prose[language] = [row["text"] for row in rows if row["text"].split() and not SEXUAL.search(row["text"])]
    return prose


def ordinary_rows(data: Path, rng: random.Random) -> Iterator[dict[str, object]]:
    """Windows of unlabelled texts, the half for training; SMS by their labels."""
    adult, neither = read_sms()
    for name, n_rows in TAKEN.items():
        frame = (
            pl.read_parquet(data / "text" / f"{name}.parquet")
            .sort("id")
            .unique("text", keep="first", maintain_order=True)
        )
        mine = [row for row in frame.iter_rows(named=True) if is_for_training(row["id"])]
        rng.shuffle(mine)
        mine.sort(key=lambda row: row["source"] != SMS)
        n_sms = sum(row["source"] == SMS for row in mine)
        for row in mine[: n_sms + n_rows]:
            line, is_sms = row["url"].rsplit("#", 1)[-1], row["source"] == SMS
            if (is_sms and line in neither) or (not is_sms and SEXUAL.search(row["text"])):
                continue
            kind = "adult" if is_sms and line in adult else "none"
            text = row["text"] if is_sms else windows(row["text"], rng)
            yield _row(row["source"], "ko" if row["lang"] == "ko" else "en", kind, text)


def joined_rows(data: Path, rng: random.Random) -> Iterator[dict[str, object]]:
    """Several short ordinary texts in a row: what is short says little, and most of it is ordinary."""
    adult, neither = read_sms()
    for language, names in SHORT.items():
        frames = [pl.read_parquet(data / "text" / f"{name}.parquet").sort("id") for name in names]
        rows = [row for frame in frames for row in frame.iter_rows(named=True) if is_for_training(row["id"])]
        lines = {row["text"]: row["url"].rsplit("#", 1)[-1] for row in rows}
        texts = [text for text, line in lines.items() if line not in adult | neither and not SEXUAL.search(text)]
        for _ in range(N_JOINED):
            mine = rng.sample(texts, rng.choice((1, 1, 2, 2, 3, 5)))
            if rng.random() < SHARE_CUT:
                mine = [" ".join(text.split()[: rng.randint(1, 4)]) for text in mine]
            yield _row("joined", language, "none", rng.choice((" ", "\n")).join(mine))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    rng = random.Random(SEED)
    texts = [item for item in read_texts() if not item.is_test]
    rows = [
        *composed_rows(texts, rng),
        *mixed_rows(read_prose(args.data), rng),
        *page_rows(texts, rng),
        *ordinary_rows(args.data, rng),
        *joined_rows(args.data, rng),
    ]
    frame = pl.DataFrame(rows).unique("text", keep="first", maintain_order=True)
    args.folder.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(args.folder / "labelled.parquet")
    print(frame.group_by("language").agg(pl.len(), pl.col("gambling").sum(), pl.col("adult").sum()))


if __name__ == "__main__":
    main()
