"""What a step trains on: rows of packed parts, which do not see each other, as one batch of tensors.

A part is a conversation of the data, one that the student answered, or one with its teacher's stored probabilities;
sequences of mixtures come as they lie. All become the same batch, of the shape (B, L):

- `input_ids`, `position_ids` (from 0 in each part, and in the padding).
- `shift_labels`: the id that comes next, -100 where none is trained.
- `part`: the number of the part within the batch, -1 of padding; of mixtures it is missing.
- `stored`: with stored probabilities, the row of their table for the id that comes next, -1 where there is none.
- `n_tokens` (B): without padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from training.pretraining.trainer import SequenceRows, collate
from training.token_dataset import NO_LOSS
from training.tuning.batches import Sequences
from training.tuning.examples import Examples

Batch = dict[str, torch.Tensor]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """Tokens that see each other."""

    ids: NDArray[Any]
    learnt: NDArray[np.bool_]
    """(tokens): whether it is trained; never the first."""
    stored: I64 | None = None
    """(tokens): row of the table of stored probabilities, -1 where there is none."""


class Source(Protocol):
    """What stands at the places of an order."""

    digest: str
    """Of what stands where: a training that goes on must find the same."""

    def __len__(self) -> int:
        """Places."""

    def batch(self, places: Sequence[int]) -> Batch:
        """What stands at some places."""


def laid_out(rows: Sequence[Sequence[Part]], pad_id: int) -> Batch:
    """A batch of rows, each some parts one after the other, as long as the longest; at least two places wide."""
    width = max(2, *(sum(len(part.ids) for part in parts) for parts in rows))
    shape, number = (len(rows), width), 0
    ids, labels = np.full(shape, pad_id, np.int64), np.full(shape, NO_LOSS, np.int64)
    positions = np.zeros(shape, np.int64)
    part_of, stored = np.full(shape, -1, np.int64), np.full(shape, -1, np.int64)
    for row, parts in enumerate(rows):
        start = 0
        for part in parts:
            here = slice(start, start + len(part.ids))
            ids[row, here] = part.ids
            labels[row, here] = np.where(part.learnt, part.ids, NO_LOSS)
            positions[row, here] = np.arange(len(part.ids))
            part_of[row, here] = number
            if part.stored is not None:
                stored[row, here] = part.stored
            start, number = here.stop, number + 1
        positions[row, start:] = np.arange(width - start)
    batch = {"input_ids": ids, "position_ids": positions, "shift_labels": _shifted(labels, NO_LOSS), "part": part_of}
    if any(part.stored is not None for parts in rows for part in parts):
        batch["stored"] = _shifted(stored, -1)
    batch["n_tokens"] = np.array([sum(len(part.ids) for part in parts) for parts in rows], np.int64)
    return {name: torch.from_numpy(values) for name, values in batch.items()}


def _shifted(values: I64, last: int) -> I64:
    return np.concatenate([values[:, 1:], np.full((len(values), 1), last, np.int64)], 1)


class MixtureSource:
    """Sequences of token mixtures, by an order."""

    def __init__(self, rows: SequenceRows) -> None:
        self._rows, self.digest = rows, rows.digest

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, places: Sequence[int]) -> Batch:
        """What stands at some places."""
        found = collate([self._rows[place] for place in places])
        return {name: found[name] for name in ("input_ids", "position_ids", "shift_labels", "n_tokens")}


class PartSource:
    """Conversations in sequences, by an order of these."""

    def __init__(
        self,
        examples: Examples,
        sequences: Sequences,
        order: I64,
        pad_id: int,
        digest: str,
        stored: I64 | None = None,
    ) -> None:
        """A source.

        Args:
            examples: all.
            sequences: their numbers, some to each.
            order: numbers of sequences, `training.tuning.batches.NOTHING` where a place holds nothing.
            pad_id: what rows are filled up with.
            digest: of the data.
            stored: (tokens of all examples): row of the table of stored probabilities.
        """
        self.examples, self._sequences, self._order = examples, sequences, order
        self.pad_id, self.digest, self._stored = pad_id, digest, stored

    def __len__(self) -> int:
        return len(self._order)

    def numbers(self, place: int) -> list[int]:
        """The examples at a place."""
        return [int(number) for number in self._sequences[int(self._order[place])]]

    def part(self, number: int) -> Part:
        """An example."""
        found = self.examples[number]
        here = slice(int(self.examples.bounds[number]), int(self.examples.bounds[number + 1]))
        return Part(found.ids, found.learnt, None if self._stored is None else self._stored[here])

    def batch(self, places: Sequence[int]) -> Batch:
        """What stands at some places."""
        return laid_out([[self.part(number) for number in self.numbers(place)] for place in places], self.pad_id)
