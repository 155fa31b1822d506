"""What the record and the summary of a mixture count, without what was cut out of it."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import polars as pl

VALIDATION = "validation"
"""The stage of what is held out."""
COUNTS = ("n_documents", "n_spans", "n_tokens")
SUMS = {"stage": pl.String, "source": pl.String, **dict.fromkeys(COUNTS, pl.Int64)}


def sums_of(spans: pl.DataFrame) -> pl.DataFrame:
    """Spans that were cut out (`spans.CUT`), summed up by stage and source: SUMS."""
    sums = spans.group_by("stage", "source").agg(
        n_documents=(pl.col("offset") == 0).sum(), n_spans=pl.len(), n_tokens=pl.col("n_tokens").sum()
    )
    return sums.select(*SUMS).cast(SUMS).sort("stage", "source")  # type: ignore[arg-type]


def record_without(record: Mapping[str, Any], cut: pl.DataFrame) -> dict[str, Any]:
    """The record of a mixture (`curation.mixture.record`) with less of everything that was cut out."""
    found, categories = deepcopy(dict(record)), _categories(record)
    for stage, source, n_documents, _, n_tokens in cut.iter_rows():
        if stage == VALIDATION:
            held = found.get("validation", {}).get(categories.get(source), {})
            _take(held, documents=n_documents, tokens=n_tokens)
            continue
        _take(found.get("counts", {}), tokens=n_tokens, padding=-n_tokens)
        for one in found.get("stages", []):
            if one["name"] == stage:
                _take(one, n_tokens=n_tokens, overshoot=n_tokens)
                _take(one["taken"], **{source: n_tokens})
        for one in found.get("sources", []):
            if one["name"] == source:
                _take(one, taken_tokens=n_tokens)
                one["epochs"] = one["taken_tokens"] / one["n_tokens"] if one["n_tokens"] else 0.0
    return found


def summary_without(summary: dict[str, Any], cut: pl.DataFrame, record: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of a mixture (`curation.mixture.summary`), alike; courses and distributions stay as mixed."""
    categories = _categories(record)
    for stage, source, n_documents, n_spans, n_tokens in cut.iter_rows():
        if stage == VALIDATION:
            for held in summary.get("validation", []):
                if held["category"] == categories.get(source):
                    _take(held, n_documents=n_documents, n_tokens=n_tokens)
            continue
        _take(summary, n_tokens=n_tokens, n_padding=-n_tokens)
        for one in summary.get("stages", []):
            if one["name"] == stage:
                _take(one, n_tokens=n_tokens, n_padding=-n_tokens)
                for taken in one["taken"]:
                    if taken["source"] == source:
                        _take(taken, n_tokens=n_tokens, n_documents=n_documents, n_spans=n_spans)
        for one in summary.get("sources", []):
            if one["name"] == source:
                _take(one, n_tokens_taken=n_tokens)
    return summary


def _take(counts: dict[str, Any], **less: int) -> None:
    """Take amounts off those counts that are there."""
    for name, n in less.items():
        if name in counts:
            counts[name] -= n


def _categories(record: Mapping[str, Any]) -> dict[str, str]:
    return {source["name"]: source["category"] for source in record["manifest"]["sources"]}
