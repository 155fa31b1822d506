"""Scratch for one document: its words as hashes that can be joined, and the table that counts what they make up."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import uint64

from curation.kernels import kernel
from curation.kernels.characters import Bytes, Hashes, Offsets

# hash(s) = sum of (code point + 1) * BASE^(-its position in s), modulo 2^64. With running sums over a text, the hash
# of any stretch of it is one subtraction and one multiplication, at whatever length.
BASE = uint64(0x9E3779B97F4A7C15)
INVERSE = uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))
SPREAD = uint64(0xD6E8FEB86659FD93)


class Table(NamedTuple):
    """Scratch for the n-grams of one document: their hashes, those that may repeat, and a table to count them in."""

    grams: Hashes
    repeats: npt.NDArray[np.int32]
    marks: Bytes  # what n-grams have hashed to; the same memory as keys
    keys: Hashes  # 0 where empty
    counts: npt.NDArray[np.int32]
    firsts: npt.NDArray[np.int32]


def new_table(n_items: int) -> Table:
    """A table for up to n_items; pages that no document touches cost no memory."""
    keys = np.empty(1 << max(4, (2 * n_items - 1).bit_length()), np.uint64)
    counts, firsts = np.empty((2, len(keys)), np.int32)
    return Table(np.empty(n_items, np.uint64), np.empty(n_items, np.int32), keys.view(np.uint8), keys, counts, firsts)


class Words(NamedTuple):
    """Scratch for the words of one document, its text without white space.

    Word i has the characters char_end[i] to char_end[i + 1]; powers[i] is BASE^char_end[i], sums[i] the running sum
    of (code point + 1) * BASE^-position before it; so the n words from word i, joined, have the hash
    (sums[i + n] - sums[i]) * powers[i].
    """

    char_end: Offsets
    sums: Hashes
    powers: Hashes
    any_class: Bytes  # class bits of any of a word's characters
    all_class: Bytes  # class bits of all of a word's characters


def new_words(n_words: int) -> Words:
    """Scratch for up to n_words words; pages that no document touches cost no memory."""
    return Words(
        np.empty(n_words + 1, np.int64), *np.empty((2, n_words + 1), np.uint64), *np.empty((2, n_words), np.uint8)
    )


def hash_text(text: str) -> int:
    """The hash of a string as the kernels compute it."""
    return sum((ord(character) + 1) * pow(int(INVERSE), i, 2**64) for i, character in enumerate(text)) % 2**64


@kernel()
def count_bits(bits: int) -> int:
    """How many bits are set."""
    n_bits = 0
    while bits:
        bits &= bits - 1
        n_bits += 1
    return n_bits


@kernel()
def mix(h: np.uint64) -> np.uint64:
    """A bijection on 64 bits in which every input bit moves every output bit."""
    h ^= h >> uint64(32)
    h *= SPREAD
    h ^= h >> uint64(32)
    h *= SPREAD
    return h ^ (h >> uint64(32))


@kernel()
def clear(keys: Hashes, n_items: int) -> np.uint64:
    """Empties as many slots as n_items need at half load; returns the shift that find() takes."""
    bits = 4
    while (1 << bits) < 2 * n_items:
        bits += 1
    keys[: 1 << bits] = 0
    return uint64(64 - bits)


@kernel()
def find(keys: Hashes, shift: np.uint64, key: np.uint64) -> np.uint64:
    """Where `key` (not 0) is, or belongs, in the first 2^(64 - shift) slots."""
    mask = (uint64(1) << (uint64(64) - shift)) - uint64(1)
    slot = (key * BASE) >> shift
    while keys[slot] != uint64(0) and keys[slot] != key:
        slot = (slot + uint64(1)) & mask
    return slot


@kernel()
def insert(keys: Hashes, shift: np.uint64, key: np.uint64) -> bool:
    """Adds `key`; True where it was there already."""
    key = max(key, uint64(1))
    slot = find(keys, shift, key)
    known: bool = keys[slot] == key
    keys[slot] = key
    return known
