"""Places of dots and intervals on a line."""

import math

from hypothesis import given
from hypothesis import strategies as st

from tests.training.experiments.made_up import interval
from training.experiments.charts import effect, span_of, strip
from training.experiments.summary_models import Interval

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=3)


@given(VALUES)
def test_all_of_an_interval_lies_on_its_line(values: list[float]) -> None:
    found = interval(*values)
    drawn = strip(found, span_of([found]))
    assert drawn is not None
    assert 0 <= drawn.low <= drawn.mean <= drawn.high <= 100
    assert all(drawn.low - 100 <= at <= 100 and at >= 0 for at in drawn.dots)


@given(VALUES)
def test_better_lies_right_of_the_middle(values: list[float]) -> None:
    found = interval(*values)
    lower, higher = effect(found, "lower"), effect(found, "higher")
    assert lower and higher and lower.zero == higher.zero == 50
    assert math.isclose(lower.mean + higher.mean, 100, abs_tol=0.02)
    if found.mean < 0:
        assert lower.mean >= 50
    assert math.isclose(lower.low, 100 - higher.high, abs_tol=0.02)


def test_one_seed_is_one_dot() -> None:
    drawn = strip(interval(2.0), span_of([interval(2.0), interval(4.0)]))
    assert drawn is not None and drawn.dots == [] and drawn.low == drawn.mean == drawn.high


def test_what_is_no_number_is_not_drawn() -> None:
    nan = math.nan
    broken = Interval(mean=nan, low=nan, high=nan, values=[nan, nan])
    assert strip(broken, span_of([broken, interval(1.0, 2.0)])) is None
    assert span_of([broken]) is None
    partly = Interval(mean=1.5, low=nan, high=nan, values=[1.0, 2.0, nan])
    drawn = strip(partly, span_of([partly]))
    assert drawn is not None and len(drawn.dots) == 2 and drawn.low == drawn.high


def test_no_difference_at_all_stands_in_the_middle() -> None:
    drawn = effect(interval(0.0, 0.0, 0.0), None)
    assert drawn is not None and drawn.mean == drawn.low == drawn.high == 50
