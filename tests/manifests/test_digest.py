"""Digests depend on what rows are, and on nothing else."""

import random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.digest import TableDigest, as_binary, row_hashes

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | st.text(),
            "number": st.none() | st.integers(-(2**40), 2**40),
            "share": st.none() | st.floats(allow_nan=False),
            "flag": st.none() | st.booleans(),
            "names": st.none() | st.lists(st.text(max_size=3), max_size=3),
            "nested": st.none()
            | st.fixed_dictionaries({"a": st.none() | st.text(max_size=3), "b": st.integers(0, 3)}),
            "raw": st.none() | st.binary(max_size=20),
        }
    ),
    min_size=1,
    max_size=12,
)
SCHEMA = pa.schema(
    [
        ("text", pa.large_string()),
        ("number", pa.int64()),
        ("share", pa.float64()),
        ("flag", pa.bool_()),
        ("names", pa.list_(pa.string())),
        ("nested", pa.struct([("a", pa.string()), ("b", pa.int64())])),
        ("raw", pa.binary()),
    ]
)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, SCHEMA)


@given(ROWS, st.randoms(), st.integers(0, 12))
def test_order_chunks_and_slices_do_not_matter(rows: list[dict[str, Any]], rng: random.Random, cut: int) -> None:
    whole = TableDigest.of(table(rows))
    shuffled = rng.sample(rows, len(rows))
    assert TableDigest.of(table(shuffled)) == whole
    assert TableDigest.of(table(rows).slice(0, cut)) + TableDigest.of(table(rows).slice(cut)) == whole
    assert TableDigest.of(table(rows).select(SCHEMA.names[::-1])) == whole
    chunked = pa.concat_tables([table(rows[:cut]), table(rows[cut:])])
    assert TableDigest.of(chunked) == whole


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    """The rows in text, keys in the order of the columns."""
    return sorted(map(repr, table(rows).to_pylist()))


@given(ROWS, ROWS)
def test_equal_exactly_where_the_rows_are(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> None:
    same = in_order(left) == in_order(right)
    assert (TableDigest.of(table(left)) == TableDigest.of(table(right))) == same


@pytest.mark.parametrize(
    "kinds", [(pa.string(), pa.large_string()), (pa.int32(), pa.int64()), (pa.float32(), pa.float64())]
)
def test_the_width_of_a_type_does_not_matter(kinds: tuple[pa.DataType, pa.DataType]) -> None:
    values = ["가", "b"] if pa.types.is_string(kinds[0]) else [1, 2]
    narrow, wide = (TableDigest.of(pa.table({"x": pa.array(values, kind)})) for kind in kinds)
    assert narrow == wide


def test_a_value_in_another_column_is_another_row() -> None:
    assert TableDigest.of(pa.table({"a": ["x"], "b": ["y"]})) != TableDigest.of(pa.table({"a": ["y"], "b": ["x"]}))


def test_null_differs_from_empty_and_zero() -> None:
    rows = [{"text": None}, {"text": ""}, {"number": 0}, {"flag": False}, {"share": 0.0}, {"names": []}, {"raw": b""}]
    empty = dict.fromkeys(SCHEMA.names)
    assert len({TableDigest.of(table([empty | row])).hex for row in rows}) == len(rows)


def test_columns_can_be_left_out() -> None:
    left = pa.table({"a": ["x"], "file": ["1"]})
    right = pa.table({"a": ["x"], "file": ["2"]})
    assert TableDigest.of(left, frozenset({"file"})) == TableDigest.of(right, frozenset({"file"}))


def test_digest_is_pinned() -> None:
    """The value is stored in run records: it may not change between versions or machines."""
    rows = [{"text": "한글 ㅋㅋ", "number": -5, "share": 0.25, "names": ["a", "b"], "nested": {"a": None, "b": 2}}]
    assert TableDigest.of(table([dict.fromkeys(SCHEMA.names) | rows[0]])).hex == "60da615c3128c2319f425f729278b2aa"


def test_row_hashes_as_binary() -> None:
    hashes = row_hashes(pa.table({"a": ["x", "y"]}))
    assert [value.as_py() for value in as_binary(hashes)] == [row.tobytes() for row in hashes]
