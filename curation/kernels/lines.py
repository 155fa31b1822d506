"""Signals of lines cut where str.splitlines() cuts: Gopher's bullets and ellipses, and what C4 does with each line."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.kernels.characters import DECIMAL, LINE_BREAK, SPACE, decode, strip
from curation.kernels.phrases import compile_phrases, find_phrases

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
# The Kelvin sign (U+212A) is the only letter beyond ASCII that str.lower() turns into one of a phrase's letters.
_POLICY_SPELLINGS = _POLICY + tuple(phrase.replace("k", "\u212a") for phrase in _POLICY if "k" in phrase)
C4_PHRASES = compile_phrases([["lorem ipsum"], ["javascript"], _POLICY_SPELLINGS])
SAYS_LOREM_IPSUM, SAYS_JAVASCRIPT, SAYS_POLICY = 1, 2, 4

_EDIT, _CITATION_NEEDED = (np.frombuffer(tag, np.uint8) for tag in (b"[edit]", b"[citation needed]"))


class LineScratch(NamedTuple):
    """A copy of one line without its citations; `read` is a read-only view of `write`, of the type of Arrow's text."""

    write: npt.NDArray[np.uint8]
    read: npt.NDArray[np.uint8]


def new_line_scratch(n_bytes: int) -> LineScratch:
    """Scratch for lines of up to n_bytes."""
    write = np.empty(n_bytes, np.uint8)
    read = write.view()
    read.flags.writeable = False
    return LineScratch(write, read)


@njit(nogil=True, cache=True)
def next_line(utf8, i, end, classes):
    """(end of the line that starts at i, start of the next one)."""
    while i < end:
        if 0x20 <= utf8[i] < 0x80:
            i += 1
            continue
        character, size = decode(utf8, i)
        if classes[character] & LINE_BREAK:
            is_crlf = character == 0x0D and i + 1 < end and utf8[i + 1] == 0x0A
            return i, i + size + is_crlf
        i += size
    return end, end


@njit(nogil=True, cache=True)
def word_shape(utf8, start, end, classes):
    """(words, characters of the longest) of a line; counts on only as long as either could still matter to C4."""
    n_words, n_chars, longest, i = 0, 0, 0, start
    while i < end and (n_words < C4_LINE_WORDS_MIN or end - start > C4_WORD_CHARS_MAX):
        character, size = decode(utf8, i)
        i += size
        n_chars = 0 if classes[character] & SPACE else n_chars + 1
        n_words += n_chars == 1
        longest = max(longest, n_chars)
    return n_words, longest


@njit(nogil=True, cache=True)
def starts_with(utf8, i, end, prefix):
    """Whether utf8[i:end] starts with the bytes of `prefix`."""
    if end - i < prefix.shape[0]:
        return False
    for k in range(prefix.shape[0]):
        if utf8[i + k] != prefix[k]:
            return False
    return True


@njit(nogil=True, cache=True)
def citation_end(utf8, i, end, classes):
    r"""Where the citation that starts at i ends, or i if none does: C4's `\[\d*]|\[edit]|\[citation needed]`."""
    if starts_with(utf8, i, end, _EDIT):
        return i + _EDIT.shape[0]
    if starts_with(utf8, i, end, _CITATION_NEEDED):
        return i + _CITATION_NEEDED.shape[0]
    k = i + 1
    while k < end:
        character, size = decode(utf8, k)
        if not classes[character] & DECIMAL:
            return k + 1 if character == 0x5D else i
        k += size
    return i


@njit(nogil=True, cache=True)
def without_citations(utf8, start, end, classes, scratch):
    """(text, start, end, citations): the line itself where it has none, else a copy in scratch."""
    n_citations, n_written, i = 0, 0, start
    while i < end:
        past = citation_end(utf8, i, end, classes) if utf8[i] == 0x5B else i
        if past > i:
            if n_citations == 0:
                n_written = i - start
                scratch.write[:n_written] = utf8[start:i]
            n_citations += 1
            i = past
            continue
        if n_citations:
            scratch.write[n_written] = utf8[i]
            n_written += 1
        i += 1
    if n_citations:
        return scratch.read, 0, n_written, n_citations
    return utf8, start, end, 0


@njit(nogil=True, cache=True)
def ends_with_ellipsis(utf8, start, end):
    """(ends with three dots, ends with U+2026)."""
    if end - start < 3:
        return False, False
    a, b, c = utf8[end - 3], utf8[end - 2], utf8[end - 1]
    return a == 0x2E and b == 0x2E and c == 0x2E, a == 0xE2 and b == 0x80 and c == 0xA6


@njit(nogil=True, cache=True)
def is_terminated(utf8, start, end):
    """Whether a line ends in one of . ? ! " ' but not in three dots."""
    if start == end or ends_with_ellipsis(utf8, start, end)[0]:
        return False
    last = utf8[end - 1]
    return last == 0x2E or last == 0x3F or last == 0x21 or last == 0x22 or last == 0x27


@njit(nogil=True, cache=True)
def count_sentences(utf8, start, end, classes):
    r"""Sentences of a line: 1 + matches of `[.?!。？！]["'”’)\]」』]*\s+(?=\S)`, a splitter that needs no model."""
    n_sentences, ended, cut, i = 1, False, False, start
    while i < end:
        character, size = decode(utf8, i)
        i += size
        if classes[character] & SPACE:
            cut, ended = cut or ended, False
            continue
        n_sentences += cut
        cut = False
        if character in (0x2E, 0x3F, 0x21, 0x3002, 0xFF1F, 0xFF01):
            ended = True
        elif character not in (0x22, 0x27, 0x201D, 0x2019, 0x29, 0x5D, 0x300D, 0x300F):
            ended = False
    return n_sentences


@njit(nogil=True, cache=True)
def has_byte(utf8, start, end, byte):
    """Whether `byte` occurs in utf8[start:end]."""
    for i in range(start, end):
        if utf8[i] == byte:
            return True
    return False


@njit(nogil=True, cache=True)
def judge_line(utf8, start, end, classes, phrases, scratch):
    """(column of what C4 does with a stripped line, its sentences, its citations), in C4QualityFilter's order."""
    n_words, longest = word_shape(utf8, start, end, classes)
    if longest > C4_WORD_CHARS_MAX:
        return LONG_WORD, 0, 0
    text, start, end, n_citations = without_citations(utf8, start, end, classes, scratch)
    if not is_terminated(text, start, end):
        return UNTERMINATED, 0, n_citations
    if n_words < C4_LINE_WORDS_MIN:
        return SHORT, 0, n_citations
    said = find_phrases(text, start, end, phrases)
    if said & SAYS_LOREM_IPSUM:
        return LOREM_IPSUM, 0, n_citations
    if said & SAYS_JAVASCRIPT:
        return JAVASCRIPT, 0, n_citations
    if has_byte(text, start, end, 0x7B):
        return CURLY_BRACKET, 0, n_citations
    if said & SAYS_POLICY:
        return POLICY, 0, n_citations
    return KEPT, count_sentences(text, start, end, classes), n_citations


@njit(nogil=True, cache=True)
def mark_of(utf8, start, end):
    """(is a Gopher bullet, is any list mark) of the first character of a stripped line."""
    if start == end:
        return False, False
    character = decode(utf8, start)[0]
    for mark in LIST_MARKS:
        if character == mark:
            return character == 0x2D or character == 0x2022, True
    return False, False


@njit(nogil=True, cache=True)
def measure_lines(utf8, offsets, classes, phrases, scratch, out):
    """Writes COLUMNS of every document utf8[offsets[d]:offsets[d + 1]] into out[d]; NaN where undefined."""
    for d in range(offsets.shape[0] - 1):
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
