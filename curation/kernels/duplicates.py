r"""Signals of lines and paragraphs cut at "\n": what repeats (Gopher), and how lines look (FineWeb)."""

import numpy as np
from numba import uint64

from curation.kernels import at, kernel, words
from curation.kernels.characters import (
    HIGHS_8,
    ONES_8,
    TERMINAL,
    Bytes,
    Hashes,
    Offsets,
    Values,
    decode,
    eight_bytes,
    strip,
)
from curation.kernels.hashing import SPREAD, clear, insert, mix

COLUMNS = (
    "dup_para_frac",
    "dup_para_char_frac",
    "dup_line_frac",
    "dup_line_char_frac",
    "nonblank_line_count",
    "terminal_line_frac",
    "short_line_frac",
    "dup_nonblank_line_char_frac",
    "newline_word_ratio",
)
DUP_PARAS, DUP_PARA_CHARS, DUP_LINES, DUP_LINE_CHARS, LINES, TERMINAL_LINES, SHORT_LINES, DUP_NONBLANK, NEWLINES = (
    range(9)
)
SHORT_LINE_CHARS = 30  # FineWeb's short_line_length
NEWLINE = 0x0A
NEWLINES_8, ALL_8 = uint64(NEWLINE) * ONES_8, uint64(0xFFFFFFFFFFFFFFFF)
UNDEFINED = np.nan


@kernel()
def count_newlines(utf8: Bytes, start: int, end: int) -> int:
    r"""How many "\n" utf8[start:end] has."""
    n_newlines = 0
    for i in range(start, end):
        n_newlines += utf8[at(i)] == NEWLINE
    return n_newlines


@kernel()
def seen_before(keys: Hashes, shift: np.uint64, text_hash: np.uint64) -> bool:
    """Whether a text of this hash, the empty text included, came before; and remembers it."""
    return insert(keys, shift, mix(text_hash + SPREAD))


@kernel()
def read_line(utf8: Bytes, start: int, end: int) -> tuple[int, np.uint64, int]:
    r"""(where the first "\n" of utf8[start:end] is, or `end`; hash and characters of what is before it).

    Reads eight bytes at a time. Source of finding a byte in a word: Warren, Hacker's Delight, section 6-1.
    """
    h, n_later, mask, i = uint64(0), uint64(0), ALL_8, start - 8
    while mask == ALL_8:  # ends at a word that is not full, be it empty, wherever the line stands
        i += 8
        if i + 8 <= end:
            eight = eight_bytes(utf8, i)
            others = eight ^ NEWLINES_8
            found = (others - ONES_8) & ~others & HIGHS_8
            mask = (((found & (~found + uint64(1))) >> uint64(7)) - uint64(1)) if found else ALL_8
        else:
            eight, mask, k = uint64(0), uint64(0), 0
            while i + k < end and utf8[at(i + k)] != NEWLINE:
                eight |= uint64(utf8[at(i + k)]) << uint64(8 * k)
                mask = mask << uint64(8) | uint64(0xFF)
                k += 1
        eight &= mask
        h = mix(h ^ eight) + SPREAD
        n_later += (((eight >> uint64(7)) & ~(eight >> uint64(6)) & ONES_8) * ONES_8) >> uint64(56)
    i += int(((mask & ONES_8) * ONES_8) >> uint64(56))
    return i, h + uint64(i - start), i - start - int(n_later)


@kernel()
def measure_lines(
    utf8: Bytes, start: int, end: int, n_chars: int, n_newlines: int, classes: Bytes, keys: Hashes, row: Values
) -> int:
    r"""Writes Gopher's line duplicates (cut at runs of "\n") and FineWeb's shares; returns the duplicates."""
    shift = clear(keys, min(n_newlines, (end - start) // 2) + 1)
    n_lines, n_dups, n_dup_chars, n_nonblank, n_terminal, n_short, n_dup_nonblank_chars = 0, 0, 0, 0, 0, 0, 0
    i, line_end = start, -1
    while line_end < end:
        line_end, h, size_chars = read_line(utf8, i, end)
        is_dup = seen_before(keys, shift, h)
        n_lines += 1
        n_dups += is_dup
        n_dup_chars += size_chars * is_dup
        first, past = strip(utf8, i, line_end, classes)
        if first < past:
            last = line_end - 1
            while utf8[at(last)] & 0xC0 == 0x80:
                last -= 1
            n_nonblank += 1
            n_terminal += classes[at(decode(utf8, last)[0])] & TERMINAL != 0
            n_short += size_chars <= SHORT_LINE_CHARS
            n_dup_nonblank_chars += size_chars * is_dup
        i = line_end
        while i < end and utf8[at(i)] == NEWLINE:
            i += 1
    row[DUP_LINES], row[DUP_LINE_CHARS], row[LINES] = n_dups / n_lines, n_dup_chars / n_chars, n_nonblank
    row[TERMINAL_LINES] = n_terminal / n_nonblank if n_nonblank else UNDEFINED
    row[SHORT_LINES] = n_short / n_nonblank if n_nonblank else UNDEFINED
    row[DUP_NONBLANK] = n_dup_nonblank_chars / (n_chars - n_newlines) if n_nonblank else UNDEFINED
    return n_dups


@kernel()
def measure_paragraphs(
    utf8: Bytes, start: int, end: int, n_chars: int, n_newlines: int, keys: Hashes, row: Values
) -> None:
    r"""Writes the duplicates among the paragraphs of a stripped text, cut at two or more "\n"."""
    shift = clear(keys, min(n_newlines, (end - start) // 2) + 1)
    n_paras, n_dups, n_dup_chars = 0, 0, 0
    h, size_chars, i, line_end = uint64(0), 0, start, -1
    while line_end < end:
        line_end, line_hash, line_chars = read_line(utf8, i, end)
        h, size_chars, i = mix(h ^ line_hash) + SPREAD, size_chars + line_chars, line_end
        while i < end and utf8[at(i)] == NEWLINE:
            i += 1
        if i - line_end == 1:
            size_chars += 1
            continue
        is_dup = seen_before(keys, shift, h)
        n_paras += 1
        n_dups += is_dup
        n_dup_chars += size_chars * is_dup
        h, size_chars = uint64(0), 0
    row[DUP_PARAS], row[DUP_PARA_CHARS] = n_dups / n_paras, n_dup_chars / n_chars


@kernel()
def measure_duplicates(
    utf8: Bytes,
    offsets: Offsets,
    classes: Bytes,
    of_words: Values,
    keys: Hashes,
    out: Values,
) -> None:
    """Writes COLUMNS of every document utf8[offsets[d]:offsets[d + 1]] into out[d]; NaN where undefined.

    `of_words` are the columns that kernels.words measured of the same documents.
    """
    for d in range(len(offsets) - 1):
        row, start, end = out[d], offsets[d], offsets[d + 1]
        n_newlines = count_newlines(utf8, start, end)
        row[:] = UNDEFINED
        row[LINES] = 0
        n_words = of_words[d, words.WORDS]
        row[NEWLINES] = n_newlines / n_words if n_words else UNDEFINED
        if start == end:
            continue
        n_chars = int(of_words[d, words.CHARS])
        n_dups = measure_lines(utf8, start, end, n_chars, n_newlines, classes, keys, row)
        row[DUP_PARAS] = row[DUP_PARA_CHARS] = 0
        first, past = strip(utf8, start, end, classes)
        # Where no line repeats, no paragraph does, unless stripping the text has changed its first or last line.
        if n_dups or n_newlines - count_newlines(utf8, first, past) < first - start + end - past:
            measure_paragraphs(utf8, first, past, n_chars, n_newlines, keys, row)
