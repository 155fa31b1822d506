"""The best mixture by regressions, and how sure that is.

As in RegMix the losses of very many candidates are foretold, and the mean of the best is taken. Candidates hardly
ever lie at an edge, where a mixture goes without a source or has nothing else, and the best often does: so the search
goes on from there, by exchanges of two sources each, down to exact zeros. Intervals are those of a bootstrap over
models: they are drawn with replacement, regressions chosen and fitted anew, and the best mixture found again in the
same way.

What is proposed has of no source more than a model was trained on; the intervals may go beyond.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.searching.budget import capped
from training.searching.choosing import Chosen
from training.searching.regressions import F64, Fit, Kernel, KernelFit

TOP_FRAC = 0.001
"""Share of the candidates that are averaged, as RegMix's 100 of 100,000."""
BOOTSTRAPS = 200
LOW, HIGH = 2.5, 97.5
"""Percentiles that an interval goes between."""
FIRST_MAX = 1 << 14
"""Candidates that a bootstrap begins with, at most: of Sobol's points the first fill the space as well."""
KEPT_MAX = 1 << 21
"""Values of one kernel that are kept at once; of many models fewer candidates are looked at."""
EXCHANGED = (0.2, 0.05, 0.01, 0.002)
"""Shares that two sources exchange, from coarse to fine."""
EXCHANGES_MAX = 60
"""Of each share."""


@dataclass(frozen=True)
class Best:
    """A mixture with what is predicted of it."""

    weights: F64
    """The best of those that have of no source more than a model was trained on."""
    optimum: F64
    """The best of all that caps allow, also where no model was trained."""
    low: F64
    high: F64
    """Bounds of the intervals of the optimum's weights, 95%."""
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

    def fits(self, models: NDArray[np.int64]) -> list[Fit]:
        """A regression of each target, chosen by and fitted to some of the models, each as often as it is named."""
        return [of.best_of(models).fit(self._weights[models], of.values[models]) for of in self._chosen]

    def predict(self, models: NDArray[np.int64], fits: Sequence[Fit] | None = None) -> F64:
        """Logarithms of losses (targets, candidates), by `fits` of some of the models."""
        fits = fits or self.fits(models)
        return np.asarray([self._of_target(fit, models) for fit in fits])

    def _of_target(self, fit: Fit, models: NDArray[np.int64]) -> F64:
        if not isinstance(fit, KernelFit):
            return fit.predict(self._candidates)
        if fit.kernel not in self._kernels:
            self._kernels[fit.kernel] = fit.kernel(self._candidates, self._weights)
        sums = np.zeros(len(self._weights))
        np.add.at(sums, models, fit.alpha)
        return replace(fit, alpha=sums).of_kernel(self._kernels[fit.kernel])


class Optima:
    """Finds the mixture whose weighted loss is foretold lowest, again and again."""

    def __init__(self, weights: F64, chosen: Sequence[Chosen], counts: F64, candidates: F64, caps: F64) -> None:
        self._counts, self._caps = counts, caps
        corners = capped(np.eye(weights.shape[1]), caps)
        self._candidates = np.vstack([capped(candidates, caps), corners])
        n_first = min(FIRST_MAX, max(KEPT_MAX // len(weights), 1))
        self._first = np.vstack([self._candidates[: len(candidates)][:n_first], corners])
        self._predictor = Predictor(weights, chosen, self._first)

    def of(self, models: NDArray[np.int64]) -> F64:
        """By regressions of some of the models, from the first candidates on."""
        fits = self._predictor.fits(models)
        return self._from(self._first, self._counts @ self._predictor.predict(models, fits), self.loss(fits))

    def of_all(self, models: NDArray[np.int64]) -> F64:
        """The same from all candidates on, some at a time."""
        loss = self.loss(self._predictor.fits(models))
        parts = np.array_split(self._candidates, len(self._candidates) // FIRST_MAX + 1)
        return self._from(self._candidates, np.concatenate([loss(part) for part in parts]), loss)

    def loss(self, fits: Sequence[Fit]) -> "Loss":
        """The weighted loss of mixtures by regressions."""
        return lambda mixtures: np.asarray(self._counts @ np.asarray([fit.predict(mixtures) for fit in fits]))

    def within(self, limits: F64, near: F64, models: NDArray[np.int64]) -> F64:
        """The best near a mixture with other caps."""
        return descended(capped(near[None], limits)[0], self.loss(self._predictor.fits(models)), limits)

    def _from(self, candidates: F64, losses: F64, loss: "Loss") -> F64:
        begun = np.array([_top_mean(candidates, losses), candidates[int(losses.argmin())]])
        return descended(begun[int(loss(begun).argmin())], loss, self._caps)


Loss = Callable[[F64], F64]
"""Of mixtures (n, sources) what is lowered (n)."""


def best_mixture(
    weights: F64, chosen: Sequence[Chosen], counts: F64, candidates: F64, seed: int, caps: F64 | None = None
) -> Best:
    """The mixture whose weighted loss is predicted lowest, and intervals.

    Args:
        weights: (models, sources).
        chosen: regressions of each target.
        counts: (targets), how much each counts; they add up to 1.
        candidates: (candidates, sources).
        seed: of the bootstrap.
        caps: (sources), the largest weights; without them, 1 each.
    """
    caps = np.ones(weights.shape[1]) if caps is None else caps
    optima, everyone = Optima(weights, chosen, counts, candidates, caps), np.arange(len(weights))
    optimum = optima.of_all(everyone)
    found = optima.within(seen_limits(weights, caps), optimum, everyone)
    at = Predictor(weights, chosen, found[None])
    losses, chance = at.predict(everyone)[:, 0], np.random.default_rng(seed)
    drawn, predicted = [optimum, found], []
    for _ in range(BOOTSTRAPS):
        models = chance.integers(len(weights), size=len(weights))
        drawn.append(optima.of(models))
        scatter = [float(chance.choice(of.values - of.score.predicted)) for of in chosen]
        predicted.append(at.predict(models)[:, 0] + np.array(scatter))
    low, high = np.percentile(drawn[2:], [LOW, HIGH], axis=0)
    losses_low, losses_high = np.percentile(predicted, [LOW, HIGH], axis=0)
    return Best(
        found,
        optimum,
        np.minimum(low, np.minimum(*drawn[:2])),
        np.maximum(high, np.maximum(*drawn[:2])),
        losses,
        np.minimum(losses_low, losses),
        np.maximum(losses_high, losses),
    )


def seen_limits(weights: F64, caps: F64) -> F64:
    """Caps, and of no source more than a model had; caps alone where that leaves no mixture."""
    limits = np.minimum(caps, weights.max(0))
    return limits if limits.sum() > 1 else caps


def descended(start: F64, loss: Loss, caps: F64) -> F64:
    """From a mixture on, one source gives some of its share to another as long as that lowers the loss.

    Args:
        start: (sources), within the caps.
        loss: what is lowered.
        caps: (sources).
    """
    gives, takes = np.nonzero(~np.eye(len(start), dtype=bool))
    pairs, at, least = np.arange(len(gives)), start, float(loss(start[None])[0])
    for share in EXCHANGED:
        for _ in range(EXCHANGES_MAX if len(pairs) else 0):
            amounts = np.minimum(np.minimum(share, at[gives]), np.maximum(caps - at, 0)[takes])
            moved = np.repeat(at[None], len(pairs), 0)
            moved[pairs, gives] -= amounts
            moved[pairs, takes] += amounts
            losses = loss(moved)
            if not (lower := float(losses.min())) < least - 1e-9:
                break
            at, least = moved[int(losses.argmin())], lower
    return at


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
