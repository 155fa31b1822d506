"""Hashes of words, of Hangul syllables and of phrases, a light English stem, and the table that finds a hash."""

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from classifiers.scripts import Bytes

Hashes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int32]

# Kinds of hashes: no token of one kind is one of another.
WORD, WHOLE = uint64(0x9E3779B97F4A7C15), uint64(0xC2B2AE3D27D4EB4F)
FIRST, LAST = uint64(0x165667B19E3779F9), uint64(0x27D4EB2F165667C5)
PRIME, MIX = uint64(0x100000001B3), uint64(0xFF51AFD7ED558CCD)
N_SYLLABLES = 4
"""Longest prefix or suffix of a Hangul run in a lexicon."""
MAX_WORD_BYTES = 48
"""Of a longer Latin word only so much counts; it is data, not a word."""


@njit(nogil=True, cache=True, inline="always")
def finish(h: np.uint64) -> np.uint64:
    """A hash whose low bits are as good as its high ones; never 0, which stands for an empty place."""
    h ^= h >> uint64(32)
    h *= MIX
    h ^= h >> uint64(29)
    return h if h != uint64(0) else uint64(1)


@njit(nogil=True, cache=True, inline="always")
def join(left: np.uint64, right: np.uint64) -> np.uint64:
    """The hash of a phrase: of what stands before and of its last word."""
    return finish((left ^ uint64(0x5BD1E995)) * PRIME ^ right)


@njit(nogil=True, cache=True)
def find(key: np.uint64, keys: Hashes) -> np.int64:
    """The place of a key in an open-addressing table whose size is a power of two, -1 where it is not there."""
    mask = uint64(keys.shape[0] - 1)
    place = key & mask
    while keys[place] != uint64(0):
        if keys[place] == key:
            return np.int64(place)
        place = (place + uint64(1)) & mask
    return np.int64(-1)


@njit(nogil=True, cache=True)
def insert_all(hashes: Hashes, values: Counts, keys: Hashes, found: Counts) -> None:
    """Fill an empty table."""
    mask = uint64(keys.shape[0] - 1)
    for k in range(hashes.shape[0]):
        place = hashes[k] & mask
        while keys[place] != uint64(0):
            place = (place + uint64(1)) & mask
        keys[place], found[place] = hashes[k], values[k]


@njit(nogil=True, cache=True)
def ends(word: Bytes, n: int, a: int, b: int, c: int) -> bool:
    """Whether word[:n] ends in three bytes; 0 stands for none."""
    return word[n - 1] == c and (b == 0 or word[n - 2] == b) and (a == 0 or word[n - 3] == a)


@njit(nogil=True, cache=True)
def stem(word: Bytes, n: int) -> int:
    """Cut a lower-case English word to a light stem in place; the new length."""
    if n > 2 and ends(word, n, 0, 39, 115):  # 's
        n -= 2
    if n > 4 and ends(word, n, 105, 101, 115):  # ies -> y
        n -= 2
        word[n - 1] = 121
    elif n > 3 and word[n - 1] == 115 and word[n - 2] != 115 and word[n - 2] != 117 and word[n - 2] != 105:  # s
        n -= 1
    cut = n
    if n > 5 and ends(word, n, 105, 110, 103):  # ing
        cut = n - 3
    elif (n > 4 and ends(word, n, 0, 101, 100)) or (n > 5 and ends(word, n, 0, 108, 121)):  # ed, ly
        cut = n - 2
    if cut < n and word[cut - 1] == word[cut - 2] and word[cut - 1] != 108 and word[cut - 1] != 115:  # stopp: stop
        cut -= 1
    n = cut
    if n > 4 and word[n - 1] == 101:  # e
        n -= 1
    return n


@njit(nogil=True, cache=True)
def hash_word(word: Bytes, n: int) -> np.uint64:
    """Of the stem of a Latin word."""
    h = WORD
    for k in range(n):
        h = (h ^ uint64(word[k])) * PRIME
    return finish(h)


@njit(nogil=True, cache=True, inline="always")
def syllable(utf8: Bytes, i: int) -> np.uint64:
    """The three bytes of a syllable as one number."""
    three: np.uint64 = uint64(utf8[i]) << uint64(16) | uint64(utf8[i + 1]) << uint64(8) | uint64(utf8[i + 2])
    return three


@njit(nogil=True, cache=True)
def hash_syllables(utf8: Bytes, i: int, n: int, step: int, kind: np.uint64) -> np.uint64:
    """Of n syllables from i on, forwards or (step -3) backwards."""
    h = kind
    for k in range(n):
        h = (h ^ syllable(utf8, i + k * step)) * PRIME
    return finish(h)


def new_table(hashes: Hashes, values: Counts) -> tuple[Hashes, Counts]:
    """An open-addressing table, (keys, values), at most half full; hashes are different from each other."""
    size = 1 << max(2 * len(hashes), 1).bit_length()
    keys, found = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    insert_all(hashes, values, keys, found)
    return keys, found
