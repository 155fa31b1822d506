"""Regressions from weights to losses, beside what they are in closed form, and on laws that are known."""

import numpy as np
import pytest

from training.searching.draws import draw_weights
from training.searching.regressions import (
    CONSTANT,
    F64,
    FAMILIES,
    ExponentialLaw,
    Family,
    KernelRidge,
    LawFit,
    _left_out_error,
)

SHARES = np.array([0.5, 0.3, 0.2])
FAMILY = {family.name: family for family in FAMILIES}


def models(n: int = 32, seed: int = 0) -> F64:
    return draw_weights(SHARES, n, 1.0, seed)


LAWS = {
    "linear": lambda w: 1 + w @ np.array([0.3, -0.2, 0.1]),
    "exponential": lambda w: np.log(1.5 + np.exp(w @ np.array([-0.5, 0.6, 1.2]))),
    "logarithmic": lambda w: 1 - 0.1 * np.log(w[:, 0] + 0.01) - 0.05 * np.log(w[:, 2] + 0.01),
    "quadratic": lambda w: ((w - np.array([0.5, 0.3, 0.2])) ** 2).sum(1),
}


@pytest.mark.parametrize("name", LAWS)
def test_a_law_of_its_own_kind_is_found(name: str) -> None:
    weights, others = models(), models(200, 7)
    values = LAWS[name](weights)
    fit = FAMILY[name].tuned(weights, values).fit(weights, values)
    wanted = LAWS[name](others)
    assert np.abs(fit.predict(others) - wanted).max() < 0.01 * np.ptp(wanted)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_noise_is_smoothed(family: Family) -> None:
    """Of values that no weight tells, little more than the mean is foretold."""
    weights = models(40)
    values = np.random.default_rng(1).normal(2, 0.1, 40)
    fit = family.tuned(weights, values).fit(weights, values)
    assert np.abs(fit.predict(models(200, 3)) - 2).max() < 0.4


def test_ridge_is_that_of_the_normal_equations() -> None:
    weights, values = models(), np.random.default_rng(0).normal(size=32)
    values = (values - values.mean()) / values.std()
    features = np.hstack([np.sqrt(3) * (weights - 1 / 3), np.full((32, 1), np.sqrt(CONSTANT))])
    slopes = np.linalg.solve(features.T @ features + 0.3 * np.eye(4), features.T @ values)
    fit = KernelRidge("linear", FAMILY["linear"].kernels, 0.3).fit(weights, values)  # type: ignore[attr-defined]
    assert np.allclose(fit.predict(weights), features @ slopes)


def test_left_out_errors_are_those_of_fits_that_leave_out() -> None:
    weights, values = models(12), np.random.default_rng(2).normal(size=12)
    kernel = FAMILY["quadratic"].kernels[0]  # type: ignore[attr-defined]
    gram = kernel(weights, weights) + CONSTANT
    wanted = []
    for number in range(12):
        seen = np.arange(12) != number
        alpha = np.linalg.solve(gram[np.ix_(seen, seen)] + 0.1 * np.eye(11), values[seen])
        wanted.append((gram[number, seen] @ alpha - values[number]) ** 2)
    roots, vectors = np.linalg.eigh(gram)
    assert _left_out_error(roots, vectors, values, 0.1) == pytest.approx(np.mean(wanted))


def test_exponential_law() -> None:
    """As Data Mixing Laws has it: a floor, and an exponential of the weights."""
    fit = LawFit(np.log(1.5), np.array([-0.5, 0.2, 1.0]))
    weights = models()
    assert np.allclose(np.exp(fit.predict(weights)), 1.5 + np.exp(weights @ fit.slopes))
    values = fit.predict(weights) + np.random.default_rng(0).normal(0, 0.003, 32)
    found = ExponentialLaw().fit(weights, values)
    assert np.sqrt(np.mean((found.predict(weights) - fit.predict(weights)) ** 2)) < 0.003


def test_equal_losses_do_no_harm() -> None:
    weights = models(10)
    for family in FAMILIES:
        fit = family.tuned(weights, np.full(10, 0.7)).fit(weights, np.full(10, 0.7))
        assert np.allclose(fit.predict(weights), 0.7, atol=1e-3)
