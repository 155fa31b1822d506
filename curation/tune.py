"""Thresholds from a person's answers: documents around a threshold are judged blind, and thresholds proposed.

Judged are the documents that only this threshold decides: those that the run keeps and to which its rule applies,
and those that this comparison alone drops. The answers are those of `tune_answers`, the estimates those of
`tune_survey`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from curation import tune_survey
from curation.dedup import survivors
from curation.dedup.exact import number_copies
from curation.predicates import Comparison, Part, set_threshold
from curation.rules import CheckedRule, columns_needed, settled
from curation.score_tables import ScoreTable, join_scores, later_columns, recorded_tables
from curation.shards import has_texts
from curation.tune_survey import MIN_ANSWERS, OPS, Bins, Survey
from curation.verdicts import checked_rules
from manifests.errors import RequestError
from manifests.record import RunRecord, measured_folder, read_record
from manifests.schema import CorpusManifest
from manifests.store import Folder, KeyRange, ranges_for

Answer = Literal["keep", "drop", "skip"]
ROWS_PER_RANGE = 500_000
"""Measured rows that are looked at together, which bounds memory."""


@dataclass(frozen=True)
class Target:
    """A threshold that can be tuned."""

    name: str
    """As `--set` spells it: RULE, or RULE.COLUMN where the rule compares several numbers."""
    rule: CheckedRule
    part: Part
    comparison: Comparison
    n_only: int
    """Documents that this rule drops and no other."""


@dataclass(frozen=True)
class Document:
    """A document to judge."""

    id: str
    copy: int
    value: float
    bin: int
    weight: float
    """How many documents it stands for (Horvitz and Thompson 1952): those of its bin per drawn one."""
    source: str
    url: str | None
    language: str | None
    text: str

    @property
    def key(self) -> tuple[str, int]:
        """Its identity."""
        return self.id, self.copy


@dataclass(frozen=True)
class Question:
    """The documents to judge around one threshold, in the order in which to ask."""

    target: Target
    bins: Bins
    documents: tuple[Document, ...]

    def survey(self, answers: Mapping[tuple[str, int], Answer], precision: float) -> Survey:
        """What the answers say of thresholds; those for other documents are passed over."""
        judged = [document for document in self.documents if answers.get(document.key) in ("keep", "drop")]
        bin_of = np.array([document.bin for document in judged], np.int64)
        good = np.array([answers[document.key] == "keep" for document in judged], bool)
        comparison = self.target.comparison
        return tune_survey.survey(self.bins, bin_of, good, comparison.op, comparison.threshold, precision)


# what can be tuned


def targets(run: Folder) -> list[Target]:
    """The thresholds of a run that can be tuned, those whose rules alone drop most documents first.

    Raises:
        RequestError: there are none.
    """
    record = read_record(run)
    rules = checked_rules(_manifest(record), record.manifest_base)
    counts = _only_counts(run)
    found = [target for rule in rules for target in _targets_of(rule, counts.get(rule.name, 0))]
    if not found:
        raise RequestError(
            f"{run.path}: no rule compares one number with >=, >, <= or <, so there is nothing to tune"
        )
    return sorted(found, key=lambda target: -target.n_only)


def _targets_of(rule: CheckedRule, n_only: int) -> list[Target]:
    """Those that an assignment can change; two bounds of one column have one name, so neither can be."""
    numbers = [part for part in rule.keep.parts if part.comparison]
    found = []
    for part in numbers:
        assert part.comparison
        column = part.comparison.column.split(".")[-1] if len(numbers) > 1 else None
        try:
            set_threshold(rule.keep.sql, column, part.comparison.threshold)
        except RequestError:
            continue
        if part.comparison.op in OPS:
            name = f"{rule.name}.{column}" if column else rule.name
            found.append(Target(name, rule, part, part.comparison, n_only))
    return found


def _only_counts(run: Folder) -> dict[str, int]:
    """Documents that fail one rule only, by its name."""
    failed = pl.col("failed_rules")
    alone = (run / "ledger").scan().filter(failed.list.len() == 1).select(rule=failed.list.first())
    return dict(alone.group_by("rule").len().collect().iter_rows())


def find_target(run: Folder, name: str) -> Target:
    """The threshold called `name`: RULE, RULE.COLUMN, or the whole name of its column.

    Raises:
        RequestError: there is none, or the rule has several; says which there are.
    """
    there = targets(run)
    fits = [target for target in there if name in (target.name, f"{target.rule.name}.{target.comparison.column}")]
    of_rule = [target for target in there if target.rule.name == name]
    if chosen := fits or (of_rule if len(of_rule) == 1 else []):
        return chosen[0]
    problem = "has several thresholds" if of_rule else "no threshold of that name can be tuned"
    names = ", ".join(target.name for target in of_rule or there) or "none"
    raise RequestError(f"--rule {name}: {problem}; there are: {names} (one number, compared with >=, >, <= or <)")


# what to judge


def prepare(run: Folder, target: Target, n: int = 50, seed: int = 0) -> Question:
    """Draw the documents to judge: the same for the same run, number and seed.

    Raises:
        RequestError: the run stored no texts of dropped documents, or the threshold decides nothing.
    """
    record = read_record(run)
    measured = measured_folder(run, record)
    if not has_texts(measured):
        raise RequestError(
            f"{run.path} was measured with `store: columns`: the texts of dropped documents are gone, so nobody can "
            "judge them; curate again with `store: all`"
        )
    decided = _decided(run, measured, record, target)
    if decided.is_empty():
        raise RequestError(f"{run.path}: {target.name} decides no document that no other rule drops")
    comparison, values = target.comparison, decided["value"].to_numpy()
    bins = tune_survey.cut_bins(values, comparison.op, comparison.threshold, n)
    lots = tune_survey.lots_of(decided["lot"].to_numpy(), decided["copy"].to_numpy().astype(np.int64), seed)
    rows, bin_of = tune_survey.draw(values, lots, bins, n)
    per_bin = np.bincount(bin_of, minlength=len(bins.n_docs))
    drawn = decided[rows].select("id", "copy", "value")
    drawn = drawn.with_columns(bin=pl.Series(bin_of), weight=pl.Series(bins.n_docs[bin_of] / per_bin[bin_of]))
    return Question(target, bins, tuple(Document(**row) for row in _with_texts(drawn, measured).to_dicts()))


def _decided(run: Folder, measured: Folder, record: RunRecord, target: Target) -> pl.DataFrame:
    """(id, copy, value, lot) of the documents that only the target decides, one of each text, by (id, copy)."""
    manifest = _manifest(record)
    parts = [
        _decided_in(run, measured, manifest, recorded_tables(manifest, record.scores), target, keys)
        for keys in ranges_for(record.counts["read"], ROWS_PER_RANGE)
    ]
    found = pl.concat(parts)
    if any((manifest.dedup.exact, manifest.dedup.near, manifest.dedup.semantic)):
        found = found.sort("is_kept", "id", "copy", descending=[True, False, False]).unique("text", keep="first")
    return found.sort("id", "copy").drop("is_kept", "text")


def _decided_in(
    run: Folder,
    measured: Folder,
    manifest: CorpusManifest,
    tables: Sequence[ScoreTable],
    target: Target,
    keys: KeyRange,
) -> pl.DataFrame:
    """Those of a range of ids."""
    needed = columns_needed([target.rule])
    columns = {"id", "row_hash", "text_digest", *needed} - survivors.GROUP_COLUMNS - later_columns(manifest)
    rows = (measured / "measured").read_range("id", keys, sorted(columns))
    if needed & survivors.GROUP_COLUMNS:
        rows = survivors.join_groups(rows, measured, manifest.dedup, keys, has_groups=True)
    if needed & later_columns(manifest):
        rows = join_scores(rows, measured, tables, keys)
    ledger = (run / "ledger").read_range("id", keys, ["id", "copy", "verdict", "failed_rules"])
    kept = pl.col("verdict") == "kept"
    alone = (pl.col("failed_rules").list.len() == 1) & (pl.col("failed_rules").list.first() == target.rule.name)
    rows = number_copies(rows).join(ledger.filter(kept | alone), on=["id", "copy"])
    others = [part.holds for part in target.rule.keep.parts if part is not target.part]
    when = [target.rule.when.expr] if target.rule.when else []
    assert target.part.value is not None
    return rows.filter(target.part.value.is_finite(), *others, *when).select(
        "id",
        "copy",
        value=target.part.value,
        lot=pl.col("id").str.slice(16).str.to_integer(base=16, dtype=pl.UInt64),
        is_kept=kept,
        text="text_digest",
    )


def _with_texts(drawn: pl.DataFrame, measured: Folder) -> pl.DataFrame:
    wanted = pl.col("id").is_in(drawn["id"].unique().to_list())
    columns = ["id", "row_hash", "source", "url", "language", "text"]
    rows = number_copies((measured / "measured").scan().filter(wanted).select(columns).collect())
    return drawn.join(rows.drop("row_hash"), on=["id", "copy"], how="left", maintain_order="left")


def _manifest(record: RunRecord) -> CorpusManifest:
    return settled(CorpusManifest.model_validate(record.manifest), record.thresholds)


def window(text: str, n_chars: int) -> str:
    """The beginning of a text, and if it is long a piece from its middle; blank lines in a row become one."""
    text = re.sub(r"\n\s*\n", "\n\n", text.strip())
    if len(text) <= n_chars:
        return text
    n_first = n_chars * 2 // 3
    n_middle = n_chars - n_first
    middle = max((len(text) - n_middle) // 2, n_first)
    rest = len(text) - middle - n_middle
    gap = f"\n\n[… {middle - n_first:,} characters …]\n\n" if middle > n_first else ""
    return text[:n_first] + gap + text[middle : middle + n_middle] + f"\n\n[… {rest:,} characters …]" * (rest > 0)


# what to say of what was found


def advice(found: Survey, precision: float) -> list[str]:
    """What the answers say, and what they do not, in sentences."""
    if not found.candidates:
        return [
            f"{found.n_answers} answers so far. Thresholds are compared from {MIN_ANSWERS} answers on, some of them "
            "on each side of the threshold; the same command goes on."
        ]
    surely, reaches, now, proposed = found.surely_reaches, found.reaches, found.current, found.proposed
    if surely:
        said = [
            f"The loosest threshold whose precision is surely {precision:g} or more is {written(surely.threshold)}."
        ]
    elif reaches:
        said = [
            f"By the estimate {written(reaches.threshold)} is the loosest threshold with a precision of "
            f"{precision:g}; by the lower end of the intervals none has it yet."
        ]
    else:
        said = [f"No threshold between the answers has a precision of {precision:g}."]
    if now and proposed and proposed.change and proposed.change.low <= 0 <= proposed.change.high:
        change, number = proposed.change, written(proposed.threshold)
        said.append(
            f"{found.n_answers} answers do not tell whether {number} is more or less precise than the threshold of "
            f"now: precision changes by {change.value:+.2f} [{change.low:+.2f}, {change.high:+.2f}]. It keeps "
            f"{proposed.n_kept:,} documents instead of {now.n_kept:,}. A larger --n asks for more, and keeps these "
            "answers."
        )
    return said


def written(threshold: float) -> str:
    """A threshold as `--set` takes it, without loss."""
    return str(int(threshold)) if threshold == int(threshold) else repr(threshold)
