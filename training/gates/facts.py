"""What gates are judged by, and what they find."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isclose, isfinite

from training.jobs import Cell, Made
from training.measuring.jobs import Measured

THEIRS, OURS = "the model that it is compared with", "the stage's model"


@dataclass(frozen=True)
class Facts:
    """What the gates of a stage are judged by."""

    kind: str
    """Of the stage."""
    of: Measured
    """What the stage's model came to."""
    models: Mapping[str, Measured] = field(default_factory=dict)
    """What others came to, by what gates call them: see `training.gates.judge.models_needed`."""
    parents: Mapping[str, Measured] = field(default_factory=dict)
    """Of a merge: what the models came to that went into it."""
    curve: Sequence[Mapping[str, Cell]] = ()
    """Lines of the stage's `curve.jsonl`."""
    made: Made = field(default_factory=Made)


class CannotJudgeError(Exception):
    """Why a gate cannot be judged."""


@dataclass(frozen=True)
class Found:
    """What a gate found."""

    excess: float
    """By how much the worst figure lies past its limit, in the gate's own unit; up to 0 the gate holds."""
    said: str
    figures: dict[str, float]


def excess(found: float, limit: float) -> float:
    """By how much a figure lies above its limit; 0 where rounding alone tells them apart."""
    return 0.0 if isclose(found, limit, rel_tol=1e-9, abs_tol=1e-9) else found - limit


def figure_of(measured: Measured, name: str, figure: str, whose: str) -> float:
    """A figure of a set.

    Raises:
        CannotJudgeError: it was not measured, or is no number.
    """
    if name in measured.not_measured:
        raise CannotJudgeError(f"{whose} could not be measured: {measured.not_measured[name]}")
    value = measured.measures.get(name, {}).get(figure)
    if value is None:
        raise CannotJudgeError(f"{whose} has no measure `{name}.{figure}`")
    if not isfinite(value):
        raise CannotJudgeError(f"{whose}: `{name}.{figure}` is {value}")
    return value


def both(of: Measured, other: Measured, name: str, figure: str) -> tuple[float, float]:
    """A figure of the other model and of the stage's.

    Raises:
        CannotJudgeError: one was not measured, or is no number.
    """
    return figure_of(other, name, figure, THEIRS), figure_of(of, name, figure, OURS)


def same_units(of: Measured, other: Measured, name: str) -> tuple[list[float], list[float]]:
    """Values of each document or question, of the other model and of the stage's.

    Raises:
        CannotJudgeError: they are not of the same ones.
    """
    theirs, ours = other.units.get(name, []), of.units.get(name, [])
    if len(theirs) != len(ours):
        raise CannotJudgeError(
            f"`{name}` had {len(theirs):,} documents or questions for {THEIRS} and {len(ours):,} for {OURS}: measure "
            "both on the same"
        )
    return theirs, ours
