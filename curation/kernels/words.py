"""Signals of words: the Gopher quality counts and, from the same words, the repeated n-grams."""

import numpy as np
from numba import uint64

from curation.kernels import at, kernel
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
UNDEFINED = np.nan  # a ratio without a denominator


@kernel()
def split_words(utf8: Bytes, start: int, end: int, classes: Bytes, words: Words) -> tuple[int, int, int]:
    """Fills `words` as str.split() splits utf8[start:end]; returns (words, characters, Hangul characters)."""
    words.char_end[0], words.sums[0], words.powers[0] = 0, 0, 1
    n_words, n_chars, n_word_chars, n_hangul, inside = 0, 0, 0, 0, False
    total, power, inverse, any_class, all_class = uint64(0), uint64(1), uint64(1), 0, 255
    i = start
    while i < end:
        character, size = decode(utf8, i)
        i += size
        n_chars += 1
        bits = int(classes[at(character)])
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
            words.any_class[at(n_words)], words.all_class[at(n_words)] = any_class, all_class
            n_words += 1
            words.char_end[at(n_words)], words.sums[at(n_words)], words.powers[at(n_words)] = (
                n_word_chars,
                total,
                power,
            )
            any_class, all_class, inside = 0, 255, False
    return n_words, n_chars, n_hangul


@kernel()
def count_symbols(utf8: Bytes, start: int, end: int) -> tuple[int, int]:
    """(number signs, ellipses) of utf8[start:end]; three dots in a row are an ellipsis, as is U+2026."""
    n_hashes, n_ellipses, n_dot_pairs = 0, 0, 0
    for i in range(start, end):  # without a branch, so that it takes many bytes at a time
        n_hashes += utf8[at(i)] == 0x23
    for i in range(start + 2, end):
        n_ellipses += (utf8[at(i - 2)] == 0xE2) & (utf8[at(i - 1)] == 0x80) & (utf8[at(i)] == 0xA6)
        n_dot_pairs += (utf8[at(i - 1)] == 0x2E) & (utf8[at(i)] == 0x2E)
    return n_hashes, n_ellipses + (count_dots(utf8, start, end) if n_dot_pairs else 0)


@kernel()
def count_dots(utf8: Bytes, start: int, end: int) -> int:
    """How often three dots come in a row in utf8[start:end], none counted twice."""
    n_threes, n_dots = 0, 0
    for i in range(start, end):
        n_dots = n_dots + 1 if utf8[at(i)] == 0x2E else 0
        if n_dots == 3:
            n_threes += 1
            n_dots = 0
    return n_threes


@kernel()
def count_stop_words(words: Words, n_words: int, stop_words: Hashes) -> int:
    """How many different ones of stop_words (hashes, at most 63) occur."""
    sums, powers, seen, top_bits = words.sums, words.powers, 0, uint64(0)
    for k in range(len(stop_words)):
        top_bits |= uint64(1) << (stop_words[k] >> uint64(58))
    for i in range(n_words):
        word = (sums[at(i + 1)] - sums[at(i)]) * powers[at(i)]
        if top_bits >> (word >> uint64(58)) & uint64(1):  # of other words few get further
            for k in range(len(stop_words)):
                seen |= (word == stop_words[k]) << k
    return count_bits(seen)


@kernel()
def measure_quality(words: Words, n_words: int, row: Values) -> None:
    """Writes what Gopher's quality rules ask of words: how many have letters, how many are not mere symbols."""
    n_spoken, n_spoken_chars, n_alpha = 0, 0, 0
    for i in range(n_words):
        if not words.all_class[at(i)] & SYMBOL:
            n_spoken += 1
            n_spoken_chars += words.char_end[at(i + 1)] - words.char_end[at(i)]
        n_alpha += words.any_class[at(i)] & ALPHA != 0
    row[SPOKEN_WORDS] = n_spoken
    row[WORD_LENGTH] = n_spoken_chars / n_spoken if n_spoken else UNDEFINED
    row[ALPHA_WORDS] = n_alpha / n_words if n_words else UNDEFINED


@kernel()
def measure_words(
    utf8: Bytes,
    offsets: Offsets,
    classes: Bytes,
    stop_words: Hashes,
    words: Words,
    table: Table,
    out: Values,
) -> None:
    """Writes COLUMNS of every document utf8[offsets[d]:offsets[d + 1]] into out[d]; NaN where undefined."""
    for d in range(len(offsets) - 1):
        row, start, end = out[d], offsets[d], offsets[d + 1]
        n_words, n_chars, n_hangul = split_words(utf8, start, end, classes, words)
        n_hashes, n_ellipses = count_symbols(utf8, start, end)
        row[CHARS], row[WORDS] = n_chars, n_words
        measure_quality(words, n_words, row)
        row[HASHES] = n_hashes / n_words if n_words else UNDEFINED
        row[ELLIPSES] = n_ellipses / n_words if n_words else UNDEFINED
        row[STOP_WORDS] = count_stop_words(words, n_words, stop_words)
        row[HANGUL] = n_hangul / words.char_end[at(n_words)] if n_words else UNDEFINED
        if n_chars:
            measure_repetition(words, n_words, n_chars, table, row[REPETITION:])
        else:
            row[REPETITION:] = UNDEFINED
