"""Which layers a deeper model has: SOLAR's lists, spans, what cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RequestError
from manifests.schema_surgery import Upscale
from training.stacking.layers import (
    check_depth,
    doubled,
    drop_for,
    layers_of,
    listed,
    read_layers,
    second_places,
    solar,
    spans,
    written,
)


def test_solar_10_7b() -> None:
    """Mistral 7B to SOLAR 10.7B: 32 layers, m = 8, as mergekit's slices [0, 24] and [8, 32] (arXiv 2312.15166)."""
    assert solar(32, 8) == [*range(24), *range(8, 32)]
    assert len(solar(32, 8)) == 48


def test_kanana_essence_9_8b() -> None:
    """32 layers to 40: m = 12, so layers 0 to 19, then 12 to 31."""
    assert drop_for(32, 40) == 12
    assert solar(32, 12) == [*range(20), *range(12, 32)]


@given(st.integers(1, 90), st.data())
def test_solar_has_its_form(n_layers: int, data: st.DataObject) -> None:
    drop = data.draw(st.integers(0, (n_layers - 1) // 2))
    layers = solar(n_layers, drop)
    assert len(layers) == 2 * (n_layers - drop) > n_layers
    assert layers[: n_layers - drop] == list(range(n_layers - drop))
    assert layers[n_layers - drop :] == list(range(n_layers))[drop:]
    assert set(layers) == set(range(n_layers))
    assert len(second_places(layers)) == n_layers - 2 * drop
    assert drop_for(n_layers, len(layers)) == drop


@given(st.integers(1, 90), st.data())
def test_no_other_number_of_layers_can_be_dropped(n_layers: int, data: st.DataObject) -> None:
    drop = data.draw(st.one_of(st.integers(-5, -1), st.integers((n_layers - 1) // 2 + 1, n_layers + 5)))
    with pytest.raises(
        RequestError, match=rf"drop: {drop} of {n_layers} layers .*; expected 0 to {(n_layers - 1) // 2}"
    ):
        solar(n_layers, drop)


@pytest.mark.parametrize(
    ("n_layers", "to", "told"),
    [
        (32, 39, r"to: 39 layers are no two copies of equal depth; expected an even number, as 38 or 40"),
        (32, 32, r"to: 32 layers are no deeper than the model's 32; expected 33 to 64"),
        (32, 8, r"to: 8 layers are no deeper"),
        (32, 66, r"to: 66 layers are more than two copies of 32; expected 33 to 64"),
        (1, 3, r"expected 2 to 2"),
    ],
)
def test_depths_that_cannot_be(n_layers: int, to: int, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        drop_for(n_layers, to)


def test_an_odd_model_has_even_depths() -> None:
    assert solar(5, drop_for(5, 8)) == [0, 1, 2, 3, 1, 2, 3, 4]
    check_depth(5, 7)


@given(st.integers(1, 60), st.data())
def test_doubled(n_layers: int, data: st.DataObject) -> None:
    repeated = data.draw(st.sets(st.integers(0, n_layers - 1)))
    layers = doubled(n_layers, repeated)
    assert layers == sorted([*range(n_layers), *repeated])


def test_lists_and_spans() -> None:
    assert listed([[0, 24], [8, 32]], 32) == solar(32, 8)
    assert listed([0, 1, [1, 3], 3, 3], 4) == [0, 1, 1, 2, 3, 3]
    assert read_layers("0-24, 8-32") == [[0, 24], [8, 32]]
    assert read_layers("0,2-4,4") == [0, [2, 4], 4]


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([4], r"layers\[0\]: found 4; the model has 4 layers, so expected numbers from 0 to 3"),
        ([0, [2, 5]], r"layers\[1\]: found \[2, 5\]"),
        ([[3, 3]], r"layers\[0\]: found \[3, 3\]"),
        ([-1], r"found -1"),
    ],
)
def test_layers_that_are_not_there(items: list[int | list[int]], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        listed(items, 4)


@pytest.mark.parametrize("text", ["", "a", "1-2-3", "-1", "1,", "0:3"])
def test_what_is_no_list_of_layers(text: str) -> None:
    with pytest.raises(RequestError, match=r"--layers: found .*; expected numbers and spans FIRST-END"):
        read_layers(text)


@given(st.lists(st.integers(0, 9), min_size=1))
def test_spans_are_the_list(layers: list[int]) -> None:
    assert [layer for first, end in spans(layers) for layer in range(first, end)] == layers


def test_in_words() -> None:
    assert written([0, 1, 2, 1, 2, 3, 5]) == "0 to 2, 1 to 3, 5"
    assert second_places([0, 1, 0, 1, 1]) == [2, 3, 4]


@pytest.mark.parametrize(
    ("asked", "layers"),
    [
        ({"drop": 0}, [0, 1, 2, 3, 0, 1, 2, 3]),
        ({"drop": 1}, [0, 1, 2, 1, 2, 3]),
        ({"to": 6}, [0, 1, 2, 1, 2, 3]),
        ({"layers": [[1, 3], 0]}, [1, 2, 0]),
    ],
)
def test_by_a_manifest(asked: dict[str, object], layers: list[int]) -> None:
    stage = Upscale.model_validate({"kind": "upscale", "name": "deeper", **asked})
    assert layers_of(stage, 4) == layers
