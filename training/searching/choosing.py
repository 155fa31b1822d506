"""Which regression tells a target's loss best, by mixtures that it was not fitted to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.searching.regressions import F64, FAMILIES, Family

FOLDS = 8


@dataclass(frozen=True)
class Score:
    """How well a regression foretells mixtures that it has not seen."""

    name: str
    predicted: F64
    """Logarithms of losses, each by a fit that left it out."""
    rmse: float
    """Of logarithms: 0.01 is 1% of a loss."""
    r2: float
    """Share of the variance that it explains; below 0 it is worse than the mean."""
    spearman: float
    """Correlation of ranks, RegMix's measure."""


@dataclass(frozen=True)
class Chosen:
    """The regressions of a target, settled on all mixtures, and how they did."""

    families: tuple[Family, ...]
    scores: tuple[Score, ...]
    values: F64

    def best_of(self, models: NDArray[np.int64]) -> Family:
        """The regression with the least error on some of the models, each as often as it is named: a bootstrap
        chooses anew."""
        errors = [float(np.mean((score.predicted - self.values)[models] ** 2)) for score in self.scores]
        return self.families[int(np.argmin(errors))]

    @property
    def score(self) -> Score:
        """Of the regression that is taken."""
        return min(self.scores, key=lambda score: score.rmse)


def choose(weights: F64, values: F64, seed: int) -> Chosen:
    """All regressions, scored over folds; what a family leaves open is settled in each fold anew.

    Args:
        weights: (models, sources).
        values: (models), logarithms of a target's losses.
        seed: of the folds.
    """
    folds = np.random.default_rng(seed).permutation(len(values)) % min(FOLDS, len(values))
    scores = tuple(_score(family, weights, values, folds) for family in FAMILIES)
    return Chosen(tuple(family.tuned(weights, values) for family in FAMILIES), scores, values)


def _score(family: Family, weights: F64, values: F64, folds: NDArray[np.int64]) -> Score:
    predicted = np.empty(len(values))
    for fold in np.unique(folds):
        seen, hidden = folds != fold, folds == fold
        fit = family.tuned(weights[seen], values[seen]).fit(weights[seen], values[seen])
        predicted[hidden] = fit.predict(weights[hidden])
    mse = float(np.mean((predicted - values) ** 2))
    variance = float(values.var())
    r2 = 1 - mse / variance if variance else 0.0
    return Score(family.name, predicted, mse**0.5, r2, spearman(predicted, values))


def spearman(a: F64, b: F64) -> float:
    """Correlation of ranks, equal values sharing theirs; 0 where all of one side are equal."""
    ranks = [_ranks(values) for values in (a, b)]
    if any(float(of.std()) == 0 for of in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: F64) -> F64:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[places])
