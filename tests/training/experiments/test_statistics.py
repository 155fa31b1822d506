"""Intervals and differences against scipy and numpy."""

from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from training.experiments.statistics import (
    better,
    differences,
    expectation,
    interval,
    is_sure,
    n_known,
    student,
    within,
)
from training.experiments.words import difference_of

VALUES = st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 6)), min_size=2, max_size=8)


@pytest.mark.parametrize("confidence", [0.51, 0.8, 0.95, 0.999])
def test_student_is_that_of_scipy(confidence: float) -> None:
    for n_free in range(1, 31):
        assert student(confidence, n_free) == pytest.approx(stats.t.ppf((1 + confidence) / 2, n_free), rel=1e-9)


@given(st.floats(0, 50), st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_within_is_a_probability_of_scipy(t: float, n_free: int) -> None:
    assert within(t, n_free) == pytest.approx(1 - 2 * stats.t.sf(t, n_free), abs=1e-12)


@given(VALUES, st.sampled_from([0.8, 0.95]))
@settings(max_examples=100, deadline=None)
def test_intervals_are_those_of_scipy(values: list[float], confidence: float) -> None:
    found, error = interval(values, confidence), float(stats.sem(values))
    half = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * error
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert [found.low, found.high] == pytest.approx([found.mean - half, found.mean + half], rel=1e-7, abs=1e-7)


@given(VALUES, st.data())
@settings(max_examples=50, deadline=None)
def test_differences_are_a_paired_test(values: list[float], data: st.DataObject) -> None:
    others = data.draw(st.lists(st.floats(-9, 9), min_size=len(values), max_size=len(values)))
    found = differences(values, others, 0.95)
    if float(np.std(np.subtract(values, others))) < 1e-6:
        return  # scipy loses its precision
    low, high = stats.ttest_rel(values, others).confidence_interval(0.95)
    assert [found.low, found.high] == pytest.approx([low, high], rel=1e-6, abs=1e-6)


def test_pairs_tell_what_seeds_hide() -> None:
    """A seed that is better for both arms is no difference between them."""
    first, second = [1.0, 2.0, 3.0], [0.9, 1.91, 2.9]
    assert interval(first, 0.95).low < interval(second, 0.95).high
    assert differences(second, first, 0.95).high < 0


def test_one_seed_has_no_interval() -> None:
    found = interval([1.5], 0.95)
    assert (found.low, found.mean, found.high) == (1.5, 1.5, 1.5)


def test_what_is_missing_is_left_out() -> None:
    found = interval([1.0, nan, 3.0, inf], 0.95)
    assert found.mean == 2 and n_known(found) == 2 and len(found.values) == 4
    assert isnan(interval([nan, nan], 0.95).mean) and isnan(interval([], 0.95).mean)


def expected(word: str, before: list[float], after: list[float]) -> tuple[int, int, bool]:
    found = expectation("m", word, interval(before, 0.95), interval(after, 0.95), differences(after, before, 0.95))
    return found.holds_in, found.n_seeds, found.is_sure


def test_expectations() -> None:
    before, lower = [2.0, 2.1, 2.2], [1.0, 1.11, 1.2]
    assert expected("lower", before, lower) == (3, 3, True)
    assert expected("higher", before, lower) == (0, 3, False)
    assert expected("lower", before, [1.9, 2.2, 2.1]) == (2, 3, False), "in two of three, and not surely"
    assert expected("same", before, [2.01, 2.09, 2.3]) == (2, 3, False), "its interval holds 0, since it is wide"
    assert expected("same", before, [2.001, 2.099, 2.2]) == (3, 3, True), "all of it is within 1%"
    assert expected("same", before, [2.001, 2.1015, 2.202]) == (3, 3, True), "though it leaves 0 out"
    assert expected("same", before, lower) == (0, 3, False)
    assert expected("lower", [2.0], [1.0]) == (1, 1, False), "one seed is not sure"
    assert expected("lower", [2.0, nan, 2.2], [1.0, 1.0, 1.19]) == (2, 2, True)


def test_seeds_that_came_to_the_same_make_nothing_sure() -> None:
    assert expected("lower", [2.0, 2.0], [1.0, 1.0]) == (2, 2, False)
    assert expected("same", [2.0, 2.0], [2.0, 2.0]) == (2, 2, False)
    lower = differences([0.3, 0.4, 0.5], [0.4, 0.5, 0.6], 0.95)
    assert len(set(lower.values)) > 1 and not is_sure(lower), "apart by rounding alone"
    assert not difference_of(differences([1.0, 1.0], [2.0, 2.0], 0.95)).endswith("*")


def test_which_way_is_better() -> None:
    assert better("ko.bits_per_byte") == better("figures.loss_last") == "lower"
    assert better("ko.accuracy") == better("answers.reward_mean") == better("figures.ndcg@10") == "higher"
    assert better("answers.mean_length") is None
