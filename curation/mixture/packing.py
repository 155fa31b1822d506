"""Pieces of documents to sequences: no token is lost, nothing that fits is cut, and little is left empty."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from curation.kernels import packing

KOREAN, ENGLISH, OTHER = 0, 1, -1

SPARE = 512
"""With `cut_any`, a space of up to 1/512 of a sequence (0.2%) is not worth a cut; nor may sequences across languages
add more padding than that."""


@dataclass(frozen=True)
class Packed:
    """Sequences and what stands in each: entries offsets[b] to offsets[b + 1] are those of sequence b, in order."""

    bins: NDArray[np.int64]
    """(n_bins + 1,) where the entries of each sequence begin."""
    pieces: NDArray[np.int64]
    """(n_entries,) which piece, as an index into what was packed."""
    starts: NDArray[np.int64]
    """(n_entries,) from which of its tokens on; 0 but for pieces that were cut."""
    lengths: NDArray[np.int64]
    """(n_entries,) how many of its tokens."""
    n_tokens: NDArray[np.int64]
    """(n_bins,) tokens in each sequence; the rest of it is padding."""
    cross: NDArray[np.bool_]
    """(n_bins,) whether it was put together of two languages, which alternate in it."""


class _Entries(NamedTuple):
    """Pieces in bins, the pieces numbered by `order`; those past n_entries are room for cuts."""

    pieces: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    bins: NDArray[np.int64]


def pack(
    lengths: NDArray[np.int64],
    order: NDArray[np.uint64],
    capacity: int,
    *,
    cut_any: bool = False,
    groups: NDArray[np.int8] | None = None,
    cross_frac: float = 0.0,
    last: int | None = None,
) -> Packed:
    """Packs pieces of 1 to `capacity` tokens, best-fit decreasing.

    What comes out depends on the pieces' (length, order, group) alone, not on how they are numbered. Pieces stand
    in a sequence as `order` has them; sequences are shuffled by a hash of what they hold, the emptiest, or that of
    piece `last`, is the last.

    Args:
        lengths: (n,) tokens of each piece.
        order: (n,) hashes that order the pieces; ties go by length, then by number.
        capacity: tokens of a sequence.
        cut_any: cuts some of the pieces in the emptiest sequences, such that all but the last one are full up to
            capacity // 512 tokens. A piece then has several entries; each of its tokens is in one.
        groups: (n,) KOREAN, ENGLISH or OTHER.
        cross_frac: share of the sequences in which pieces of Korean and English alternate, as in XLDA (Trillion-7B,
            arXiv 2504.15431). Each is built around a piece of either of at most half a sequence, so there are fewer
            where one language has too few of those, or both have too little that fills them up; padding stays small.
            OTHER stays out of them.
        last: a piece whose sequence comes last; none of that sequence are cut.

    Raises:
        ValueError: a piece is empty or longer than a sequence.
    """
    if len(lengths) and not 1 <= lengths.min() <= lengths.max() <= capacity:
        wrong = int(np.flatnonzero((lengths < 1) | (lengths > capacity))[0])
        raise ValueError(f"piece {wrong} has {lengths[wrong]:,} tokens; expected 1 to {capacity:,}")
    by_order = _by_order(lengths, order)
    ranked_groups = None if groups is None or not cross_frac else groups[by_order]
    entries, free, n_cross = _fit(lengths[by_order], capacity, ranked_groups, cross_frac)
    is_cross = np.arange(len(free)) < n_cross
    ranked_last = None if last is None else int(np.flatnonzero(by_order == last)[0])
    if cut_any:
        entries = _cut(entries, free, is_cross, capacity, ranked_last)
    shuffled = _shuffle(entries, order[by_order], free, ranked_last)
    return _place(entries, by_order, shuffled, is_cross, ranked_groups)


def _by_order(lengths: NDArray[np.int64], order: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The numbers of the pieces, by (order, length)."""
    by_order = np.argsort(order, kind="stable")
    ordered = order[by_order]
    return np.lexsort((lengths, order)) if (ordered[1:] == ordered[:-1]).any() else by_order


def _fit(
    lengths: NDArray[np.int64], capacity: int, groups: NDArray[np.int8] | None, cross_frac: float
) -> tuple[_Entries, NDArray[np.int64], int]:
    """Every piece in a bin; the free space of the bins; how many of them, the first ones, are across languages.

    Where pieces that fit beside the seeds run out, fewer bins are across languages, until little more is empty than
    without any.
    """
    narrow = np.uint16 if capacity < 1 << 16 else np.uint32  # NumPy sorts 16 bits by counting
    longest_first = np.argsort((capacity - lengths).astype(narrow), kind="stable")
    may_cross = (groups != OTHER).view(np.uint8) if groups is not None else np.empty(0, np.uint8)

    def fit(seeds: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        n_cross = seeds.shape[1]
        bins, free = np.full(len(lengths), -1, np.int64), np.full(len(lengths), capacity, np.int64)
        bins[seeds] = np.arange(n_cross)
        free[:n_cross] -= lengths[seeds].sum(axis=0)
        spaces = packing.new_spaces(capacity, len(lengths))
        return bins, free[: packing.best_fit(lengths, longest_first, may_cross, n_cross, spaces, bins, free)]

    seeds = _seeds(lengths, capacity, groups, cross_frac)
    bins, free = fit(seeds[:, :0])
    n_cross, empty_max = seeds.shape[1], _empty(free) + len(free) * capacity // SPARE
    while n_cross > 0:
        crossed_bins, crossed_free = fit(seeds[:, :n_cross])
        if (over := _empty(crossed_free) - empty_max) <= 0:
            bins, free = crossed_bins, crossed_free
            break
        n_cross -= max(over // capacity, n_cross // 16, 1)
    return _Entries(np.arange(len(lengths)), np.zeros_like(lengths), lengths, bins), free, max(n_cross, 0)


def _empty(free: NDArray[np.int64]) -> int:
    """What is empty of all bins but the emptiest one, whose pieces may go on to a next packing."""
    return int(free.sum() - free.max(initial=0))


def _seeds(
    lengths: NDArray[np.int64], capacity: int, groups: NDArray[np.int8] | None, cross_frac: float
) -> NDArray[np.int64]:
    """(2, n_cross) the pieces, one of either language, that bins across languages begin with.

    Those of at least an eighth of a sequence come first: next to a single line, a language has nothing to attend to.
    """
    if groups is None:
        return np.empty((2, 0), np.int64)
    wanted = round(cross_frac * int(lengths.sum()) / capacity)
    pairs = [np.flatnonzero((groups == group) & (lengths <= capacity // 2)) for group in (KOREAN, ENGLISH)]
    by_size = [of[np.argsort(-np.minimum(lengths[of], capacity // 8), kind="stable")] for of in pairs]
    return np.stack([of[: min(wanted, *map(len, pairs))] for of in by_size])


def _cut(
    entries: _Entries, free: NDArray[np.int64], is_cross: NDArray[np.bool_], capacity: int, last: int | None
) -> _Entries:
    """Levels the bins across languages, then the others with what is left of those; changes free and is_cross.

    The bin of the piece `last` stays as it is.

    One that gave pieces away may hold one language only, and is among the others from then on.
    """
    n, cut_min = len(entries.pieces), capacity // SPARE
    roomy = _Entries(*(np.concatenate((column, np.empty(len(free), column.dtype))) for column in entries))
    for cross in (True, False):
        offsets, members = _group(roomy.bins[:n], np.argsort(roomy.pieces[:n], kind="stable"), len(free))
        chosen = np.flatnonzero((is_cross == cross) & (free < capacity))
        chosen = chosen if last is None else chosen[chosen != entries.bins[last]]
        emptiest_first = chosen[np.argsort(-free[chosen], kind="stable")]
        kept_free = np.minimum(free, cut_min)
        n, place = packing.level_bins(emptiest_first, offsets, members, cut_min, free, *roomy, n)
        is_cross[emptiest_first[: place + 1]] &= (free <= kept_free)[emptiest_first[: place + 1]]
    return _Entries(*(column[:n] for column in roomy))


def _group(
    bins: NDArray[np.int64], sequence: NDArray[np.int64], n_bins: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    offsets, members = np.empty(n_bins + 1, np.int64), np.empty(len(bins), np.int64)
    packing.group_by_bin(bins, sequence, offsets, members)
    return offsets, members


def _shuffle(
    entries: _Entries, order: NDArray[np.uint64], free: NDArray[np.int64], last: int | None
) -> NDArray[np.int64]:
    """The bins that hold anything, in the order of hashes of what they hold, but for the last one."""
    hashes = np.zeros(len(free), np.uint64)
    packing.hash_bins(order[entries.pieces], entries.starts, entries.lengths, entries.bins, hashes)
    used = np.flatnonzero(np.bincount(entries.bins, minlength=len(free)))
    shuffled = used[np.argsort(hashes[used], kind="stable")]
    if not len(shuffled):
        return shuffled
    if last is None:
        final = shuffled[len(shuffled) - 1 - np.argmax(free[shuffled][::-1])]
    else:
        of_last = np.flatnonzero(entries.pieces == last)
        final = entries.bins[of_last[np.argmax(entries.starts[of_last])]]
    return np.append(shuffled[shuffled != final], final)


def _place(
    entries: _Entries,
    by_order: NDArray[np.int64],
    shuffled: NDArray[np.int64],
    is_cross: NDArray[np.bool_],
    groups: NDArray[np.int8] | None,
) -> Packed:
    """The bins as `shuffled` has them, the entries of each in their order, the pieces by their first numbers."""
    place = np.empty(len(is_cross), np.int64)
    place[shuffled] = np.arange(len(shuffled))
    bins, cross = place[entries.bins], is_cross[shuffled]
    in_order = np.argsort(entries.pieces, kind="stable")
    if groups is not None:
        in_order = in_order[_alternate(bins[in_order], groups[entries.pieces[in_order]], cross)]
    offsets, members = _group(bins, in_order, len(shuffled))
    lengths = entries.lengths[members]
    n_tokens = np.add.reduceat(lengths, offsets[:-1]) if len(shuffled) else np.empty(0, np.int64)
    return Packed(offsets, by_order[entries.pieces[members]], entries.starts[members], lengths, n_tokens, cross)


def _alternate(bins: NDArray[np.int64], groups: NDArray[np.int8], cross: NDArray[np.bool_]) -> NDArray[np.int64]:
    """An order of entries in which the two languages of a bin are spread evenly over each other.

    Of k entries of a language, the j-th goes to (j + 1/2) / k of the bin; the language of the first begins.
    """
    chosen = np.flatnonzero(cross[bins])
    bin_of, group = bins[chosen], groups[chosen].astype(np.int64)
    both = bin_of * 2 + group
    counts = np.bincount(both, minlength=2 * len(cross))
    by_both = np.argsort(both, kind="stable")
    rank = np.empty(len(chosen), np.int64)
    rank[by_both] = np.arange(len(chosen)) - (np.cumsum(counts) - counts)[both[by_both]]
    beginning = np.zeros(len(cross), np.int64)
    at_begin, first = np.unique(bin_of, return_index=True)
    beginning[at_begin] = group[first]
    alternating = np.arange(len(bins))
    alternating[chosen] = chosen[np.lexsort((group != beginning[bin_of], (rank + 0.5) / counts[both], bin_of))]
    return alternating
