"""Means, intervals and units against what they are by definition."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.judging.figures import interval, length_note, units, weighted_mean


def column(*values: float) -> np.ndarray:
    return np.array(values, float)[:, None]


def test_the_interval_is_that_of_all_draws_there_are() -> None:
    """Brute force: each of the 5^5 ways to draw five questions with replacement, as likely as the others."""
    sums, counts = column(10, 4, 17, 9, 2), column(2, 1, 2, 2, 1)
    draws = [list(draw) for draw in product(range(5), repeat=5)]
    means = [sums[draw].sum() / counts[draw].sum() for draw in draws]
    low, high = interval(sums, counts, [1.0], seed=3)
    assert (low, high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=0.15)
    assert interval(sums, counts, [1.0], seed=3) == (low, high)


def test_the_interval_of_weighted_groups_is_that_of_all_draws() -> None:
    """Questions may be of several groups, and a draw may have none of one, whose weight it then leaves out."""
    sums = np.array([[6.0, 0], [8, 8], [0, 3], [1, 0], [0, 10]])
    counts = (sums > 0).astype(float)
    weights = np.array([0.5, 1.25])

    def mean(draw: list[int]) -> float:
        there = [g for g in (0, 1) if counts[draw, g].sum()]
        means = [sums[draw, g].sum() / counts[draw, g].sum() for g in there]
        return float(np.average(means, weights=weights[there]))

    means = [mean(list(draw)) for draw in product(range(5), repeat=5)]
    found = weighted_mean(sums, counts, list(weights), seed=0)
    assert found is not None
    assert found.value == pytest.approx((5 * 0.5 + 7 * 1.25) / 1.75)
    assert found.n == 5
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=0.3)


def test_turns_of_a_question_are_drawn_together() -> None:
    """With turns that agree the interval is as wide as that of the questions alone, and not narrower."""
    rng = np.random.default_rng(0)
    values = rng.integers(1, 11, size=(40, 1)).astype(float)
    ones = np.ones((40, 1))
    assert interval(2 * values, 2 * ones, [1.0], 1) == interval(values, ones, [1.0], 1)


def test_too_few_for_an_interval() -> None:
    assert weighted_mean(column(0.0, 0.0), column(0, 0), [1.0], 0) is None
    one = weighted_mean(column(14, 0), column(2, 0), [1.0], 0)
    assert one is not None
    assert (one.value, one.low, one.high, one.n) == (7, None, None, 2)


@given(st.lists(st.tuples(st.integers(1, 10), st.integers(0, 7)), min_size=1, max_size=20))
def test_units_have_the_score_for_their_mean(rows: list[tuple[int, int]]) -> None:
    """Of questions in up to three groups; one in none has no value."""
    is_in = np.array([[bits >> g & 1 for g in range(3)] for _, bits in rows], float)
    sums = is_in * np.array([value for value, _ in rows], float)[:, None]
    weights = [0.5, 1.0, 1.25]
    found = weighted_mean(sums, is_in, weights, 0)
    per_question = units(sums, is_in, weights)
    assert [np.isnan(unit) for unit in per_question] == [not bits for _, bits in rows]
    if found is not None:
        assert np.nanmean(per_question) == pytest.approx(found.value)


def test_units_of_one_group_are_the_means_of_questions() -> None:
    assert units(column(14, 9, 0), column(2, 1, 0), [1.0])[:2] == [7, 9]
    assert np.isnan(units(column(14, 9, 0), column(2, 1, 0), [1.0])[2])


def test_a_judge_who_likes_length_is_noted() -> None:
    lengths = [float(n) for n in range(30)]
    assert length_note(lengths, lengths, "lengths") == (
        "the judge gives longer answers more: Spearman +1.00 of lengths and points over 30 answers"
    )
    note = length_note(lengths, lengths[::-1], "lengths")
    assert note is not None
    assert "shorter answers more: Spearman -1.00" in note
    assert length_note(lengths, [5.0] * 30, "lengths") is None
    assert length_note(lengths[:19], lengths[:19], "lengths") is None
