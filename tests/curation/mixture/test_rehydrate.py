"""Rehydration: the published weights, and chances that the id alone decides."""

import bisect
import math

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.expressions import parse_expression
from curation.mixture.rehydrate import FINEWEB2, KOREAN, repeat_counts
from manifests.errors import RunError

SIZES = [1, 2, 3, 4, 5, 6, 89, 90, 99, 100, 177, 999, 1000, 5000]


def values(sql: str, sizes: list[int | None]) -> list[float | None]:
    frame = pl.DataFrame({"near_cluster_size": sizes}, schema={"near_cluster_size": pl.Int64})
    expr = parse_expression(sql, {"near_cluster_size": pa.int64()}).expr
    result: list[float | None] = frame.select(result=expr)["result"].to_list()
    return result


def some_ids(n_ids: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 2**64, n_ids, np.uint64)


def test_fineweb2_is_what_its_code_does() -> None:
    weights = {1: 1, 2: 2, 3: 3, 5: 5, 100: 8, 1000: 1}
    limits = sorted(weights)
    assert values(FINEWEB2, list(SIZES)) == [weights[limits[bisect.bisect_right(limits, n) - 1]] for n in SIZES]


def test_korean_curve() -> None:
    assert values(KOREAN, [1, 2, 4, 5, 89, 90, 5000, None]) == [1, 2, 4, 5, 5, 1, 1, None]


def test_missing_is_one_and_whole_numbers_are_exact() -> None:
    assert repeat_counts(pl.Series([None, 0.0, 1.0, 5.0]), some_ids(4)).tolist() == [1, 0, 1, 5]


@given(st.floats(0, 9, allow_nan=False), st.integers(0, 2**40))
def test_counts_are_the_floor_or_one_more(repeat: float, seed: int) -> None:
    counts = repeat_counts(pl.Series([repeat] * 20), some_ids(20), seed)
    assert set(counts.tolist()) <= {math.floor(repeat), math.ceil(repeat)}


def test_fractions_are_chances() -> None:
    ids = some_ids(40_000)
    counts = repeat_counts(pl.Series(np.full(len(ids), 2.3)), ids, seed=1)
    assert abs(counts.mean() - 2.3) < 4 * math.sqrt(0.3 * 0.7 / len(ids))
    in_a_row = repeat_counts(pl.Series(np.full(len(ids), 0.3)), np.arange(len(ids), dtype=np.uint64), seed=1)
    assert abs(in_a_row.mean() - 0.3) < 4 * math.sqrt(0.3 * 0.7 / len(ids))  # ids need not be hashes themselves


def test_the_id_and_the_seed_decide_alone() -> None:
    ids, repeats = some_ids(1000), pl.Series(np.full(1000, 0.5))
    counts = repeat_counts(repeats, ids, seed=7)
    order = np.random.default_rng(1).permutation(1000)
    assert (repeat_counts(repeats, ids[order], seed=7) == counts[order]).all()
    assert (repeat_counts(repeats[:10], ids[:10], seed=7) == counts[:10]).all()
    other = repeat_counts(repeats, ids, seed=8)
    assert 400 < (other != counts).sum() < 600
    assert counts[:6].tolist() == [0, 0, 0, 0, 1, 1]  # a change would change every mixture that was made


@pytest.mark.parametrize("wrong", [-0.5, math.nan, math.inf, -math.inf, 1e18])
def test_what_is_no_number_of_times_names_the_document(wrong: float) -> None:
    with pytest.raises(RunError, match=r"id begins with 00000000000000ab would stand .* \(2 documents"):
        repeat_counts(pl.Series([1.0, wrong, wrong]), np.array([1, 0xAB, 3], np.uint64))
