"""What sources have for the weights that were found."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.mixture.shares import Has
from manifests.schema_mixture import MixtureManifest
from training.searching.budget import budget_of, capped, caps_of, epochs_of, fits_tokens, in_steps, without_tokens

parts = st.lists(st.floats(0.001, 1), min_size=4, max_size=4)


@given(parts, st.lists(st.floats(0.05, 1), min_size=4, max_size=4))
def test_no_cap_is_passed(sizes: list[float], limits: list[float]) -> None:
    weights, caps = np.array([sizes]) / sum(sizes), np.array(limits)
    found = capped(weights, caps)
    assert found.sum() == pytest.approx(1)
    if caps.sum() > 1.0001:
        assert (found <= caps + 1e-9).all()
        assert (found[0] >= np.minimum(weights[0], caps) - 1e-9).all()  # what fits is not taken away
    if (weights[0] <= caps).all():
        assert np.allclose(found, weights)


def test_what_cannot_be_taken_goes_to_the_others_in_proportion() -> None:
    assert np.allclose(capped(np.array([[0.8, 0.15, 0.05]]), np.array([0.4, 1, 1])), [[0.4, 0.45, 0.15]])
    assert np.allclose(capped(np.array([[0.9, 0.1]]), np.array([0.3, 0.2])), [[0.6, 0.4]])  # too little in all


@given(parts)
def test_steps_add_up_and_stay_near(sizes: list[float]) -> None:
    weights = np.array(sizes) / sum(sizes)
    found = in_steps(weights, np.ones(4))
    assert np.rint(found * 10_000).sum() == 10_000 and np.abs(found - weights).max() < 2e-4
    caps = np.minimum(1, weights + np.array([0, 0, 0.5, 0.5]))
    assert (in_steps(weights, caps) <= caps + 1e-9).all()


def test_tokens_and_epochs() -> None:
    has = [Has(1000, 2), Has(500, 1)]
    assert caps_of(has, 4000).tolist() == [0.5, 0.125] and caps_of(has, None).tolist() == [1, 1]
    assert fits_tokens(np.array([0.75, 0.25]), has) == 2000 and fits_tokens(np.array([1.0, 0.0]), has) == 2000
    assert epochs_of(0.5, has[0], 4000) == 2 and epochs_of(0.5, has[0], None) is None


@pytest.mark.parametrize(
    ("tokens", "more", "budget", "lacking"),
    [
        ((300, 200), {}, 500, []),
        ((300, 200), {"tokens": 900}, 900, []),
        ((300, None), {}, None, ["b"]),
        ((None, None), {}, None, []),
    ],
)
def test_tokens_of_all_sources_are_a_budget(
    tokens: tuple[int | None, ...], more: dict[str, Any], budget: int | None, lacking: list[str]
) -> None:
    sources = [
        {"name": name, "path": "x", "category": name} | ({"tokens": n} if n else {})
        for name, n in zip("ab", tokens, strict=True)
    ]
    said = {
        "kind": "mixture",
        "name": "m",
        "tokenizer": "t",
        "sequence_length": 64,
        "output": "o",
        "sources": sources,
    }
    manifest = MixtureManifest.model_validate(said | more)
    assert budget_of(manifest) == budget and without_tokens(manifest) == lacking
