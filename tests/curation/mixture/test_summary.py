"""The summary of a mixture comes back from JSON as it was, and counts by powers of two."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curation.mixture.summary import MixtureSummary, added, by_powers_of_two, course_bins
from tests.curation.mixture.summaries import made_up


def test_summary_comes_back_from_json() -> None:
    summary = made_up()
    assert MixtureSummary.model_validate_json(summary.model_dump_json()) == summary
    assert [stage.overshoot for stage in summary.stages] == [-600, -1_000]


@given(st.lists(st.integers(1, 2**53), max_size=30), st.lists(st.integers(1, 9), max_size=30))
def test_counts_by_powers_of_two(some: list[int], others: list[int]) -> None:
    parts = [by_powers_of_two(np.array(values, np.int64)) for values in (some, others)]
    powers = [value.bit_length() - 1 for value in some + others]
    assert added(parts) == tuple(powers.count(power) for power in range(max(powers, default=-1) + 1))


@given(st.integers(1, 10_000))
def test_bins_of_a_course_are_equally_wide_and_not_empty(n_sequences: int) -> None:
    widths = np.diff(bins := course_bins(n_sequences))
    assert bins[0] == 0 and bins[-1] == n_sequences
    assert widths.min() >= 1 and widths.max() - widths.min() <= 1
