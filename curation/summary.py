"""The summary of a corpus: of any part of it, and of all parts together.

A `Summary` is small whatever the corpus, and `merge` of the summaries of parts equals the summary of the whole: bins
are the same for every part, and samples are the first by (distance to the threshold, id, copy). Ids are hashes, so
the first by id are a random sample that anyone can draw again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.datatypes import DataTypeClass

from curation.decontaminate_summary import summarize_hits
from curation.dedup.near_summary import summarize_near, summarize_semantic
from curation.dedup.repeats_summary import summarize_removed
from curation.predicates import Comparison
from curation.rules import MISSING, CheckedRule
from curation.summary_merge import merge
from curation.summary_models import (
    EDGES,
    N_FAILURES,
    N_GROUPS,
    N_MARGIN_SAMPLES,
    N_NOTE_SAMPLES,
    N_REASON_SAMPLES,
    SNIPPET_CHARS,
    Distribution,
    Failure,
    Group,
    NoteSample,
    NoteSummary,
    ReasonSamples,
    RuleSummary,
    Sample,
    Scale,
    Signal,
    Summary,
    Tally,
    Threshold,
    by_key,
)

__all__ = ["Summary", "merge", "summarize"]

LANGUAGES = ("ko", "en", "other")
_SIZES = {"exact_size", "near_cluster_size", "semantic_cluster_size"}
NOT_SIGNALS = frozenset({"copy", "offset", *_SIZES, "value", "threshold", "cosine", "on_edge"})

DType = pl.DataType | DataTypeClass


def summarize(judged: pl.DataFrame, rules: Sequence[CheckedRule]) -> Summary:
    """The summary of a part of a corpus.

    Args:
        judged: one row per record with the measured columns and the decision (verdict, stage, reason, failed_rules,
            exact_size, exact_group); without a `text` column there are no snippets and no characters.
        rules: in their order.
    """
    judged = _ordered(judged)
    measured = _Measured(judged)
    return Summary(
        tallies=_tallies(judged),
        rules=_rules(measured, rules),
        signals=_signals(measured),
        samples=_reason_samples(judged),
        group_sizes=_group_sizes(judged),
        groups=_groups(judged),
        benchmarks=summarize_hits(judged),
        removed=summarize_removed(judged),
        near=summarize_near(judged),
        semantic=summarize_semantic(judged),
        failures=_failures(judged),
        notes=_notes(judged),
    )


_REACHED_RULES = (pl.col("verdict") != "failed") & ~pl.col("stage").is_in(["read", "extract", "removed"]).fill_null(
    False
)


def _ordered(judged: pl.DataFrame) -> pl.DataFrame:
    keys = judged.select("id", "copy")
    return judged if keys.equals(keys.sort("id", "copy")) else judged.sort("id", "copy")


# counts

_TALLY_KEYS = ("source", "language", "verdict", "stage", "reason")


def _tallies(judged: pl.DataFrame) -> tuple[Tally, ...]:
    n_chars = pl.col("text").str.len_chars() if "text" in judged.columns else pl.lit(0)
    rows = (
        judged.lazy()
        .select(*_TALLY_KEYS, "n_bytes", "n_text_bytes", n_chars=n_chars.cast(pl.Int64))
        .group_by(*_TALLY_KEYS)
        .agg(pl.len(), pl.sum("n_bytes"), pl.sum("n_text_bytes"), pl.sum("n_chars"))
        .collect()
    )
    names = (*_TALLY_KEYS, "n_docs", "content_bytes", "text_bytes", "n_chars")
    return by_key(Tally(**dict(zip(names, row, strict=True))) for row in rows.iter_rows())


# distributions


@dataclass(frozen=True)
class _Column:
    """One numeric column: its values, NaN where missing, and their bins from 1 on, 0 where missing."""

    scale: Scale
    values: NDArray[np.float64]
    bins: NDArray[np.int64]


class _Measured:
    """The documents of a part that came as far as the rules, ordered by (id, copy), and their columns as arrays."""

    def __init__(self, judged: pl.DataFrame) -> None:
        self.frame = judged.filter(_REACHED_RULES)
        self.dropped = (self.frame["verdict"] != "kept").to_numpy()
        language = pl.when(pl.col("language") == "ko").then(0).when(pl.col("language") == "en").then(1).otherwise(2)
        self.language = self.frame.select(language.cast(pl.Int64)).to_series().to_numpy()
        self.exact_groups = _codes(self.frame["exact_group"])
        self.types = _numeric(self.frame)
        self._numbers = self.frame.select(
            _dotted(name).cast(pl.Float64).fill_null(np.nan).alias(name) for name in self.types
        )
        self._columns: dict[str, _Column] = {}

    def column(self, name: str) -> _Column:
        """The column of this dotted name, computed once."""
        if name not in self._columns:
            scale = scale_of(name, self.types[name])
            values = self._numbers[name].to_numpy()
            missing = np.isnan(values)
            bins = np.where(missing, 0, bins_of(np.where(missing, 0, values), scale) + 1)
            self._columns[name] = _Column(scale, values, bins)
        return self._columns[name]


def _codes(names: pl.Series) -> NDArray[np.int64]:
    """A number for each name, equal where names are equal; -1 for null."""
    return names.rank("dense").cast(pl.Int64).fill_null(-1).to_numpy()


def _numeric(frame: pl.DataFrame) -> dict[str, DType]:
    """The types of the measured numeric columns by dotted name, structs by field."""
    columns: dict[str, DType] = {}
    for name, dtype in frame.schema.items():
        if isinstance(dtype, pl.Struct):
            columns |= {f"{name}.{key}": kind for key, kind in dtype.to_schema().items()}
        else:
            columns[name] = dtype
    return {name: dtype for name, dtype in columns.items() if dtype.is_numeric() or dtype == pl.Boolean}


def _dotted(column: str) -> pl.Expr:
    name, _, field = column.partition(".")
    return pl.col(name).struct.field(field) if field else pl.col(name)


def scale_of(column: str, dtype: DType) -> Scale:
    """How a column is binned. It depends on name and type only, so that all parts agree."""
    if column.endswith("_frac") or column == "language_score":
        return "fraction"
    if column.endswith("_score") and dtype.is_float():
        return "grade"
    return "count" if dtype.is_integer() or dtype == pl.Boolean else "amount"


def bins_of(values: NDArray[np.float64], scale: Scale) -> NDArray[np.int64]:
    """The bin of each value: `EDGES[scale][bin] <= value < EDGES[scale][bin + 1]`; the outer bins take the rest."""
    if scale == "fraction":
        bins = np.floor(values * 200)
    elif scale == "grade":
        bins = np.searchsorted(EDGES[scale], values, side="right") - 1
    elif scale == "count":
        bins = np.where(values < 8, np.floor(values), 8 + np.floor(4 * (np.log2(np.maximum(values, 8)) - 3)))
    else:
        bins = np.floor(8 * np.log2(np.maximum(values, 2**-11))) + 81
    return bins.clip(0, len(EDGES[scale]) - 1).astype(np.int64)


def _histograms(
    column: _Column, groups: NDArray[np.int64], n_groups: int, rows: NDArray[np.int64] | slice = slice(None)
) -> NDArray[np.int64]:
    """Documents per group and bin, [n_groups, 1 + n_bins]; the first bin is that of missing values."""
    width = len(EDGES[column.scale]) + 1
    flat = np.bincount(column.bins[rows] + groups * width, minlength=n_groups * width)
    return flat.reshape(n_groups, width)


def _distribution(scale: Scale, kept: NDArray[np.int64], dropped: NDArray[np.int64]) -> Distribution:
    """From two rows of `_histograms`."""
    return Distribution(
        scale=scale,
        kept=tuple(kept[1:].tolist()),
        dropped=tuple(dropped[1:].tolist()),
        n_missing=int(kept[0] + dropped[0]),
    )


def _signals(measured: _Measured) -> tuple[Signal, ...]:
    groups = measured.language * 2 + measured.dropped
    signals = []
    for name in [name for name in measured.types if name not in NOT_SIGNALS]:
        column = measured.column(name)
        counts = _histograms(column, groups, 2 * len(LANGUAGES))
        for i, language in enumerate(LANGUAGES):
            distribution = _distribution(column.scale, counts[2 * i], counts[2 * i + 1])
            signals.append(Signal(column=name, language=language, distribution=distribution))
    return tuple(signals)


# rules and their margins

_PASSES: dict[str, Callable[[NDArray[np.float64], float], NDArray[np.bool_]]] = {
    "=": np.equal,
    "<>": np.not_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
}


def _rules(measured: _Measured, rules: Sequence[CheckedRule]) -> tuple[RuleSummary, ...]:
    fails = _failed_by_rule(measured.frame, [rule.name for rule in rules])
    applies = _applies(measured.frame, rules, fails)
    margins = [
        [_margin(measured, comparison, rows) for comparison in rule.keep.comparisons]
        for rule, rows in zip(rules, applies, strict=True)
    ]
    shown = _shown(measured.frame, [near for margin in chain.from_iterable(margins) for near in margin.nearest])
    alone = fails.sum(axis=0) == 1
    return tuple(
        RuleSummary(
            name=rule.name,
            keep=rule.keep.sql,
            when=rule.when.sql if rule.when else None,
            n_evaluated=len(rows),
            n_failing=int(failing.sum()),
            n_only=int((failing & alone).sum()),
            thresholds=tuple(_threshold(measured, margin, shown) for margin in of_rule),
        )
        for rule, rows, failing, of_rule in zip(rules, applies, fails, margins, strict=True)
    )


def _applies(frame: pl.DataFrame, rules: Sequence[CheckedRule], fails: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """The rows to which each rule applies; one of a later stage is asked only where those before let through."""
    conditions = {rule.when.sql: rule.when.expr.fill_null(False) for rule in rules if rule.when}
    masks = frame.select(condition.alias(sql) for sql, condition in conditions.items())
    rows = {sql: np.flatnonzero(masks[sql].to_numpy()) for sql in conditions}
    found = [rows[rule.when.sql] if rule.when else np.arange(frame.height) for rule in rules]
    for number, rule in enumerate(rules):
        if rule.stage:
            before = [other.stage < rule.stage for other in rules]
            found[number] = found[number][~fails[before][:, found[number]].any(axis=0)]
    return found


def _failed_by_rule(frame: pl.DataFrame, names: list[str]) -> NDArray[np.bool_]:
    """Which documents fail each rule, [n_rules, n_docs]."""
    n_failed = frame["failed_rules"].list.len().fill_null(0).to_numpy()
    failed = frame["failed_rules"].explode(empty_as_null=False, keep_nulls=False).str.strip_suffix(MISSING)
    numbers = failed.cast(pl.Enum(names)).to_physical().to_numpy()
    fails = np.zeros((len(names), frame.height), dtype=np.bool_)
    fails[numbers, np.repeat(np.arange(frame.height), n_failed)] = True
    return fails


@dataclass(frozen=True)
class _Margin:
    """The documents that one comparison judges, and the nearest rows on its failing and its passing side."""

    comparison: Comparison
    rows: NDArray[np.int64]
    n_beyond: int
    nearest: tuple[NDArray[np.int64], NDArray[np.int64]]


def _margin(measured: _Measured, comparison: Comparison, rows: NDArray[np.int64]) -> _Margin:
    values = measured.column(comparison.column).values[rows]
    there = ~np.isnan(values)
    passes = _PASSES[comparison.op](values, comparison.threshold) & there
    beyond = ~passes & there
    distance = np.abs(values - comparison.threshold)
    groups = measured.exact_groups[rows]
    failing, passing = (rows[_nearest(distance, groups, np.flatnonzero(side))] for side in (beyond, passes))
    return _Margin(comparison, rows, int(beyond.sum()), (failing, passing))


def _nearest(distance: NDArray[np.float64], groups: NDArray[np.int64], side: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of the positions in `side`, those of the nearest documents in order, one of each exact group (-1: of none).

    Positions are ordered by (id, copy), which is how equal distances are ordered too. Looks at a few times as many
    as are wanted, and at more only where these are duplicates of each other.
    """
    n_look = 4 * N_MARGIN_SAMPLES
    while True:
        near = side[_smallest(distance[side], n_look)]
        _, firsts = np.unique(np.where(groups[near] < 0, -1 - np.arange(len(near)), groups[near]), return_index=True)
        if len(firsts) >= N_MARGIN_SAMPLES or n_look >= len(side):
            return near[np.sort(firsts)][:N_MARGIN_SAMPLES]
        n_look *= 4


def _threshold(measured: _Measured, margin: _Margin, shown: Mapping[int, dict[str, Any]]) -> Threshold:
    comparison, column = margin.comparison, measured.column(margin.comparison.column)
    counts = _histograms(column, measured.dropped[margin.rows].astype(np.int64), 2, margin.rows)
    failing, passing = (
        tuple({"value": column.values[row], **shown[row]} for row in near.tolist()) for near in margin.nearest
    )
    threshold = {
        "column": comparison.column,
        "op": comparison.op,
        "threshold": comparison.threshold,
        "n_beyond": margin.n_beyond,
        "distribution": _distribution(column.scale, counts[0], counts[1]),
        "failing": failing,
        "passing": passing,
    }
    return Threshold.model_validate(threshold)  # all samples at once, which is three times as fast as one by one


def _smallest(values: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Positions of the n smallest values in order; of equal values, the first."""
    if n < len(values):
        limit = np.partition(values, n - 1)[n - 1]
        below = np.flatnonzero(values < limit)
        found = np.concatenate([below, np.flatnonzero(values == limit)[: n - len(below)]])
    else:
        found = np.arange(len(values))
    return found[np.argsort(values[found], kind="stable")]


# samples


def _shown(frame: pl.DataFrame, rows: Iterable[NDArray[np.int64]]) -> dict[int, dict[str, Any]]:
    """What is shown of each of these rows, but for a value."""
    wanted = np.unique(np.concatenate([np.empty(0, np.int64), *rows]))
    return dict(zip(wanted.tolist(), frame[wanted].select(_sample_columns(frame)).to_dicts(), strict=True))


def _samples(frame: pl.DataFrame) -> list[Sample]:
    """The rows as samples, with the value that dropped them."""
    return [Sample(**row) for row in frame.select(*_sample_columns(frame), "value").to_dicts()]


def _sample_columns(frame: pl.DataFrame) -> list[pl.Expr]:
    snippet = pl.col("text").str.slice(0, SNIPPET_CHARS) if "text" in frame.columns else pl.lit("")
    same = ("id", "source", "url", "language", "verdict", "reason")
    names = {"copy_number": pl.col("copy"), "group": pl.col("exact_group"), "snippet": snippet.fill_null("")}
    return [*map(pl.col, same), *(column.alias(name) for name, column in names.items())]


def _reason_samples(judged: pl.DataFrame) -> tuple[ReasonSamples, ...]:
    """The first documents by id of each reason to drop, and of the kept."""
    rest = judged.filter(pl.col("verdict") != "failed")
    firsts = rest.group_by("stage", "reason", maintain_order=True).head(N_REASON_SAMPLES)
    by_reason: dict[tuple[str | None, str | None], list[Sample]] = {}
    for (stage, reason), sample in zip(firsts.select("stage", "reason").iter_rows(), _samples(firsts), strict=True):
        by_reason.setdefault((stage, reason), []).append(sample)
    return by_key(
        ReasonSamples(stage=stage, reason=reason, samples=tuple(samples))
        for (stage, reason), samples in by_reason.items()
    )


def _group_sizes(judged: pl.DataFrame) -> dict[int, int]:
    sizes = judged.filter(pl.col("exact_size") > 1).group_by("exact_size").len().sort("exact_size")
    return dict(sizes.iter_rows())


def _groups(judged: pl.DataFrame) -> tuple[Group, ...]:
    """The largest exact groups, as far as they lie in this part."""
    members = judged.filter(pl.col("exact_size") > 1)
    largest = (
        members.select("exact_size", "exact_group")
        .unique()
        .sort("exact_size", "exact_group", descending=[True, False])
    )
    members = members.join(largest.head(N_GROUPS).select("exact_group"), on="exact_group", maintain_order="left")
    firsts = members.unique("exact_group", keep="first", maintain_order=True)
    sources = dict[str, dict[str, int]]()
    for group, source, n_docs in members.group_by("exact_group", "source").len().sort("source").iter_rows():
        sources.setdefault(group, {})[source] = n_docs
    groups = [
        Group(group=str(sample.group), size=size, sources=sources[str(sample.group)], first=sample)
        for size, sample in zip(firsts["exact_size"], _samples(firsts), strict=True)
    ]
    return tuple(sorted(groups, key=lambda group: group.order)[:N_GROUPS])


def _failures(judged: pl.DataFrame) -> tuple[Failure, ...]:
    rows = judged.filter(pl.col("verdict") == "failed").head(N_FAILURES)
    columns = ("id", pl.col("copy").alias("copy_number"), "source", "file", "offset", "stage", "reason", "detail")
    return tuple(Failure(**row) for row in rows.select(columns).iter_rows(named=True))


def _notes(judged: pl.DataFrame) -> tuple[NoteSummary, ...]:
    """What readers noted, by kind; none where no input's reader notes anything."""
    if "notes" not in judged.columns:
        return ()
    columns = ("id", "copy", "source", "key", "verdict", "notes")
    rows = judged.select(columns).explode("notes", empty_as_null=False, keep_nulls=False).unnest("notes")
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        found.setdefault(row["kind"], []).append(row)
    return tuple(_note_summary(kind, found[kind]) for kind in sorted(found))


def _note_summary(kind: str, rows: list[dict[str, Any]]) -> NoteSummary:
    docs = {(row["id"], row["copy"]): row["verdict"] == "kept" for row in rows}
    samples = (
        NoteSample(
            id=row["id"],
            copy_number=row["copy"],
            source=row["source"],
            record_key=row["key"],
            detail=row["detail"],
        )
        for row in rows
    )
    firsts = tuple(sorted(samples, key=lambda sample: sample.key)[:N_NOTE_SAMPLES])
    return NoteSummary(kind=kind, n_notes=len(rows), n_docs=len(docs), n_kept_docs=sum(docs.values()), samples=firsts)
