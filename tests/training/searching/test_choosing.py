"""The regression that is taken is the one that foretells best what it has not seen."""

import numpy as np
import pytest

from training.searching.choosing import choose, spearman
from training.searching.draws import draw_weights

WEIGHTS = draw_weights(np.array([0.5, 0.3, 0.2]), 40, 1.0, 0)


def test_the_right_kind_is_chosen_and_scored() -> None:
    values = ((WEIGHTS - np.array([0.5, 0.3, 0.2])) ** 2).sum(1) + np.random.default_rng(0).normal(0, 0.003, 40)
    chosen = choose(WEIGHTS, values, 0)
    assert chosen.score.name == "quadratic" == chosen.best_of(np.arange(40)).name
    assert chosen.score.r2 > 0.99 and chosen.score.spearman > 0.98 and chosen.score.rmse < 0.006
    linear = next(score for score in chosen.scores if score.name == "linear")
    assert linear.rmse > 5 * chosen.score.rmse


def test_errors_are_of_models_that_were_left_out() -> None:
    """Of pure chance nothing can be foretold, whatever was fitted."""
    values = np.random.default_rng(3).normal(size=40)
    assert max(score.r2 for score in choose(WEIGHTS, values, 0).scores) < 0.2


def test_a_bootstrap_chooses_anew() -> None:
    values = ((WEIGHTS - np.array([0.5, 0.3, 0.2])) ** 2).sum(1)
    chosen = choose(WEIGHTS, values, 0)
    errors = np.array([np.abs(score.predicted - values) for score in chosen.scores])
    model = int(np.argmin(errors[0] - errors[1:].min(0)))  # one on which the simplest does best, if on any
    best = int(np.argmin(errors[:, model]))
    assert chosen.best_of(np.array([model])).name == chosen.scores[best].name


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ([1, 2, 3], [10, 20, 40], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        ([1, 1, 2], [1, 1, 5], 1.0),
        ([1, 1], [1, 2], 0.0),
    ],
)
def test_spearman(a: list[float], b: list[float], wanted: float) -> None:
    assert spearman(np.array(a, float), np.array(b, float)) == pytest.approx(wanted)
