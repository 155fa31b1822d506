"""How good scores are against labels that were judged: ranking, decisions, calibration; per source and language.

Labels are ordinal (0 to 5), scores are numbers of any scale; a document is positive from a label on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Curve:
    """Precision and recall of `score >= threshold`, thresholds falling: one point per different score."""

    threshold: Numbers
    precision: Numbers
    recall: Numbers
    yield_frac: Numbers
    """Share of all documents at or above the threshold."""


@dataclass(frozen=True)
class Metrics:
    """What is said of a model on one set of documents; NaN where it is not defined (one class, or constant)."""

    n_docs: int
    n_positive: int
    spearman: float
    auc: float
    f1: float
    """At the threshold that was asked for."""
    precision: float
    recall: float
    kappa: float
    """Quadratic weighted, of the rounded scores."""


def metrics(labels: Numbers, scores: Numbers, positive_from: float = 3.0, threshold: float = 3.0) -> Metrics:
    """Metrics of scores, shape (n,), against labels, shape (n,).

    Args:
        labels: ordinal, 0 to 5.
        scores: as the model gives them.
        positive_from: the label from which on a document is positive.
        threshold: the score from which on it is said to be.
    """
    positive, chosen = labels >= positive_from, scores >= threshold
    n_hits = int((positive & chosen).sum())
    precision = n_hits / chosen.sum() if chosen.any() else float("nan")
    recall = n_hits / positive.sum() if positive.any() else float("nan")
    f1 = 2 * n_hits / max(int(positive.sum() + chosen.sum()), 1) if positive.any() else float("nan")
    return Metrics(
        n_docs=len(labels),
        n_positive=int(positive.sum()),
        spearman=spearman(labels, scores),
        auc=auc(positive, scores),
        f1=f1,
        precision=float(precision),
        recall=float(recall),
        kappa=quadratic_kappa(np.rint(labels), np.rint(scores.clip(labels.min(), labels.max()))),
    )


def ranks(values: Numbers) -> Numbers:
    """Ranks from 1 on, the mean rank for values that tie."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: Numbers = (last - (counts - 1) / 2)[group]
    return means


def spearman(left: Numbers, right: Numbers) -> float:
    """Pearson's correlation of the ranks (Spearman 1904), ties with their mean rank."""
    a, b = ranks(left), ranks(right)
    a, b = a - a.mean(), b - b.mean()
    spread = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / spread) if spread else float("nan")


def auc(positive: Flags, scores: Numbers) -> float:
    """Chance that a positive scores above a negative, half for ties (Mann and Whitney 1947)."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    total = ranks(scores)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(total / (n_positive * n_negative))


def quadratic_kappa(left: Numbers, right: Numbers) -> float:
    """Cohen's kappa with quadratic weights (Cohen 1968): 1 - observed / expected squared difference."""
    observed = float(((left - right) ** 2).mean())
    expected = float((left**2).mean() + (right**2).mean() - 2 * left.mean() * right.mean())
    return 1 - observed / expected if expected else float("nan")


def kappa_at(left: Numbers, right: Numbers, positive_from: float = 3.0) -> float:
    """Cohen's kappa (1960) of two annotators who say whether documents are positive."""
    a, b = left >= positive_from, right >= positive_from
    agree, by_chance = (a == b).mean(), a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    return float((agree - by_chance) / (1 - by_chance)) if by_chance < 1 else float("nan")


def curve(positive: Flags, scores: Numbers) -> Curve:
    """The precision-recall curve, with what share of the documents each threshold keeps."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    n_hits, n_chosen = np.cumsum(positive[order])[ends], ends + 1.0
    n_positive = max(int(positive.sum()), 1)
    return Curve(scores[order][ends], n_hits / n_chosen, n_hits / n_positive, n_chosen / max(len(scores), 1))


def recall_at_precision(positive: Flags, scores: Numbers, precision: float) -> tuple[float, float]:
    """(the largest recall of any threshold with at least this precision, that threshold); (0, inf) where none has."""
    points = curve(positive, scores)
    fitting = np.flatnonzero(points.precision >= precision)
    if not len(fitting) or not positive.any():
        return 0.0, float("inf")
    return float(points.recall[fitting[-1]]), float(points.threshold[fitting[-1]])


def best_f1(positive: Flags, scores: Numbers) -> tuple[float, float]:
    """(the best F1 of any threshold, that threshold), chosen on the very documents that it is measured on."""
    points = curve(positive, scores)
    sums = points.precision + points.recall
    f1 = np.divide(2 * points.precision * points.recall, sums, out=np.zeros_like(sums), where=sums > 0)
    at = int(f1.argmax())
    return float(f1[at]), float(points.threshold[at])


@dataclass(frozen=True)
class Bin:
    """Documents whose scores are about the same."""

    n_docs: int
    mean_score: float
    mean_label: float
    positive_frac: float


def calibration(labels: Numbers, scores: Numbers, n_bins: int = 10, positive_from: float = 3.0) -> list[Bin]:
    """Mean label by score, in bins of equal numbers of documents, lowest first."""
    parts = np.array_split(np.argsort(scores, kind="stable"), min(n_bins, len(scores)))
    return [
        Bin(
            len(part),
            float(scores[part].mean()),
            float(labels[part].mean()),
            float((labels[part] >= positive_from).mean()),
        )
        for part in parts
        if len(part)
    ]


def by_group(
    groups: Sequence[str], labels: Numbers, scores: Numbers, positive_from: float = 3.0, threshold: float = 3.0
) -> dict[str, Metrics]:
    """Metrics of each group, as of sources or languages, in the order of their names."""
    names = np.array(groups, object)
    return {
        name: metrics(labels[names == name], scores[names == name], positive_from, threshold)
        for name in sorted(set(groups))
    }
