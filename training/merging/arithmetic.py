"""The arithmetic of merges, in float32; sums over whole tensors are added up in float64.

Tensors are given whole, or in parts: every method is one or more passes over sums of parts, and then a function of
the numbers at each place. Written from the papers: SLERP (Shoemake 1985, of weights in mergekit's sense), the mean of
weights (arXiv 2203.05482), task arithmetic (2212.04089), TIES (2306.01708), DARE (2311.03099).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import xxhash

Floats = npt.NDArray[np.float32]

COLLINEAR = 0.9995
"""Cosine, of either sign, above which two tensors are merged along the straight line: SLERP divides by the sine."""
NORM_MIN = 1e-8
"""Tensors of a smaller norm are not scaled to 1."""
SUM_MIN = 1e-8
"""Weights whose sum is smaller are not divided by it."""


# SLERP


@dataclass(frozen=True)
class Products:
    """Sums over the numbers of two tensors: of the squares of each, and of their products."""

    first: float = 0.0
    second: float = 0.0
    both: float = 0.0
    n_different: int = 0
    """Places at which they differ."""

    def __add__(self, other: "Products") -> "Products":
        return Products(
            self.first + other.first,
            self.second + other.second,
            self.both + other.both,
            self.n_different + other.n_different,
        )

    @property
    def cosine(self) -> float:
        """Of the angle between both as vectors, from -1 to 1."""
        norms = [norm if norm > NORM_MIN else 1.0 for norm in (math.sqrt(self.first), math.sqrt(self.second))]
        return min(max(self.both / norms[0] / norms[1], -1.0), 1.0)


@dataclass(frozen=True)
class Arc:
    """How two tensors are merged at a place t between them."""

    path: Literal["slerp", "linear"]
    cosine: float
    weights: tuple[float, float]
    """What the first and the second are multiplied with, not scaled to a norm."""

    @property
    def angle(self) -> float:
        """Between both, in radians."""
        return math.acos(self.cosine)


def products(first: Floats, second: Floats) -> Products:
    """The sums of two tensors of equal shape, or of parts of them."""
    with np.errstate(over="ignore"):
        found = [_sum(a * b) for a, b in ((first, first), (second, second), (first, second))]
    if not all(map(math.isfinite, found)):  # squares beyond float32
        wide = [np.asarray(numbers, np.float64) for numbers in (first, second)]
        found = [float((wide[a] * wide[b]).sum()) for a, b in ((0, 0), (1, 1), (0, 1))]
    return Products(found[0], found[1], found[2], int(np.count_nonzero(first != second)))


def arc(found: Products, t: float) -> Arc:
    """The weights of SLERP; those of the straight line where the tensors are collinear, either way round.

    Source: mergekit's `slerp`: one angle per tensor, weights for the tensors as they are.
    """
    cosine = found.cosine
    if abs(cosine) > COLLINEAR:
        return Arc("linear", cosine, (1.0 - t, t))
    angle = math.acos(cosine)
    return Arc(
        "slerp", cosine, (math.sin((1.0 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle))
    )


def slerp(t: float, first: Floats, second: Floats) -> Floats:
    """Two tensors of equal shape, merged along the arc between them: t = 0 is the first, 1 the second."""
    return weighted([first, second], arc(products(first, second), t).weights)


# Sums


def weighted(tensors: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """The sum of tensors times their weights; a tensor whose weight is 1 among zeros comes out to the bit."""
    if sorted(weights)[-1:] == [1.0] and sum(weight != 0 for weight in weights) == 1:
        return tensors[list(weights).index(1.0)]
    total: Floats = tensors[0] * np.float32(weights[0])
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        total += tensor * np.float32(weight)
    return total


def divided(weights: Sequence[float]) -> list[float]:
    """Weights divided by their sum; as they are where that is nearly 0."""
    total = math.fsum(weights)
    return [weight / total for weight in weights] if abs(total) >= SUM_MIN else list(weights)


def linear(tensors: Sequence[Floats], weights: Sequence[float], normalize: bool = True) -> Floats:
    """The weighted mean of tensors; without `normalize` the weighted sum."""
    return weighted(tensors, divided(weights) if normalize else weights)


def task_arithmetic(
    base: Floats, tensors: Sequence[Floats], weights: Sequence[float], normalize: bool = False, scale: float = 1.0
) -> Floats:
    """The base plus the weighted changes of each tensor from it."""
    changes = [tensor - base for tensor in tensors]
    return added(base, weighted(changes, divided(weights) if normalize else weights), scale)


def added(base: Floats, change: Floats, scale: float) -> Floats:
    """The base plus a change times a scale."""
    return base + (change if scale == 1 else change * np.float32(scale))


# TIES


def agreed(changes: Sequence[Floats], weights: Sequence[float], normalize: bool) -> Floats:
    """Of changes, weighted, those that have the sign of their sum (0 counts as positive) added up.

    With `normalize` divided at each place by the weights of those that were added (TIES' disjoint mean).
    """
    parts = [change * np.float32(weight) for change, weight in zip(changes, weights, strict=True)]
    is_positive = sum(parts[1:], parts[0]) >= 0
    total: Floats = np.zeros_like(parts[0])
    divisor = np.zeros_like(parts[0])
    for part, weight in zip(parts, weights, strict=True):
        agrees = np.where(is_positive, part > 0, part < 0)
        total += part * agrees
        divisor += np.float32(weight) * agrees
    if normalize:
        total /= np.where(divisor == 0, np.float32(1), divisor)
    return total


@dataclass(frozen=True)
class Cut:
    """Which changes of a tensor are kept: those of a greater magnitude, and the first so many of this very one."""

    magnitude: float = 0.0
    n_equal: int | None = None
    """None keeps all of them."""

    def kept(self, change: Floats, n_equal_before: int) -> Floats:
        """The changes of a part, those that are cut as 0; `n_equal_before`: of this magnitude in parts before."""
        magnitudes = np.abs(change)
        keep = magnitudes > np.float32(self.magnitude)
        equal = magnitudes == np.float32(self.magnitude)
        if self.n_equal is not None:
            equal &= np.cumsum(equal) + n_equal_before <= self.n_equal
        kept: Floats = change * (keep | equal)
        return kept


HALF_BITS = 16
"""Magnitudes of float32 are ordered as their bits are, so counts by the upper half and then by the lower find any."""


def upper_counts(change: Floats) -> npt.NDArray[np.int64]:
    """How many magnitudes have each upper half of their bits."""
    return np.bincount(_bits(change) >> HALF_BITS, minlength=1 << (HALF_BITS - 1))


def lower_counts(change: Floats, upper: int) -> npt.NDArray[np.int64]:
    """How many magnitudes of this upper half have each lower half."""
    bits = _bits(change)
    return np.bincount(bits[bits >> HALF_BITS == upper] & 0xFFFF, minlength=1 << HALF_BITS)


def nth_largest(counts: npt.NDArray[np.int64], n: int) -> tuple[int, int]:
    """The place of the n-th largest (from 1) among counted ones, and how many are larger."""
    from_above = np.cumsum(counts[::-1])
    place = int(np.searchsorted(from_above, n))
    return len(counts) - 1 - place, int(from_above[place] - counts[::-1][place])


def magnitude_of(upper: int, lower: int) -> float:
    """The number that has these halves of bits."""
    return float(np.array([upper << HALF_BITS | lower], np.uint32).view(np.float32)[0])


def n_kept(density: float, n_numbers: int) -> int:
    """How many changes a density keeps: rounded down, but one at least unless it is 0."""
    return min(max(1, int(density * n_numbers)), n_numbers) if density > 0 else 0


def cut_at(change: Floats, density: float) -> Cut:
    """The cut that keeps this share of a whole tensor's changes, the largest."""
    if (n := n_kept(density, change.size)) in (0, change.size):
        return Cut() if n else Cut(math.inf, 0)
    upper, n_above = nth_largest(upper_counts(change), n)
    lower, n_between = nth_largest(lower_counts(change, upper), n - n_above)
    return Cut(magnitude_of(upper, lower), n - n_above - n_between)


def ties(
    base: Floats,
    tensors: Sequence[Floats],
    weights: Sequence[float],
    densities: Sequence[float],
    normalize: bool = True,
    scale: float = 1.0,
) -> Floats:
    """The base plus changes of which the small ones are trimmed, and those that go against the majority left out."""
    changes = [(tensor - base).reshape(-1) for tensor in tensors]
    kept = [cut_at(change, density).kept(change, 0) for change, density in zip(changes, densities, strict=True)]
    return added(base, agreed(kept, weights, normalize).reshape(base.shape), scale)


# DARE


def drawn(change: Floats, density: float, key: str) -> Floats:
    """Changes of a part, of which this share is kept at random and multiplied by 1 / density, the others 0.

    The draw depends on `key` alone: the seed, the model, the tensor and the part.
    """
    if density >= 1:
        return change
    if density <= 0:
        return np.zeros_like(change)
    random = np.random.Generator(np.random.Philox(key=xxhash.xxh3_128_intdigest(key.encode())))
    keep = random.random(change.size, dtype=np.float32).reshape(change.shape) < np.float32(density)
    return change * keep * np.float32(1 / density)


def _bits(change: Floats) -> npt.NDArray[np.uint32]:
    return np.abs(change).view(np.uint32).reshape(-1)


def _sum(numbers: Floats) -> float:
    """Added pairwise, so that the sum is the same whatever the number of threads."""
    return float(np.add.reduce(numbers.reshape(-1)))
