"""Errors and distances against scipy, and against repeated draws."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from training.measuring.uncertainty import KS_95, ks_by_chance, ks_distance, mean_error, ratio_error, slope, wilson

NUMBERS = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=12)


@pytest.mark.parametrize(("n_right", "n"), [(0, 1), (0, 12), (7, 12), (12, 12), (333, 1000)])
def test_wilson(n_right: int, n: int) -> None:
    expected = stats.binomtest(n_right, n).proportion_ci(method="wilson")
    assert wilson(n_right, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_of_ties() -> None:
    low, high = wilson(2.5, 10)
    assert wilson(2, 10)[0] < low < 0.25 < high < wilson(3, 10)[1]


@given(NUMBERS, NUMBERS)
def test_ks_distance(some: list[float], others: list[float]) -> None:
    assert ks_distance(some, others) == pytest.approx(
        stats.ks_2samp(some, others, method="asymp").statistic, abs=1e-12
    )


def test_what_chance_gives() -> None:
    assert pytest.approx(stats.kstwobign.isf(0.05), abs=1e-4) == KS_95
    assert ks_by_chance(64, 64) == pytest.approx(KS_95 * sqrt(2 / 64))
    assert ks_by_chance(1, 1) == 1.0


@given(st.lists(st.integers(-9, 9).map(float), min_size=3, max_size=12))
def test_slope(ys: list[float]) -> None:
    xs = [float(3 * i + 1) for i in range(len(ys))]
    start, rise, error = slope(xs, ys)
    line = stats.linregress(xs, ys)
    width = xs[-1] - xs[0]
    assert start == pytest.approx(line.intercept + line.slope * xs[0], abs=1e-9)
    assert rise == pytest.approx(line.slope * width, abs=1e-9)
    if len(set(ys)) > 1:  # scipy divides 0 by 0
        assert error == pytest.approx(line.stderr * width, abs=1e-6)


def test_errors_are_those_of_repeated_draws() -> None:
    random = np.random.default_rng(0)
    ratios, errors = [], []
    for _ in range(2000):
        tokens = random.integers(20, 200, 50).astype(float)
        losses = tokens * random.normal(3.0, 0.3, 50)
        ratios.append(losses.sum() / tokens.sum())
        errors.append(ratio_error(losses.tolist(), tokens.tolist()))
    assert np.std(ratios) == pytest.approx(np.mean(errors), rel=0.05)


def test_error_of_a_mean() -> None:
    assert mean_error([1.0, 2.0, 4.0]) == pytest.approx(stats.sem([1.0, 2.0, 4.0]))
    assert mean_error([1.0]) == ratio_error([1.0], [2.0]) == ratio_error([], []) == 0.0
