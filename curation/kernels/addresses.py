"""Addresses looked up in sorted hashes: domains by their ends, URLs by their beginnings, no object per address."""

import numpy as np
import numpy.typing as npt
from numba import uint64

from curation.kernels import at, kernel
from curation.kernels.characters import Bytes, Hashes, Offsets
from curation.kernels.hashing import SPREAD, mix

DOT, SLASH, QUESTION, AND, HASH = (ord(mark) for mark in "./?&#")

Places = npt.NDArray[np.int32]


@kernel()
def _add(h: np.uint64, byte: int) -> np.uint64:
    h = (h ^ uint64(byte)) * SPREAD
    return h ^ (h >> uint64(32))


@kernel()
def _finish(h: np.uint64, n_bytes: int) -> np.uint64:
    return mix(h + uint64(n_bytes))


@kernel()
def _holds(entries: Hashes, h: np.uint64) -> bool:
    """Whether sorted hashes hold one: they lie evenly, so a guess comes near, and the place is within a window."""
    n_entries = len(entries)
    if n_entries == 0:
        return False
    guess = int((h >> uint64(32)) * uint64(n_entries) >> uint64(32))
    width = 64
    while True:  # a window around the guess, wide enough to hold the place
        low, high = max(guess - width, 0), min(guess + width, n_entries - 1)
        if (low == 0 or entries[at(low)] <= h) and (high == n_entries - 1 or entries[at(high)] >= h):
            break
        width *= 4
    high += 1
    while low < high:
        middle = (low + high) >> 1
        if entries[at(middle)] < h:
            low = middle + 1
        else:
            high = middle
    found: bool = low < n_entries and entries[at(low)] == h
    return found


@kernel()
def hash_backward(utf8: Bytes, offsets: Offsets, hashes: Hashes) -> None:
    """Writes the hash of each string, its bytes taken from the last one to the first."""
    for row in range(len(offsets) - 1):
        h, start, end = uint64(0), offsets[row], offsets[row + 1]
        for i in range(end - 1, start - 1, -1):
            h = _add(h, int(utf8[at(i)]))
        hashes[at(row)] = _finish(h, end - start)


@kernel()
def hash_forward(utf8: Bytes, offsets: Offsets, hashes: Hashes) -> None:
    """Writes the hash of each string, its bytes taken in their order."""
    for row in range(len(offsets) - 1):
        h, start, end = uint64(0), offsets[row], offsets[row + 1]
        for i in range(start, end):
            h = _add(h, int(utf8[at(i)]))
        hashes[at(row)] = _finish(h, end - start)


@kernel()
def find_domains(utf8: Bytes, offsets: Offsets, entries: Hashes, starts: Places) -> None:
    """Writes where in each host the shortest domain begins that is an entry; -1: none is."""
    for row in range(len(offsets) - 1):
        h, start, end = uint64(0), offsets[row], offsets[row + 1]
        starts[at(row)] = -1
        for i in range(end - 1, start - 1, -1):
            h = _add(h, int(utf8[at(i)]))
            is_whole = i == start or utf8[at(i - 1)] == DOT
            if is_whole and _holds(entries, _finish(h, end - i)):
                starts[at(row)] = i - start
                break


@kernel()
def find_prefixes(utf8: Bytes, offsets: Offsets, entries: Hashes, ends: Places) -> None:
    """Writes where in each address the shortest beginning ends that is an entry; -1: none is.

    Beginnings end after `/`, before `/`, `?`, `&` and `#`, and with the address.
    """
    for row in range(len(offsets) - 1):
        h, start, end = uint64(0), offsets[row], offsets[row + 1]
        ends[at(row)] = -1
        for i in range(start, end):
            byte = int(utf8[at(i)])
            h = _add(h, byte)
            following = int(utf8[at(i + 1)]) if i + 1 < end else SLASH
            ends_here = byte == SLASH or following in (SLASH, QUESTION, AND, HASH)
            if ends_here and _holds(entries, _finish(h, i + 1 - start)):
                ends[at(row)] = i + 1 - start
                break
