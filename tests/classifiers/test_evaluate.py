"""Metrics against scipy, and against what they mean counted one by one."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from classifiers import evaluate

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(-4, 12).map(lambda n: n / 2)), min_size=2, max_size=40)


def arrays(pairs: list[tuple[int, float]]) -> tuple[evaluate.Numbers, evaluate.Numbers]:
    labels, scores = (np.array(column, float) for column in zip(*pairs, strict=True))
    return labels, scores


@given(PAIRS)
def test_spearman_is_that_of_scipy(pairs: list[tuple[int, float]]) -> None:
    labels, scores = arrays(pairs)
    ours = evaluate.spearman(labels, scores)
    if len(set(labels)) == 1 or len(set(scores)) == 1:
        assert math.isnan(ours)
    else:
        assert ours == pytest.approx(stats.spearmanr(labels, scores).statistic)


@given(PAIRS)
def test_auc_counts_pairs(pairs: list[tuple[int, float]]) -> None:
    labels, scores = arrays(pairs)
    positive = labels >= 3
    both = list(product(scores[positive], scores[~positive]))
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in both]
    ours = evaluate.auc(positive, scores)
    assert math.isnan(ours) if not wins else ours == pytest.approx(np.mean(wins))


@given(PAIRS)
def test_curve_counts_documents(pairs: list[tuple[int, float]]) -> None:
    labels, scores = arrays(pairs)
    positive = labels >= 3
    points = evaluate.curve(positive, scores)
    assert points.threshold.tolist() == sorted(set(scores), reverse=True)
    for threshold, precision, recall, share in zip(
        points.threshold, points.precision, points.recall, points.yield_frac, strict=True
    ):
        chosen = scores >= threshold
        assert precision == pytest.approx(positive[chosen].mean())
        assert share == pytest.approx(chosen.mean())
        assert recall == (pytest.approx(positive[chosen].sum() / positive.sum()) if positive.any() else 0)


@given(PAIRS, st.sampled_from([0.5, 0.9, 1.0]))
def test_recall_at_precision_and_best_f1(pairs: list[tuple[int, float]], wanted: float) -> None:
    labels, scores = arrays(pairs)
    positive = labels >= 3
    every = [evaluate.metrics(labels, scores, threshold=t) for t in sorted(set(scores))]
    fitting = [m.recall for m in every if m.precision >= wanted]
    recall, threshold = evaluate.recall_at_precision(positive, scores, wanted)
    assert recall == (max(fitting) if fitting and positive.any() else 0)
    assert (threshold in scores) == bool(fitting and positive.any())
    if positive.any():
        best, at = evaluate.best_f1(positive, scores)
        assert best == pytest.approx(max(m.f1 for m in every))
        assert best == pytest.approx(evaluate.metrics(labels, scores, threshold=at).f1)


@given(PAIRS)
def test_quadratic_kappa_by_its_definition(pairs: list[tuple[int, float]]) -> None:
    left, right = arrays(pairs)
    right = right.clip(0, 5).round()
    grid = np.array([[(i - j) ** 2 for j in range(6)] for i in range(6)], float)
    observed = np.zeros((6, 6))
    for a, b in zip(left.astype(int), right.astype(int), strict=True):
        observed[a, b] += 1 / len(left)
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    if (grid * expected).sum() == pytest.approx(0):
        return
    assert evaluate.quadratic_kappa(left, right) == pytest.approx(
        1 - (grid * observed).sum() / (grid * expected).sum()
    )


def test_kappa_of_two_annotators() -> None:
    left, right = np.array([5, 4, 3, 2, 1, 0.0]), np.array([5, 4, 1, 2, 3, 0.0])
    assert evaluate.kappa_at(left, right) == pytest.approx(1 / 3)
    assert evaluate.kappa_at(left, left) == 1
    assert math.isnan(evaluate.kappa_at(left * 0, left * 0))


def test_calibration_and_groups() -> None:
    labels = np.arange(100) % 6.0
    bins = evaluate.calibration(labels, labels + 0.25, n_bins=5)
    assert sum(bin_.n_docs for bin_ in bins) == 100
    assert [bin_.mean_label for bin_ in bins] == sorted(bin_.mean_label for bin_ in bins)
    assert bins[-1].positive_frac == 1
    assert np.mean([bin_.mean_score - bin_.mean_label for bin_ in bins]) == pytest.approx(0.25)
    found = evaluate.by_group(["b", "a"] * 50, labels, labels)
    assert list(found) == ["a", "b"]
    assert found["a"].n_docs == 50
    assert found["a"].spearman == pytest.approx(1)
