"""Rows as `decide` leaves them, made up: with ties, duplicates, missing values and failures."""

import numpy as np
import polars as pl
import pyarrow as pa

from curation.predicates import parse_predicate
from curation.rules import CheckedRule, judge

COLUMNS = {
    "language": pa.string(),
    "language_score": pa.float64(),
    "signals.word_count": pa.int32(),
    "signals.dup_line_frac": pa.float64(),
}


def rule(name: str, keep: str, when: str | None = None) -> CheckedRule:
    checked = parse_predicate(when, COLUMNS) if when else None
    return CheckedRule(name=name, keep=parse_predicate(keep, COLUMNS), when=checked, group=None)


RULES = [
    rule("language", "language in ('ko', 'en') and language_score >= 0.65"),
    rule("words", "signals.word_count between 3 and 50"),
    rule("gopher.lines", "signals.dup_line_frac <= 0.3", "language = 'ko'"),
]


def judged_rows(n_docs: int, seed: int = 0, rules: list[CheckedRule] = RULES) -> pl.DataFrame:
    """`n_docs` rows, ordered by (id, copy); every eleventh or so failed, and as many had no text."""
    random = np.random.default_rng(seed)
    texts = [f"문서 {random.integers(n_docs // 2 + 1)}\n" + "가나 " * 150 for _ in range(n_docs)]
    frame = pl.DataFrame(
        {
            "id": [f"{number:032x}" for number in random.integers(3 * n_docs, size=n_docs)],
            "source": random.choice(["web", "docs"], n_docs),
            "url": random.choice(["https://example.com/a", "javascript:alert(1)"], n_docs),
            "language": random.choice(["ko", "en", "ja"], n_docs),
            "language_score": random.choice([0.2, 0.5, 0.65, 0.8, 1.0], n_docs),
            "text": texts,
            "n_bytes": random.integers(1000, size=n_docs),
            "n_text_bytes": [len(text.encode()) for text in texts],
            "signals": [
                {"word_count": int(n), "dup_line_frac": None if x > 0.9 else round(float(x), 1)}
                for n, x in zip(random.integers(80, size=n_docs), random.random(n_docs), strict=True)
            ],
            "ended": random.choice(["failed", "no_text", *[""] * 20], n_docs),
            "file": "a.jsonl",
            "offset": range(n_docs),
        },
        schema_overrides={"signals": pl.Struct({"word_count": pl.Int32, "dup_line_frac": pl.Float64})},
    )
    return _decided(frame, rules).sort("id", "copy")


def _decided(frame: pl.DataFrame, rules: list[CheckedRule]) -> pl.DataFrame:
    early = pl.col("ended") != ""
    size = pl.len().over("text").cast(pl.Int64)
    frame = frame.with_columns(judge(frame, rules)).with_columns(
        copy=pl.int_range(pl.len(), dtype=pl.Int32).over("id"),
        exact_size=pl.when(size > 1).then(size),
        exact_group=pl.when(size > 1).then(pl.col("text").str.slice(0, 8)),
    )
    verdict = pl.when(pl.col("reason").is_null()).then(pl.lit("kept")).otherwise(pl.lit("dropped"))
    ended = pl.when(pl.col("ended") == "failed").then(pl.lit("failed")).otherwise(pl.lit("dropped"))
    return frame.with_columns(
        verdict=pl.when(early).then(ended).otherwise(verdict),
        stage=pl.when(early).then(pl.lit("extract")).when(pl.col("reason").is_not_null()).then(pl.lit("rules")),
        reason=pl.when(early).then(pl.col("ended")).otherwise(pl.col("reason")),
        failed_rules=pl.when(~early).then(pl.col("failed_rules")),
        **{name: pl.when(~early).then(pl.col(name)) for name in ("text", "language", "signals")},
    ).drop("ended")
