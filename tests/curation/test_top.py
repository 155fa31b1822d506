"""Where the best share of numbers begins: as sorting all of them tells, whatever the parts."""

import math
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from curation.top import TopShare, top_share

NUMBERS = st.lists(st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 0.5, 2.5]), min_size=1, max_size=60)


@given(values=NUMBERS, cuts=st.lists(st.integers(0, 60), max_size=4), percent=st.integers(1, 100))
@example(values=[1.0] * 30, cuts=[], percent=10)
@example(values=[-math.inf, math.inf, -5e-324, 5e-324], cuts=[2], percent=50)
def test_it_is_the_kth_largest(values: list[float], cuts: list[int], percent: int) -> None:
    chunks = np.split(np.array(values), sorted(cuts))
    found = top_share(lambda: chunks, percent / 100)
    k = math.ceil(Fraction(percent, 100) * len(values))
    wanted = sorted(values, reverse=True)[k - 1]
    assert found == TopShare(wanted, len(values), sum(value >= wanted for value in values))


def test_what_is_kept_is_what_ranks_say() -> None:
    values = np.random.default_rng(1).normal(size=5000).round(2)
    found = top_share(lambda: np.split(values, [17, 4000]), 0.1)
    assert found.threshold is not None
    ranks = pl.Series(values).rank("min", descending=True)
    assert (pl.Series(values) >= found.threshold).equals(ranks <= 500)
    assert found.n_at_least >= 500


@pytest.mark.parametrize(("frac", "k"), [(0.1, 3), (0.07, 3), (0.3, 9), (1.0, 30), (1e-9, 1)])
def test_a_share_is_what_its_decimals_say(frac: float, k: int) -> None:
    found = top_share(lambda: [np.arange(30.0)], frac)
    assert (found.threshold, found.n_at_least) == (30.0 - k, k)


def test_of_nothing_there_is_no_best() -> None:
    assert top_share(lambda: [np.empty(0)], 0.1) == TopShare(None, 0, 0)
