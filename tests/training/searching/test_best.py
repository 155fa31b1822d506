"""The best mixture of laws that are known, and whether intervals hold it."""

import numpy as np
import pytest

from training.searching import best as module
from training.searching.best import Predictor, along, best_mixture
from training.searching.choosing import choose
from training.searching.draws import draw_weights
from training.searching.regressions import F64, KernelFit

SHARES = np.array([0.5, 0.3, 0.2])
OPTIMUM = np.array([0.2, 0.5, 0.3])


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BOOTSTRAPS", 60)
    monkeypatch.setattr(module, "TOP_FRAC", 0.01)


def bowl(weights: F64, at: F64 = OPTIMUM) -> F64:
    return np.asarray(0.5 + ((weights - at) ** 2).sum(1))


def test_a_known_optimum_is_found_and_covered() -> None:
    """Whatever the noise: it is within the intervals of 95% of nearly all searches."""
    candidates, covered = draw_weights(SHARES, 2000, 1.0, 99), []
    for seed in range(8):
        weights = draw_weights(SHARES, 32, 1.0, seed)
        noise = np.random.default_rng(seed).normal(0, 0.01, 32)
        found = best_mixture(weights, [choose(weights, bowl(weights) + noise, 0)], np.ones(1), candidates, 0)
        assert np.allclose(found.weights, OPTIMUM, atol=0.07)
        assert found.weights.sum() == pytest.approx(1)
        assert found.losses_low[0] <= 0.5 + 0.01 and found.losses_high[0] >= 0.5
        covered.append((found.low - 0.01 <= OPTIMUM) & (found.high + 0.01 >= OPTIMUM))
    assert np.mean(covered) > 0.85


def test_more_noise_makes_wider_intervals() -> None:
    weights, candidates = draw_weights(SHARES, 32, 1.0, 0), draw_weights(SHARES, 2000, 1.0, 99)
    widths = []
    for spread in (0.001, 0.05):
        values = bowl(weights) + np.random.default_rng(0).normal(0, spread, 32)
        found = best_mixture(weights, [choose(weights, values, 0)], np.ones(1), candidates, 0)
        widths.append([float((found.high - found.low).mean()), float(found.losses_high[0] - found.losses_low[0])])
    assert widths[1][0] > 2 * widths[0][0] and widths[1][1] > 5 * widths[0][1]


def test_targets_count_as_much_as_they_are_told_to() -> None:
    weights, candidates = draw_weights(SHARES, 40, 1.0, 0), draw_weights(SHARES, 4000, 1.0, 99)
    other = np.array([0.6, 0.2, 0.2])
    chosen = [choose(weights, bowl(weights, at), 0) for at in (OPTIMUM, other)]
    for share in (0.0, 0.5, 1.0):
        found = best_mixture(weights, chosen, np.array([share, 1 - share]), candidates, 0)
        assert np.allclose(found.weights, share * OPTIMUM + (1 - share) * other, atol=0.05)


def test_a_known_optimum_at_a_corner_is_covered() -> None:
    """One useful source of six, one useless: intervals reach the edge, whatever the noise; what is proposed stays
    where models were."""
    shares, slopes = np.full(6, 1 / 6), np.array([-0.3, 0.3, 0.0, 0.0, 0.0, 0.0])
    candidates, covered = draw_weights(shares, 2000, 1.0, 99), []
    corner = np.eye(6)[0]
    for seed in range(8):
        weights = draw_weights(shares, 32, 1.0, seed)
        noise = np.random.default_rng(seed).normal(0, 0.02, 32)
        found = best_mixture(weights, [choose(weights, weights @ slopes + noise, 0)], np.ones(1), candidates, 0)
        assert found.weights[0] == pytest.approx(weights[:, 0].max()) and found.weights[1] < 0.03
        covered.append((found.low - 0.01 <= corner) & (found.high + 0.01 >= corner))
    assert np.mean(covered) > 0.9


def test_caps_are_kept_by_all_that_is_found() -> None:
    weights, caps = draw_weights(SHARES, 32, 1.0, 0), np.array([0.5, 0.4, 1.0])
    values = weights @ np.array([0.0, -1.0, 1.0])
    found = best_mixture(
        weights, [choose(weights, values, 0)], np.ones(1), draw_weights(SHARES, 500, 1.0, 9), 0, caps
    )
    assert np.allclose(found.weights, [0.5, 0.4, 0.1]) and np.allclose(found.optimum, found.weights)
    assert (found.high <= caps + 1e-9).all() and found.low == pytest.approx(found.weights, abs=1e-6)


def test_the_best_is_found_from_any_candidates() -> None:
    weights = draw_weights(SHARES, 32, 1.0, 0)
    candidates = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    found = best_mixture(weights, [choose(weights, bowl(weights), 0)], np.ones(1), candidates, 0)
    assert np.allclose(found.weights, OPTIMUM, atol=0.02)


def test_many_models_do_not_take_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels are kept between the models and so many candidates as `KEPT_MAX` says; all are looked at in parts."""
    monkeypatch.setattr(module, "KEPT_MAX", 32 * 100)
    monkeypatch.setattr(module, "FIRST_MAX", 128)
    weights, candidates = draw_weights(SHARES, 32, 1.0, 0), draw_weights(SHARES, 2000, 1.0, 99)
    sizes = list[int]()
    real = KernelFit.of_kernel

    def counted(fit: KernelFit, kernel: F64) -> F64:
        sizes.append(len(kernel))
        return real(fit, kernel)

    monkeypatch.setattr(KernelFit, "of_kernel", counted)
    found = best_mixture(weights, [choose(weights, bowl(weights), 0)], np.ones(1), candidates, 0)
    assert np.allclose(found.weights, OPTIMUM, atol=0.02)
    assert max(sizes) <= 128 and 103 in sizes


def test_kept_kernels_give_what_a_fit_foretells() -> None:
    weights, mixtures = draw_weights(SHARES, 24, 1.0, 0), draw_weights(SHARES, 50, 1.0, 5)
    chosen = choose(weights, bowl(weights), 0)
    models = np.array([0, 0, 1, 5, 5, 5, *range(8, 24)])
    wanted = chosen.best_of(models).fit(weights[models], chosen.values[models]).predict(mixtures)
    assert np.allclose(Predictor(weights, [chosen], mixtures).predict(models)[0], wanted)


def test_along_a_weight() -> None:
    found = along(np.array([0.5, 0.4, 0.1]), 2, np.array([0.0, 0.1, 0.55, 1.0]))
    assert np.allclose(found.sum(1), 1) and np.allclose(found[:, 2], [0, 0.1, 0.55, 1])
    assert np.allclose(found[1], [0.5, 0.4, 0.1]) and np.allclose(found[2], [0.25, 0.2, 0.55])
    assert np.allclose(along(np.array([0.0, 1.0]), 1, np.array([0.25])), [[0.75, 0.25]])
