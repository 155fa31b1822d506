"""How measures, intervals, differences and expectations are written."""

import math

import pytest

from tests.training.experiments.made_up import interval
from training.experiments.cells import Measure, judged, verdict
from training.experiments.charts import effect
from training.experiments.statistics import differences, is_sure
from training.experiments.summary_models import Expectation


@pytest.mark.parametrize(
    ("name", "of", "title", "value"),
    [
        ("ko.bits_per_byte", "ko", "bits per byte", "0.4321"),
        ("sums.accuracy", "sums", "accuracy", "43.2%"),
        ("figures.loss_last", "", "loss last", "0.4321"),
        ("answers.ended_frac", "answers", "ended frac", "43.2%"),
        ("bare", "", "bare", "0.4321"),
    ],
)
def test_measures_are_named_and_written_by_what_they_are(name: str, of: str, title: str, value: str) -> None:
    measure = Measure(name)
    assert (measure.of, measure.title, measure.value(0.43214)) == (of, title, value)


def test_differences_of_shares_are_points() -> None:
    assert Measure("sums.accuracy").difference(-0.051) == "−5.1 points"
    assert Measure("ko.bits_per_byte").difference(0.2) == "+0.2"
    assert Measure("sums.accuracy").difference(math.nan) == "no number"


@pytest.mark.parametrize(
    ("values", "better", "found"),
    [
        ((-0.2, -0.19, -0.21), "lower", "kept"),
        ((-0.2, -0.19, -0.21), "higher", "dropped"),
        ((-0.2, -0.19, -0.21), None, "sure"),
        ((-0.2, 0.19, -0.21), "lower", "unsure"),
        ((-0.2,), "lower", "unsure"),
        ((math.nan, math.nan, math.nan), "lower", "unsure"),
        ((-0.2, -0.2, -0.2), "lower", "unsure"),
    ],
)
def test_a_verdict_takes_an_interval_without_0(values: tuple[float, ...], better: str, found: str) -> None:
    assert verdict(interval(*values), better) == found  # type: ignore[arg-type]
    assert is_sure(interval(*values)) == (found != "unsure")


def test_one_seed_that_is_known_of_several_is_one_seed() -> None:
    found = differences([2.0, math.nan, math.nan], [2.5, 2.5, 2.5], 0.95)
    assert verdict(found, "lower") == "unsure" and Measure("ko.loss").range(found, True) == ""
    drawn = effect(found, "lower")
    assert drawn is not None and drawn.dots == []


@pytest.mark.parametrize(
    ("n", "of", "sure", "holds", "said"),
    [
        (3, 3, True, True, "held in 3 of 3 seeds, surely"),
        (2, 3, False, True, "held in 2 of 3 seeds, not surely"),
        (1, 3, False, False, "did not hold: in 1 of 3 seeds only"),
        (0, 3, False, False, "did not hold in any of 3"),
        (1, 1, False, True, "held in the one seed, not surely"),
        (0, 1, False, False, "did not hold in the one seed"),
        (0, 0, False, False, "was not measured"),
    ],
)
def test_an_expectation_holds_in_two_thirds_of_the_seeds(n: int, of: int, sure: bool, holds: bool, said: str) -> None:
    expectation = Expectation(measure="m", expected="lower", holds_in=n, n_seeds=of, is_sure=sure)
    found = judged(expectation, Measure("m"))
    assert (found.holds, found.found) == (holds, said)
