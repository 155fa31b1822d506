r"""Signals of lines and paragraphs cut at "\n": what repeats (Gopher), and how lines look (FineWeb)."""

import numpy as np
from numba import njit, uint64

from curation.kernels.characters import SPACE, TERMINAL, decode, strip
from curation.kernels.hashing import BASE, SPREAD, clear, insert, mix

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
UNDEFINED = np.nan


@njit(nogil=True, cache=True)
def seen_before(table, shift, text_hash):
    """Whether a text of this hash, the empty text included, came before; and remembers it."""
    return insert(table, shift, mix(text_hash + SPREAD))


@njit(nogil=True, cache=True)
def measure_paragraphs(utf8, start, end, n_chars, classes, table, shift, row):
    r"""Writes the duplicates among the paragraphs: the stripped text cut at two or more "\n"."""
    start, end = strip(utf8, start, end, classes)
    n_paras, n_dups, n_dup_chars = 0, 0, 0
    h, size_chars, n_breaks, i = uint64(0), 0, 0, start
    while i <= end:
        character, size = decode(utf8, i) if i < end else (NEWLINE, 1)
        i += size
        if character == NEWLINE and i <= end:
            n_breaks += 1
            continue
        if n_breaks > 1 or i > end:
            n_paras += 1
            if seen_before(table, shift, h):
                n_dups += 1
                n_dup_chars += size_chars
            h, size_chars = uint64(0), 0
        elif n_breaks == 1:
            h, size_chars = h * BASE + uint64(NEWLINE + 1), size_chars + 1
        h, size_chars, n_breaks = h * BASE + uint64(character + 1), size_chars + 1, 0
    row[DUP_PARAS], row[DUP_PARA_CHARS] = n_dups / n_paras, n_dup_chars / n_chars


@njit(nogil=True, cache=True)
def measure_newline_lines(utf8, start, end, n_chars, n_newlines, classes, table, shift, row):
    r"""Writes Gopher's line duplicates (text cut at runs of "\n") and FineWeb's shares of the lines that are not blank."""
    n_lines, n_dups, n_dup_chars, n_nonblank, n_terminal, n_short, n_dup_nonblank_chars = 0, 0, 0, 0, 0, 0, 0
    h, size_chars, all_class, last_class, was_break, i = uint64(0), 0, SPACE, 0, False, start
    while i <= end:
        character, size = decode(utf8, i) if i < end else (NEWLINE, 1)
        i += size
        if character != NEWLINE:
            last_class = np.int64(classes[character])
            all_class &= last_class
            h, size_chars, was_break = h * BASE + uint64(character + 1), size_chars + 1, False
            continue
        if not was_break or i > end:
            is_dup, is_blank = seen_before(table, shift, h), all_class & SPACE != 0
            n_lines += 1
            n_dups += is_dup
            n_dup_chars += size_chars * is_dup
            if not is_blank:
                n_nonblank += 1
                n_terminal += last_class & TERMINAL != 0
                n_short += size_chars <= SHORT_LINE_CHARS
                n_dup_nonblank_chars += size_chars * is_dup
        h, size_chars, all_class, last_class, was_break = uint64(0), 0, SPACE, 0, True
    row[DUP_LINES], row[DUP_LINE_CHARS], row[LINES] = n_dups / n_lines, n_dup_chars / n_chars, n_nonblank
    row[TERMINAL_LINES] = n_terminal / n_nonblank if n_nonblank else UNDEFINED
    row[SHORT_LINES] = n_short / n_nonblank if n_nonblank else UNDEFINED
    row[DUP_NONBLANK] = n_dup_nonblank_chars / (n_chars - n_newlines) if n_nonblank else UNDEFINED


@njit(nogil=True, cache=True)
def measure_duplicates(utf8, offsets, classes, n_chars_of, n_words_of, table, out):
    """Writes COLUMNS of every document utf8[offsets[d]:offsets[d + 1]] into out[d]; NaN where undefined."""
    for d in range(offsets.shape[0] - 1):
        row, start, end, n_newlines = out[d], offsets[d], offsets[d + 1], 0
        for i in range(start, end):
            n_newlines += utf8[i] == NEWLINE
        row[:] = UNDEFINED
        row[LINES] = 0
        row[NEWLINES] = n_newlines / n_words_of[d] if n_words_of[d] else UNDEFINED
        if start < end:
            n_chars = np.int64(n_chars_of[d])
            n_items = min(n_newlines, (end - start) // 2) + 1
            shift = clear(table, n_items)
            measure_paragraphs(utf8, start, end, n_chars, classes, table, shift, row)
            shift = clear(table, n_items)
            measure_newline_lines(utf8, start, end, n_chars, n_newlines, classes, table, shift, row)
