"""Examples in sequences, and sequences in batches, in which examples do not see each other.

Packing is best-fit decreasing: no example is cut or left out, and few sequences are needed. TRL's `pack_dataset` with
`bfd` gives as many; it is not used since the order of its sequences is that of their lengths. Positions begin again
with each example, and with the padding at the end of a row, which keeps them apart
(`training.pretraining.isolation`).
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.pretraining.isolation import inputs_of
from training.token_dataset import NO_LOSS
from training.tuning.examples import Examples

NOTHING = -1
"""The number of a sequence that holds nothing: it fills the last batch, so that all processes have their share."""
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Sequences:
    """Examples, some to each sequence."""

    examples: I64
    """Their numbers, sequence after sequence."""
    bounds: I64
    """(sequences + 1): sequence i has those from bounds[i] to bounds[i + 1]."""

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, number: int) -> I64:
        if number == NOTHING:
            return self.examples[:0]
        return self.examples[self.bounds[number] : self.bounds[number + 1]]

    def sums(self, of_examples: I64) -> I64:
        """(sequences): what examples have, added up per sequence."""
        sums = np.concatenate([[0], np.cumsum(of_examples[self.examples], dtype=np.int64)])
        return np.asarray(sums[self.bounds[1:]] - sums[self.bounds[:-1]], np.int64)


def one_by_one(chosen: I64) -> Sequences:
    """A sequence for each example."""
    return Sequences(chosen, np.arange(len(chosen) + 1))


def packed(chosen: I64, lengths: I64, capacity: int, seed: int) -> Sequences:
    """Examples packed: the longest first, each into the fullest sequence that has room for it.

    Args:
        chosen: numbers of examples.
        lengths: tokens of all examples, by number; none longer than `capacity`.
        capacity: tokens of a sequence.
        seed: of which examples of one length come first.
    """
    shuffled = np.random.default_rng([seed, 2]).permutation(chosen)
    rooms = list[int]()  # distinct ones, ascending
    with_room = defaultdict[int, list[list[int]]](list)
    made = list[list[int]]()
    for number in shuffled[np.argsort(-lengths[shuffled], kind="stable")].tolist():
        length = int(lengths[number])
        place = bisect_left(rooms, length)
        if place == len(rooms):
            room, sequence = capacity, list[int]()
            made.append(sequence)
        else:
            room = rooms[place]
            sequence = with_room[room].pop()
            if not with_room[room]:
                del rooms[place], with_room[room]
        sequence.append(number)
        if room > length:
            if room - length not in with_room:
                insort(rooms, room - length)
            with_room[room - length].append(sequence)
    counts = [len(sequence) for sequence in made]
    numbers = np.array([number for sequence in made for number in sequence], np.int64)
    return Sequences(numbers, np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]))


class Collator:
    """Makes a batch of sequences: what a model is called with, and `labels`."""

    def __init__(self, examples: Examples, sequences: Sequences, attention: str, pad_id: int) -> None:
        self._examples, self._sequences = examples, sequences
        self._attention, self._pad_id = attention, pad_id

    def __call__(self, rows: Sequence[dict[str, int]]) -> dict[str, Any]:
        """A batch of rows {sequence: number}, each as long as the longest: tensors of the shape (B, L).

        `labels` is -100 wherever no loss is counted: on all but what the assistant says, and on padding.
        """
        lines = [self._line(int(row["sequence"])) for row in rows]
        width = max(2, *(len(ids) for ids, _, _ in lines))
        ids = torch.full((len(lines), width), self._pad_id, dtype=torch.int64)
        labels = torch.full_like(ids, NO_LOSS)
        positions = torch.zeros_like(ids)
        for number, (some, wanted, places) in enumerate(lines):
            n_tokens = len(some)
            ids[number, :n_tokens] = torch.from_numpy(some)
            labels[number, :n_tokens] = torch.from_numpy(wanted)
            positions[number, :n_tokens] = torch.from_numpy(places)
            positions[number, n_tokens:] = torch.arange(width - n_tokens)
        return {**inputs_of(ids, positions, self._attention), "labels": labels}

    def _line(self, number: int) -> tuple[I64, I64, I64]:
        """(ids, labels, positions) of a sequence."""
        parts = [self._examples[int(example)] for example in self._sequences[number]]
        ids = _joined([part.ids for part in parts])
        learnt = _joined([part.learnt for part in parts]).astype(np.bool_)
        return ids, np.where(learnt, ids, NO_LOSS), _joined([np.arange(len(part)) for part in parts])


def _joined(parts: Sequence[NDArray[Any]]) -> I64:
    return np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int64)
