"""Logits of a few rows at a time, from last hidden states and an output matrix, and what their gradient is for these.

All logits of some rows are there at once, in blocks of a size that neither the rows of a batch nor the vocabulary
change: so each product is as large as a processor likes it, and the sum over the vocabulary that a probability needs
costs no second product. Whatever has further copies goes over a block in tiles of the vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

BLOCK_LOGITS = {"cpu": 1 << 23}
"""Logits of one model that are there at once: 65 rows of a vocabulary of 128,256, 32 MiB in float32."""
BLOCK_LOGITS_ELSE = 1 << 26


def blocks_of(n_rows: int, n_ids: int, device: torch.device) -> Iterator[slice]:
    """Rows whose logits are there together."""
    size = max(1, BLOCK_LOGITS.get(device.type, BLOCK_LOGITS_ELSE) // n_ids)
    return (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))


def tiles_of(n_ids: int, chunk: int) -> Iterator[slice]:
    """Parts of the vocabulary."""
    return (slice(start, min(start + chunk, n_ids)) for start in range(0, n_ids, chunk))


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """What products are computed in where autocast is on; None where it is off."""
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None


@dataclass(frozen=True)
class OutputLayer:
    """Hidden states and the layer that makes logits of them, as products are computed."""

    hidden: torch.Tensor
    """(rows, width)."""
    weight: torch.Tensor
    """(vocabulary, width)."""
    bias: torch.Tensor | None
    """(vocabulary,)."""

    @classmethod
    def of(cls, parts: Sequence[Any], dtype: torch.dtype | None) -> "OutputLayer":
        """Hidden states, matrix and bias, without their gradients and in the dtype that autocast has products in."""
        hidden, weight, bias = (None if part is None else part.detach().to(dtype or part.dtype) for part in parts)
        return cls(hidden, weight, bias)

    def logits(self, rows: slice) -> torch.Tensor:
        """(rows, vocabulary)."""
        if self.bias is None:
            return self.hidden[rows] @ self.weight.T
        return torch.addmm(self.bias, self.hidden[rows], self.weight.T)


class Gradients:
    """What gradients of logits are for hidden states, matrix and bias, summed in float32 at least."""

    def __init__(self, layer: OutputLayer, wanted: tuple[bool, bool, bool]) -> None:
        exact = torch.promote_types(layer.hidden.dtype, torch.float32)
        self._layer = layer
        self._hidden = torch.empty_like(layer.hidden) if wanted[0] else None
        self._weight = torch.zeros_like(layer.weight, dtype=exact) if wanted[1] else None
        self._bias = torch.zeros_like(layer.bias, dtype=exact) if wanted[2] and layer.bias is not None else None

    def add(self, rows: slice, of_logits: torch.Tensor, chunk: int) -> None:
        """Count a block in.

        Args:
            rows: its place; each comes once.
            of_logits: (rows, vocabulary), in the layer's dtype.
            chunk: ids whose sums are made at once, where they are of another dtype than the products.
        """
        if self._hidden is not None:
            torch.mm(of_logits, self._layer.weight, out=self._hidden[rows])
        inputs = self._layer.hidden[rows]
        for tile in tiles_of(of_logits.shape[1], chunk):
            if self._weight is not None and self._weight.dtype == of_logits.dtype:
                self._weight[tile].addmm_(of_logits[:, tile].T, inputs)
            elif self._weight is not None:
                self._weight[tile] += of_logits[:, tile].T @ inputs
            if self._bias is not None:
                self._bias[tile] += of_logits[:, tile].sum(0, dtype=self._bias.dtype)

    def results(self, dtypes: tuple[torch.dtype, ...]) -> tuple[torch.Tensor | None, ...]:
        """Of hidden states, matrix and bias, in the dtype of each; None where none was wanted."""
        found = (self._hidden, self._weight, self._bias)
        return tuple(None if one is None else one.to(dtype) for one, dtype in zip(found, dtypes, strict=True))


def log_sums(
    logits: torch.Tensor, chunk: int, scale: float = 1.0, without: torch.Tensor | None = None
) -> torch.Tensor:
    """Logarithm of the sum of exponentials of each row, in float32 at least.

    Args:
        logits: (rows, vocabulary).
        chunk: ids that are summed at once.
        scale: what logits are multiplied by.
        without: (rows, vocabulary): where this is -inf, an id is left out.
    """
    exact = torch.promote_types(logits.dtype, torch.float32)
    found = torch.full((len(logits),), -torch.inf, dtype=exact, device=logits.device)
    for tile in tiles_of(logits.shape[1], chunk):
        part = logits[:, tile].to(exact) * scale
        if without is not None:
            part.masked_fill_(without[:, tile] == -torch.inf, -torch.inf)
        found = torch.logaddexp(found, part.logsumexp(1))
    return found
