"""Decontamination: planted benchmark items found, clean documents left alone, and how fast.

Items of data/benchmarks are spliced into documents of data/text, as they are and edited in four ways; training items
of the same benchmarks are spliced in likewise, and must not be found. Thresholds were chosen with the items whose
xxh3(id) is even; what is published is measured on the odd ones, which no choice has seen.

python benchmarks/contamination.py --data ../shared/data [--half even] [--show 20]
"""

import argparse
import difflib
import io
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson
import polars as pl
import pyarrow as pa
import xxhash
import zstandard
from sample_text import SEED, markdown, publish

from curation.benchmarks import Item, load_items
from curation.decontaminate_index import ContaminationIndex
from curation.decontaminate_targets import fold, numbers_of
from curation.normalize import normalize_column
from manifests.schema import BenchmarkFile, Decontaminate

PAIRS = {
    "klue_nli_dev": "hypothesis",
    "klue_sts_dev": "sentence2",
    "korsts_test": "sentence2",
    "korxnli_test": "sentence2",
}
SAMPLE_DOCUMENTS = 10_000
N_SPLICES = 300
COPY_ALIKE = 0.75  # of difflib, whose ratio two problems of one template can reach too: hence the numbers
COPY_NUMBERS = 0.75
TRAINING = ("gsm8k_train", "kor_mwp_train", "kor_multiarith_train", "kor_single_eq_train")
SWAPS = {
    "은": "이",
    "는": "가",
    "이": "은",
    "가": "는",
    "을": "은",
    "를": "는",
    "와": "랑",
    "과": "이랑",
    "에": "에서",
    "도": "만",
}
HANGUL = re.compile("[가-힣]")


def respaced(text: str, rng: random.Random) -> str:
    """30% of the spaces dropped, 5% of the other places given one."""
    out = []
    for char in text:
        if char == " " and rng.random() < 0.3:
            continue
        out.append(char)
        if char.isalpha() and rng.random() < 0.05:
            out.append(" ")
    return "".join(out)


def particles_swapped(text: str, rng: random.Random) -> str:
    """Every particle at the end of an eojeol replaced by another, also by ones that folding does not take out."""
    return re.sub("(?<=[가-힣])[은는이가을를와과에도](?=[ .,?!\n]|$)", lambda found: SWAPS[found[0]], text)


def renumbered(text: str, rng: random.Random) -> str:
    """Every number replaced by another of as many digits, and not the same."""

    def other(found: re.Match[str]) -> str:
        low, high = (10 ** (len(found[0]) - 1), 10 ** len(found[0])) if len(found[0]) > 1 else (1, 10)
        while str(number := rng.randrange(low, high)) == found[0]:
            pass
        return str(number)

    return re.sub(r"\d+", other, text)


@dataclass(frozen=True)
class Kind:
    """One way of planting items."""

    name: str
    edit: Callable[[str, random.Random], str]
    with_answer: bool = True


KINDS = (
    Kind("verbatim", lambda text, rng: text),
    Kind("verbatim, question alone", lambda text, rng: text, with_answer=False),
    Kind("respaced", respaced),
    Kind("particles swapped", particles_swapped),
    Kind("renumbered", renumbered),
)


def half_of(items: list[Item], odd: bool) -> list[Item]:
    return [item for item in items if xxhash.xxh3_64_intdigest(item.id.encode()) % 2 == odd]


def benchmark_items(data: Path) -> list[Item]:
    files = []
    for path in sorted((data / "benchmarks").glob("*.jsonl")):
        question = ["question", PAIRS[path.stem]] if path.stem in PAIRS else "question"
        choices = "choices" if path.stem.startswith("kmmlu") else []
        after = "####" if path.stem == "gsm8k_test" else None
        files.append(BenchmarkFile(path=str(path), question=question, choices=choices, answer_after=after))
    return load_items(files, None, "")


def training_items(data: Path) -> list[Item]:
    items: list[Item] = []
    for name in TRAINING:
        packed = zstandard.ZstdDecompressor().stream_reader((data / "seeds" / f"{name}.jsonl.zst").open("rb"))
        rows = map(orjson.loads, io.BufferedReader(packed))
        items += [Item(name, row["id"], row["instruction"], (), row["output"]) for row in rows]
    return items


def documents(data: Path) -> pl.DataFrame:
    rows = [
        pl.read_parquet(path, columns=["id", "text"]).with_columns(file=pl.lit(path.stem))
        for path in sorted((data / "text").glob("*.parquet"))
    ]
    return pl.concat(rows).with_columns(ko=pl.col("file").str.starts_with("ko"))


def spliced(item: Item, kind: Kind, document: str, rng: random.Random) -> str:
    """The document with the item at the end of one of its lines, in its own paragraph."""
    parts = [item.question]
    if kind.with_answer:
        parts += [*item.choices, item.answer]
    planted = kind.edit("\n".join(part for part in parts if part), rng)
    lines = document.split("\n")
    place = rng.randrange(len(lines) + 1)
    return "\n".join([*lines[:place], "", planted, "", *lines[place:]])


def is_korean(item: Item) -> bool:
    return HANGUL.search(item.question) is not None


def arrow(texts: list[str]) -> pa.LargeStringArray:
    return normalize_column(pa.array(texts, pa.large_string()))


def same_text(items: list[Item]) -> dict[str, set[tuple[str, str]]]:
    """The items of each folded question: where two benchmarks share one, finding either is finding it."""
    same: dict[str, set[tuple[str, str]]] = {}
    for item in items:
        same.setdefault(fold(item.question), set()).add((item.benchmark, item.id))
    return same


def recalls(
    index: ContaminationIndex, items: list[Item], hosts: dict[bool, list[str]], score: float
) -> list[list[str]]:
    same, rows, of_kind = same_text(items), [], {kind.name: [0, 0] for kind in KINDS}
    for name in sorted({item.benchmark for item in items}):
        row, mine = [name], [item for item in items if item.benchmark == name]
        for kind in KINDS:
            rng = random.Random(f"{SEED} {name} {kind.name}")
            chosen = [item for item in mine if kind.edit(item.question, random.Random(0)) != item.question]
            chosen = mine if kind.name.startswith("verbatim") else chosen
            chosen = rng.sample(chosen, min(N_SPLICES, len(chosen)))
            texts = [spliced(item, kind, rng.choice(hosts[is_korean(item)]), rng) for item in chosen]
            found: list[set[tuple[str, str]]] = [set() for _ in texts]
            for hit in index.find(arrow(texts)).select(["row", "benchmark", "item", "score"]).to_pylist():
                if hit["score"] >= score:
                    found[hit["row"]].add((hit["benchmark"], hit["item"]))
            n = sum(bool(same[fold(item.question)] & hits) for item, hits in zip(chosen, found, strict=True))
            of_kind[kind.name][0] += n
            of_kind[kind.name][1] += len(chosen)
            row.append(f"{n / len(chosen):.3f} ({len(chosen)})" if len(chosen) >= 10 else "")
        rows.append(row)
    return [*rows, ["**all**", *(f"**{n / total:.4f}** ({total})" for n, total in of_kind.values())]]


def false_hits(index: ContaminationIndex, texts: list[str], score: float) -> list[dict[str, object]]:
    """The best hit of each text that has one."""
    hits = pl.from_arrow(index.find(arrow(texts)))
    assert isinstance(hits, pl.DataFrame)
    best = hits.filter(pl.col("score") >= score).sort("score", descending=True).unique("row", keep="first")
    return best.sort("row").to_dicts()


def is_copy(training: Item, test: Item) -> bool:
    """Whether a training item is the test item: nearly all of its numbers, and words alike, by another measure."""
    wanted, there = numbers_of(test.question), numbers_of(training.question)
    n_shared, n_most = (wanted & there).total(), max(wanted.total(), there.total())
    alike = difflib.SequenceMatcher(None, training.question, test.question, autojunk=False).ratio()
    return alike >= COPY_ALIKE and n_shared >= COPY_NUMBERS * n_most


def shown(title: str, hits: list[dict[str, object]], documents: list[str], n: int) -> None:
    print(f"\n{title}: {len(hits)}")
    for hit, document in list(zip(hits, documents, strict=True))[:n]:
        print(f"  {document} -> {hit['item']} {hit['part']} {hit['score']:.2f} of {hit['contained_frac']:.2f}; "
              f"numbers {hit['numbers_frac']}, answer {hit['answer_near']}")  # fmt: skip
        print(f"    {str(hit['found'])[:220]!r}\n    {str(hit['wanted'])[:220]!r}")


def speeds(index: ContaminationIndex, rows: pl.DataFrame) -> list[list[str]]:
    out = []
    for ko, name in ((True, "Korean"), (False, "English")):
        texts = arrow(rows.filter(pl.col("ko") == ko)["text"].to_list())
        size_mb, seconds = len(texts.buffers()[2]) / 1e6, []
        for _ in range(3):
            start = time.process_time()
            index.find(texts)
            seconds.append(time.process_time() - start)
        out.append([name, f"{size_mb:.0f}", f"{size_mb / sorted(seconds)[1]:.0f}"])
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--half", choices=["even", "odd"], default="odd")
    parser.add_argument("--score", type=float, default=Decontaminate.model_fields["score"].default)
    parser.add_argument("--show", type=int, default=0)
    options = parser.parse_args()
    items = half_of(benchmark_items(options.data), options.half == "odd")
    rows = documents(options.data)
    sample = rows.sample(SAMPLE_DOCUMENTS, seed=SEED)
    start = time.process_time()
    index = ContaminationIndex.build(items, arrow(sample["text"].to_list()))
    built = time.process_time() - start
    usable = rows.filter(pl.col("text").str.len_chars().is_between(200, 6000), pl.col("file") != "ko_wiki_korquad")
    hosts = {ko: usable.filter(pl.col("ko") == ko).sample(3000, seed=SEED)["text"].to_list() for ko in (True, False)}
    table = recalls(index, items, hosts, options.score)
    clean = false_hits(index, rows["text"].to_list(), options.score)
    training, rng = training_items(options.data), random.Random(SEED)
    texts = [spliced(item, KINDS[0], rng.choice(hosts[is_korean(item)]), rng) for item in training]
    trained = false_hits(index, texts, options.score)
    if options.show:
        shown("clean", clean, [rows["file"][hit["row"]] for hit in clean], options.show)
        shown("training", trained, [training[hit["row"]].id for hit in trained], options.show)
    by_file = pl.DataFrame({"file": [rows["file"][hit["row"]] for hit in clean]}, schema={"file": pl.String})
    files = [[name, f"{n:,}"] for name, n in by_file["file"].value_counts(sort=True).iter_rows()]
    by_id = {(item.benchmark, item.id): item for item in items}
    copies = {hit["row"] for hit in trained if is_copy(training[hit["row"]], by_id[hit["benchmark"], hit["item"]])}
    others = [f"`{training[hit['row']].id}` ({hit['item']})" for hit in trained if hit["row"] not in copies]
    of_training = []
    for name in TRAINING:
        mine = [hit["row"] for hit in trained if training[hit["row"]].benchmark == name]
        n_copies, n_all = len(copies & set(mine)), sum(item.benchmark == name for item in training)
        of_training.append([name, f"{n_all:,}", f"{len(mine)}", f"{n_copies}", f"{len(mine) - n_copies}"])
    n_short = ", ".join(f"{name} {n}" for name, n in index.n_too_short.items() if n) or "none"
    text = "\n".join(
        [
            f"Score {options.score}; {len(items):,} items (the {options.half} half), {len(index.index.weights):,} "
            f"n-grams, built in {built:.1f} s with a sample of {SAMPLE_DOCUMENTS:,} documents. Items too short or "
            f"too common to be found at all: {n_short}.\n",
            "Recall (number of splices):\n",
            markdown(["benchmark", *(kind.name for kind in KINDS)], table),
            f"Clean documents: {len(clean):,} of {rows.height:,} have a hit ({len(clean) / rows.height:.3%}).\n",
            markdown(["file", "documents with a hit"], files),
            f"Training items spliced into clean documents: {len(trained):,} of {len(training):,} have a hit "
            f"({len(trained) / len(training):.3%}). In {len(copies)} of them the training item is the test item "
            f"(three quarters of the numbers, difflib {COPY_ALIKE}), which is contamination; in "
            f"{len(others)} ({len(others) / len(training):.3%}) it is not, or not surely.\n",
            markdown(["training set", "documents", "with a hit", "copies of a test item", "others"], of_training),
            f"The others: {', '.join(others) or 'none'}.\n",
            markdown(["text", "MB", "MB/s on one core, all benchmarks at once"], speeds(index, rows)),
        ]
    )
    if options.half == "odd":
        publish("contamination", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
