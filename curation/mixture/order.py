"""The order of a source's documents: global, seeded, the same whatever files they lie in, never in memory at once.

Ids are hashes, so equal ranges of them ("lots") are random samples of a source. A pass through a source (an epoch)
goes through its lots in a seeded permutation, and within a lot through the documents by a seeded hash of their ids. A
document that is longer than a sequence is cut into pieces of that length and a rest, which follow one another.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xxhash
from numpy.typing import NDArray

from curation.mixture.catalogue import (
    CATALOGUED,
    COUNTED,
    FENCE_BITS,
    Catalogue,
    Catalogued,
    read_documents,
    read_fences,
)
from manifests.store import Folder

LOT_TOKENS = 1 << 19
"""Tokens per lot, about; a lot is what is read at once."""

PIECE = np.dtype(
    [
        ("id_high", "<u8"),
        ("id_low", "<u8"),
        ("key", "<u8"),  # its place among others, at random
        ("start", "<u8"),  # of the piece in the part
        ("offset", "<u8"),  # of the piece in its document
        ("length", "<u4"),  # in tokens
        ("copy", "<u4"),
        ("part", "<u4"),  # among all parts of the mixture
        ("source", "<u2"),
        ("epoch", "<u4"),
        ("lot", "<u2"),
        ("turn", "<u4"),  # which time its document comes in the epoch, where `repeat` has it come again
    ]
)
"""A document, or a stretch of one, that goes into one sequence."""

Pieces = NDArray[np.void]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Ordered:
    """What the order of a source depends on."""

    number: int
    """Of the source among all."""
    name: str
    seed: int
    sequence_length: int
    store: str
    catalogues: tuple[Catalogue, ...]
    first_parts: tuple[int, ...]
    """Number of the first part of each catalogue among all parts of the mixture."""
    n_epoch_tokens: int
    held: U64
    """Sorted content hashes of the documents that are held out."""

    @cached_property
    def lot_bits(self) -> int:
        """The source has 2^lot_bits lots."""
        return min(FENCE_BITS, max(0, (self.n_epoch_tokens - 1) // LOT_TOKENS).bit_length())

    @property
    def n_lots(self) -> int:
        """Lots of the source."""
        return 1 << self.lot_bits

    def lots(self, epoch: int) -> list[int]:
        """The lots in the order in which an epoch goes through them."""
        numbers = np.arange(self.n_lots, dtype=np.uint64)
        return np.argsort(mix(numbers + self._salt(epoch)), kind="stable").tolist()  # type: ignore[no-any-return]

    def pieces(self, epoch: int, lot: int) -> Pieces:
        """The pieces of a lot in the order of an epoch."""
        documents, parts = self._documents(lot)
        documents, parts, turns = _repeated(documents, parts)
        which = documents["copy"].astype(np.uint64) << np.uint64(20) | turns
        keys = mix(mix(documents["id_low"] + self._salt(epoch)) ^ which)
        order = np.lexsort((documents["id_high"], keys))
        place = Place(self.number, epoch, lot)
        return cut(documents[order], parts[order], keys[order], turns[order], self.sequence_length, place)

    def _salt(self, epoch: int) -> np.uint64:
        return np.uint64(xxhash.xxh3_64_intdigest(f"{self.seed}\0{self.name}\0{epoch}".encode()))

    def _documents(self, lot: int) -> tuple[Catalogued, I64]:
        """The documents of a lot that are not held out, ordered by id, and the number of the part of each."""
        folder, width = Folder(self.store), 1 << (FENCE_BITS - self.lot_bits)
        found, parts = [np.zeros(0, CATALOGUED)], [np.zeros(0, np.int64)]
        for number, catalogue in enumerate(self.catalogues):
            start, end = self._fences[number][[lot * width, (lot + 1) * width]].tolist()
            if end > start:
                documents = read_documents(folder, catalogue.name, start, end)
                documents = documents[(documents["repeat"] > 0) & ~is_held(documents["content"], self.held)]
                found.append(documents)
                parts.append(documents["part"].astype(np.int64) + self.first_parts[number])
        documents, numbers = np.concatenate(found), np.concatenate(parts)
        # equal ids may differ in how often they repeat, and are to be numbered alike wherever they lie
        order = np.lexsort((documents["repeat"], documents["copy"], documents["id_low"], documents["id_high"]))
        return numbered(documents[order]), numbers[order]

    @cached_property
    def _fences(self) -> list[I64]:
        return [read_fences(Folder(self.store), catalogue.name) for catalogue in self.catalogues]


@dataclass(frozen=True)
class Place:
    """Where documents come in the order."""

    source: int
    epoch: int = 0
    lot: int = 0


def cut(documents: Catalogued, parts: I64, keys: U64, turns: U64, sequence_length: int, place: Place) -> Pieces:
    """Documents as pieces of at most a sequence, those of a document one after another."""
    n_tokens = documents["n_tokens"].astype(np.int64)
    n_pieces = -(-n_tokens // sequence_length)
    of = np.repeat(np.arange(len(documents)), n_pieces)
    turn = np.arange(len(of)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    pieces = np.zeros(len(of), PIECE)
    for name in ("id_high", "id_low", "copy"):
        pieces[name] = documents[name][of]
    pieces["key"] = mix(keys[of] + turn.astype(np.uint64))
    pieces["offset"] = turn * sequence_length
    pieces["start"] = documents["start"][of] + pieces["offset"]
    pieces["length"] = np.minimum(n_tokens[of] - turn * sequence_length, sequence_length)
    pieces["part"] = parts[of]
    pieces["turn"] = turns[of]
    pieces["source"], pieces["epoch"], pieces["lot"] = place.source, place.epoch, place.lot
    return pieces


def mix(values: U64) -> U64:
    """Hashes of numbers: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def is_held(content: U64, held: U64) -> NDArray[np.bool_]:
    """Which content hashes are among the sorted ones."""
    if not len(held):
        return np.zeros(len(content), np.bool_)
    found: NDArray[np.bool_] = held[np.minimum(np.searchsorted(held, content), len(held) - 1)] == content
    return found


def numbered(documents: Catalogued) -> Catalogued:
    """Documents, ordered by id, whose copies are numbered where their source does not do it."""
    if not len(documents) or documents["copy"][0] != COUNTED:
        return documents
    is_first = np.ones(len(documents), np.bool_)
    is_first[1:] = (np.diff(documents["id_high"]) != 0) | (np.diff(documents["id_low"]) != 0)
    firsts = np.flatnonzero(is_first)
    documents["copy"] = np.arange(len(documents)) - np.repeat(firsts, np.diff([*firsts, len(documents)]))
    return documents


def _repeated(documents: Catalogued, parts: I64) -> tuple[Catalogued, I64, U64]:
    """Each document as often as it stands in an epoch, and which time it is."""
    times = documents["repeat"].astype(np.int64)
    if (times == 1).all():
        return documents, parts, np.zeros(len(documents), np.uint64)
    of = np.repeat(np.arange(len(documents)), times)
    turns = np.arange(len(of)) - np.repeat(np.cumsum(times) - times, times)
    return documents[of], parts[of], turns.astype(np.uint64)
