"""What two runs disagree on: documents gained and lost, by reason and source, with samples."""

import polars as pl

from curation.dedup.exact import number_copies
from manifests.record import measured_folder, read_record
from manifests.store import Folder, KeyRange, ranges_for

SAMPLES_PER_KIND = 5
SNIPPET_CHARS = 160
ROWS_PER_RANGE = 500_000
"""Rows of the ledgers that are compared at once, which bounds memory."""

KINDS = ["change", "source", "before", "after"]
COLUMNS = ["id", "copy", "source", "verdict", "stage", "reason", "value", "threshold"]


def diff(old: Folder, new: Folder) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Documents whose verdict differs between two runs.

    Returns:
        counts: `change` (gained, lost, appeared, disappeared, reason), `source`, `before`, `after`, `n_docs`.
        samples: the first few documents of each kind of change with `value`, `threshold` and a `snippet`.
    """
    counts, samples = [], []
    for keys in ranges_for(read_record(old).counts["read"] + read_record(new).counts["read"], ROWS_PER_RANGE):
        changes = _compare(old, new, keys)
        counts.append(changes.group_by(KINDS).len("n_docs"))
        samples.append(_first_of_each(changes))
    total = pl.concat(counts).group_by(KINDS).agg(pl.col("n_docs").sum())
    ordered = total.sort("n_docs", *KINDS, descending=[True, *[False] * len(KINDS)])
    return ordered, _with_snippets(_first_of_each(pl.concat(samples)), old, new)


def _first_of_each(changes: pl.DataFrame) -> pl.DataFrame:
    kinds = changes.sort("id", "copy").group_by(["change", "before", "after"], maintain_order=True)
    return kinds.head(SAMPLES_PER_KIND)


def _compare(old: Folder, new: Folder, keys: KeyRange) -> pl.DataFrame:
    before = (old / "ledger").read_range("id", keys, COLUMNS)
    after = (new / "ledger").read_range("id", keys, COLUMNS)
    both = before.join(after, on=["id", "copy"], how="full", coalesce=True, suffix="_new")
    kept_before, kept_after = pl.col("verdict") == "kept", pl.col("verdict_new") == "kept"
    change = (
        pl.when(pl.col("verdict").is_null())
        .then(pl.lit("appeared"))
        .when(pl.col("verdict_new").is_null())
        .then(pl.lit("disappeared"))
        .when(kept_after & ~kept_before)
        .then(pl.lit("gained"))
        .when(kept_before & ~kept_after)
        .then(pl.lit("lost"))
        .when(pl.col("reason").ne_missing(pl.col("reason_new")))
        .then(pl.lit("reason"))
    )
    named = both.with_columns(
        change=change,
        source=pl.coalesce("source", "source_new"),
        before=_outcome("verdict", "reason"),
        after=_outcome("verdict_new", "reason_new"),
        value=pl.coalesce("value_new", "value"),
        threshold=pl.coalesce("threshold_new", "threshold"),
    )
    columns = ["change", "id", "copy", "source", "before", "after", "value", "threshold"]
    return named.filter(pl.col("change").is_not_null()).select(columns)


def _outcome(verdict: str, reason: str) -> pl.Expr:
    return pl.coalesce(pl.col(reason), pl.col(verdict), pl.lit("absent"))


def _with_snippets(samples: pl.DataFrame, old: Folder, new: Folder) -> pl.DataFrame:
    """The samples with the start of their texts, as measured, or where none were stored as kept."""
    wanted = pl.col("id").is_in(samples["id"].unique().to_list())
    texts = pl.concat(_snippets(run, wanted) for run in (new, old))
    first = texts.unique(["id", "copy"], keep="first", maintain_order=True)
    return samples.join(first, on=["id", "copy"], how="left", maintain_order="left")


def _snippets(run: Folder, wanted: pl.Expr) -> pl.DataFrame:
    snippet = pl.col("text").str.slice(0, SNIPPET_CHARS).alias("snippet")
    measured = measured_folder(run, read_record(run)) / "measured"
    if "text" in measured.scan().collect_schema().names():
        rows = measured.scan().filter(wanted).select("id", "row_hash", snippet).collect()
        return number_copies(rows).select("id", "copy", "snippet")
    return (run / "documents").scan().filter(wanted).select("id", "copy", snippet).collect()
