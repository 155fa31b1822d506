"""Rules: which measured documents are kept, and for each that is not, the rule, the value and the threshold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from curation.predicates import Part, Predicate, parse_predicate, set_threshold
from curation.rulesets import load_ruleset
from curation.signals import PIECES, SEGMENTATION
from manifests.errors import RequestError
from manifests.schema import CorpusManifest, Rule, RulesetUse, Score, Top

MISSING = ":missing"
"""Ends the reason where a predicate is NULL, because something that it needs was not measured or does not exist."""

PASS, FAIL, NULL = 0, 1, 2

CAUSE = {"value": pl.Float64, "threshold": pl.Float64, "detail": pl.String}


@dataclass(frozen=True)
class CheckedRule:
    """A rule whose predicates were checked against the columns that will be there."""

    name: str
    keep: Predicate
    when: Predicate | None
    group: str | None
    """The ruleset that it came from."""
    stage: int = 0
    """When it is asked: 0 with what was measured, n of documents that all earlier stages let through."""
    top: Top | None = None
    """The share that is still to become a number; until then `keep` holds wherever there is a score."""

    @cached_property
    def verdict(self) -> pl.Expr:
        """PASS, FAIL or NULL of each row."""
        passes, fails, is_null = (pl.lit(code, pl.UInt8) for code in (PASS, FAIL, NULL))
        verdict = pl.when(self.keep.expr).then(passes).when(self.keep.expr.is_null()).then(is_null).otherwise(fails)
        return verdict if self.when is None else pl.when(self.when.expr).then(verdict).otherwise(passes)

    @cached_property
    def causes(self) -> list[pl.Expr]:
        """The columns of CAUSE, for rows that the rule drops: from the first part of it that is not true."""
        return _first_not_true(self.keep.parts)


def expand(rules: Sequence[Rule | RulesetUse], base: str) -> list[Rule]:
    """The rules with each ruleset written out as RULESET.NAME, so that a record of the run states every threshold.

    Raises:
        RequestError: a ruleset does not exist, was made for another word segmentation, or a name occurs twice.
    """
    plain = [rule for item in rules for rule in (_expand_use(item, base) if isinstance(item, RulesetUse) else [item])]
    names = [rule.name for rule in plain]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RequestError(f"rules: names used twice: {', '.join(twice)}")
    return plain


def _expand_use(use: RulesetUse, base: str) -> list[Rule]:
    ruleset = load_ruleset(use.ruleset, base)
    if ruleset.segmentation not in (None, SEGMENTATION, PIECES):
        raise RequestError(
            f"ruleset {use.ruleset}: its thresholds were made for the word segmentation {ruleset.segmentation!r}, "
            f"signals are measured with {SEGMENTATION!r} and {PIECES!r}"
        )
    return [
        Rule(name=f"{ruleset.name}.{rule.name}", keep=rule.keep, when=_both(use.when, rule.when))
        for rule in ruleset.rules
    ]


def _both(first: str | None, second: str | None) -> str | None:
    return f"({first}) and ({second})" if first and second else first or second


def override(rules: Sequence[Rule | RulesetUse], assignments: Sequence[str], base: str) -> list[Rule]:
    """The expanded rules with other thresholds; the result is what a run with them should record.

    An assignment is RULE=NUMBER where the rule compares with one number (`gopher.dup_line_frac=0.25`), otherwise
    RULE.COLUMN=NUMBER (`language.language_score=0.8`). A rule that keeps a top share takes another share, as
    `best=5%`, or a number in its place.

    Raises:
        RequestError: an assignment does not parse, or fits no threshold or more than one.
    """
    plain = {rule.name: rule for rule in expand(rules, base)}
    for assignment in assignments:
        name, column, value = _parse_assignment(assignment, plain)
        try:
            plain[name] = _with_threshold(plain[name], column, value)
        except RequestError as error:
            raise RequestError(f"{assignment}: {error}") from None
    return list(plain.values())


def _with_threshold(rule: Rule, column: str | None, text: str) -> Rule:
    if rule.top and text.endswith("%"):
        try:
            return rule.model_copy(update={"top": Top.model_validate({"score": rule.top.score, "frac": text})})
        except ValueError:
            raise RequestError("a share is above 0% and at most 100%") from None
    value = float(text)
    if rule.top is None:
        return rule.model_copy(update={"keep": set_threshold(str(rule.keep), column, value)})
    if column not in (None, rule.top.score, rule.top.score.split(".")[-1]):
        raise RequestError(f"no threshold of {column}; its thresholds: {rule.top.score}")
    return fixed(rule, set_threshold(f"{rule.top.score} >= 0", None, value))


def fixed(rule: Rule, keep: str) -> Rule:
    """The rule with a predicate in the place of a top share."""
    return rule.model_copy(update={"keep": keep, "top": None})


def settled(manifest: CorpusManifest, thresholds: Mapping[str, float | None]) -> CorpusManifest:
    """The manifest with predicates in the place of those top shares that are numbers by now."""
    rules = [
        fixed(rule, above(rule.top, thresholds[rule.name]))
        if isinstance(rule, Rule) and rule.top and rule.name in thresholds
        else rule
        for rule in manifest.rules
    ]
    return manifest.model_copy(update={"rules": rules})


def above(top: Top, threshold: float | None) -> str:
    """The predicate that a top share comes down to; None is the threshold where no document had a score."""
    return f"{top.score} = {top.score}" if threshold is None else f"{top.score} >= {threshold!r}"


def _parse_assignment(assignment: str, rules: Mapping[str, Rule]) -> tuple[str, str | None, str]:
    target, _, number = assignment.partition("=")
    try:
        float(number.removesuffix("%"))
    except ValueError:
        raise RequestError(f"{assignment}: write RULE=NUMBER or RULE.COLUMN=NUMBER") from None
    fits = [name for name in rules if target == name or target.startswith(f"{name}.")]
    if not fits:
        raise RequestError(f"{assignment}: no rule is called that; rules: {', '.join(rules) or 'none'}")
    name = max(fits, key=len)
    if number.endswith("%") and not rules[name].top:
        raise RequestError(f"{assignment}: the rule {name} compares with a number, and keeps no top share")
    return name, target[len(name) + 1 :] or None, number


def load_rules(
    rules: Sequence[Rule | RulesetUse],
    base: str,
    columns: Mapping[str, pa.DataType],
    scores: Sequence[Score] = (),
) -> list[CheckedRule]:
    """The rules of a manifest, rulesets expanded, checked against `columns` (see `predicates.dotted_columns`).

    Args:
        rules: in their order.
        base: where paths of rulesets start.
        columns: what there is.
        scores: those among them that are computed for what rules let through; such rules come in later stages.

    Raises:
        RequestError: names the rule, and what is wrong with it.
    """
    parse = cache(lambda sql: parse_predicate(sql, columns))  # the rules of a ruleset often share their `when`
    checked = [_check(rule, columns, parse) for rule in expand(rules, base)]
    stages = score_stages(scores, checked) if scores else {}
    stage_of = {column: stages[score.name] for score in scores for column in score.columns}
    return [replace(rule, stage=_stage(rule, stage_of)) for rule in checked] if scores else checked


def score_stages(scores: Sequence[Score], rules: Sequence[CheckedRule]) -> dict[str, int]:
    """The stage, from 1 on, in which each score is computed, by name.

    A score is computed for what passes the rules that ask for no score, or for earlier ones: it waits for the rules
    on those, and shares a pass over the texts with the one before it where there are none.
    """
    places = {column: place for place, score in enumerate(scores) for column in score.columns}
    asked = {_stage(rule, {column: place + 1 for column, place in places.items()}) - 1 for rule in rules}
    stages, stage = dict[str, int](), 1
    for place, score in enumerate(scores):
        stages[score.name] = stage
        stage += place in asked
    return stages


def _stage(rule: CheckedRule, stage_of: Mapping[str, int]) -> int:
    """The latest stage of what a rule reads."""
    columns = rule.keep.columns | (rule.when.columns if rule.when else frozenset())
    return max((stage_of.get(column, 0) for column in columns), default=0)


def _check(rule: Rule, columns: Mapping[str, pa.DataType], parse: Callable[[str], Predicate]) -> CheckedRule:
    try:
        keep = parse(rule.keep) if rule.keep is not None else _scored(rule.top, columns, parse)
        when = parse(rule.when) if rule.when else None
    except RequestError as error:
        raise RequestError(f"rule {rule.name}: {error}") from None
    group, dot, _ = rule.name.partition(".")
    return CheckedRule(name=rule.name, keep=keep, when=when, group=group if dot else None, top=rule.top)


def _scored(top: Top | None, columns: Mapping[str, pa.DataType], parse: Callable[[str], Predicate]) -> Predicate:
    """What stands for a share until it is a number.

    Raises:
        RequestError: its column is not there, or is no number.
    """
    assert top
    keep = parse(above(top, None))
    kind = columns.get(top.score)
    if kind is None or not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise RequestError(f"top.score: {top.score} is no column of numbers")
    return keep


def columns_needed(rules: Sequence[CheckedRule]) -> set[str]:
    """The top-level columns that a frame must have to be judged."""
    predicates = [predicate for rule in rules for predicate in (rule.keep, rule.when) if predicate]
    return {column.split(".")[0] for predicate in predicates for column in predicate.columns}


def judge(frame: pl.DataFrame, rules: Sequence[CheckedRule]) -> pl.DataFrame:
    """What the rules say of each row of `frame`, which has at least `columns_needed(rules)`.

    A document is dropped by every rule that applies to it and whose predicate is not true. A rule applies where it
    has no `when`, or its `when` is true; where `when` is NULL it does not apply. Rules of a later stage are not asked
    of documents that one of an earlier stage drops: what they judge was not computed for these.

    Returns:
        A frame of the same height: `failed_rules` (list of strings, in the order of the rules; empty where all
        hold; NAME:missing where the predicate is NULL), `reason` (the first of them, or null), and of the first part
        of that rule's predicate that is not true: `value` and `threshold` (float64) where it judged a number,
        `detail` where it judged text.
    """
    verdicts = _verdicts(frame, rules)
    row, rule = np.nonzero(verdicts.T)
    n_failed = np.bincount(row, minlength=frame.height)
    names = pa.array([r.name for r in rules] + [r.name + MISSING for r in rules], pa.string())
    failed = names.take(pa.array(rule + len(rules) * (verdicts[rule, row] == NULL)))
    ends = np.concatenate([[0], np.cumsum(n_failed)])
    failed_rules = pl.Series("failed_rules", pa.ListArray.from_arrays(pa.array(ends, pa.int32()), failed))
    first = np.full(frame.height, -1)
    first[row[::-1]] = rule[::-1]  # of a row's failing rules the first is written last
    return pl.DataFrame([failed_rules]).with_columns(
        failed_rules.list.first().alias("reason"), *_causes(frame, rules, first).get_columns()
    )


def _verdicts(frame: pl.DataFrame, rules: Sequence[CheckedRule]) -> NDArray[np.uint8]:
    """PASS, FAIL or NULL per rule and row."""
    verdicts = np.zeros((len(rules), frame.height), np.uint8)
    columns = frame.select(rule.verdict.alias(str(number)) for number, rule in enumerate(rules))
    for number, column in enumerate(columns):
        verdicts[number] = column.to_numpy()
    stages = np.array([rule.stage for rule in rules], np.int64)
    for stage in sorted(set(stages.tolist()) - {0}):
        is_dropped = (verdicts[stages < stage] != PASS).any(axis=0)
        verdicts[np.ix_(stages == stage, is_dropped)] = PASS
    return verdicts


def _causes(frame: pl.DataFrame, rules: Sequence[CheckedRule], first: NDArray[np.int64]) -> pl.DataFrame:
    """`value`, `threshold` and `detail` of each row, given the number of its first failing rule (-1: none)."""
    rows = {number: np.flatnonzero(first == number) for number in np.unique(first[first >= 0]).tolist()}
    # one list per rule and column, so that a single query finds them all
    found = frame.select(
        cause.gather(pl.lit(pl.Series(rows[number], dtype=pl.UInt32))).implode().alias(f"{number}.{name}")
        for number in rows
        for name, cause in zip(CAUSE, rules[number].causes, strict=True)
    )
    back = np.argsort(np.argsort(first, kind="stable"))  # from the rows in the order of their rules, kept ones ahead
    return pl.DataFrame(
        {
            name: pl.concat(
                [
                    pl.repeat(None, int((first < 0).sum()), dtype=kind, eager=True),
                    *(found[f"{number}.{name}"][0] for number in rows),
                ]
            ).gather(back)
            for name, kind in CAUSE.items()
        }
    )


def _first_not_true(parts: Sequence[Part]) -> list[pl.Expr]:
    """The columns of CAUSE for rows of which one part is not true: from the first such part."""
    *before, causes = [_judged_by(part) for part in parts]
    for part, mine in zip(parts[-2::-1], reversed(before), strict=True):
        causes = [pl.when(part.holds).then(later).otherwise(here) for here, later in zip(mine, causes, strict=True)]
    return causes


def _judged_by(part: Part) -> list[pl.Expr]:
    threshold = pl.repeat(part.threshold, pl.len(), dtype=pl.Float64)
    return [
        pl.repeat(None, pl.len(), dtype=kind) if cause is None else cause
        for cause, kind in zip([part.value, threshold, part.detail], CAUSE.values(), strict=True)
    ]
