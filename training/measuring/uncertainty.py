"""How far figures can be trusted: standard errors over documents, Wilson's interval, Kolmogorov-Smirnov distance.

Two models are measured on the same documents, so that what differs between them is told with the error of the paired
differences: it is far smaller than that of either figure, since hard documents are hard for both.
"""

from bisect import bisect_right
from collections.abc import Sequence
from math import sqrt

Z_95 = 1.959963984540054
"""Two-sided 95% of the normal distribution."""
KS_95 = 1.3580986393225507
"""sqrt(-ln(0.05 / 2) / 2): Smirnov's asymptotic distance that chance exceeds once in twenty."""


def mean(values: Sequence[float]) -> float:
    """Mean; values is not empty."""
    return sum(values) / len(values)


def mean_error(values: Sequence[float]) -> float:
    """Standard error of a mean; 0 for fewer than two values, of which none can be told."""
    n = len(values)
    if n < 2:
        return 0.0
    middle = mean(values)
    return sqrt(sum((value - middle) ** 2 for value in values) / (n - 1) / n)


def ratio_error(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Standard error of sum(numerators) / sum(denominators), of pairs that are drawn together.

    The delta method, as for a ratio estimator (Cochran, Sampling Techniques, 1977, 6.4). 0 for fewer than two pairs.
    """
    n, total = len(numerators), sum(denominators)
    if n < 2 or not total:
        return 0.0
    ratio = sum(numerators) / total
    squares = sum((a - ratio * b) ** 2 for a, b in zip(numerators, denominators, strict=True))
    return sqrt(n / (n - 1) * squares) / abs(total)


def wilson(n_right: float, n: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's interval of a share of n; n_right may be a fraction, where ties count in part.

    Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    share = n_right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(max(share * (1 - share), 0.0) / n + z * z / (4 * n * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def ks_distance(some: Sequence[float], others: Sequence[float]) -> float:
    """Greatest difference between the shares of two samples that are at most x, for any x; neither is empty."""
    first, second = sorted(some), sorted(others)
    return max(
        abs(bisect_right(first, x) / len(first) - bisect_right(second, x) / len(second)) for x in {*first, *second}
    )


def ks_by_chance(n: int, m: int) -> float:
    """Distance that two samples of one distribution exceed once in twenty, about."""
    return min(KS_95 * sqrt((n + m) / (n * m)), 1.0)


def slope(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float, float]:
    """Least squares through three points or more: the line at the first x, its rise to the last, the rise's error."""
    n, x_mean, y_mean = len(xs), mean(xs), mean(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    per_x = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread
    squares = sum((y - y_mean - per_x * (x - x_mean)) ** 2 for x, y in zip(xs, ys, strict=True))
    width = xs[-1] - xs[0]
    return y_mean + per_x * (xs[0] - x_mean), per_x * width, sqrt(squares / (n - 2) / spread) * width
