"""Best-fit decreasing: each piece goes to the sequence with the least free space that holds it, the longest first.

The sequences that are open stand in lists, one for each size of free space, and a bitmap says which lists hold any. A
bit of the bitmap's next level says which 64 of its bits are not all clear, and so on, so the smallest that holds
a piece is found in as many steps as there are levels (4 for sequences of 2^24 tokens), however many are open.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import uint64

from curation.kernels import at, kernel
from curation.kernels.characters import Bytes, Hashes, Offsets
from curation.kernels.hashing import BASE, mix

Bins = npt.NDArray[np.int32]
Groups = npt.NDArray[np.int8]

PLAIN, CROSS = 0, 1  # rows of Spaces: sequences for anything, and those in which languages alternate

DE_BRUIJN = uint64(0x03F79D71B4CB0A89)  # its 64 windows of 6 bits all differ
BIT_OF = np.empty(64, np.uint8)
for _bit in range(64):
    BIT_OF[((0x03F79D71B4CB0A89 << _bit) % 2**64) >> 58] = _bit


class Spaces(NamedTuple):
    """The open sequences, by their free space; the first axis is PLAIN or CROSS."""

    bits: npt.NDArray[np.uint64]  # (2, n_words) the levels of the bitmap, the finest first
    levels: Offsets  # where each level begins in a row of bits
    heads: Bins  # (2, capacity + 1) a sequence with so much free space; of meaning only where the bit is set
    following: Bins  # (n_bins,) the next one with as much, -1 after the last


def new_spaces(capacity: int, n_bins: int) -> Spaces:
    """Room for n_bins sequences of `capacity` tokens; the part of `heads` that nothing touches costs no memory."""
    levels, n_bits = [0], capacity + 1
    while True:
        n_bits = -(-n_bits // 64)
        levels.append(levels[-1] + n_bits)
        if n_bits == 1:
            break
    return Spaces(
        np.zeros((2, levels[-1]), np.uint64),
        np.array(levels, np.int64),
        np.empty((2, capacity + 1), np.int32),
        np.empty(n_bins, np.int32),
    )


@kernel()
def lowest_bit(word: np.uint64) -> int:
    """The place of the lowest bit that is set in a word that is not 0."""
    return int(BIT_OF[at(((word & (~word + uint64(1))) * DE_BRUIJN) >> uint64(58))])


@kernel()
def find_space(bits: Hashes, levels: Offsets, space: int) -> int:
    """The smallest space in the bitmap that is at least `space`; -1 where there is none."""
    for level in range(len(levels) - 1):
        word = levels[at(level)] + (space >> 6)
        if word < levels[at(level + 1)]:
            rest = bits[at(word)] >> uint64(space & 63)
            if rest != uint64(0):
                space += lowest_bit(rest)
                for finer in range(level - 1, -1, -1):
                    space = (space << 6) + lowest_bit(bits[at(levels[at(finer)] + space)])
                return space
        space = (space >> 6) + 1
    return -1


@kernel()
def open_bin(spaces: Spaces, row: int, space: int, opened: int) -> None:
    """Puts a sequence on the list of those with so much free space."""
    bits, heads, rest = spaces.bits[row], spaces.heads[row], space
    spaces.following[at(opened)] = -1
    for level in range(len(spaces.levels) - 1):
        word = at(spaces.levels[at(level)] + (rest >> 6))
        bit = uint64(1) << uint64(rest & 63)
        before = bits[word]
        if level == 0 and before & bit:
            spaces.following[at(opened)] = heads[at(space)]
        bits[word] = before | bit
        if before != uint64(0):
            break
        rest >>= 6
    heads[at(space)] = opened


@kernel()
def take_bin(spaces: Spaces, row: int, space: int) -> int:
    """Takes a sequence off the list of those with so much free space; there must be one."""
    bits, heads = spaces.bits[row], spaces.heads[row]
    taken = heads[at(space)]
    if spaces.following[at(taken)] >= 0:
        heads[at(space)] = spaces.following[at(taken)]
        return int(taken)
    for level in range(len(spaces.levels) - 1):
        word = at(spaces.levels[at(level)] + (space >> 6))
        bits[word] &= ~(uint64(1) << uint64(space & 63))
        if bits[word] != uint64(0):
            break
        space >>= 6
    return int(taken)


@kernel()
def best_fit(
    lengths: Offsets,
    longest_first: Offsets,
    may_cross: Bytes,
    n_cross: int,
    spaces: Spaces,
    bins: Offsets,
    free: Offsets,
) -> int:
    """Gives each piece whose bins[i] is -1 a sequence; returns how many sequences there are.

    Sequences 0 to n_cross hold pieces already and take only those that may cross. `free` holds for each of those, and
    the capacity for all that may come; of two equally good places a piece takes the one among languages.
    """
    n_bins = n_cross
    for opened in range(n_cross):
        open_bin(spaces, CROSS, free[at(opened)], opened)
    for k in range(len(longest_first)):
        piece = at(longest_first[at(k)])
        if bins[piece] >= 0:
            continue
        length, row = lengths[piece], PLAIN
        space = find_space(spaces.bits[PLAIN], spaces.levels, length)
        if n_cross and may_cross[piece]:
            among = find_space(spaces.bits[CROSS], spaces.levels, length)
            if among >= 0 and (space < 0 or among <= space):
                space, row = among, CROSS
        if space >= 0:
            found = take_bin(spaces, row, space)
        else:
            found = n_bins
            n_bins += 1
        bins[piece] = found
        free[at(found)] -= length
        if free[at(found)]:
            open_bin(spaces, row, free[at(found)], found)
    return n_bins


@kernel()
def level_bins(
    emptiest_first: Offsets,
    offsets: Offsets,
    members: Offsets,
    cut_min: int,
    free: Offsets,
    pieces: Offsets,
    starts: Offsets,
    lengths: Offsets,
    bins: Offsets,
    n_entries: int,
) -> tuple[int, int]:
    """Cuts pieces of the emptiest sequences to fill the fullest; returns (entries, place of the one not full).

    Entry e is lengths[e] tokens from starts[e] on of a piece; those of sequence b are members[offsets[b]:offsets[b +
    1]]. A space of up to cut_min tokens is not worth a cut. All before the returned place of `emptiest_first` are
    empty then, all after it full but for cut_min tokens.
    """
    giver, taker = 0, len(emptiest_first) - 1
    while giver < taker:
        source = emptiest_first[at(giver)]
        for m in range(offsets[at(source)], offsets[at(source + 1)]):
            e = at(members[at(m)])
            while giver < taker:
                target = at(emptiest_first[at(taker)])
                space = free[target]
                if space <= cut_min:
                    taker -= 1
                    continue
                n_moved = min(space, lengths[e])
                free[target] -= n_moved
                free[at(source)] += n_moved
                if n_moved == lengths[e]:
                    bins[e] = target
                    break
                new = at(n_entries)
                pieces[new], starts[new], lengths[new], bins[new] = pieces[e], starts[e], n_moved, target
                n_entries += 1
                starts[e] += n_moved
                lengths[e] -= n_moved
        if giver < taker:
            giver += 1
    return n_entries, giver


@kernel()
def group_by_bin(bins: Offsets, sequence: Offsets, offsets: Offsets, members: Offsets) -> None:
    """The entries of each bin, as they follow each other in `sequence`: members[offsets[b]:offsets[b + 1]]."""
    offsets[:] = 0
    for k in range(len(sequence)):
        offsets[at(bins[at(sequence[at(k)])])] += 1
    total = 0
    for b in range(len(offsets)):
        total, offsets[at(b)] = total + offsets[at(b)], total
    for k in range(len(sequence)):
        b = at(bins[at(sequence[at(k)])])
        members[at(offsets[b])] = sequence[at(k)]
        offsets[b] += 1
    for b in range(len(offsets) - 1, 0, -1):
        offsets[at(b)] = offsets[at(b - 1)]
    offsets[0] = 0


@kernel()
def hash_bins(order: Hashes, starts: Offsets, lengths: Offsets, bins: Offsets, hashes: Hashes) -> None:
    """Adds up for each bin hashes of its entries, so that it depends on what is in it and on nothing else."""
    for e in range(len(bins)):
        where = mix((uint64(starts[at(e)]) << uint64(32)) + uint64(lengths[at(e)]))
        hashes[at(bins[at(e)])] += mix(order[at(e)] * BASE + where)
