"""How the page of an experiment writes a measure: its value, its interval, and how sure a difference is."""

from dataclasses import dataclass
from typing import Literal

from training.experiments.charts import finite
from training.experiments.statistics import is_sure, n_known
from training.experiments.summary_models import Column, Direction, Expectation, Interval
from training.pages.values import plain, signed

Verdict = Literal["kept", "dropped", "sure", "unsure"]
"""Surely better, surely worse, surely other where it is not known which way is better; and not sure."""
MOST_FRAC = 2 / 3
"""Share of the seeds in which an expectation has to come true to be said to hold (papers.md, row 26)."""
NOT_IN_WORDS = ("figures", "counts")
"""What a measure that is a stage's own begins with."""


@dataclass(frozen=True)
class Measure:
    """A measure, as it is named and written."""

    name: str
    better: Direction | None = None

    @property
    def key(self) -> str:
        """What is measured: `bits_per_byte`."""
        return self.name.rpartition(".")[2]

    @property
    def title(self) -> str:
        """The same in words: `bits per byte`."""
        return self.key.replace("_", " ")

    @property
    def of(self) -> str:
        """What it is measured on: `ko`; empty of a stage's own figures."""
        found = self.name.rpartition(".")[0]
        return "" if found in NOT_IN_WORDS else found

    @property
    def is_share(self) -> bool:
        """Whether it goes from 0 to 1, and so is written in percent."""
        return self.key == "accuracy" or self.key.endswith(("_accuracy", "_frac", "_share"))

    @property
    def is_better(self) -> str:
        """Which way is better, in words."""
        return f"{self.better} is better" if self.better else ""

    def value(self, value: float) -> str:
        """A value: 2.437, 54.3%."""
        if self.is_share and finite(value):
            return f"{plain(round(100 * value, 1))}%"
        return plain(float(f"{value:.4g}"))

    def difference(self, value: float) -> str:
        """A difference: −0.12, +3.5 points."""
        if self.is_share and finite(value):
            return f"{_signed(round(100 * value, 1))} points"
        return _signed(value)

    def range(self, interval: Interval, is_difference: bool = False) -> str:
        """An interval: `2.41 to 2.46`; empty where one seed is known."""
        if n_known(interval) < 2 or not (finite(interval.low) and finite(interval.high)):
            return ""
        write = self.difference if is_difference else self.value
        return f"{write(interval.low).removesuffix(' points')} to {write(interval.high)}"


def _signed(value: float) -> str:
    return signed(value) if value else "0"


@dataclass(frozen=True)
class Shown:
    """A difference, as it is written."""

    text: str
    range: str
    verdict: Verdict


def measure_of(column: Column) -> Measure:
    """A column's measure."""
    return Measure(column.name, column.better)


def shown(measure: Measure, difference: Interval) -> Shown:
    """A difference with its interval, and whether it is sure."""
    return Shown(
        measure.difference(difference.mean), measure.range(difference, True), verdict(difference, measure.better)
    )


def verdict(difference: Interval, better: Direction | None) -> Verdict:
    """What to make of a difference."""
    if not is_sure(difference):
        return "unsure"
    if better is None:
        return "sure"
    return "kept" if (difference.mean < 0) == (better == "lower") else "dropped"


@dataclass(frozen=True)
class Judged:
    """An expectation, and whether it held."""

    measure: Measure
    expected: str
    found: str
    """`held in 3 of 3 seeds, surely`."""
    holds: bool
    is_sure: bool
    is_measured: bool = True

    @property
    def verdict(self) -> Verdict:
        """As the colours of the page say it: pale where it held, and the interval leaves it open."""
        if not self.holds:
            return "dropped"
        return "kept" if self.is_sure else "unsure"


def judged(expectation: Expectation, measure: Measure) -> Judged:
    """Whether an expectation held: in two thirds of the seeds; what was not measured did not."""
    n, of = expectation.holds_in, expectation.n_seeds
    if not of:
        return Judged(
            measure, expectation.expected, "was not measured", holds=False, is_sure=False, is_measured=False
        )
    holds = n >= MOST_FRAC * of
    seeds = f"{n} of {of} seed{'s' if of != 1 else ''}"
    how = f"held in {seeds}" if holds else f"did not hold: in {seeds} only" if n else f"did not hold in any of {of}"
    if of == 1:
        how = "held in the one seed" if holds else "did not hold in the one seed"
    sure = ", surely" if holds and expectation.is_sure else ", not surely" if holds else ""
    return Judged(measure, expectation.expected, how + sure, holds, expectation.is_sure)
