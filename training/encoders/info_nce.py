"""The loss of contrastive training: InfoNCE, with the other texts of a batch and hard negatives to tell apart from.

Of question i with the vector q, its answer p and all answers and negatives x of the batch, vectors of length 1:

    L_i = -log( exp(q.p / T) / sum_x exp(q.x / T) )

its mean over the questions (van den Oord et al. 2018, 1807.03748; LLM2Vec's `HardNegativeNLLLoss`, 1/T = 50). Two
questions with one answer would each push away what they should draw near, so what is the same text as the answer, or
answers the same question elsewhere in the batch, is no candidate.
"""

from dataclasses import dataclass

import torch

QUERY, POSITIVE, NEGATIVE, NOTHING = 0, 1, 2, -1
"""What a text of a batch is; nothing is padding between processes."""


@dataclass(frozen=True)
class InfoNce:
    """Of a batch."""

    loss: torch.Tensor
    nearest_frac: torch.Tensor
    """Share of questions to which their own answer is nearest."""


def info_nce(
    vectors: torch.Tensor, roles: torch.Tensor, asked: torch.Tensor, texts: torch.Tensor, temperature: float
) -> InfoNce:
    """Loss of the texts of a batch.

    Args:
        vectors: (T, width), of length 1.
        roles: (T): `QUERY`, `POSITIVE`, `NEGATIVE`; answers stand in the order of their questions.
        asked: (T), int64: a hash of the question that a text belongs to.
        texts: (T), int64: a hash of the text.
        temperature: T above.
    """
    is_query, is_positive, is_negative = (roles == role for role in (QUERY, POSITIVE, NEGATIVE))
    candidates = torch.cat([vectors[is_positive], vectors[is_negative]])
    candidate_texts = torch.cat([texts[is_positive], texts[is_negative]])
    n_queries = int(is_query.sum())
    own = torch.arange(n_queries, device=vectors.device)
    scores = vectors[is_query] @ candidates.T / temperature
    same = texts[is_positive][:, None] == candidate_texts
    same[:, :n_queries] |= asked[is_query][:, None] == asked[is_positive]
    same[own, own] = False
    scores = scores.masked_fill(same, -torch.inf)
    nearest = (scores.argmax(1) == own).float().mean()
    return InfoNce(torch.nn.functional.cross_entropy(scores, own), nearest.detach())
