r"""Signals of lines and paragraphs cut at "\n": what repeats (Gopher), and how lines look (FineWeb)."""

import numpy as np
from numba import uint64

from curation.kernels import at, kernel, words
from curation.kernels.characters import SPACE, TERMINAL, Bytes, Hashes, Offsets, Values, decode, strip
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
def measure_lines(
    utf8: Bytes, start: int, end: int, n_chars: int, n_newlines: int, classes: Bytes, keys: Hashes, row: Values
) -> int:
    r"""Writes Gopher's line duplicates (cut at runs of "\n") and FineWeb's shares; returns the duplicates."""
    shift = clear(keys, min(n_newlines, (end - start) // 2) + 1)
    n_lines, n_dups, n_dup_chars, n_nonblank, n_terminal, n_short, n_dup_nonblank_chars = 0, 0, 0, 0, 0, 0, 0
    h, size_chars, all_class, last_class, was_break, i = uint64(0), 0, SPACE, 0, False, start
    while i <= end:
        character, size = decode(utf8, i) if i < end else (NEWLINE, 1)
        i += size
        if character != NEWLINE:
            last_class = int(classes[at(character)])
            all_class &= last_class
            h, size_chars, was_break = h * BASE + uint64(character + 1), size_chars + 1, False
            continue
        if not was_break or i > end:
            is_dup = seen_before(keys, shift, h)
            n_lines += 1
            n_dups += is_dup
            n_dup_chars += size_chars * is_dup
            if not all_class & SPACE:
                n_nonblank += 1
                n_terminal += last_class & TERMINAL != 0
                n_short += size_chars <= SHORT_LINE_CHARS
                n_dup_nonblank_chars += size_chars * is_dup
        h, size_chars, all_class, last_class, was_break = uint64(0), 0, SPACE, 0, True
    row[DUP_LINES], row[DUP_LINE_CHARS], row[LINES] = n_dups / n_lines, n_dup_chars / n_chars, n_nonblank
    row[TERMINAL_LINES] = n_terminal / n_nonblank if n_nonblank else UNDEFINED
    row[SHORT_LINES] = n_short / n_nonblank if n_nonblank else UNDEFINED
    row[DUP_NONBLANK] = n_dup_nonblank_chars / (n_chars - n_newlines) if n_nonblank else UNDEFINED
    return n_dups


@kernel()
def is_newlines(utf8: Bytes, start: int, end: int) -> bool:
    """Whether all of utf8[start:end] is newlines."""
    while start < end and utf8[at(start)] == NEWLINE:
        start += 1
    return start == end


@kernel()
def measure_paragraphs(
    utf8: Bytes, start: int, end: int, n_chars: int, n_newlines: int, classes: Bytes, keys: Hashes, row: Values
) -> None:
    r"""Writes the duplicates among the paragraphs of a stripped text, cut at two or more "\n"."""
    shift = clear(keys, min(n_newlines, (end - start) // 2) + 1)
    n_paras, n_dups, n_dup_chars = 0, 0, 0
    h, size_chars, n_breaks, i = uint64(0), 0, 0, start
    while i <= end:
        character, size = decode(utf8, i) if i < end else (0, 1)
        if character == NEWLINE:
            n_breaks += 1
            i += 1
            continue
        if n_breaks > 1 or i == end:
            is_dup = seen_before(keys, shift, h)
            n_paras += 1
            n_dups += is_dup
            n_dup_chars += size_chars * is_dup
            h, size_chars, n_breaks = uint64(0), 0, 0
        if n_breaks == 1:
            h, size_chars, n_breaks = h * BASE + uint64(NEWLINE + 1), size_chars + 1, 0
        h, size_chars = h * BASE + uint64(character + 1), size_chars + 1
        i += size
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
        if n_dups or not (is_newlines(utf8, start, first) and is_newlines(utf8, past, end)):
            measure_paragraphs(utf8, first, past, n_chars, n_newlines, classes, keys, row)
