"""The pages of data/extraction with their gold text, and the metric of the benchmark."""

import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import xxhash
import zstandard

from curation.charset import decode

SETS = ("scrapinghub", "readability", "ko_template", "trafilatura")
WORD = re.compile(r"\w+")
GRAM_WORDS = 4


@dataclass(frozen=True)
class Page:
    """One page with what should come out of it: a gold text, or segments that must and must not occur."""

    id: str
    set: str
    url: str
    html: str
    gold: str
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]
    even: bool


def read_pages(folder: Path, name: str) -> Iterator[Page]:
    """The pages of one set, decoded with the charset given; `even` pages are those that may be tuned on."""
    with open(folder / "extraction" / f"{name}.gold.jsonl.zst", "rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
        golds = {gold["id"]: gold for gold in map(json.loads, lines)}
    for row in pq.read_table(folder / "extraction" / f"{name}.pages.parquet").to_pylist():
        gold = golds[row["id"]]
        yield Page(
            row["id"], name, row["url"], decode(row["html"], row["charset"]).text, gold.get("gold_text", ""),
            tuple(gold.get("with", ())), tuple(gold.get("without", ())),
            xxhash.xxh3_64_intdigest(row["id"].encode()) % 2 == 0,
        )  # fmt: skip


def grams(text: str) -> Counter[tuple[str, ...]]:
    """The multiset of 4-grams of words; of all words at once where there are fewer."""
    words = WORD.findall(text)
    return Counter(tuple(words[k : k + GRAM_WORDS]) for k in range(max(1, len(words) - GRAM_WORDS + 1)) if words)


def precision_recall(text: str, gold: str) -> tuple[float, float]:
    """Precision and recall of the 4-grams of a text; an empty text has precision 0."""
    found, wanted = grams(text), grams(gold)
    n_shared = (found & wanted).total()
    return n_shared / max(1, found.total()), n_shared / max(1, wanted.total())


def f1(precision: float, recall: float) -> float:
    """The harmonic mean."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def score_set(pages: list[Page], texts: list[str]) -> tuple[float, float]:
    """(F of mean precision and mean recall over pages, mean of the pages' F1); segments: F over all, twice.

    The first is what scrapinghub/article-extraction-benchmark reports; the peers' figures are of that kind.
    """
    if pages[0].wanted or pages[0].unwanted:
        hits = sum(segment in text for page, text in zip(pages, texts, strict=True) for segment in page.wanted)
        false = sum(segment in text for page, text in zip(pages, texts, strict=True) for segment in page.unwanted)
        value = f1(hits / max(1, hits + false), hits / sum(len(page.wanted) for page in pages))
        return value, value
    pairs = [precision_recall(text, page.gold) for page, text in zip(pages, texts, strict=True)]
    precision, recall = (sum(pair[k] for pair in pairs) / len(pairs) for k in (0, 1))
    return f1(precision, recall), sum(f1(*pair) for pair in pairs) / len(pairs)
