"""What stands in NumPy's place says what NumPy says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.benchmarks.code_floats import allclose, isclose

NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(10**6), 10**6),
    st.sampled_from([0.0, 1.0, 1.0 + 1e-7, 1.0 + 1e-6, -1.0, math.inf, -math.inf, math.nan]),
)


@given(NUMBERS, NUMBERS)
def test_numbers_are_as_close_as_in_numpy(a: float, b: float) -> None:
    with np.errstate(all="ignore"):
        assert isclose(a, b, 1e-07, 1e-6) == bool(np.isclose(a, b, rtol=1e-07, atol=1e-6))


@given(st.lists(NUMBERS, max_size=4), st.one_of(NUMBERS, st.lists(NUMBERS, max_size=4)))
def test_lists_are_as_close_as_in_numpy(a: list[float], b: float | list[float]) -> None:
    try:
        with np.errstate(all="ignore"):
            expected = np.allclose(a, b, rtol=1e-07, atol=1e-6)
    except ValueError:
        with pytest.raises(ValueError, match="broadcast"):
            allclose(a, b, 1e-07, 1e-6)
        return
    assert allclose(a, b, 1e-07, 1e-6) == expected


def test_what_is_no_number_is_refused() -> None:
    for odd in ("a", None, {1.0}):
        with pytest.raises(TypeError):
            allclose(odd, 1.0)
