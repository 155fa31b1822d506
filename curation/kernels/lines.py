"""Signals of lines, cut as str.splitlines() cuts: Gopher's bullets and ellipses, and what C4 does with each line."""

from typing import NamedTuple

import numpy as np
from numba import uint64

from curation.kernels import at, kernel
from curation.kernels.characters import (
    DECIMAL,
    HIGHS_8,
    LINE_BREAK,
    ONES_8,
    SPACE,
    TERMINAL,
    Bytes,
    Offsets,
    Values,
    decode,
    eight_bytes,
    strip,
)
from curation.kernels.phrases import Phrases, compile_phrases, find_phrases

COLUMNS = (
    "line_count",
    "bullet_line_frac",
    "list_line_frac",
    "ellipsis_line_frac",
    "c4_long_word_line_count",
    "c4_unterminated_line_count",
    "c4_short_line_count",
    "c4_lorem_ipsum_line_count",
    "c4_javascript_line_count",
    "c4_curly_bracket_line_count",
    "c4_policy_line_count",
    "c4_kept_line_count",
    "c4_sentence_count",
    "c4_citation_count",
)
LINES, BULLETS, LIST, ELLIPSES = range(4)
LONG_WORD, UNTERMINATED, SHORT, LOREM_IPSUM, JAVASCRIPT, CURLY_BRACKET, POLICY, KEPT, SENTENCES, CITATIONS = range(
    4, 14
)
UNDEFINED = np.nan

LIST_MARKS = np.array([ord(mark) for mark in "-*•·‧ㆍ∙▪■□●○▶◆"])  # dps's bullets, and others that Korean pages use
C4_WORD_CHARS_MAX = 1000  # C4QualityFilter's max_word_length
C4_LINE_WORDS_MIN = 3  # its min_words_per_line

_POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
C4_PHRASES = compile_phrases([["lorem ipsum"], ["javascript"], ["{"], _POLICY])
BEGINS_LINE_BREAK = np.array([byte < 0x20 or byte in (0xC2, 0xE2) for byte in range(256)])
SPACES_8, E2_8 = uint64(0x20) * ONES_8, uint64(0xE2) * ONES_8
MAY_END_SENTENCE = np.array([byte in b".?!\xe3\xef" for byte in range(256)])  # as the first byte of a character
SAYS_LOREM_IPSUM, SAYS_JAVASCRIPT, SAYS_CURLY_BRACKET, SAYS_POLICY = 1, 2, 4, 8

_EDIT, _CITATION_NEEDED = (np.frombuffer(tag, np.uint8) for tag in (b"[edit]", b"[citation needed]"))


class LineScratch(NamedTuple):
    """A line without its citations; `read` is a read-only view of `write`, as Arrow's text is read-only too."""

    write: Bytes
    read: Bytes


def new_line_scratch(n_bytes: int) -> LineScratch:
    """Scratch for lines of up to n_bytes."""
    write = np.empty(n_bytes, np.uint8)
    read = write.view()
    read.flags.writeable = False
    return LineScratch(write, read)


@kernel()
def next_line(utf8: Bytes, i: int, end: int, classes: Bytes) -> tuple[int, int]:
    """(end of the line that starts at i, start of the next one)."""
    while i < end:
        if i + 8 <= end:  # exact as to the first: Warren, Hacker's Delight, section 6-1
            eight = eight_bytes(utf8, i)
            others = (eight | SPACES_8) ^ E2_8  # 0 where a byte is 0xC2 or 0xE2
            if not (((eight - SPACES_8) & ~eight) | ((others - ONES_8) & ~others)) & HIGHS_8:
                i += 8
                continue
        while i < end and not BEGINS_LINE_BREAK[utf8[at(i)]]:
            i += 1
        if i == end:
            break
        character, size = decode(utf8, i)
        if classes[at(character)] & LINE_BREAK:
            is_crlf = character == 0x0D and i + 1 < end and utf8[at(i + 1)] == 0x0A
            return i, i + size + is_crlf
        i += size
    return end, end


@kernel()
def word_shape(utf8: Bytes, start: int, end: int, classes: Bytes) -> tuple[int, int]:
    """(words, characters of the longest) of a line; counts on only as long as either could still matter to C4."""
    n_words, n_chars, longest, no_space_to, i = 0, 0, 0, 0, start
    while i < end and (n_words < C4_LINE_WORDS_MIN or end - i > C4_WORD_CHARS_MAX - n_chars):
        if n_chars == 0 and n_words >= C4_LINE_WORDS_MIN and i > no_space_to:
            # A word that is too long for C4 takes over 1,000 bytes: none begins before a space among the next.
            blank = i + C4_WORD_CHARS_MAX
            while blank > i and utf8[at(blank)] != 0x20:
                blank -= 1
            no_space_to = i + C4_WORD_CHARS_MAX if blank == i else no_space_to
            i = blank
        character, size = decode(utf8, i)
        i += size
        n_chars = 0 if classes[at(character)] & SPACE else n_chars + 1
        n_words += n_chars == 1
        longest = max(longest, n_chars)
    return n_words, longest


@kernel()
def starts_with(utf8: Bytes, i: int, end: int, prefix: Bytes) -> bool:
    """Whether utf8[i:end] starts with the bytes of `prefix`."""
    k = 0
    while k < len(prefix) and i + k < end and utf8[at(i + k)] == prefix[k]:
        k += 1
    return k == len(prefix)


@kernel()
def citation_end(utf8: Bytes, i: int, end: int, classes: Bytes) -> int:
    r"""Where the citation that starts at i ends, or i if none does: C4's `\[\d*]|\[edit]|\[citation needed]`."""
    if starts_with(utf8, i, end, _EDIT):
        return i + len(_EDIT)
    if starts_with(utf8, i, end, _CITATION_NEEDED):
        return i + len(_CITATION_NEEDED)
    k = i + 1
    while k < end:
        character, size = decode(utf8, k)
        if not classes[at(character)] & DECIMAL:
            return k + 1 if character == 0x5D else i
        k += size
    return i


@kernel()
def cut_citations(utf8: Bytes, start: int, end: int, classes: Bytes, line: Bytes) -> tuple[int, int, int]:
    """Copies utf8[start:end] to `line` without its citations; returns (start there, end there, citations)."""
    n_written, n_citations, i = 0, 0, start
    while i < end:
        past = citation_end(utf8, i, end, classes) if utf8[at(i)] == 0x5B else i
        if past > i:
            n_citations += 1
            i = past
        else:
            line[at(n_written)] = utf8[at(i)]
            n_written += 1
            i += 1
    return 0, n_written, n_citations


@kernel()
def ends_with_ellipsis(utf8: Bytes, start: int, end: int) -> tuple[bool, bool]:
    """(ends with three dots, ends with U+2026)."""
    if end - start < 3:
        return False, False
    a, b, c = utf8[at(end - 3)], utf8[at(end - 2)], utf8[at(end - 1)]
    return a == 0x2E and b == 0x2E and c == 0x2E, a == 0xE2 and b == 0x80 and c == 0xA6


@kernel()
def is_terminated(utf8: Bytes, start: int, end: int) -> bool:
    """Whether a line ends in one of . ? ! " ' but not in three dots."""
    if start == end or ends_with_ellipsis(utf8, start, end)[0]:
        return False
    return int(utf8[at(end - 1)]) in (0x2E, 0x3F, 0x21, 0x22, 0x27)


@kernel()
def count_sentences(utf8: Bytes, start: int, end: int, classes: Bytes) -> int:
    r"""Sentences of a stripped line: 1 + matches of `[.?!。？！]["'”’)\]」』]*\s`, a splitter that needs no model."""
    n_sentences, is_ended, i = 1, False, start
    while i < end:
        while not is_ended and i < end and not MAY_END_SENTENCE[utf8[at(i)]]:
            i += 1
        if i == end:
            break
        character, size = decode(utf8, i)
        i += size
        bits = classes[at(character)]
        if bits & TERMINAL:
            is_ended = character in (0x2E, 0x3F, 0x21, 0x3002, 0xFF1F, 0xFF01)
        elif is_ended:
            n_sentences += bits & SPACE != 0
            is_ended = character in (0x22, 0x27, 0x201D, 0x2019, 0x29, 0x5D, 0x300D, 0x300F)
    return n_sentences


@kernel()
def has_byte(utf8: Bytes, start: int, end: int, byte: int) -> bool:
    """Whether an ASCII character, such as [, occurs in utf8[start:end]."""
    found, bytes_8, i = uint64(0), uint64(byte) * ONES_8, start
    while i + 8 <= end:
        others = eight_bytes(utf8, i) ^ bytes_8
        found |= (others - ONES_8) & ~others
        i += 8
    while i < end:
        found |= uint64(utf8[at(i)] == byte) * HIGHS_8
        i += 1
    return bool(found & HIGHS_8)


@kernel()
def may_say(utf8: Bytes, start: int, end: int) -> bool:
    """Whether utf8[start:end] has {, or side by side two letters that each of the other C4_PHRASES has."""
    is_there = False
    for i in range(start, end):
        is_there |= utf8[at(i)] == 0x7B
    for i in range(start + 1, end):
        a, b = utf8[at(i - 1)] | 0x20, utf8[at(i)] | 0x20
        # ip of lorem ipsum and javascript, po of policy, rm of terms, co of cookies
        is_there |= ((a == 0x69) & (b == 0x70)) | ((a == 0x70) & (b == 0x6F))
        is_there |= ((a == 0x72) & (b == 0x6D)) | ((a == 0x63) & (b == 0x6F))
    return is_there


@kernel()
def judge_text(utf8: Bytes, start: int, end: int, n_words: int, classes: Bytes, phrases: Phrases) -> tuple[int, int]:
    """(column of what C4 does with a line without citations, its sentences), in C4QualityFilter's order."""
    if not is_terminated(utf8, start, end):
        return UNTERMINATED, 0
    if n_words < C4_LINE_WORDS_MIN:
        return SHORT, 0
    said = find_phrases(utf8, start, end, phrases) if may_say(utf8, start, end) else 0
    if said & SAYS_LOREM_IPSUM:
        return LOREM_IPSUM, 0
    if said & SAYS_JAVASCRIPT:
        return JAVASCRIPT, 0
    if said & SAYS_CURLY_BRACKET:
        return CURLY_BRACKET, 0
    if said & SAYS_POLICY:
        return POLICY, 0
    return KEPT, count_sentences(utf8, start, end, classes)


@kernel()
def judge_line(
    utf8: Bytes, start: int, end: int, classes: Bytes, phrases: Phrases, scratch: LineScratch
) -> tuple[int, int, int]:
    """(column of what C4 does with a stripped line, its sentences, its citations)."""
    has_bracket = has_byte(utf8, start, end, 0x5B)
    if end - start <= C4_WORD_CHARS_MAX and not has_bracket and not is_terminated(utf8, start, end):
        return UNTERMINATED, 0, 0  # most lines of the web
    n_words, longest = word_shape(utf8, start, end, classes)
    if longest > C4_WORD_CHARS_MAX:
        return LONG_WORD, 0, 0
    if not has_bracket:
        verdict, n_sentences = judge_text(utf8, start, end, n_words, classes, phrases)
        return verdict, n_sentences, 0
    start, end, n_citations = cut_citations(utf8, start, end, classes, scratch.write)
    verdict, n_sentences = judge_text(scratch.read, start, end, n_words, classes, phrases)
    return verdict, n_sentences, n_citations


@kernel()
def mark_of(utf8: Bytes, start: int, end: int) -> tuple[bool, bool]:
    """(is a Gopher bullet, is any list mark) of the first character of a stripped line."""
    if start == end:
        return False, False
    if 0x2D < utf8[at(start)] < 0xC2 or utf8[at(start)] > 0xE3:  # an ASCII or Hangul letter: no mark begins so
        return False, False
    character = decode(utf8, start)[0]
    for mark in LIST_MARKS:
        if character == mark:
            return character == 0x2D or character == 0x2022, True
    return False, False


@kernel()
def measure_lines(
    utf8: Bytes, offsets: Offsets, classes: Bytes, phrases: Phrases, scratch: LineScratch, out: Values
) -> None:
    """Writes COLUMNS of every document utf8[offsets[d]:offsets[d + 1]] into out[d]; NaN where undefined."""
    for d in range(len(offsets) - 1):
        row, i, end = out[d], offsets[d], offsets[d + 1]
        row[:] = 0
        while i < end:
            line_end, after = next_line(utf8, i, end, classes)
            start, stop = strip(utf8, i, line_end, classes)
            i = after
            is_bullet, is_listed = mark_of(utf8, start, stop)
            is_dots, is_ellipsis = ends_with_ellipsis(utf8, start, stop)
            verdict, n_sentences, n_citations = judge_line(utf8, start, stop, classes, phrases, scratch)
            row[LINES] += 1
            row[BULLETS] += is_bullet
            row[LIST] += is_listed
            row[ELLIPSES] += is_dots or is_ellipsis
            row[verdict] += 1
            row[SENTENCES] += n_sentences
            row[CITATIONS] += n_citations
        for column in (BULLETS, LIST, ELLIPSES):
            row[column] = row[column] / row[LINES] if row[LINES] else UNDEFINED
