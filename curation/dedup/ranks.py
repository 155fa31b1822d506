"""Survivor policies as numbers: which of some documents that are duplicates of each other is kept."""

import polars as pl

from manifests.schema import BestScore, Keep, SourcePriority


def policy_columns(keep: Keep) -> set[str]:
    """The measured columns that a policy reads."""
    if isinstance(keep, BestScore):
        return {keep.score.split(".")[0]}
    if isinstance(keep, SourcePriority):
        return {"source"}
    return {"first": set(), "longest": {"n_text_bytes"}, "newest": {"date"}}[keep]


def policy_rank(keep: Keep) -> pl.Expr:
    """A policy as a number per document: the least survives, null comes last."""
    if isinstance(keep, BestScore):
        column, _, field = keep.score.partition(".")
        score = pl.col(column).struct.field(field) if field else pl.col(column)
        return -score.cast(pl.Float64)
    if isinstance(keep, SourcePriority):
        places = dict(zip(keep.sources, range(len(keep.sources)), strict=True))
        return pl.col("source").replace_strict(places, default=None, return_dtype=pl.Float64)
    if keep == "longest":
        return -pl.col("n_text_bytes").cast(pl.Float64)
    if keep == "newest":
        return -_seconds(pl.col("date"))
    return pl.lit(0.0)


def _seconds(date: pl.Expr) -> pl.Expr:
    """Seconds since 1970 of dates as records carry them: ISO 8601 with or without a time, or RFC 2822."""
    instant = pl.coalesce(
        date.str.to_datetime(pattern, strict=False, time_zone="UTC", time_unit="us")
        for pattern in ("%+", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%a, %d %b %Y %H:%M:%S %z")
    )
    day = date.str.slice(0, 10).str.to_datetime("%Y-%m-%d", strict=False, time_zone="UTC", time_unit="us")
    return pl.coalesce(instant, day).dt.epoch("us").cast(pl.Float64) / 1e6
