"""What datatrove decides with FineWeb-2's Korean configuration and Kiwi words: signals and verdicts per document.

Runs in an environment of its own, because datatrove's Kiwi tokenizer needs kiwipiepy below 0.22:

    python -m venv ../venvs/datatrove && ../venvs/datatrove/bin/pip install -r benchmarks/requirements-datatrove.txt
    ../venvs/datatrove/bin/python benchmarks/korean_oracle.py --out benchmarks/results/raw/korean_oracle.parquet
    ../venvs/datatrove/bin/python benchmarks/korean_oracle.py --out benchmarks/results/raw/korean_fresh.parquet \\
        --exclude benchmarks/results/raw/korean_oracle.parquet --seed 2 --source-bytes 600000 --doc-bytes 40000

`benchmarks/korean_thresholds.py` then fits and judges eojeol thresholds. The sample is seeded and stratified by
source. Kiwi reads 20 to 50 kB/s, so the default sample takes several minutes.
"""

import argparse
import hashlib
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from datatrove.data import Document
from datatrove.pipeline.filters import (
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    fineweb_quality_filter,
    gopher_quality_filter,
    gopher_repetition_filter,
)
from datatrove.utils.text import PUNCTUATION_SET, split_into_words

LANGUAGE = "kor_Hang"
TOP_N_GRAMS = ((2, 0.282), (3, 0.228), (4, 0.185))
DUP_N_GRAMS = ((5, 0.201), (6, 0.184), (7, 0.168), (8, 0.154), (9, 0.14), (10, 0.127))
STOP_WORDS = [
    *("의", "다", "이", "는", "에", "을", "한", "년", "하", "은", "를"),
    *("했", "고", "에서", "가", "있", "으로", "인", "월", "로", "되"),
]

FILES = [
    "ko_books_misc",
    "ko_docs_mixed",
    "ko_law",
    "ko_ms_cpp",
    "ko_petitions",
    "ko_wiki_korquad",
    "koen_html_docs",
    "ko_chat_songys",
    "ko_comments_kocohub",
    "ko_reviews_nsmc",
]
ONE_LINERS = {"songys/Chatbot_data", "kocohub/korean-hate-speech", "e9t/nsmc"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--source-bytes", type=int, default=1_200_000, help="text per source, at most")
    parser.add_argument("--doc-bytes", type=int, default=16_000, help="text per document, at most")
    parser.add_argument("--exclude", type=Path, help="an earlier output, whose documents are left out")
    parser.add_argument("--limit", type=int, help="documents, for a trial")
    args = parser.parse_args()
    seen = pl.read_parquet(args.exclude, columns=["id"])["id"] if args.exclude else pl.Series([], dtype=pl.String)
    documents = sample(args.data / "text", args.seed, args.source_bytes, args.doc_bytes, seen)
    documents = documents.head(args.limit or sys.maxsize)
    filters = make_filters()
    rows, seconds = [], 0.0
    for row in documents.iter_rows(named=True):
        start = time.process_time()
        words = split_into_words(row["text"], LANGUAGE)
        seconds += time.process_time() - start
        rows.append({**row, **signals(row["text"], words), **verdicts(row["text"], words, filters)})
        if len(rows) % 500 == 0:
            print(f"{len(rows)}/{documents.height}", file=sys.stderr, flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(args.out)
    size_mb = documents["text"].str.len_bytes().sum() / 1e6
    print(f"{documents.height} documents, {size_mb:.1f} MB, Kiwi alone {size_mb / seconds:.3f} MB/s")


def sample(folder: Path, seed: int, source_bytes: int, doc_bytes: int, seen: pl.Series) -> pl.DataFrame:
    """Columns id, source, text: up to source_bytes of each source, in an order given by seed and id, without `seen`.

    One-line sources come twice: a few as they are, and joined into pages of 3 to 40 lines (source `NAME joined`),
    since the web has pages of comments, and single lines are dropped for their length alone.
    """
    whole = pl.concat(pl.read_parquet(folder / f"{name}.parquet") for name in FILES)
    fits = pl.col("text").str.len_bytes().is_between(1, doc_bytes) & ~pl.col("id").is_in(seen.implode())
    whole = whole.filter(pl.col("lang") == "ko", fits)
    order = [hashlib.blake2b(f"{seed}{key}".encode(), digest_size=8).hexdigest() for key in whole["id"]]
    whole = whole.select("id", "source", "text").with_columns(order=pl.Series(order)).sort("order")
    pieces = []
    for (source,), rows in whole.group_by("source", maintain_order=True):
        pieces.append(_head(rows, source_bytes // 12 if source in ONE_LINERS else source_bytes))
        if source in ONE_LINERS:
            pieces.append(_head(_joined(rows, seed), source_bytes // 2))
    return pl.concat(pieces).sort("order").drop("order")


def _head(rows: pl.DataFrame, size_bytes: int) -> pl.DataFrame:
    return rows.filter(pl.col("text").str.len_bytes().cum_sum() <= size_bytes)


def _joined(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    lengths = np.random.default_rng(seed).integers(3, 41, rows.height)
    pages = np.repeat(np.arange(rows.height), lengths)[: rows.height]
    joined = rows.with_columns(page=pl.Series(pages)).group_by("page", maintain_order=True)
    return joined.agg(
        pl.col("id").first() + "+", pl.col("source").first() + " joined", pl.col("text").str.join("\n"),
        pl.col("order").first(),
    ).drop("page")  # fmt: skip


def make_filters() -> dict[str, object]:
    """The three filters of fineweb-2-pipeline.py, in its order, with configs/kor_Hang.yml."""
    return {
        "repetition": GopherRepetitionFilter(
            language=LANGUAGE, dup_para_frac=0, dup_line_char_frac=0, dup_para_char_frac=0, dup_line_frac=0.374,
            top_n_grams=TOP_N_GRAMS, dup_n_grams=DUP_N_GRAMS,
        ),
        "fineweb": FineWebQualityFilter(
            language=LANGUAGE, short_line_thr=999, char_duplicates_ratio=0.1, line_punct_thr=0.062,
            new_line_ratio=0.196,
        ),
        "quality": GopherQualityFilter(
            language=LANGUAGE, max_avg_word_length=6, min_avg_word_length=1, stop_words=STOP_WORDS,
            max_non_alpha_words_ratio=0.791, min_stop_words=2,
        ),
    }  # fmt: skip


def verdicts(text: str, words: list[str], filters: dict[str, object]) -> dict[str, str | None]:
    """The reason of each filter by itself, and of the three in order (`reason`); None where the document passes."""
    for module in (gopher_repetition_filter, fineweb_quality_filter, gopher_quality_filter):
        module.split_into_words = lambda _text, _language: words  # the same words, found once
    reasons = {name: _reason(a_filter.filter(Document(text=text, id=""))) for name, a_filter in filters.items()}
    first = next((reason for reason in reasons.values() if reason), None)
    return {**{f"{name}_reason": reason for name, reason in reasons.items()}, "reason": first}


def _reason(result: bool | tuple[bool, str]) -> str | None:
    return result[1] if isinstance(result, tuple) else None if result else "dropped"


def signals(text: str, words: list[str]) -> dict[str, float | None]:
    """The numbers that the filters compare, by datatrove's own functions; None where it compares nothing."""
    lines = gopher_repetition_filter.re.compile("\n+").split(text)
    filled = [line for line in text.split("\n") if line.strip()]
    terminal = fineweb_quality_filter.TERMINAL_PUNCTUATION
    duplicates = gopher_repetition_filter.find_duplicates
    spoken = [word for word in words if any(char not in PUNCTUATION_SET for char in word)]
    n_words = len(words)
    every = {
        "dup_line_frac": duplicates(lines)[0] / len(lines),
        "line_punct_ratio": sum(line.endswith(tuple(terminal)) for line in filled) / max(len(filled), 1),
        "char_dup_ratio": duplicates(filled)[1] / max(len(text.replace("\n", "")), 1),
        "list_ratio": text.count("\n") / n_words if n_words else None,
        "words": len(spoken),
        "avg_word_length": float(np.mean([len(word) for word in spoken])) if spoken else None,
        "hash_ratio": text.count("#") / n_words if n_words else None,
        "ellipsis_ratio": (text.count("...") + text.count("…")) / n_words if n_words else None,
        "alpha_ratio": sum(any(c.isalpha() for c in word) for word in words) / n_words if n_words else None,
        "stop_words": len(set(STOP_WORDS) & set(words)),
    }
    for n, _ in TOP_N_GRAMS:
        grams = gopher_repetition_filter.get_n_grams(words, n)
        every[f"top_{n}_gram"] = gopher_repetition_filter.find_top_duplicate(grams) / len(text) if grams else None
    for n, _ in DUP_N_GRAMS:
        every[f"dup_{n}_gram"] = gopher_repetition_filter.find_all_duplicate(words, n) / len(text)
    return {f"kiwi_{name}": value for name, value in every.items()}


if __name__ == "__main__":
    main()
