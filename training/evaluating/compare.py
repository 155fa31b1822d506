"""Two models on the same questions: the difference of their scores, and how sure it is.

Both answer the same questions, so the error is that of the differences question by question: far smaller than that of
either score, since hard questions are hard for both.
"""

from dataclasses import dataclass

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
    2). Else, as where groups weigh alike, no interval is told.
    """
    ours, theirs = of.score if of else None, other.score if other else None
    if of is None or other is None or ours is None or theirs is None or of.main != other.main:
        return None
    value = ours.value - theirs.value
    pairs = list(zip(of.units, other.units, strict=False))
    is_paired = len(of.units) == len(other.units) > 1
    steps = [a - b for a, b in pairs]
    if not is_paired or abs(mean(steps) - value) > 1e-6 * max(1.0, abs(value)):
        return Difference(value, more_is_better=ours.more_is_better)
    half = Z_95 * mean_error(steps)
    return Difference(value, value - half, value + half, ours.more_is_better)
