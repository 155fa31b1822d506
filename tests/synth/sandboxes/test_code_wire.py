"""Data between a program and its tests arrives as it was."""

import json
from collections import Counter, deque
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.sandboxes.code_wire import Gone, Peer

keys = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), st.fractions(),
    st.decimals(allow_nan=False), st.complex_numbers(allow_nan=False), st.dates(), st.datetimes(), st.timedeltas(),
)  # fmt: skip
data = st.recursive(
    keys,
    lambda some: st.one_of(
        st.lists(some), st.lists(some).map(tuple), st.lists(some).map(deque), st.dictionaries(keys, some),
        st.sets(keys), st.frozensets(keys), st.lists(keys).map(tuple),
    ),
    max_leaves=20,
)  # fmt: skip


def there(value: Any) -> Any:
    peer = Peer(0, 0)
    return peer.decode(json.loads(json.dumps(peer.encode(value))))


def kinds(value: Any) -> Any:
    """The types of a value and of all in it."""
    if isinstance(value, dict):
        return dict, [(kinds(key), kinds(part)) for key, part in value.items()]
    inner = [kinds(part) for part in value] if isinstance(value, list | tuple | deque) else []
    return type(value), inner


@given(data)
def test_data_arrives_as_it_was(value: Any) -> None:
    found = there(value)
    assert found == value
    assert kinds(found) == kinds(value)


class Colour(IntEnum):
    RED = 1


class Names(dict[str, int]):
    def __getitem__(self, key: str) -> int:
        raise KeyError(key)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Colour.RED, 1),
        (Counter("aab"), {"a": 2, "b": 1}),
        (Names(a=1), {"a": 1}),
        ([Counter("a")], [{"a": 1}]),
        (bytearray(b"x"), bytearray(b"x")),
        (range(1, 9, 2), range(1, 9, 2)),
        ("\ud800", "\ud800"),
        (10**5000, 10**5000),
        (-(1 << 62), -(1 << 62)),
        (date(2020, 2, 29), date(2020, 2, 29)),
        (datetime(2020, 2, 29, 1), datetime(2020, 2, 29, 1)),
        (timedelta(-1, 2, 3), timedelta(-1, 2, 3)),
        (Decimal("1.10"), Decimal("1.10")),
        (Fraction(-1, 3), Fraction(-1, 3)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_derives_from_data_arrives_as_data(value: Any, plain: Any) -> None:
    found = there(value)
    assert (found, type(found)) == (plain, type(plain))
    assert repr(there(float("nan"))) == "nan"


@pytest.mark.parametrize(
    "message",
    [
        ["nothing"], ["list"], ["list", 5], ["dict", [[1]]], ["dict", [[["list", []], 1]]], ["int", "x"], ["int"], [],
        ["bytes", "x"], ["yours", 0], ["yours", "a"], ["range", "a"], ["Decimal", "x"], ["ref", 0], [5, 5], [[], 5],
        ["set", [["list", []]]], ["timedelta", "x"], ["date", "x"], ["module", "os"], ["imported", "os", "system"],
    ],
)  # fmt: skip
def test_nonsense_is_told(message: list[Any]) -> None:
    with pytest.raises(Gone, match="the program sent nonsense"):
        Peer(0, 0).decode(message)
