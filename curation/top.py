"""Which number the best share of a corpus begins with: exactly, whatever the parts, in bounded memory."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
U64 = NDArray[np.uint64]

DIGIT_BITS = 16
_SIGN = np.uint64(1 << 63)


@dataclass(frozen=True)
class TopShare:
    """The best share of n numbers."""

    threshold: float | None
    """The least of them; None where there are no numbers."""
    n_values: int
    n_at_least: int
    """How many reach the threshold: the share, and what is tied with its last."""


def top_share(chunks: Callable[[], Iterable[F64]], frac: float) -> TopShare:
    """Where the best `frac` of all numbers begins: at the k-th largest, k = ceil(frac n).

    Args:
        chunks: goes through the numbers, none of which is NaN; called a few times.
        frac: above 0, at most 1; taken as its decimals say, so that 10% of 30 are 3 and not 4.
    """
    n_values = sum(len(chunk) for chunk in chunks())
    if n_values == 0:
        return TopShare(None, 0, 0)
    threshold = _kth_largest(chunks, math.ceil(Fraction(repr(frac)) * n_values))
    return TopShare(threshold, n_values, sum(int((chunk >= threshold).sum()) for chunk in chunks()))


def _kth_largest(chunks: Callable[[], Iterable[F64]], k: int) -> float:
    """The k-th largest number, digit by digit of its bits, from the highest: one look at all numbers for each."""
    prefix, n_left = 0, k
    for shift in range(64 - DIGIT_BITS, -1, -DIGIT_BITS):
        counts = np.zeros(1 << DIGIT_BITS, np.int64)
        for chunk in chunks():
            digits = _ordered(chunk) >> np.uint64(shift)
            digits = digits[digits >> np.uint64(DIGIT_BITS) == prefix] & np.uint64(len(counts) - 1)
            counts += np.bincount(digits.astype(np.int64), minlength=len(counts))
        n_from_top = np.cumsum(counts[::-1])
        place = int(np.searchsorted(n_from_top, n_left))
        digit = len(counts) - 1 - place
        n_left -= int(n_from_top[place] - counts[digit])
        prefix = prefix << DIGIT_BITS | digit
    return _number(prefix)


def _ordered(values: F64) -> U64:
    """The numbers as unsigned ones in the same order; 0.0 and -0.0 are one."""
    bits = (values + 0.0).view(np.uint64)
    ordered: U64 = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    return ordered


def _number(ordered: int) -> float:
    bits = ordered ^ (1 << 63) if ordered >> 63 else ordered ^ ((1 << 64) - 1)
    return float(np.array(bits, np.uint64).view(np.float64))
