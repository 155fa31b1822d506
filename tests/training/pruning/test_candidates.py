"""The grid of a search: counts as Kanana printed them, what is near enough, and what is said where nothing is."""

from typing import Any

import pytest

from manifests.errors import RequestError
from manifests.schema_surgery import Search
from tests.training import tiny
from tests.training.pruning.test_schedule import KANANA_8B
from training.flops import parameters
from training.pruning.candidates import AXES, grid_of

TABLE_16 = {
    (1280, 5120, 24): 0.96,
    (1280, 5760, 16): 0.96,
    (1280, 5760, 24): 1.04,
    (1536, 4608, 16): 0.98,
    (1536, 4608, 24): 1.08,
    (1536, 5376, 8): 0.99,
    (1536, 5376, 16): 1.09,
    (1536, 6144, 8): 1.11,
}
"""Billions of weights beside embeddings by hidden size, width of MLPs and heads (2502.18934, table 16)."""
TRIAL = {"mixture": {"path": "m"}, "steps": 1}


def search(parameters: int, **more: Any) -> Search:
    return Search.model_validate({"parameters": parameters, "trial": TRIAL} | more)


@pytest.mark.parametrize(("sizes", "billions"), TABLE_16.items())
def test_counts_of_table_16(sizes: tuple[int, int, int], billions: float) -> None:
    found = parameters({**KANANA_8B, **dict(zip(AXES, sizes, strict=True))})
    assert found is not None
    assert round(found.layers / 1e9, 2) == billions


def test_the_grid_of_kanana_finds_all_of_table_16() -> None:
    """930M to 1130M weights (of Kanana's blog) of hidden sizes, widths 3 to 4.5 times as large, and heads."""
    hidden = [1280, 1536, 1792]
    asked = search(
        1_030_000_000,
        within=0.0971,
        without_embeddings=True,
        hidden_size=hidden,
        intermediate_size=[round(size * times) for size in hidden for times in (3, 3.5, 4, 4.5)],
        num_attention_heads=[8, 16, 24],
    )
    near = grid_of(KANANA_8B, asked, cut_max=0.9).near
    found = {tuple(getattr(one.sizes, axis) for axis in AXES): one.n_parameters for one in near}
    assert set(TABLE_16) <= set(found)
    assert all(930e6 <= n <= 1130e6 for n in found.values())
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_sizes_that_are_not_named_are_the_models_own() -> None:
    [one] = grid_of(KANANA_8B, search(5_200_000_000, intermediate_size=[7168]), cut_max=0.5).near
    assert one.sizes.given() == {"hidden_size": 4096, "intermediate_size": 7168, "num_attention_heads": 32}
    assert one.name == "4096-7168-32"


@pytest.mark.parametrize("ties", [False, True])
def test_embeddings_count_and_tied_ones_once(ties: bool) -> None:
    """As transformers counts them."""
    import transformers

    config = tiny.config().to_dict()
    made = transformers.LlamaForCausalLM(tiny.config(intermediate_size=64, tie_word_embeddings=ties))
    asked = search(made.num_parameters(), within=0.0, intermediate_size=[64, 96])
    grid = grid_of(config, asked, 0.5, ties=ties)
    assert [one.name for one in grid.near] == ["64-64-4"]
    assert (grid.n_far, grid.n_too_small) == (1, 0)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"parameters": 2_000_000_000, "num_attention_heads": [16, 24]}, r"num_attention_heads 16 \(7,493,390,336\)"),
        ({"parameters": 2_000_000_000, "num_attention_heads": [20]}, "search.num_attention_heads: .* valid: 8, 16"),
        (
            {"parameters": 2_000_000_000, "hidden_size": [8192]},
            "search.hidden_size: found 8,192; the model has 4,096",
        ),
        (
            {"parameters": 1_080_000_000, "hidden_size": [1536], "intermediate_size": [4608], "within": 0.5},
            "more than the 50% of `cut_max`",
        ),
    ],
)
def test_grids_without_candidates(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        grid_of(KANANA_8B, search(**asked), cut_max=0.5)
