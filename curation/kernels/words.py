"""Signals of words: the Gopher quality counts and, from the same words, the repeated n-grams."""

import numpy as np
from numba import njit, uint64

from curation.kernels.characters import ALPHA, JAMO, SPACE, SYLLABLE, SYMBOL, Bytes, Hashes, Offsets, Values, decode
from curation.kernels.hashing import BASE, INVERSE, Table, Words, count_bits
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
BEGINS_SYMBOL = np.array([byte in b"#.\xe2" for byte in range(256)])
UNDEFINED = np.nan  # a ratio without a denominator


@njit(nogil=True, cache=True)
def split_words(utf8: Bytes, start: int, end: int, classes: Bytes, words: Words) -> tuple[int, int, int]:
    """Fills `words` as str.split() splits utf8[start:end]; returns (words, characters, Hangul characters)."""
    n_words, n_chars, n_word_chars, n_hangul, inside = 0, 0, 0, 0, False
    total, power, inverse, any_class, all_class = uint64(0), uint64(1), uint64(1), 0, 255
    i = start
    while i < end:
        character, size = decode(utf8, i)
        i += size
        n_chars += 1
        bits = int(classes[character])
        if bits & SPACE == 0:
            total += uint64(character + 1) * inverse
            inverse *= INVERSE
            power *= BASE
            any_class |= bits
            all_class &= bits
            n_word_chars += 1
            n_hangul += bits & (SYLLABLE | JAMO) != 0
            inside = True
        if inside and (bits & SPACE or i == end):
            words.any_class[n_words], words.all_class[n_words] = any_class, all_class
            n_words += 1
            words.char_end[n_words], words.sums[n_words], words.powers[n_words] = n_word_chars, total, power
            any_class, all_class, inside = 0, 255, False
    return n_words, n_chars, n_hangul


@njit(nogil=True, cache=True)
def count_symbols(utf8: Bytes, start: int, end: int) -> tuple[int, int]:
    """(number signs, ellipses) of utf8[start:end]; three dots in a row are an ellipsis, as is U+2026."""
    n_hashes, n_ellipses, i = 0, 0, start
    while i < end:
        byte = utf8[i]
        i += 1
        if not BEGINS_SYMBOL[byte]:
            continue
        if byte == 0x23:
            n_hashes += 1
        elif i + 1 < end and (
            (byte == 0x2E and utf8[i] == 0x2E and utf8[i + 1] == 0x2E)
            or (byte == 0xE2 and utf8[i] == 0x80 and utf8[i + 1] == 0xA6)
        ):
            n_ellipses += 1
            i += 2
    return n_hashes, n_ellipses


@njit(nogil=True, cache=True)
def count_stop_words(words: Words, n_words: int, stop_words: Hashes, longest_chars: int) -> int:
    """How many different ones of stop_words (hashes, of words of at most longest_chars) occur."""
    char_end, sums, powers, seen = words.char_end, words.sums, words.powers, 0
    for i in range(n_words):
        if char_end[i + 1] - char_end[i] <= longest_chars:
            word = (sums[i + 1] - sums[i]) * powers[i]
            for k in range(len(stop_words)):
                seen |= (word == stop_words[k]) << k
    return count_bits(seen)


@njit(nogil=True, cache=True)
def measure_quality(words: Words, n_words: int, row: Values) -> None:
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
def measure_words(
    utf8: Bytes,
    offsets: Offsets,
    classes: Bytes,
    stop_words: Hashes,
    longest_stop_word: int,
    words: Words,
    table: Table,
    out: Values,
) -> None:
    """Writes COLUMNS of every document utf8[offsets[d]:offsets[d + 1]] into out[d]; NaN where undefined."""
    words.powers[0] = 1
    for d in range(len(offsets) - 1):
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
            measure_repetition(words, n_words, n_chars, table, row[REPETITION:])
        else:
            row[REPETITION:] = UNDEFINED
