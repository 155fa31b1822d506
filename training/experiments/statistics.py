"""What can be said of a figure from a few seeds: Student's interval of its mean, and of paired differences.

Two arms have the same seeds, so that they are compared seed by seed: what a seed does to both of them (the order of
the data, new weights) is no difference. Intervals take figures to be normally distributed around their mean.
"""

import functools
from collections.abc import Sequence
from math import atan, cos, isfinite, nan, pi, sin, sqrt

from training.experiments.summary_models import Direction, Expectation, Interval

SAME_FRAC = 0.01
"""`same`: a seed's figures are no further apart than this share of the one that it is compared with."""
WIDTH_FRAC_MIN = 1e-9
"""Of the largest of some figures: those that are no further apart than this are equal but for rounding."""
T_MAX = 1e6
LOWER: tuple[str, ...] = ("loss", "bits_per_byte", "perplexity", "kl", "flops", "seconds")
"""How the names of measures end of which less is better."""
HIGHER: tuple[str, ...] = (
    "accuracy",
    "reward_mean",
    "reward",
    "margin",
    "ndcg",
    "recall",
    "mrr",
    "map",
    "f1",
    "bytes_per_token",
)
HIGHER += ("chars_per_token", "acc", "acc_norm")


def interval(values: Sequence[float], confidence: float) -> Interval:
    """The mean of the figures of seeds, with Student's two-sided interval; those that are no number are left out.

    One seed has no interval: what another would come to is not known.

    Args:
        values: by seed.
        confidence: of the interval, from 0 to 1.
    """
    known = [value for value in values if isfinite(value)]
    if not known:
        return Interval(mean=nan, low=nan, high=nan, values=list(values))
    mean = sum(known) / len(known)
    half = student(confidence, len(known) - 1) * standard_error(known) if len(known) > 1 else 0.0
    return Interval(mean=mean, low=mean - half, high=mean + half, values=list(values))


def n_known(found: Interval) -> int:
    """Seeds of which there is a figure."""
    return sum(map(isfinite, found.values))


def says_something(found: Interval) -> bool:
    """Whether an interval tells of other seeds: not that of one, nor that of seeds which all came to the same."""
    known = [value for value in found.values if isfinite(value)]
    return len(known) > 1 and max(known) - min(known) > WIDTH_FRAC_MIN * max(map(abs, known))


def is_sure(difference: Interval) -> bool:
    """Whether the interval of a difference leaves 0 out, and says something."""
    return says_something(difference) and (difference.low > 0 or difference.high < 0)


def differences(values: Sequence[float], others: Sequence[float], confidence: float) -> Interval:
    """The mean of what each seed's figure is above that of the other, with its interval."""
    return interval([value - other for value, other in zip(values, others, strict=True)], confidence)


def standard_error(values: Sequence[float]) -> float:
    """Of the mean of two values or more."""
    mean, n = sum(values) / len(values), len(values)
    return sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)


@functools.cache
def student(confidence: float, n_free: int) -> float:
    """The t within which Student's distribution lies with this probability.

    Args:
        confidence: from 0 to 1.
        n_free: degrees of freedom, 1 or more.
    """
    low, high = 0.0, 1.0
    while within(high, n_free) < confidence and high < T_MAX:
        high *= 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if within(middle, n_free) < confidence else (low, middle)
    return high


def within(t: float, n_free: int) -> float:
    """The probability of Student's distribution between -t and t.

    Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and 26.7.4.
    """
    angle = atan(t / sqrt(n_free))
    is_odd = n_free % 2 == 1
    term = total = (cos(angle) if n_free > 1 else 0.0) if is_odd else 1.0
    for k in range(2 if is_odd else 1, n_free - 1, 2):
        term *= k / (k + 1) * cos(angle) ** 2
        total += term
    return 2 / pi * (angle + sin(angle) * total) if is_odd else sin(angle) * total


def better(measure: str) -> Direction | None:
    """Which way a measure is better, by its name; None where that depends."""
    name = measure.rpartition(".")[2].partition("@")[0].removesuffix("_last").removesuffix("_best")
    if name in LOWER:
        return "lower"
    return "higher" if name in HIGHER else None


def expectation(measure: str, expected: str, before: Interval, after: Interval, difference: Interval) -> Expectation:
    """In how many seeds a measure came as expected, and whether its interval says so.

    That a measure stays the same is sure where the whole interval is so near to no difference as `same` asks: an
    interval that merely holds 0 may only be wide.

    Args:
        measure: its name.
        expected: `lower`, `higher` or `same`.
        before: what it is compared with.
        after: what it came to.
        difference: seed by seed.
    """
    pairs = [(a, b) for a, b in zip(after.values, before.values, strict=True) if isfinite(a) and isfinite(b)]
    holds = {
        "lower": sum(a < b for a, b in pairs),
        "higher": sum(a > b for a, b in pairs),
        "same": sum(abs(a - b) <= SAME_FRAC * abs(b) for a, b in pairs),
    }[expected]
    sure = {
        "lower": difference.high < 0,
        "higher": difference.low > 0,
        "same": max(abs(difference.low), abs(difference.high)) <= SAME_FRAC * abs(before.mean),
    }[expected]
    return Expectation.model_validate(
        {
            "measure": measure,
            "expected": expected,
            "holds_in": holds,
            "n_seeds": len(pairs),
            "is_sure": sure and says_something(difference),
        }
    )
