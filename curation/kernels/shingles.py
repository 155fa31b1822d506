"""Shingles of a document, the minima of their hashes, and sets of them: what near-duplicates are found by."""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import uint32, uint64

from curation.kernels import at, kernel
from curation.kernels.characters import N_CODE_POINTS, Bytes, Hashes, Offsets, decode
from curation.kernels.hashing import mix

Minima = npt.NDArray[np.uint32]

DENSE = uint32(1 << 31)  # marks a letter of a script whose words are long, inflected or not separated
BASE = uint64(0x9E3779B97F4A7C15)
WORD_SEED, WORD_PRIME = uint64(0xCBF29CE484222325), uint64(0x100000001B3)  # FNV-1a, over code points
MAXIMUM = uint32(0xFFFFFFFF)

# Hangul, kana, Han, Thai, Lao, Burmese, Khmer
_DENSE_RANGES = (
    (0x0E00, 0x0F00),
    (0x1000, 0x10A0),
    (0x1100, 0x1200),
    (0x1780, 0x1800),
    (0x3040, 0x3190),
    (0x3400, 0xA000),
    (0xA960, 0xA980),
    (0xAC00, 0xD800),
    (0xF900, 0xFB00),
    (0xFF66, 0xFFDD),
    (0x20000, 0x33480),
)


class Unit(NamedTuple):
    """n-grams of characters or of words."""

    of_chars: bool
    n: int
    power: np.uint64  # BASE^(n - 1)


class Shingling(NamedTuple):
    """What is counted as a shingle in scripts such as Hangul, and in all others."""

    dense: Unit
    spaced: Unit


class Scratch(NamedTuple):
    """Room for one document's characters, words and shingles; pages that no document touches cost no memory."""

    chars: npt.NDArray[np.uint32]
    word_ends: Offsets
    words: Hashes
    is_dense: npt.NDArray[np.bool_]
    shingles: Hashes


def new_unit(of_chars: bool, n: int) -> Unit:
    """n-grams of n (1 or more) characters or words."""
    return Unit(of_chars, n, np.uint64(pow(int(BASE), n - 1, 2**64)))


def new_scratch(longest_bytes: int) -> Scratch:
    """Room for documents of up to `longest_bytes` in UTF-8."""
    n = longest_bytes + 1
    words, shingles = np.empty((2, n), np.uint64)
    return Scratch(np.empty(n, np.uint32), np.empty(n, np.int64), words, np.empty(n, np.bool_), shingles)


@cache
def folded_letters() -> npt.NDArray[np.uint32]:
    """Of every code point its lower case, with DENSE where it applies; 0 for what belongs to no word."""
    every = np.arange(N_CODE_POINTS, dtype=np.uint32)
    characters = every.view("U1")
    cased = np.flatnonzero(np.strings.isupper(characters) | np.strings.istitle(characters))
    lower = np.strings.lower(characters[cased].astype("U4"))
    single = np.strings.str_len(lower) == 1  # the lower case of İ is two characters: it stays as it is
    folded = every.copy()
    folded[cased[single]] = lower[single].astype("U1").view(np.uint32)
    in_word = np.strings.isalnum(characters)
    in_word[ord("_")] = True
    for first, end in _DENSE_RANGES:
        folded[first:end] |= DENSE
    return np.where(in_word, folded, np.uint32(0))


@kernel()
def split_letters(utf8: Bytes, start: int, end: int, folded: npt.NDArray[np.uint32], scratch: Scratch) -> int:
    r"""Fills the scratch with the words of utf8[start:end], as `\w+` finds them, in lower case; returns how many."""
    chars, word_ends, words, is_dense = scratch.chars, scratch.word_ends, scratch.words, scratch.is_dense
    n_words, n_chars, h = 0, 0, WORD_SEED
    dense: np.bool_ = np.bool_(False)
    word_start, i = 0, start
    while i <= end:
        letter = uint32(0)
        if i == end:
            i += 1
        elif utf8[at(i)] < 0x80:
            letter = folded[at(utf8[at(i)])]
            i += 1
        else:
            character, size = decode(utf8, i)
            letter = folded[at(character)]
            i += size
        if letter:
            chars[at(n_chars)] = letter
            n_chars += 1
            dense |= letter >= DENSE
            h = (h ^ uint64(letter)) * WORD_PRIME
        elif n_chars > word_start:
            word_ends[at(n_words)], words[at(n_words)], is_dense[at(n_words)] = n_chars, mix(h), dense
            n_words += 1
            word_start, h, dense = n_chars, WORD_SEED, np.bool_(False)
    return n_words


@kernel()
def add_grams(items: Hashes | Minima, start: int, end: int, unit: Unit, out: Hashes, n_out: int) -> int:
    """Appends the hash of every n-gram of items[start:end], or of all of it where it is shorter than one."""
    total, full = uint64(0), min(start + unit.n, end)
    for i in range(start, full):
        total = total * BASE + uint64(items[at(i)])
    out[at(n_out)] = mix(total)
    n_out += 1
    for i in range(full, end):
        total = (total - uint64(items[at(i - unit.n)]) * unit.power) * BASE + uint64(items[at(i)])
        out[at(n_out)] = mix(total)
        n_out += 1
    return n_out


@kernel()
def add_segment(scratch: Scratch, first: int, last: int, unit: Unit, n_out: int) -> int:
    """Appends the shingles of the words from `first` to before `last`."""
    if first == last:
        return n_out
    if not unit.of_chars:
        return add_grams(scratch.words, first, last, unit, scratch.shingles, n_out)
    start = scratch.word_ends[at(first - 1)] if first else 0
    return add_grams(scratch.chars, start, scratch.word_ends[at(last - 1)], unit, scratch.shingles, n_out)


@kernel()
def add_shingles(utf8: Bytes, start: int, end: int, folded: Minima, shingling: Shingling, scratch: Scratch) -> int:
    """Fills scratch.shingles with the shingles of utf8[start:end], repeats included; returns how many.

    A text is cut where its script changes. A run of spaced words too short for a shingle of its own belongs to the
    dense words around it, as names and numbers in a Korean sentence do.
    """
    n_words = split_letters(utf8, start, end, folded, scratch)
    has_dense, dense, spaced = False, shingling.dense, shingling.spaced
    for w in range(n_words):
        has_dense |= scratch.is_dense[at(w)]
    if not has_dense or (dense.of_chars == spaced.of_chars and dense.n == spaced.n):
        return add_segment(scratch, 0, n_words, shingling.spaced, 0)
    n_out, first, w = 0, 0, 0
    while w < n_words:
        run = w
        while run < n_words and not scratch.is_dense[at(run)]:
            run += 1
        if run - w >= shingling.spaced.n:
            n_out = add_segment(scratch, first, w, shingling.dense, n_out)
            n_out = add_segment(scratch, w, run, shingling.spaced, n_out)
            first = run
        w = run + 1
    return add_segment(scratch, first, n_words, shingling.dense, n_out)


@kernel()
def keep_minima(shingles: Hashes, n: int, a: Minima, b: Minima, best: Minima) -> None:
    """best[p] = min over shingles of low * a[p] + (high ^ b[p]), the halves of a shingle's hash, modulo 2^32.

    Four shingles at a time, so that a[p], b[p] and best[p] are loaded and stored a quarter as often.
    """
    best[:] = MAXIMUM
    for i in range(0, n, 4):
        s0, s1 = shingles[at(i)], shingles[at(min(i + 1, n - 1))]
        s2, s3 = shingles[at(min(i + 2, n - 1))], shingles[at(min(i + 3, n - 1))]
        low0, low1, low2, low3 = uint32(s0), uint32(s1), uint32(s2), uint32(s3)
        high0, high1 = uint32(s0 >> uint64(32)), uint32(s1 >> uint64(32))
        high2, high3 = uint32(s2 >> uint64(32)), uint32(s3 >> uint64(32))
        for p in range(a.shape[0]):
            x, y = a[at(p)], b[at(p)]
            v0, v1 = uint32(low0 * x + (high0 ^ y)), uint32(low1 * x + (high1 ^ y))
            v2, v3 = uint32(low2 * x + (high2 ^ y)), uint32(low3 * x + (high3 ^ y))
            best[at(p)] = min(best[at(p)], min(min(v0, v1), min(v2, v3)))


@kernel()
def minhash(
    utf8: Bytes,
    offsets: Offsets,
    folded: Minima,
    shingling: Shingling,
    scratch: Scratch,
    a: Minima,
    b: Minima,
    n_shingles: Offsets,
    minima: Minima,
) -> None:
    """Of each document utf8[offsets[d]:offsets[d + 1]]: how many shingles it has, and its minima (documents, n)."""
    for d in range(len(offsets) - 1):
        n_shingles[d] = add_shingles(utf8, offsets[d], offsets[d + 1], folded, shingling, scratch)
        keep_minima(scratch.shingles, n_shingles[d], a, b, minima[d])


@kernel()
def hash_bands(minima: Minima, n_rows: int, bands: Hashes) -> None:
    """bands[d, k] = hash of the k-th `n_rows` minima of document d."""
    for d in range(bands.shape[0]):
        for k in range(bands.shape[1]):
            h = uint64(n_rows)
            for r in range(k * n_rows, (k + 1) * n_rows):
                h = mix(h ^ uint64(minima[d, at(r)])) * BASE
            bands[d, at(k)] = h


@kernel()
def gather_shingles(
    utf8: Bytes,
    offsets: Offsets,
    folded: Minima,
    shingling: Shingling,
    scratch: Scratch,
    ends: Offsets,
    out: npt.NDArray[np.uint32],
) -> None:
    """Appends each document's shingles, cut to 32 bits, to `out`, unordered and with repeats; ends[d] is where."""
    n_out = 0
    for d in range(len(offsets) - 1):
        n = add_shingles(utf8, offsets[d], offsets[d + 1], folded, shingling, scratch)
        for i in range(n):
            out[at(n_out + i)] = uint32(scratch.shingles[at(i)] >> uint64(32))
        n_out += n
        ends[d] = n_out


@kernel()
def count_common(a: npt.NDArray[np.uint32], b: npt.NDArray[np.uint32]) -> int:
    """How many values two ascending arrays without repeats share."""
    i, j, n = 0, 0, 0
    while i < len(a) and j < len(b):
        x, y = a[at(i)], b[at(j)]
        n += x == y
        i += x <= y
        j += y <= x
    return n
