"""Which piece goes into which sequence: stages in blocks, what each takes of each source, and how it is packed.

A stage is cut into blocks of some hundred sequences. A block takes from each source's order the pieces that bring
what the stage has taken of it nearest to what it should have by then, and what one source of a category has too much
or too little, the next one makes up for: at every block's end each category is right to within a piece. The pieces of
a block are packed together. Those of its worst filled sequence wait for the next block, so that padding is left at
the end of a stage, and at the middle of a transition, only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.mixture.order import PIECE, Ordered, Pieces
from curation.mixture.packing import Packed, pack
from curation.mixture.shares import Asked
from manifests.schema_mixture import Packing

BLOCK_TOKENS = 1 << 22
BLOCK_SEQUENCES_MIN = 64
TRANSITION_BLOCKS = 16
"""A transition has about so many blocks, where it is long enough."""
TRANSITION_SEQUENCES_MIN = 16

GIVEN_BACK_MAX = 1024
"""Pieces of the lots before that a source can take back; small sources have lots of a few."""

SPAN = np.dtype([*PIECE.descr, ("sequence", "<u8")])
"""A piece in its sequence."""

Spans = NDArray[np.void]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Consecutive sequences of a stage."""

    stage: str
    first_sequence: int
    n_tokens: I64
    """Of each sequence."""
    cross: NDArray[np.bool_]
    """Of each sequence, whether its documents may attend to each other."""
    spans: Spans
    """In the order of sequences, and within each in its order."""


class Taker:
    """A source's order as a tape that is taken from: epoch after epoch, up to a number of tokens in all."""

    def __init__(self, ordered: Ordered, n_epoch_tokens: int, tokens_max: int) -> None:
        self.ordered = ordered
        self.n_taken = 0
        self._n_epoch_tokens = n_epoch_tokens
        self._tokens_max = tokens_max if n_epoch_tokens else 0
        self._epoch, self._rank, self._at = 0, -1, 0
        self._lots = list[int]()
        self._pieces, self._ends = np.zeros(0, PIECE), np.zeros(0, np.int64)

    def take(self, upto: float) -> Pieces:
        """The next pieces, so many that the tokens taken in all come nearest to `upto`."""
        found = list[Pieces]()
        while (missing := upto - self.n_taken) > 0 and self._has_more():
            taken_before = int(self._ends[self._at - 1]) if self._at else 0
            ends = self._ends[self._at :] - taken_before
            n = int(np.searchsorted(ends, missing))
            if n < len(ends):  # the piece that crosses is taken where that is nearer
                below = int(ends[n - 1]) if n else 0
                n += int(ends[n]) - missing <= missing - below
            if n == 0:
                break
            found.append(self._take(n))
            if self._at < len(self._pieces):
                break
        return np.concatenate(found) if found else np.zeros(0, PIECE)

    def mean_length(self) -> float:
        """Tokens of a piece, on average over the lot in hand."""
        return float(self._pieces["length"].mean()) if self._has_more() else 0.0

    def next_length(self) -> int:
        """Tokens of the next piece; 0 where there is none."""
        return int(self._pieces["length"][self._at]) if self._has_more() else 0

    def take_one(self) -> Pieces:
        """The next piece."""
        return self._take(1) if self._has_more() else np.zeros(0, PIECE)

    def last_length(self) -> int:
        """Tokens of the piece that was taken last; 0 where it cannot be given back."""
        return int(self._pieces["length"][self._at - 1]) if self._at else 0

    def give_back(self) -> None:
        """Put the piece that was taken last back."""
        self._at -= 1
        self.n_taken -= int(self._pieces["length"][self._at])

    def _take(self, n: int) -> Pieces:
        pieces = self._pieces[self._at : self._at + n]
        self._at += n
        self.n_taken += int(pieces["length"].sum())
        return pieces

    def _has_more(self) -> bool:
        """Whether there is another piece; goes on to the next lot, or epoch, where one ends."""
        while self._at == len(self._pieces):
            if self._rank + 1 == len(self._lots):
                if self.n_taken >= self._tokens_max or (self._lots and not self._n_epoch_tokens):
                    return False
                self._epoch += bool(self._lots)
                self._lots, self._rank = self.ordered.lots(self._epoch), -1
            self._rank += 1
            before = self._pieces[max(0, len(self._pieces) - GIVEN_BACK_MAX) :]
            self._pieces = np.concatenate([before, self.ordered.pieces(self._epoch, self._lots[self._rank])])
            self._ends = np.cumsum(self._pieces["length"], dtype=np.int64)
            self._at = len(before)
        return self.n_taken < self._tokens_max


def stage_blocks(
    stage: Asked,
    takers: Sequence[Taker],
    packing: Packing,
    sequence_length: int,
    first_sequence: int,
    groups: NDArray[np.int8] | None = None,
    categories: Sequence[str] | None = None,
) -> Iterator[Block]:
    """The blocks of a stage, in their order; the takers go on where it ends.

    Args:
        stage: what it asks of each source.
        takers: of each source.
        packing: how.
        sequence_length: tokens per sequence.
        first_sequence: number of the stage's first sequence in the mixture.
        groups: of each source, for packing across languages: 0 Korean, 1 English, -1 else.
        categories: of each source, which are balanced first; without them each source by itself.
    """
    category = _numbered(categories or [str(number) for number in range(len(takers))])
    turns = sorted(range(len(takers)), key=lambda number: -takers[number].mean_length())
    before, carried = np.array([taker.n_taken for taker in takers]), np.zeros(0, PIECE)
    ends = block_ends(stage, sequence_length)
    for end in ends:
        targets, last = before + stage.targets(end), None
        taken = _take(takers, targets, stage.demand > 0, category, turns)
        if end == ends[-1]:
            total = int(before.sum()) + stage.n_tokens
            last = _close(takers, targets, stage.demand > 0, category, total, taken)
            last = None if last is None else last + len(carried)
        pieces = np.concatenate([carried, *taken])
        if len(pieces):
            packed = _pack(pieces, packing, sequence_length, groups, last)
            is_exact = end in (stage.transition / 2, ends[-1])
            block, carried = _block(packed, pieces, stage.name, first_sequence, sequence_length, is_whole=is_exact)
            first_sequence += len(block.n_tokens)
            yield block


def _numbered(names: Sequence[str]) -> I64:
    """Numbers that are equal where names are."""
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)


def _take(
    takers: Sequence[Taker],
    targets: NDArray[np.float64],
    is_asked: NDArray[np.bool_],
    category: I64,
    turns: Sequence[int],
) -> list[Pieces]:
    """The next pieces of each source, in the order of `turns`: long ones first, since what a category has too much or
    too little by one source, the next one makes up for."""
    taken = [np.zeros(0, PIECE) for _ in takers]
    owed = np.zeros(len(takers))
    for number in turns:
        if is_asked[number]:
            target = targets[number] + owed[category[number]]
            taken[number] = takers[number].take(target)
            owed[category[number]] = target - takers[number].n_taken
    return taken


def block_ends(stage: Asked, sequence_length: int) -> list[float]:
    """Where the blocks of a stage end, in tokens of it: also at the middle and the end of a transition, unless
    the stage ends soon after."""
    steady = max(BLOCK_TOKENS, BLOCK_SEQUENCES_MIN * sequence_length)
    finer = min(steady, max(stage.transition / TRANSITION_BLOCKS, TRANSITION_SEQUENCES_MIN * sequence_length))
    ends = list[float]()
    for start, end, size in (
        (0.0, stage.transition / 2, finer),
        (stage.transition / 2, float(stage.transition), finer),
        (float(stage.transition), float(stage.n_tokens), steady),
    ):
        n_blocks = max(1, round((end - start) / size))
        ends += [start + (end - start) * (number + 1) / n_blocks for number in range(n_blocks)] if end > start else []
    # each source may have up to half a piece too much, which the last block has to make up for
    last_min = sequence_length * max(TRANSITION_SEQUENCES_MIN, len(stage.shares))
    while len(ends) > 1 and ends[-1] - ends[-2] < last_min:
        del ends[-2]
    return ends


def _close(
    takers: Sequence[Taker],
    targets: NDArray[np.float64],
    is_asked: NDArray[np.bool_],
    category: I64,
    total: int,
    taken: list[Pieces],
) -> int | None:
    """Bring what all have taken to `total` or just above, by those that the stage asks, where it brings a category
    nearest to its target; changes `taken`.

    Returns:
        Number, among all that is taken, of a piece without which it would be less. The last sequence is to hold it,
        so that no earlier one ends at or after the stage's tokens.
    """
    numbers = range(len(takers))
    n_taken = np.array([taker.n_taken for taker in takers], np.float64)
    while n_taken.sum() < total:
        missing = np.bincount(category, targets - n_taken)[category]
        gains = [
            (float(missing[number]) - length / 2, float(targets[number] - n_taken[number]), number)
            for number in numbers
            if is_asked[number] and (length := takers[number].next_length())
        ]
        if not gains:
            break
        number = max(gains)[-1]
        taken[number] = np.concatenate([taken[number], takers[number].take_one()])
        n_taken[number] = takers[number].n_taken
    while True:
        surplus = n_taken.sum() - total
        lengths = [takers[number].last_length() if len(taken[number]) else 0 for number in numbers]
        too_much = np.bincount(category, n_taken - targets)[category]
        spare = [
            (float(too_much[number]) - lengths[number] / 2, float(n_taken[number] - targets[number]), number)
            for number in numbers
            if 0 < lengths[number] <= surplus
        ]
        if not spare or (max(spare)[0] <= 0 and max(lengths) > surplus):
            break
        number = max(spare)[-1]
        takers[number].give_back()
        taken[number] = taken[number][:-1]
        n_taken[number] = takers[number].n_taken
    longest = int(np.argmax(lengths))
    return sum(len(pieces) for pieces in taken[: longest + 1]) - 1 if lengths[longest] else None


def _pack(
    pieces: Pieces, packing: Packing, sequence_length: int, groups: NDArray[np.int8] | None, last: int | None
) -> Packed:
    return pack(
        pieces["length"].astype(np.int64),
        pieces["key"].copy(),
        sequence_length,
        cut_any=packing.cut == "any",
        groups=None if groups is None else groups[pieces["source"]],
        cross_frac=packing.cross_lingual,
        last=last,
    )


def _block(
    packed: Packed, pieces: Pieces, stage: str, first_sequence: int, sequence_length: int, *, is_whole: bool
) -> tuple[Block, Pieces]:
    """A block, and the pieces of its last sequence where that is not full and may wait for another block."""
    n_sequences, carried = len(packed.n_tokens), pieces[:0]
    if not is_whole and n_sequences > 1 and packed.n_tokens[-1] < sequence_length:
        n_sequences -= 1
        carried = _entries(packed, pieces, packed.bins[n_sequences], packed.bins[-1])
    spans = np.zeros(packed.bins[n_sequences], SPAN)
    entries = _entries(packed, pieces, 0, len(spans))
    for name in PIECE.names or ():
        spans[name] = entries[name]
    spans["sequence"] = first_sequence + np.repeat(np.arange(n_sequences), np.diff(packed.bins[: n_sequences + 1]))
    return Block(stage, first_sequence, packed.n_tokens[:n_sequences], packed.cross[:n_sequences], spans), carried


def _entries(packed: Packed, pieces: Pieces, start: int, end: int) -> Pieces:
    """Entries [start, end) of what was packed, as pieces."""
    entries = pieces[packed.pieces[start:end]]
    entries["start"] += packed.starts[start:end].astype(np.uint64)
    entries["offset"] += packed.starts[start:end].astype(np.uint64)
    entries["length"] = packed.lengths[start:end]
    return entries


def held_out_blocks(pieces: Pieces, stage: str, sequence_length: int, first_sequence: int) -> Iterator[Block]:
    """What is held out of a category, packed by itself."""
    ends, start = np.cumsum(pieces["length"], dtype=np.int64), 0
    while start < len(pieces):
        taken_before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, taken_before + BLOCK_TOKENS)))
        packed = _pack(pieces[start:end], Packing(), sequence_length, None, None)
        block, _ = _block(packed, pieces[start:end], stage, first_sequence, sequence_length, is_whole=True)
        first_sequence += len(block.n_tokens)
        yield block
        start = end
