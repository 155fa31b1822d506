"""How well vectors find what belongs to a question: nDCG@10 and recall@10, as trec_eval counts them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

K = 10
QUERIES_AT_ONCE = 64
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Relevance = Mapping[int, float]
"""Of each text that answers a question at all: how well, by its number."""


@dataclass(frozen=True)
class Found:
    """What was found of each question."""

    ndcg: F64
    """(questions): of the best 10."""
    recall: F64
    """(questions): share of what answers them that is among the best 10."""

    @classmethod
    def of(cls, ndcg: Sequence[float], recall: Sequence[float]) -> "Found":
        """Of each question's own figures."""
        return cls(np.array(ndcg, np.float64), np.array(recall, np.float64))

    def __getitem__(self, rows: Sequence[int]) -> "Found":
        return Found(self.ndcg[list(rows)], self.recall[list(rows)])


def search(
    queries: F32, corpus: F32, relevance: Sequence[Relevance], k: int = K, own: Sequence[int | None] = ()
) -> Found:
    """Look for what answers each question.

    Args:
        queries: (n, width), of length 1.
        corpus: (m, width), of length 1.
        relevance: of each question: numbers of the texts that answer it, and how well; each has one at least.
        k: how many are looked at.
        own: of each question the number of the text that it is itself, which is not looked at; empty where none is.
    """
    own = own or [None] * len(queries)
    ndcg, recall = np.zeros(len(queries)), np.zeros(len(queries))
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        scores = queries[start : start + QUERIES_AT_ONCE] @ corpus.T
        for row, number in enumerate(own[start : start + QUERIES_AT_ONCE]):
            if number is not None:
                scores[row, number] = -np.inf
        for row, numbers in enumerate(top(scores, k), start):
            gains = np.array([relevance[row].get(int(one), 0.0) if one != own[row] else 0.0 for one in numbers])
            ndcg[row] = dcg(gains) / dcg(np.sort([*relevance[row].values()])[::-1][:k])
            recall[row] = np.count_nonzero(gains) / sum(value > 0 for value in relevance[row].values())
    return Found(ndcg, recall)


def top(scores: F32, k: int) -> I64:
    """(n, k): numbers of the greatest scores of each row, best first; of equal ones the first."""
    if scores.shape[1] > 8 * k:
        chosen = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
        order = np.argsort(-np.take_along_axis(scores, chosen, 1), axis=1, kind="stable")
        return np.take_along_axis(chosen, order, 1)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def dcg(gains: F64) -> float:
    """Discounted gains, best rank first: sum of gain / log2(rank + 1), from rank 1 (Järvelin and Kekäläinen 2002)."""
    return float((gains / np.log2(np.arange(len(gains)) + 2)).sum())
