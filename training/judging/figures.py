"""Figures of a judged benchmark: weighted means with intervals by bootstrap over questions.

The turns of a question are no independent draws, since the second is about the first; so questions are drawn with all
their turns (a cluster bootstrap: Davison and Hinkley, Bootstrap Methods and their Application, 1997, 3.8).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from classifiers.evaluate import spearman
from training.evaluating.results import Score

Numbers = npt.NDArray[np.float64]
N_DRAWS = 4000
DRAWS_AT_ONCE = 500
TAILS = (2.5, 97.5)
"""Percentiles of an interval at 95%."""
LENGTH_ANSWERS_MIN = 20
"""Answers from which on it is told whether the judge likes longer ones better."""
LENGTH_NOTED = 0.2
"""Spearman's correlation from which on it is."""


def weighted_mean(sums: Numbers, counts: Numbers, weights: Sequence[float], seed: int) -> Score | None:
    """The weighted mean of the groups' means, each that of what its questions came to, with its interval.

    Args:
        sums: (questions, groups): what each question adds to a group.
        counts: (questions, groups): how many values that is the sum of.
        weights: of the groups; a group without a value has none.
        seed: of the draws.

    Returns:
        The score; None where there is no value. Its n is that of the values in one group, or of the questions that
        several groups share. Fewer than two questions with a value have no interval.
    """
    if not counts.any():
        return None
    there = counts.sum(axis=1) > 0
    sums, counts = sums[there], counts[there]
    n = int(counts.sum()) if counts.shape[1] == 1 else len(counts)
    value = float(_means(sums.sum(axis=0), counts.sum(axis=0), weights))
    if len(sums) < 2:
        return Score(value=value, n=n)
    low, high = interval(sums, counts, weights, seed)
    return Score(value=value, low=low, high=high, n=n)


def interval(sums: Numbers, counts: Numbers, weights: Sequence[float], seed: int) -> tuple[float, float]:
    """The percentile interval at 95% of `weighted_mean`, questions being drawn with replacement."""
    rng, n, found = np.random.default_rng(seed), len(sums), list[Numbers]()
    for _ in range(0, N_DRAWS, DRAWS_AT_ONCE):
        times = rng.multinomial(n, np.full(n, 1 / n), size=DRAWS_AT_ONCE).astype(np.float64)
        found.append(_means(times @ sums, times @ counts, weights))
    low, high = np.nanpercentile(np.concatenate(found), TAILS)
    return float(low), float(high)


def _means(sums: Numbers, counts: Numbers, weights: Sequence[float]) -> Numbers:
    """(..., groups) to (...): weighted means over the groups that have a value."""
    weight = np.asarray(weights) * (counts > 0)
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    whole = weight.sum(axis=-1)
    found: Numbers = np.divide((means * weight).sum(axis=-1), whole, out=np.full_like(whole, np.nan), where=whole > 0)
    return found


def units(sums: Numbers, counts: Numbers, weights: Sequence[float]) -> list[float]:
    """What each question came to; nan for those without a value.

    With one group that is the question's own mean. With several it is what the question adds to `weighted_mean`, so
    that the mean of all of them is just that.
    """
    there = counts.sum(axis=1) > 0
    if counts.shape[1] == 1:
        found = np.divide(sums[:, 0], counts[:, 0], out=np.zeros(len(sums)), where=there)
    else:
        totals = counts.sum(axis=0)
        shares = np.asarray(weights) * (totals > 0)
        per_value = np.divide(shares, totals, out=np.zeros_like(totals), where=totals > 0) / max(shares.sum(), 1e-300)
        found = there.sum() * (sums * per_value).sum(axis=1)
    return [float(value) if is_there else float("nan") for value, is_there in zip(found, there, strict=True)]


def length_note(lengths: Sequence[float], points: Sequence[float], what: str) -> str | None:
    """What is to be said of answers' lengths: their mean, and whether longer ones get more; None of too few.

    Args:
        lengths: characters of each answer, or how many more than the other's.
        points: what it got.
        what: `lengths`, or `differences of length`.
    """
    if len(lengths) < LENGTH_ANSWERS_MIN:
        return None
    rho = spearman(np.asarray(lengths, np.float64), np.asarray(points, np.float64))
    if not abs(rho) >= LENGTH_NOTED:  # of constant points it is no number
        return None
    kind = "longer" if rho > 0 else "shorter"
    return f"the judge gives {kind} answers more: Spearman {rho:+.2f} of {what} and points over {len(points)} answers"
