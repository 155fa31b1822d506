"""Intervals at 95% of scores that are means over questions, or of what is made of all questions together."""

import random
from collections.abc import Callable, Mapping, Sequence
from math import isfinite, sqrt

from training.evaluating.results import Score
from training.measuring.uncertainty import Z_95, mean, mean_error, wilson

N_RESAMPLES, N_RESAMPLES_LEAST, N_DRAWN = 200, 50, 2_000_000
"""How often questions are drawn again for the standard error of what is no mean: within some 5%, and
less often where there are very many, within 10%; questions that are drawn in all."""


def score_of(values: Sequence[float]) -> Score:
    """The mean of scores: with Wilson's interval where each is 0 or 1, else by the normal distribution.

    Of scores from 0 to 1 the interval stays there. A single score that is neither has none, nor have equal ones.
    """
    value, n = mean(values), len(values)
    if not isfinite(value):
        return Score(value=value, n=n)
    if all(one in (0, 1) for one in values):
        low, high = wilson(sum(values), n)
        return Score(value=value, low=low, high=high, n=n)
    return Score(value=value, n=n) if n < 2 else _normal(value, mean_error(values), n, _is_share(values))


def mean_of_groups(groups: Sequence[Sequence[float]], value: float) -> Score:
    """The plain mean of groups' means, each question counting by its group's size; n is that of all questions."""
    error = sqrt(sum(mean_error(values) ** 2 for values in groups)) / len(groups)
    return _normal(value, error, sum(map(len, groups)), all(map(_is_share, groups)))


def aggregated(value: float, n: int, again: Callable[[Sequence[int]], float], seed: int = 0) -> Score:
    """What was made of all questions together; its standard error is that of questions drawn again (the bootstrap).

    There is none where all draws come to the same, as where every answer is wrong.
    Efron and Tibshirani, An Introduction to the Bootstrap (1993), 6.2.

    Args:
        value: of all n questions.
        n: how many there are.
        again: the value of the questions at these places.
        seed: of what is drawn.
    """
    if n < 2 or not isfinite(value):
        return Score(value=value, n=n)
    draws, n_resamples = random.Random(seed), max(N_RESAMPLES_LEAST, min(N_RESAMPLES, N_DRAWN // n))
    drawn = [again(draws.choices(range(n), k=n)) for _ in range(n_resamples)]
    usable = [one for one in drawn if isfinite(one)]
    if len(usable) < 2:
        return Score(value=value, n=n)
    middle = mean(usable)
    spread = sqrt(sum((one - middle) ** 2 for one in usable) / (len(usable) - 1))
    return _normal(value, spread, n, 0 <= value <= 1) if spread else Score(value=value, n=n)


def by_group(groups: Sequence[str], values: Sequence[float]) -> dict[str, Score]:
    """The score of each group, in the order in which they come; none where there is one group or none."""
    found = dict[str, list[float]]()
    for group, value in zip(groups, values, strict=True):
        found.setdefault(group, []).append(value)
    return {name: score_of(of) for name, of in found.items()} if len(found) > 1 else {}


def means(scores: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """The values of each score, by name; only those that every question has."""
    names = [name for name in scores[0] if all(name in one for one in scores)]
    return {name: [float(one[name]) for one in scores] for name in names}


def _normal(value: float, error: float, n: int, is_share: bool) -> Score:
    """An interval by the normal distribution; none where all values are one, which says nothing of others."""
    if not error:
        return Score(value=value, n=n)
    low, high = value - Z_95 * error, value + Z_95 * error
    return Score(value=value, low=max(low, 0.0) if is_share else low, high=min(high, 1.0) if is_share else high, n=n)


def _is_share(values: Sequence[float]) -> bool:
    return all(0 <= one <= 1 for one in values)
