"""The log-likelihood of tokens by a causal language model, many rows at a time.

Rows of about the same length go through the model together, padded on the right: a causal model's output for a token
depends on nothing after it, so padding changes nothing that is counted, and no mask is needed. Rows that differ in
their last token only (answers of one token to a question) share one pass.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

TOKENS_AT_ONCE = {"cpu": 4096, "cuda": 65536}
"""Tokens of a batch, padding included; a longer row is a batch of its own. On a CPU more of them leave its caches."""
LOGITS_AT_ONCE = 1 << 28
"""Logits of a batch: 1 GiB of float32."""
ROWS_OF_SOFTMAX = 1024
"""Positions whose softmax is computed at once, in float32."""


@dataclass(frozen=True)
class Row:
    """Ids that a model reads, the last of which are counted."""

    ids: tuple[int, ...]
    n_counted: int
    """At least 1, and fewer than there are ids: nothing foretells the first."""


def log_likelihoods(
    model: Any,
    rows: Sequence[Row],
    tokens_at_once: int | None = None,
    told: Callable[[int], None] | None = None,
) -> list[float]:
    """The sum of the natural log-likelihoods of each row's counted tokens.

    Args:
        model: a causal language model of transformers, on its device.
        rows: in any order.
        tokens_at_once: tokens of a batch, by default what suits the device; sums change with it by rounding only.
        told: is told how many tokens are done, after each batch.

    Returns:
        float per row, at most 0; summed in float64 of float32 log-softmaxes (of float64, where the model is).
    """
    found, by_inputs = [0.0] * len(rows), dict[tuple[int, ...], list[int]]()
    for number, row in enumerate(rows):
        by_inputs.setdefault(row.ids[:-1], []).append(number)
    inputs = sorted(by_inputs, key=lambda ids: (-len(ids), ids))  # longest first: what does not fit fails at once
    vocab_size = model.get_output_embeddings().weight.shape[0]
    at_once = tokens_at_once or TOKENS_AT_ONCE["cpu" if model.device.type == "cpu" else "cuda"]
    limit, start, n_done = max(1, min(at_once, LOGITS_AT_ONCE // vocab_size)), 0, 0
    with torch.inference_mode():
        while start < len(inputs):
            batch = inputs[start : start + max(1, limit // len(inputs[start]))]
            logits = _logits(model, batch)
            for place, ids in enumerate(batch):
                for number, value in _counted(logits[place], [(n, rows[n]) for n in by_inputs[ids]]):
                    found[number] = value
            start, n_done = start + len(batch), n_done + sum(map(len, batch))
            if told is not None:
                told(n_done)
    return found


def _logits(model: Any, batch: Sequence[tuple[int, ...]]) -> torch.Tensor:
    """Logits after each id of a batch, shape (rows, longest, vocabulary); those after padding mean nothing."""
    ids = torch.zeros(len(batch), len(batch[0]), dtype=torch.long)
    for place, row in enumerate(batch):
        ids[place, : len(row)] = torch.tensor(row)
    logits: torch.Tensor = model(input_ids=ids.to(model.device), use_cache=False).logits
    return logits


def _counted(logits: torch.Tensor, rows: Sequence[tuple[int, Row]]) -> list[tuple[int, float]]:
    """Sums over the counted tokens of rows that share their inputs: logits is (longest, vocabulary)."""
    end = len(rows[0][1].ids) - 1
    first = end - max(row.n_counted for _, row in rows)
    targets = torch.tensor([row.ids[first + 1 :] for _, row in rows], device=logits.device)  # (rows, counted)
    sums = [0.0] * len(rows)
    for start in range(first, end, ROWS_OF_SOFTMAX):
        some = logits[start : min(start + ROWS_OF_SOFTMAX, end)]
        scores = F.log_softmax(some if some.dtype == torch.float64 else some.float(), -1)
        of = scores.gather(1, targets[:, start - first : start - first + len(some)].T).double()
        for place, (_, row) in enumerate(rows):
            sums[place] += float(of[max(end - row.n_counted - start, 0) :, place].sum())
    return [(number, total) for (number, _), total in zip(rows, sums, strict=True)]
