"""Dots and intervals: where a mean, its interval and the single seeds lie on a line, as shares of its length.

The templates draw them, since so few shapes need no chart engine, and the style sheet colours them.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from training.experiments.summary_models import Direction, Interval

ROOM_FRAC = 0.08
"""Of the range of values, left free at both ends."""


@dataclass(frozen=True)
class Span:
    """The values that a line goes from and to."""

    first: float
    last: float

    def place(self, value: float) -> float:
        """Where a value lies, from 0 to 100."""
        share = (value - self.first) / (self.last - self.first)
        return round(100 * min(max(share, 0.0), 1.0), 2)


@dataclass(frozen=True)
class Strip:
    """What is drawn of an interval; places go from 0 to 100."""

    mean: float
    low: float
    high: float
    dots: list[float]
    """The single seeds; empty where only one is known, which is the mean."""
    zero: float | None
    """Where the line stands that the others are compared with."""


def span_of(intervals: Iterable[Interval], also: Iterable[float] = ()) -> Span | None:
    """A range in which all of some intervals lie, and some values; None where nothing of them is a number."""
    shown = [value for interval in intervals for value in numbers(interval)] + [
        value for value in also if finite(value)
    ]
    if not shown:
        return None
    low, high = min(shown), max(shown)
    room = ROOM_FRAC * (high - low) or 0.05 * abs(high) or 1.0
    return Span(low - room, high + room)


def strip(interval: Interval | None, span: Span | None, zero: float | None = None) -> Strip | None:
    """An interval on a line; None where there is nothing to draw."""
    if interval is None or span is None or not finite(interval.mean):
        return None
    low = interval.low if finite(interval.low) else interval.mean
    high = interval.high if finite(interval.high) else interval.mean
    values = [value for value in interval.values if finite(value)]
    return Strip(
        mean=span.place(interval.mean),
        low=span.place(low),
        high=span.place(high),
        dots=[span.place(value) for value in values] if len(values) > 1 else [],
        zero=None if zero is None else span.place(zero),
    )


def effect(difference: Interval, better: Direction | None) -> Strip | None:
    """A difference around 0, which stands in the middle; what is better lies on the right, where that is known."""
    sign = -1.0 if better == "lower" else 1.0
    turned = Interval(
        mean=sign * difference.mean,
        low=sign * (difference.high if sign < 0 else difference.low),
        high=sign * (difference.low if sign < 0 else difference.high),
        values=[sign * value for value in difference.values],
    )
    reach = (1 + ROOM_FRAC) * max((abs(value) for value in numbers(turned)), default=0.0) or 1.0
    return strip(turned, Span(-reach, reach), 0.0)


def numbers(interval: Interval) -> list[float]:
    """All of an interval that is a number."""
    return [value for value in (interval.mean, interval.low, interval.high, *interval.values) if finite(value)]


def finite(value: float) -> bool:
    """Whether a value is a number that can be drawn."""
    return math.isfinite(value)
