"""64-bit hashes of strings that can be joined, and the open-addressing table that counts them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

# hash(s) = sum of (code point + 1) * BASE^(characters after it), modulo 2^64. So hash(s + t) = hash(s) * BASE^len(t)
# + hash(t), which gives the hash of n words joined without a space from the hashes of the words.
BASE = uint64(0x9E3779B97F4A7C15)
SPREAD = uint64(0xD6E8FEB86659FD93)


class Table(NamedTuple):
    """Scratch for one document at a time: keys (0 where empty), how often each came, and at which item first."""

    keys: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.int32]
    firsts: npt.NDArray[np.int32]


def new_table(n_items: int) -> Table:
    """A table for up to n_items; pages that no document touches cost no memory."""
    size = 1 << max(4, (2 * n_items - 1).bit_length())
    return Table(np.empty(size, np.uint64), np.empty(size, np.int32), np.empty(size, np.int32))


def joinable_hash(text: str) -> int:
    """The hash of a string as the kernels compute it, character by character."""
    h = 0
    for character in text:
        h = (h * int(BASE) + ord(character) + 1) % 2**64
    return h


@njit(nogil=True, cache=True)
def mix(h):
    """A bijection on 64 bits in which every input bit moves every output bit."""
    h ^= h >> uint64(32)
    h *= SPREAD
    h ^= h >> uint64(32)
    h *= SPREAD
    return h ^ (h >> uint64(32))


@njit(nogil=True, cache=True)
def clear(table, n_items):
    """Empties as many slots as n_items need at half load; returns the shift that find() takes."""
    bits = 4
    while (1 << bits) < 2 * n_items:
        bits += 1
    table.keys[: 1 << bits] = 0
    return uint64(64 - bits)


@njit(nogil=True, cache=True)
def find(table, shift, key):
    """Where `key` (not 0) is, or belongs, in the first 2^(64 - shift) slots of the table."""
    mask = (uint64(1) << (uint64(64) - shift)) - uint64(1)
    slot = (key * BASE) >> shift
    while table.keys[slot] != uint64(0) and table.keys[slot] != key:
        slot = (slot + uint64(1)) & mask
    return slot


@njit(nogil=True, cache=True)
def insert(table, shift, key):
    """Adds `key`; True where it was there already."""
    key = max(key, uint64(1))
    slot = find(table, shift, key)
    known = table.keys[slot] == key
    table.keys[slot] = key
    return known
