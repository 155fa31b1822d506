import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RequestError
from training.distilling.similarity import layer_similarities, linear_cka, matching_layer


def states(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def cka_by_grams(x: np.ndarray, y: np.ndarray) -> float:
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with H K H, the definition through products of tokens."""
    centring = np.eye(len(x)) - 1 / len(x)
    k, other = centring @ x @ x.T @ centring, centring @ y @ y.T @ centring
    return float(np.trace(k @ other) / np.sqrt(np.trace(k @ k) * np.trace(other @ other)))


@pytest.mark.parametrize("tokens", [5, 50])
def test_cka_is_that_of_its_definition(tokens: int) -> None:
    """With fewer tokens than coordinates, and with more."""
    x, y = states(0, tokens, 8), states(1, tokens, 12)
    assert linear_cka(x, y) == pytest.approx(cka_by_grams(x.double().numpy(), y.double().numpy()), abs=1e-12)


@given(seed=st.integers(0, 100), scale=st.floats(1e-3, 1e3))
def test_turning_scaling_and_moving_change_nothing(seed: int, scale: float) -> None:
    x = states(seed, 20, 6).double()
    turned = x @ torch.linalg.qr(states(seed + 1, 6, 6).double()).Q * scale + states(seed + 2, 6).double()
    assert linear_cka(x, turned) == pytest.approx(1, abs=1e-9)
    assert 0 <= linear_cka(x, states(seed + 3, 20, 9)) < 1


def test_layers_are_matched_by_relative_depth() -> None:
    assert [matching_layer(layer, 4, 4) for layer in range(5)] == [0, 1, 2, 3, 4]
    assert [matching_layer(layer, 2, 6) for layer in range(3)] == [0, 3, 6]
    assert [matching_layer(layer, 3, 2) for layer in range(4)] == [0, 1, 1, 2]
    assert matching_layer(1, 2, 3) == 2  # 1.5


def test_of_models_of_different_depth_and_width() -> None:
    student, teacher = [states(n, 2, 7, 6) for n in range(3)], [states(n, 2, 7, 9) for n in range(5)]
    found = layer_similarities(student, teacher)
    assert [(one.student_layer, one.teacher_layer) for one in found] == [(0, 0), (1, 2), (2, 4)]
    assert all(one.cosine is None and 0 < one.cka < 1 for one in found)


def test_a_model_beside_itself() -> None:
    layers = [states(n, 2, 7, 6) for n in range(3)]
    found = layer_similarities(layers, layers)
    assert all(one.cosine == pytest.approx(1, abs=1e-6) and one.cka == pytest.approx(1, abs=1e-9) for one in found)


def test_what_cannot_be_compared() -> None:
    with pytest.raises(RequestError, match="1 and 2 layers"):
        layer_similarities([states(0, 3, 4)], [states(0, 3, 4)] * 2)
    with pytest.raises(RequestError, match=r"\(3,\) in layer 0 of the student, \(4,\) in layer 0"):
        layer_similarities([states(0, 3, 4)] * 2, [states(0, 4, 4)] * 2)
    with pytest.raises(RequestError, match="1 tokens"):
        linear_cka(states(0, 1, 4), states(1, 1, 4))
    assert math.isnan(linear_cka(torch.ones(3, 4), states(1, 3, 4)))
