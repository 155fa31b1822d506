"""Intervals against the bootstrap, which knows nothing of their formulas."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from training.evaluating.intervals import aggregated, by_group, mean_of_groups, means, score_of

N_RESAMPLES = 4000


def bootstrap(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The middle 95% of means of values that are drawn again."""
    draws = np.random.default_rng(seed).choice(np.asarray(values), (N_RESAMPLES, len(values)))
    low, high = np.quantile(draws.mean(1), [0.025, 0.975])
    return float(low), float(high)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.83])
def test_shares_have_wilsons_interval(share: float) -> None:
    values = [float(number < share * 400) for number in range(400)]
    score = score_of(values)
    assert (score.low, score.high) == pytest.approx(bootstrap(values), abs=0.006)
    assert score.value == pytest.approx(share)
    assert score.n == 400


def test_other_scores_have_the_normal_one() -> None:
    draws = random.Random(1)
    values = [draws.betavariate(2, 3) for _ in range(300)]
    score = score_of(values)
    assert (score.low, score.high) == pytest.approx(bootstrap(values), abs=0.003)


def test_plain_means_of_groups() -> None:
    draws = random.Random(2)
    groups = [[float(draws.random() < p) for _ in range(n)] for p, n in ((0.3, 40), (0.6, 200), (0.8, 90))]
    resampled = np.random.default_rng(3)
    again = [np.mean([resampled.choice(of, len(of)).mean() for of in groups]) for _ in range(N_RESAMPLES)]
    value = sum(sum(of) / len(of) for of in groups) / 3
    score = mean_of_groups(groups, value)
    assert (score.low, score.high) == pytest.approx(tuple(np.quantile(again, [0.025, 0.975])), abs=0.006)
    assert score.n == 330


def test_what_is_no_mean_is_drawn_again() -> None:
    """A mean, whose interval is known, and a score of all questions together."""
    draws = random.Random(4)
    values = [draws.random() for _ in range(200)]
    mean = aggregated(sum(values) / 200, 200, lambda places: sum(values[place] for place in places) / 200)
    known = score_of(values)
    assert known.low is not None and known.high is not None
    assert mean.low is not None and mean.high is not None
    assert mean.high - mean.low == pytest.approx(known.high - known.low, rel=0.15)
    assert aggregated(float("nan"), 200, lambda places: 1.0).low is None
    assert aggregated(0.5, 1, lambda places: 0.5).low is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
@example([0.5, 0.5])
def test_intervals_hold_their_score_and_stay_shares(values: list[float]) -> None:
    score = score_of(values)
    if score.low is None or score.high is None:
        assert max(values) - min(values) < 1e-100  # whose squares are 0
        return
    assert 0 <= score.low <= score.value + 1e-12
    assert score.value - 1e-12 <= score.high <= 1


def test_groups_come_in_their_order() -> None:
    found = by_group(["b", "a", "b"], [1.0, 0.0, 0.0])
    assert [(name, score.value, score.n) for name, score in found.items()] == [("b", 0.5, 2), ("a", 0.0, 1)]
    assert by_group(["", ""], [1.0, 0.0]) == {}
    assert by_group(["a", "a"], [1.0, 0.0]) == {}, "that is all questions, and no group of them"
    assert by_group([], []) == {}


def test_scores_that_some_questions_lack_are_left_out() -> None:
    assert means([{"a": 1, "b": 0}, {"a": 0}]) == {"a": [1.0, 0.0]}
    assert score_of([float("nan"), 1.0]).low is None
