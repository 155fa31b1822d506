"""How much of one source stands in another, by the content of whole documents: exact, a range of hashes at a time."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from manifests.store import ranges_for

Hashes = npt.NDArray[np.uint64]

HASHES_PER_RANGE = 16_000_000
"""Hashes of all sources held at once, about (8 bytes each, and as much again while they are sorted)."""

_BITS = 64


@dataclass(frozen=True)
class Stored:
    """Hashes of a source's documents that are not in memory."""

    n_documents: int
    read: Callable[[int, int], Iterable[Hashes]]
    """Those from the first number to the second (inclusive), in any order and any number of arrays."""


@dataclass(frozen=True)
class Shared:
    """What two sources have in common; a document that stands several times in a source counts as often."""

    a: str
    b: str
    n_documents_a: int
    """Documents of `a` whose content is in `b`."""
    n_documents_b: int
    """Documents of `b` whose content is in `a`."""
    n_contents: int
    """Different contents that are in both."""


@dataclass(frozen=True)
class ContentOverlap:
    """What sources have in common with each other and with themselves."""

    n_documents: dict[str, int]
    n_repeated: dict[str, int]
    """Documents of a source whose content another one of the same source has already: documents less contents."""
    shared: list[Shared]
    """One for each two sources that share anything, in the order of the sources."""


@dataclass(frozen=True)
class _Distinct:
    """Different hashes of a source in one range, ascending, and how many documents have each."""

    hashes: Hashes
    n_documents: npt.NDArray[np.int64]

    def within(self, other: Hashes) -> "_Distinct":
        """Those that are among other different ones."""
        _, here, _ = np.intersect1d(self.hashes, other, assume_unique=True, return_indices=True)
        return _Distinct(self.hashes[here], self.n_documents[here])


def content_overlap(sources: Mapping[str, Hashes | Stored]) -> ContentOverlap:
    """Count what each two sources share, from a hash of each document's content (uint64, one per document).

    Hashes have to be spread evenly over 64 bits, as those of XXH3 are; where they are equal, contents count as equal.
    """
    stored = {name: _stored(hashes) for name, hashes in sources.items()}
    n_documents = {name: source.n_documents for name, source in stored.items()}
    n_repeated = dict.fromkeys(stored, 0)
    shared: dict[tuple[str, str], npt.NDArray[np.int64]] = {}
    for keys in ranges_for(sum(n_documents.values()), HASHES_PER_RANGE):
        low, high = (keys.index << _BITS) // keys.count, ((keys.index + 1 << _BITS) // keys.count) - 1
        found = {name: _read(source, low, high) for name, source in stored.items()}
        for name, one in found.items():
            n_repeated[name] += int(one.n_documents.sum()) - len(one.hashes)
        for pair, counts in _share(found).items():
            shared[pair] = shared.get(pair, np.zeros(3, np.int64)) + counts
    rows = [Shared(*pair, *map(int, shared[pair])) for pair in combinations(stored, 2) if pair in shared]
    return ContentOverlap(n_documents, n_repeated, rows)


def _stored(hashes: Hashes | Stored) -> Stored:
    if isinstance(hashes, Stored):
        return hashes
    return Stored(len(hashes), lambda low, high: [hashes[(hashes >= np.uint64(low)) & (hashes <= np.uint64(high))]])


def _read(source: Stored, low: int, high: int) -> _Distinct:
    arrays = list(source.read(low, high))
    hashes, counts = np.unique(np.concatenate([np.empty(0, np.uint64), *arrays]), return_counts=True)
    return _Distinct(hashes, counts.astype(np.int64))


def _share(found: Mapping[str, _Distinct]) -> dict[tuple[str, str], npt.NDArray[np.int64]]:
    """(documents of a, documents of b, contents) for each two sources that share anything in this range."""
    hashes, n_sources = np.unique(np.concatenate([one.hashes for one in found.values()]), return_counts=True)
    several = hashes[n_sources > 1]  # few, as a rule, so that the pairs cost little
    narrow = {name: one.within(several) for name, one in found.items()}
    shared = {}
    for a, b in combinations(narrow, 2):
        one = narrow[a].within(narrow[b].hashes)
        if len(one.hashes):
            other = narrow[b].within(one.hashes)
            shared[a, b] = np.array([one.n_documents.sum(), other.n_documents.sum(), len(one.hashes)], np.int64)
    return shared
