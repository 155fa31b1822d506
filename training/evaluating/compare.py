"""Two models on the same questions: the difference of their scores, and how sure it is.

Both answer the same questions, so the error is that of the differences question by question: far smaller than that of
either score, since hard questions are hard for both.
"""

from dataclasses import dataclass
from math import isclose, isfinite

from training.evaluating.results import Evaluated
from training.measuring.uncertainty import Z_95, mean, mean_error


@dataclass(frozen=True)
class Difference:
    """How much higher one main score is than another."""

    value: float
    low: float | None = None
    high: float | None = None
    """Interval at 95%; None where the questions are not the same ones."""
    more_is_better: bool = True

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def is_better(self) -> bool:
        """Whether the first model is the better one."""
        return (self.value > 0) == self.more_is_better


def difference(of: Evaluated | None, other: Evaluated | None) -> Difference | None:
    """How much higher `of` scores than `other`; None where one has no score, or another one.

    Where a score is the mean of its units, the interval is that of the mean of their differences (normal; n at least
    2), over the questions that both have a score of. Else, as where groups weigh alike, no interval is told.
    """
    ours, theirs = of.score if of else None, other.score if other else None
    if of is None or other is None or ours is None or theirs is None or of.main != other.main:
        return None
    value = ours.value - theirs.value
    if len(of.units) != len(other.units) or not (_is_mean(of) and _is_mean(other)):
        return Difference(value, more_is_better=ours.more_is_better)
    steps = [a - b for a, b in zip(of.units, other.units, strict=True) if isfinite(a) and isfinite(b)]
    if len(steps) < 2:
        return Difference(value, more_is_better=ours.more_is_better)
    half = Z_95 * mean_error(steps)
    return Difference(value, value - half, value + half, ours.more_is_better)


def _is_mean(result: Evaluated) -> bool:
    """Whether the main score is the mean of its units."""
    known, score = [unit for unit in result.units if isfinite(unit)], result.score
    return bool(known) and score is not None and isclose(mean(known), score.value, rel_tol=1e-6, abs_tol=1e-9)
