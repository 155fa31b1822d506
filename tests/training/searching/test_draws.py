"""Random mixtures: each a mixture, spread over what there is, and the moments of a Dirichlet distribution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.searching.draws import LEAST, centre, draw_weights, log_gamma_quantiles

SKEWED = np.array([0.6, 0.3, 0.06, 0.03, 0.005, 0.005])


@settings(max_examples=30)
@given(st.lists(st.floats(1e-6, 1), min_size=2, max_size=12), st.floats(0.05, 20), st.integers(0, 2**32 - 1))
def test_each_draw_is_a_mixture(sizes: list[float], concentration: float, seed: int) -> None:
    shares = np.array(sizes) / sum(sizes)
    found = draw_weights(shares, 9, concentration, seed)
    assert found.shape == (9, len(sizes)) and (found >= 0).all()
    assert np.allclose(found.sum(1), 1)
    assert (draw_weights(shares, 5, concentration, seed) == found[:5]).all()  # so that more of them can be asked for


@pytest.mark.parametrize("seed", range(3))
def test_every_source_is_seen_from_next_to_none_to_much(seed: int) -> None:
    found = draw_weights(SKEWED, 48, 1.0, seed)
    assert (found.min(0) < 0.05).all() and (found.max(0) > 0.25).all()
    near = draw_weights(SKEWED, 48, 50.0, seed)
    assert (near.std(0) < found.std(0) / 3).all()
    assert np.allclose(near.mean(0), centre(SKEWED), atol=0.03)


def test_small_sources_are_raised() -> None:
    found = centre(SKEWED)
    assert found.sum() == pytest.approx(1) and found.min() > LEAST / len(SKEWED) * 0.9
    assert (np.diff(found) <= 0).all() and found[0] < SKEWED[0]


@pytest.mark.parametrize("alpha", [0.02, 0.3, 1.0, 7.5, 200.0])
def test_gamma_variables(alpha: float) -> None:
    """Means and variances are those of the distribution; of shape 1 the quantiles are known."""
    u = (np.arange(20_000) + 0.5) / 20_000
    values = np.exp(log_gamma_quantiles(u, np.full(u.shape, alpha)))
    assert values.mean() == pytest.approx(alpha, rel=0.02)
    assert values.var() == pytest.approx(alpha, rel=0.08)
    if alpha == 1:
        assert np.allclose(values, -np.log1p(-u), rtol=1e-6)


def test_points_fill_the_simplex_better_than_chance() -> None:
    """The means of as many mixtures scatter less."""
    shares, chance = np.array([0.4, 0.3, 0.3]), np.random.default_rng(0)
    even = [draw_weights(shares, 64, 2.0, seed).mean(0) for seed in range(20)]
    by_chance = [chance.dirichlet(2.0 * 3 * centre(shares), 64).mean(0) for _ in range(20)]
    assert np.std(even, 0).max() < np.std(by_chance, 0).max() / 2
