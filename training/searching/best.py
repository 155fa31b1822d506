"""The best mixture by regressions: the mean of the best of many, and how sure that is.

RegMix averages the best of its candidates rather than taking the single best, which may be best by the regression's
error only. Intervals are those of a bootstrap over models: they are drawn with replacement, regressions chosen and
fitted anew, and the best mixture found again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.searching.choosing import Chosen
from training.searching.regressions import F64, Kernel, KernelFit

TOP_FRAC = 0.001
"""Share of the candidates that are averaged, as RegMix's 100 of 100,000."""
BOOTSTRAPS = 200
LOW, HIGH = 2.5, 97.5
"""Percentiles that an interval goes between."""


@dataclass(frozen=True)
class Best:
    """A mixture with what is predicted of it."""

    weights: F64
    low: F64
    high: F64
    """Bounds of the weights' intervals, 95%."""
    losses: F64
    """By target, predicted: logarithms."""
    losses_low: F64
    losses_high: F64
    """Bounds of what a model of this mixture would come to, 95%: the regression's error and the scatter of single
    models around it."""


class Predictor:
    """Predicts candidates again and again: what kernels are between them and the models is kept."""

    def __init__(self, weights: F64, chosen: Sequence[Chosen], candidates: F64) -> None:
        self._weights, self._chosen, self._candidates = weights, chosen, candidates
        self._kernels = dict[Kernel, F64]()

    def predict(self, models: NDArray[np.int64]) -> F64:
        """Logarithms of losses (targets, candidates), by regressions that are chosen by and fitted to some of the
        models, each as often as it is named."""
        return np.asarray([self._of_target(of, models) for of in self._chosen])

    def _of_target(self, of: Chosen, models: NDArray[np.int64]) -> F64:
        fit = of.best_of(models).fit(self._weights[models], of.values[models])
        if not isinstance(fit, KernelFit):
            return fit.predict(self._candidates)
        if fit.kernel not in self._kernels:
            self._kernels[fit.kernel] = fit.kernel(self._candidates, self._weights)
        sums = np.zeros(len(self._weights))
        np.add.at(sums, models, fit.alpha)
        return replace(fit, alpha=sums).of_kernel(self._kernels[fit.kernel])


def best_mixture(weights: F64, chosen: Sequence[Chosen], counts: F64, candidates: F64, seed: int) -> Best:
    """The mean of the candidates whose weighted loss is predicted lowest.

    Args:
        weights: (models, sources).
        chosen: regressions of each target.
        counts: (targets), how much each counts; they add up to 1.
        candidates: (candidates, sources).
        seed: of the bootstrap.
    """
    predictor, everyone = Predictor(weights, chosen, candidates), np.arange(len(weights))
    found = _top_mean(candidates, counts @ predictor.predict(everyone))
    at = Predictor(weights, chosen, found[None])
    losses, chance = at.predict(everyone)[:, 0], np.random.default_rng(seed)
    drawn, predicted = [], []
    for _ in range(BOOTSTRAPS):
        models = chance.integers(len(weights), size=len(weights))
        drawn.append(_top_mean(candidates, counts @ predictor.predict(models)))
        scatter = [float(chance.choice(of.values - of.score.predicted)) for of in chosen]
        predicted.append(at.predict(models)[:, 0] + np.array(scatter))
    low, high = np.percentile(drawn, [LOW, HIGH], axis=0)
    losses_low, losses_high = np.percentile(predicted, [LOW, HIGH], axis=0)
    return Best(
        found,
        np.minimum(low, found),
        np.maximum(high, found),
        losses,
        np.minimum(losses_low, losses),
        np.maximum(losses_high, losses),
    )


def _top_mean(candidates: F64, losses: F64) -> F64:
    n = max(1, round(TOP_FRAC * len(candidates)))
    top = np.argpartition(losses, n - 1)[:n]
    return np.asarray(candidates[top].mean(0))


def along(at: F64, source: int, places: F64) -> F64:
    """Mixtures (places, sources) in which a source has these shares, and the others share the rest as they do."""
    others = at.copy()
    others[source] = 0
    total = float(others.sum())
    rest = others / total if total else np.where(np.arange(len(at)) == source, 0, 1 / max(len(at) - 1, 1))
    found = (1 - places)[:, None] * rest[None]
    found[:, source] = places
    return np.asarray(found)
