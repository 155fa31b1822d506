"""Texts that are nearly the same, among many: by the MinHash kernels that find near-duplicates of a corpus.

Texts are gone through twice: to sign them, and to compare exactly those that share a band. Equal ones are found by a
digest. A short text has few shingles of five words, and one number makes another exercise of it: short ones are
compared by smaller shingles, and only where their numbers and operators agree.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from curation.dedup.signatures import Banding, detection, shingle_sets, sign
from curation.kernels.clusters import count_pairs, fill_pairs
from curation.kernels.shingles import count_common

Nodes = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Texts = Callable[[], Iterator[Sequence[str]]]
"""Gives all texts anew, in batches, always in the same order; an empty one is like none."""
Allowed = Callable[[Nodes, Nodes], npt.NDArray[np.bool_]]
"""Of pairs of texts by their numbers (left < right), those that are to be compared."""

PERMUTATIONS = 128
"""Minima of a signature at most."""

DETECTION_MIN = 0.99
"""Probability with which a pair that is just similar enough is compared."""

SHORT_SHINGLES = 60
"""Shingles of a corpus (five letters of Hangul, five words) below which a text is short."""

LONG_SHINGLES = 40
"""Those from which on it is long; between both it is compared either way."""

_NUMBERS = re.compile(r"\d[\d,.]*|[-+*/×÷=<>≤≥^%]|\((?=\d)|(?<=\d)[!)]")
_MARKS = re.compile(r"[?;…·\"'“”‘’「」『』`#]|[.,:](?!\d)|[.,:!](?<!\d[.,:!])")
"""Each begins with the mark and not with what stands before it, which is searched for twice as fast."""


@dataclass(frozen=True)
class Similar:
    """Of n texts those that are alike."""

    first: Nodes
    """(n,): for each text the first that is equal to it but for case, spaces and marks; its own number where it is
    that itself."""
    left: Nodes
    """The earlier texts of pairs of such first ones; (pairs,), ordered by (right, left)."""
    right: Nodes
    jaccard: npt.NDArray[np.float64]

    def before(self, text: int) -> Iterator[tuple[int, float]]:
        """(text, similarity) of those before a first one that are similar to it, in order."""
        low, high = np.searchsorted(self.right, [text, text + 1])
        return zip(self.left[low:high].tolist(), self.jaccard[low:high].tolist(), strict=True)


def similar(texts: Texts, jaccard: float, allowed: Allowed, salts: Hashes | None = None) -> Similar:
    """Find the texts that are alike.

    Args:
        texts: n of them.
        jaccard: similarity of the sets of shingles from which on two texts are similar.
        allowed: pairs that count; of equal texts it is not asked.
        salts: shape (n,); only texts of equal salts are compared.
    """
    digests, long, short = _signed(texts, jaccard)
    salts = np.zeros(len(digests), np.uint64) if salts is None else salts
    _, firsts, groups = np.unique(digests ^ _spread(salts), return_index=True, return_inverse=True)
    numbers, is_empty = np.arange(len(digests)), digests == _EMPTY
    first = np.where(is_empty, numbers, firsts[groups])
    is_first = (first == numbers) & ~is_empty
    found = [_compared(texts, bands, jaccard, allowed, salts, is_first) for bands in (long, short)]
    left, right, values = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((-values, left, right))
    left, right, values = left[order], right[order], values[order]
    is_new = np.ones(len(left), np.bool_)  # a pair that was found either way is one, at its higher similarity
    is_new[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    return Similar(first, left[is_new], right[is_new], values[is_new])


def normalised(text: str) -> str:
    """A text without case, white space and marks; those within numbers, and signs of operations, stay."""
    text = _MARKS.sub("", unicodedata.normalize("NFC", text).casefold())
    # What stood apart may be one letter now, or the two stars of bold print.
    return unicodedata.normalize("NFC", "".join(text.split()).replace("**", ""))


def digest(text: str) -> int:
    """64 bits by which texts that are equal once normalised are found."""
    return xxhash.xxh3_64_intdigest(normalised(text).encode())


_EMPTY = np.uint64(digest(""))


def banding(jaccard: float, ko: str, en: str) -> Banding:
    """The fewest candidates at which pairs of this similarity are found as surely as DETECTION_MIN says."""
    rows = (n for n in range(16, 1, -1) if detection(jaccard, PERMUTATIONS // n, n) >= DETECTION_MIN)
    n_rows = next(rows, 1)
    return Banding(PERMUTATIONS // n_rows, n_rows, ko, en)


@dataclass
class _Signed:
    """Signatures of the texts of one kind, in their order."""

    banding: Banding
    nodes: list[Nodes] = field(default_factory=list)
    """Numbers of the texts, ascending; (batch,) each."""
    bands: list[Hashes] = field(default_factory=list)
    """(batch, bands) each."""
    salts: list[Hashes] = field(default_factory=list)
    """Further ones; (batch,) each."""

    def add(self, nodes: Nodes, bands: Hashes, salts: Sequence[int]) -> None:
        """Keep the signatures of some texts."""
        self.nodes.append(nodes)
        self.bands.append(bands)
        self.salts.append(np.array(salts, np.uint64))


def _signed(texts: Texts, jaccard: float) -> tuple[Hashes, _Signed, _Signed]:
    """(digests of all texts, signatures of the long ones, of the short ones)."""
    long, short = _Signed(banding(jaccard, "char-5", "word-5")), _Signed(banding(jaccard, "char-3", "word-2"))
    digests, n_texts = [np.empty(0, np.uint64)], 0
    for batch in texts():
        column = pa.array(batch, pa.large_string())
        digests.append(np.fromiter(map(digest, batch), np.uint64, len(batch)))
        of_all = sign(column, long.banding)
        is_long = np.flatnonzero(of_all.n_shingles >= LONG_SHINGLES)
        is_short = np.flatnonzero((of_all.n_shingles > 0) & (of_all.n_shingles < SHORT_SHINGLES))
        long.add(n_texts + is_long, of_all.bands[is_long], [0] * len(is_long))
        of_short = sign(column.take(pa.array(is_short)), short.banding)
        short.add(n_texts + is_short, of_short.bands, [_numbers_digest(batch[row]) for row in is_short.tolist()])
        n_texts += len(batch)
    return np.concatenate(digests), long, short


def _numbers_digest(text: str) -> int:
    return xxhash.xxh3_64_intdigest(" ".join(number.rstrip(".,") for number in _NUMBERS.findall(text)).encode())


def _compared(
    texts: Texts, signed: _Signed, jaccard: float, allowed: Allowed, salts: Hashes, is_first: npt.NDArray[np.bool_]
) -> tuple[Nodes, Nodes, npt.NDArray[np.float64]]:
    """(left, right, similarity) of the pairs of one kind of texts that are similar."""
    nodes = np.concatenate([np.empty(0, np.int64), *signed.nodes])
    salt = _spread(salts[nodes]) ^ np.concatenate([np.empty(0, np.uint64), *signed.salts])
    both = np.empty(0, np.uint64)
    for band in range(signed.banding.n_bands):
        hashes = np.concatenate([np.empty(0, np.uint64), *(bands[:, band] for bands in signed.bands)]) ^ salt
        found = _sharing(hashes[is_first[nodes]], nodes[is_first[nodes]])
        is_allowed = allowed(*_parted(found))
        both = np.union1d(both, found[is_allowed])
    left, right = _parted(both)
    shingles = _shingles(texts, signed.banding, np.union1d(left, right))
    pairs = zip(left.tolist(), right.tolist(), strict=True)
    values = np.array([_jaccard(shingles[one], shingles[other], jaccard) for one, other in pairs])
    is_similar = values >= jaccard
    return left[is_similar], right[is_similar], values[is_similar]


def _sharing(hashes: Hashes, nodes: Nodes) -> Hashes:
    """Pairs that share a band, as `_parted` reads them; of a crowded band those that `fill_pairs` gives."""
    order = np.lexsort((nodes, hashes))
    hashes, numbers = hashes[order], nodes[order].astype(np.uint64)
    left, right = np.empty((2, count_pairs(hashes, True)), np.uint64)
    fill_pairs(hashes, numbers, True, left, right)
    return left << np.uint64(32) | right


def _parted(pairs: Hashes) -> tuple[Nodes, Nodes]:
    """(earlier, later text) of pairs that are one number each."""
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _shingles(texts: Texts, banding: Banding, nodes: Nodes) -> dict[int, npt.NDArray[np.uint32]]:
    """The sets of shingles of these texts, ascending each."""
    found: dict[int, npt.NDArray[np.uint32]] = {}
    n_texts = 0
    for batch in texts() if len(nodes) else ():
        low, high = np.searchsorted(nodes, [n_texts, n_texts + len(batch)])
        if low < high:
            column = pa.array([batch[node - n_texts] for node in nodes[low:high].tolist()], pa.large_string())
            lists = shingle_sets(column, banding)
            values, bounds = np.asarray(lists.flatten()), np.asarray(lists.offsets)
            for row, node in enumerate(nodes[low:high].tolist()):
                found[node] = values[bounds[row] - bounds[0] : bounds[row + 1] - bounds[0]]
        n_texts += len(batch)
    return found


def _jaccard(one: npt.NDArray[np.uint32], other: npt.NDArray[np.uint32], least: float) -> float:
    """Of two sets; 0 where their sizes show that it is below `least`."""
    if min(len(one), len(other)) < least * max(len(one), len(other)):
        return 0.0
    n_common = int(count_common(one, other))
    return n_common / (len(one) + len(other) - n_common)


def _spread(salts: Hashes) -> Hashes:
    """Salts as unlike each other as hashes are."""
    return (salts * np.uint64(0x9E3779B97F4A7C15)) ^ (salts >> np.uint64(29))
