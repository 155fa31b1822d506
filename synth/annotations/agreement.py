"""How far two annotators agree on the same documents, and where one is harder than the other."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from classifiers.evaluate import kappa_at, quadratic_kappa


@dataclass(frozen=True)
class Bias:
    """The second annotator beside the first on the documents of one source."""

    n_docs: int
    mean_difference: float
    """Second minus first, in points."""


@dataclass(frozen=True)
class Agreement:
    """Of two annotators, over the documents that both gave a label."""

    n_docs: int
    equal_frac: float
    within_one_frac: float
    kappa: float
    """Quadratic weighted."""
    kappa_positive: float
    """Cohen's, of who says 3 or more."""
    by_source: dict[str, Bias]


def agreement(
    first: Mapping[str, int], second: Mapping[str, int], sources: Mapping[str, str], positive_from: int = 3
) -> Agreement | None:
    """Compare two annotators; None where they have no document in common.

    Args:
        first: labels from 0 to 5 by document.
        second: those of the other annotator.
        sources: the source of each document.
        positive_from: the label from which on a document is positive.
    """
    both = sorted(first.keys() & second.keys())
    if not both:
        return None
    left, right = (np.array([labels[id_] for id_ in both], float) for labels in (first, second))
    difference, source = right - left, np.array([sources[id_] for id_ in both], object)
    return Agreement(
        n_docs=len(both),
        equal_frac=float((difference == 0).mean()),
        within_one_frac=float((np.abs(difference) <= 1).mean()),
        kappa=quadratic_kappa(left, right),
        kappa_positive=kappa_at(left, right, positive_from),
        by_source={
            name: Bias(int((source == name).sum()), float(difference[source == name].mean()))
            for name in sorted(set(source.tolist()))
        },
    )
