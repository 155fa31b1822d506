"""Rules: which measured documents are kept, and for each that is not, the rule, the value and the threshold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from curation.predicates import Part, Predicate, parse_predicate, set_threshold
from curation.rulesets import load_ruleset
from curation.signals import PIECES, SEGMENTATION
from manifests.errors import RequestError
from manifests.schema import Rule, RulesetUse

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
    RULE.COLUMN=NUMBER (`language.language_score=0.8`).

    Raises:
        RequestError: an assignment does not parse, or fits no threshold or more than one.
    """
    plain = {rule.name: rule for rule in expand(rules, base)}
    for assignment in assignments:
        name, column, value = _parse_assignment(assignment, plain)
        try:
            keep = set_threshold(plain[name].keep, column, value)
        except RequestError as error:
            raise RequestError(f"{assignment}: {error}") from None
        plain[name] = plain[name].model_copy(update={"keep": keep})
    return list(plain.values())


def _parse_assignment(assignment: str, rules: Mapping[str, Rule]) -> tuple[str, str | None, float]:
    target, _, number = assignment.partition("=")
    try:
        value = float(number)
    except ValueError:
        raise RequestError(f"{assignment}: write RULE=NUMBER or RULE.COLUMN=NUMBER") from None
    fits = [name for name in rules if target == name or target.startswith(f"{name}.")]
    if not fits:
        raise RequestError(f"{assignment}: no rule is called that; rules: {', '.join(rules) or 'none'}")
    name = max(fits, key=len)
    return name, target[len(name) + 1 :] or None, value


def load_rules(
    rules: Sequence[Rule | RulesetUse], base: str, columns: Mapping[str, pa.DataType]
) -> list[CheckedRule]:
    """The rules of a manifest, rulesets expanded, checked against `columns` (see `predicates.dotted_columns`).

    Raises:
        RequestError: names the rule, and what is wrong with it.
    """
    parse = cache(lambda sql: parse_predicate(sql, columns))  # the rules of a ruleset often share their `when`
    return [_check(rule, parse) for rule in expand(rules, base)]


def _check(rule: Rule, parse: Callable[[str], Predicate]) -> CheckedRule:
    try:
        keep = parse(rule.keep)
        when = parse(rule.when) if rule.when else None
    except RequestError as error:
        raise RequestError(f"rule {rule.name}: {error}") from None
    group, dot, _ = rule.name.partition(".")
    return CheckedRule(name=rule.name, keep=keep, when=when, group=group if dot else None)


def columns_needed(rules: Sequence[CheckedRule]) -> set[str]:
    """The top-level columns that a frame must have to be judged."""
    predicates = [predicate for rule in rules for predicate in (rule.keep, rule.when) if predicate]
    return {column.split(".")[0] for predicate in predicates for column in predicate.columns}


def judge(frame: pl.DataFrame, rules: Sequence[CheckedRule]) -> pl.DataFrame:
    """What the rules say of each row of `frame`, which has at least `columns_needed(rules)`.

    A document is dropped by every rule that applies to it and whose predicate is not true. A rule applies where it
    has no `when`, or its `when` is true; where `when` is NULL it does not apply.

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
