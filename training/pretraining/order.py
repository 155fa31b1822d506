"""The order in which continued pre-training goes through sequences: an explicit list, made before the first step.

Place p of it is step p // batch. It says which mixture and which of its sequences stand there, and holds nothing of
them, so any number of processes shares it out and a killed training goes on at a place. The first pass through a
mixture is in the mixture's own order; each further one is in another.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

BLOCKS_PER_WINDOW = 16
"""Row groups between which a later pass shuffles sequences; a dataset keeps twice as many decoded."""
PASSES_MAX = 4
"""Most often that balancing lengths goes through sequences of one length: what comes back up to four times is worth
nearly as much as new text (2305.16264)."""
FILLER = -1
"""Instead of a mixture: a place behind the last sequence, which fills the last step and counts in no loss."""


@dataclass(frozen=True)
class Supply:
    """The sequences that may be drawn from (a part of) a mixture, in its order, and how many tokens are wanted."""

    n_tokens: I32
    """Of each sequence, without padding."""
    longest: I32 | None = None
    """Tokens of each one's longest document, where lengths are balanced."""
    tokens: int | None = None
    """How many are wanted in one pass of the manifest; None is all of them, once."""
    edges: tuple[int, ...] = ()
    """Of ranges of length whose tokens are to be equal; none leaves them as they are."""
    block: int = 1
    """Sequences that lie together in a row group."""


@dataclass(frozen=True)
class Order:
    """What stands at each place."""

    mixture: NDArray[np.int16]
    """(places): number of the mixture, as they were given; FILLER behind the last sequence."""
    sequence: I32
    """(places): number of the sequence among those that the mixture supplies."""

    def __len__(self) -> int:
        return len(self.mixture)

    def drawn(self, number: int, n_sequences: int) -> I64:
        """How often each sequence of a mixture is drawn."""
        return np.bincount(self.sequence[self.mixture == number], minlength=n_sequences)

    def n_tokens(self, supplies: Sequence[Supply]) -> int:
        """Tokens at all places, without padding."""
        drawn = (self.drawn(number, len(of.n_tokens)) for number, of in enumerate(supplies))
        return sum(int(times @ of.n_tokens.astype(np.int64)) for times, of in zip(drawn, supplies, strict=True))

    def filled(self, batch: int) -> "Order":
        """With places behind the last sequence, so that all steps have the same number."""
        n_more = -len(self) % batch
        return Order(
            np.concatenate([self.mixture, np.full(n_more, FILLER, np.int16)]),
            np.concatenate([self.sequence, np.zeros(n_more, np.int32)]),
        )

    def __getitem__(self, places: slice) -> "Order":
        return Order(self.mixture[places], self.sequence[places])


def order_of(
    supplies: Sequence[Supply],
    seed: int,
    *,
    replay: Supply | None = None,
    share: float = 0.0,
    epochs: float = 1.0,
    n_places: int | None = None,
) -> Order:
    """The order of a stage.

    Args:
        supplies: of the mixtures that come one after another, and all again in each further epoch.
        seed: of the order of later passes.
        replay: of a mixture that stands evenly among them; its number is the last.
        share: of all tokens that are its own, below 1.
        epochs: how often all mixtures are gone through; the last one is cut after its share of sequences.
        n_places: so many sequences instead of epochs.
    """
    mixture, sequence = _joined(_epochs(supplies, seed, epochs, n_places))
    if replay is not None and share:
        tokens = [supply.n_tokens for supply in supplies]
        own = _tokens_of(tokens, mixture, sequence)
        wanted = math.ceil(int(own.sum(dtype=np.int64)) * share / (1 - share))
        again = draw(dataclasses.replace(replay, tokens=wanted), np.random.default_rng([seed, len(supplies)]), 0)
        places = interleave([own, replay.n_tokens[again]])
        mixture = np.concatenate([mixture, np.full(len(again), len(supplies), np.int16)])[places]
        sequence = np.concatenate([sequence, again])[places]
    return Order(mixture, sequence)[: len(mixture) if n_places is None else n_places]


Piece = tuple[NDArray[np.int16], I32]


def _epochs(supplies: Sequence[Supply], seed: int, epochs: float, n_places: int | None) -> Iterator[Piece]:
    """Mixtures and sequences of one epoch after the other, the last one cut."""
    n_passes, n_done = [0] * len(supplies), 0
    for epoch in count():
        if n_done >= n_places if n_places is not None else epoch >= epochs:
            return
        pieces = list[Piece]()
        for number, supply in enumerate(supplies):
            found = draw(supply, np.random.default_rng([seed, number, epoch]), n_passes[number])
            n_passes[number] += 1
            pieces.append((np.full(len(found), number, np.int16), found))
        mixture, sequence = _joined(pieces)
        left = 1.0 if n_places is not None else min(1.0, epochs - epoch)
        n_taken = max(1, round(len(mixture) * left))
        yield mixture[:n_taken], sequence[:n_taken]
        n_done += n_taken


def _joined(pieces: Iterable[Piece]) -> Piece:
    found = list(pieces)
    return np.concatenate([mixture for mixture, _ in found]), np.concatenate([sequence for _, sequence in found])


def _tokens_of(n_tokens: Sequence[I32], mixture: NDArray[np.int16], sequence: I32) -> I32:
    """Tokens at each place."""
    found = np.zeros(len(mixture), np.int32)
    for number, of in enumerate(n_tokens):
        here = mixture == number
        found[here] = of[sequence[here]]
    return found


def draw(supply: Supply, random: np.random.Generator, n_passes: int) -> I32:
    """Numbers of the sequences of a supply in the order of training, up to the first that reaches its tokens.

    Args:
        supply: with at least one token.
        random: for the order of passes after the first.
        n_passes: through it that came before.
    """
    wanted = int(supply.n_tokens.sum(dtype=np.int64)) if supply.tokens is None else supply.tokens
    everything = np.arange(len(supply.n_tokens), dtype=np.int32)
    if not supply.edges:
        return _passes(everything, supply.n_tokens, wanted, random, n_passes, supply.block)
    parts = [everything[chosen] for chosen in _ranges(supply)]
    amounts = equal_amounts(wanted, [int(supply.n_tokens[part].sum(dtype=np.int64)) for part in parts])
    drawn = [
        _passes(part, supply.n_tokens[part], amount, random, n_passes, supply.block)
        for part, amount in zip(parts, amounts, strict=True)
        if amount
    ]
    return np.concatenate(drawn)[interleave([supply.n_tokens[part] for part in drawn])]


def _ranges(supply: Supply) -> list[NDArray[np.bool_]]:
    """Which sequences are of each range of length."""
    assert supply.longest is not None
    of = range_of(supply.longest, supply.edges)
    return [of == number for number in range(len(supply.edges) + 1)]


def range_of(longest: I32, edges: Sequence[int]) -> I64:
    """The range of length that each sequence is of: 0 below the first edge."""
    return np.searchsorted(np.asarray(edges), longest, side="right").astype(np.int64)


def equal_amounts(wanted: int, available: Sequence[int]) -> list[int]:
    """Tokens of each range, equal where all have enough: none gives more than `PASSES_MAX` times what it has, and
    what one cannot give the others share."""
    amounts = [0] * len(available)
    open_, left = {number for number, has in enumerate(available) if has}, wanted
    while open_ and left > 0:
        each = -(-left // len(open_))
        full = {number for number in open_ if PASSES_MAX * available[number] <= each}
        for number in full or open_:
            amounts[number] = PASSES_MAX * available[number] if full else each
        if not full:
            break
        left -= sum(amounts[number] for number in full)
        open_ -= full
    return amounts


def _passes(numbers: I32, n_tokens: I32, wanted: int, random: np.random.Generator, n_before: int, block: int) -> I32:
    """Numbers again and again, up to the first that reaches the tokens that are wanted."""
    whole, rest = divmod(wanted, int(n_tokens.sum(dtype=np.int64)))
    found = list[I32]()
    for number in range(n_before, n_before + whole + bool(rest)):
        order = shuffled(len(numbers), random, block) if number else np.arange(len(numbers))
        if number == n_before + whole:
            reached = np.cumsum(n_tokens[order], dtype=np.int64)
            order = order[: int(np.searchsorted(reached, rest)) + 1]
        found.append(numbers[order])
    return np.concatenate(found) if found else numbers[:0]


def shuffled(n: int, random: np.random.Generator, block: int) -> I64:
    """A permutation of n whose neighbours lie in few row groups, as reading them one by one would take long.

    Row groups of `block` sequences are shuffled, and the sequences of each `BLOCKS_PER_WINDOW` of them.
    """
    blocks = random.permutation(-(-n // block))
    order = (blocks[:, None] * block + np.arange(block)).reshape(-1)
    order = order[order < n]
    window = block * BLOCKS_PER_WINDOW
    return np.concatenate([random.permutation(order[start : start + window]) for start in range(0, n, window)])


def interleave(n_tokens: Sequence[I32]) -> I64:
    """Places in lists laid end to end, in an order that goes through all at a pace by which they end together.

    Args:
        n_tokens: of each list's sequences.
    """
    paces = list[NDArray[np.float64]]()
    for of in n_tokens:
        reached = np.cumsum(of, dtype=np.float64)
        paces.append((reached - of / 2) / max(1.0, reached[-1]) if len(of) else reached)
    return np.argsort(np.concatenate(paces), kind="stable")
