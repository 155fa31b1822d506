"""Signals of words: the Gopher quality counts and, from the same words, the repeated n-grams."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from curation.kernels.characters import ALPHA, JAMO, SPACE, SYLLABLE, SYMBOL, decode
from curation.kernels.hashing import BASE
from curation.kernels.repetition import measure_repetition

COLUMNS = (
    "char_count",
    "word_count",
    "non_symbol_word_count",
    "avg_word_length",
    "hash_word_ratio",
    "ellipsis_word_ratio",
    "alpha_word_frac",
    "stop_word_count",
    "hangul_frac",
    *(f"top_{n}_gram_char_frac" for n in range(2, 5)),
    *(f"dup_{n}_gram_char_frac" for n in range(5, 11)),
)
CHARS, WORDS, SPOKEN_WORDS, WORD_LENGTH, HASHES, ELLIPSES, ALPHA_WORDS, STOP_WORDS, HANGUL, REPETITION = range(10)
UNDEFINED = np.nan  # a ratio without a denominator


class Words(NamedTuple):
    """Scratch for the words of one document; word i has the characters char_end[i] to char_end[i + 1] of its text
    without white space, and powers[i] is BASE to the number of them."""

    hashes: npt.NDArray[np.uint64]
    powers: npt.NDArray[np.uint64]
    char_end: npt.NDArray[np.int64]
    any_class: npt.NDArray[np.uint8]  # class bits of any of its characters
    all_class: npt.NDArray[np.uint8]  # class bits of all of its characters


def new_words(n_bytes: int) -> Words:
    """Scratch for the words of up to n_bytes of text; pages that no document touches cost no memory."""
    size = n_bytes // 2 + 1
    return Words(
        np.empty(size, np.uint64),
        np.empty(size, np.uint64),
        np.zeros(size + 1, np.int64),
        np.empty(size, np.uint8),
        np.empty(size, np.uint8),
    )


@njit(nogil=True, cache=True)
def split_words(utf8, start, end, classes, words):
    """Fills `words` as str.split() splits utf8[start:end]; returns (words, characters, Hangul characters)."""
    n_words, n_chars, n_word_chars, n_hangul, inside = 0, 0, 0, 0, False
    h, power, any_class, all_class = uint64(0), uint64(1), 0, 255
    i = start
    while i < end:
        character, size = decode(utf8, i)
        i += size
        n_chars += 1
        bits = np.int64(classes[character])
        if bits & SPACE == 0:
            h = h * BASE + uint64(character + 1)
            power *= BASE
            any_class |= bits
            all_class &= bits
            n_word_chars += 1
            n_hangul += bits & (SYLLABLE | JAMO) != 0
            inside = True
        if inside and (bits & SPACE or i == end):
            words.hashes[n_words], words.powers[n_words] = h, power
            words.any_class[n_words], words.all_class[n_words] = any_class, all_class
            n_words += 1
            words.char_end[n_words] = n_word_chars
            h, power, any_class, all_class, inside = uint64(0), uint64(1), 0, 255, False
    return n_words, n_chars, n_hangul


@njit(nogil=True, cache=True)
def count_symbols(utf8, start, end):
    """(number signs, ellipses) of utf8[start:end]; three dots in a row are an ellipsis, as is U+2026."""
    n_hashes, n_ellipses, n_dots = 0, 0, 0
    for i in range(start, end):
        byte = utf8[i]
        n_dots = n_dots + 1 if byte == 0x2E else 0
        if byte == 0x23:
            n_hashes += 1
        elif n_dots == 3:
            n_ellipses += 1
            n_dots = 0
        elif byte == 0xA6 and i >= start + 2 and utf8[i - 1] == 0x80 and utf8[i - 2] == 0xE2:
            n_ellipses += 1
    return n_hashes, n_ellipses


@njit(nogil=True, cache=True)
def count_stop_words(words, n_words, stop_words, longest):
    """How many different ones of stop_words (hashes; the longest has `longest` characters) occur."""
    seen = 0
    for i in range(n_words):
        if words.char_end[i + 1] - words.char_end[i] <= longest:
            for k in range(stop_words.shape[0]):
                if words.hashes[i] == stop_words[k]:
                    seen |= 1 << k
    n_seen = 0
    while seen:
        n_seen += seen & 1
        seen >>= 1
    return n_seen


@njit(nogil=True, cache=True)
def measure_quality(words, n_words, row):
    """Writes what Gopher's quality rules ask of words: how many have letters, how many are not mere symbols."""
    n_spoken, n_spoken_chars, n_alpha = 0, 0, 0
    for i in range(n_words):
        if not words.all_class[i] & SYMBOL:
            n_spoken += 1
            n_spoken_chars += words.char_end[i + 1] - words.char_end[i]
        n_alpha += words.any_class[i] & ALPHA != 0
    row[SPOKEN_WORDS] = n_spoken
    row[WORD_LENGTH] = n_spoken_chars / n_spoken if n_spoken else UNDEFINED
    row[ALPHA_WORDS] = n_alpha / n_words if n_words else UNDEFINED


@njit(nogil=True, cache=True)
def measure_words(utf8, offsets, classes, stop_words, longest_stop_word, words, grams, table, out):
    """Writes COLUMNS of every document utf8[offsets[d]:offsets[d + 1]] into out[d]; NaN where undefined."""
    for d in range(offsets.shape[0] - 1):
        row, start, end = out[d], offsets[d], offsets[d + 1]
        n_words, n_chars, n_hangul = split_words(utf8, start, end, classes, words)
        n_hashes, n_ellipses = count_symbols(utf8, start, end)
        row[CHARS], row[WORDS] = n_chars, n_words
        measure_quality(words, n_words, row)
        row[HASHES] = n_hashes / n_words if n_words else UNDEFINED
        row[ELLIPSES] = n_ellipses / n_words if n_words else UNDEFINED
        row[STOP_WORDS] = count_stop_words(words, n_words, stop_words, longest_stop_word)
        row[HANGUL] = n_hangul / words.char_end[n_words] if n_words else UNDEFINED
        if n_chars:
            measure_repetition(words, n_words, n_chars, grams, table, row[REPETITION:])
        else:
            row[REPETITION:] = UNDEFINED
