"""What an LSA classifier knows of a text, per window: the mean vector of its tokens, then its dense features.

Dense features are smooth and of low order: lengths, rates of signs and of kinds of lines, shares of known tokens, and
how often each category of the lexicon is met. Rates enter as square roots or logarithms, since rare signs tell more.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from classifiers.fasttext_models import char_limit, next_char, window_start
from classifiers.scripts import Bytes, Offsets, character_classes, text_buffers
from classifiers.text_tokens import (
    BLANK_LINES,
    CAPITALISED,
    CHARS,
    CODE_LINES,
    DIGITS,
    EXCLAMATIONS,
    HANGUL_WORDS,
    LATIN_WORDS,
    LETTERS,
    LINES,
    LONG_WORDS,
    PERIODS,
    QUESTIONS,
    REPEATS,
    SHAPE,
    SIGNS,
    SYLLABLES,
    TOKENS,
    UPPER,
    WORDS,
    read_text,
)
from classifiers.token_hashes import MAX_WORD_BYTES, Counts, Hashes, find, new_table

Features = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]
N_LENGTHS, N_KNOWN = 9, 3
N_SHAPE = N_LENGTHS + (CODE_LINES - UPPER + 1) + N_KNOWN
"""Dense features but for the lexicon's."""


@dataclass(frozen=True)
class Windows:
    """Pieces of n documents: bytes begins[w] to ends[w] of the buffer; document d has firsts[d] to firsts[d + 1]."""

    utf8: Bytes
    begins: Offsets
    ends: Offsets
    firsts: Offsets


@dataclass(frozen=True)
class Table:
    """Hashes and what they stand for, as `token_hashes.find` looks them up."""

    keys: Hashes
    values: Counts


def table(hashes: Hashes, values: Counts) -> Table:
    """Of hashes, different from each other."""
    return Table(*new_table(hashes, values.astype(np.int32)))


def split(texts: pa.LargeStringArray, window_chars: int, n_windows: int) -> Windows:
    """Windows of at most `window_chars` characters: a short text whole, else up to `n_windows` spread over it."""
    utf8, offsets = text_buffers(texts)
    n_docs = len(texts)
    begins, ends = np.zeros(n_docs * n_windows, np.int64), np.zeros(n_docs * n_windows, np.int64)
    firsts = np.zeros(n_docs + 1, np.int64)
    _split(utf8, offsets, window_chars, n_windows, begins, ends, firsts)
    return Windows(utf8, begins[: firsts[-1]], ends[: firsts[-1]], firsts)


@njit(nogil=True, cache=True)
def _split(
    utf8: Bytes, offsets: Offsets, window_chars: int, n_windows: int, begins: Offsets, ends: Offsets, firsts: Offsets
) -> None:
    n = 0
    for d in range(offsets.shape[0] - 1):
        start, end, parts, reach = offsets[d], offsets[d + 1], 1, offsets[d]
        while parts < n_windows:
            reach = char_limit(utf8, reach, end, window_chars)
            if reach == end:
                break
            parts += 1
        if parts == 1:
            begins[n], ends[n] = start, char_limit(utf8, start, end, window_chars)
            n += 1
        else:
            length = (end - start) // parts
            for w in range(parts):
                left = next_char(utf8, start + w * length, end)
                right = end if w + 1 == parts else next_char(utf8, start + (w + 1) * length, end)
                begins[n] = window_start(utf8, left, right, window_chars)
                ends[n] = char_limit(utf8, begins[n], right, window_chars)
                n += 1
        firsts[d + 1] = n


def read_tokens(windows: Windows) -> tuple[Hashes, Offsets]:
    """All tokens of each window in order, and where those of window w begin: (tokens, n + 1 offsets)."""
    nothing = table(np.empty(0, np.uint64), np.empty(0, np.int32))
    n = len(windows.begins)
    tokens = np.empty(int((windows.ends - windows.begins).sum()) + 1, np.uint64)
    offsets = np.zeros(n + 1, np.int64)
    _read_tokens(
        windows.utf8, windows.begins, windows.ends, character_classes(), SIGNS, nothing.keys, nothing.values,
        tokens, offsets,
    )  # fmt: skip
    return tokens[: offsets[-1]].copy(), offsets


@njit(nogil=True, cache=True)
def _read_tokens(
    utf8: Bytes, begins: Offsets, ends: Offsets, classes: Bytes, signs: Counts, keys: Hashes, values: Counts,
    tokens: Hashes, offsets: Offsets,
) -> None:  # fmt: skip
    word, hits, shape = np.zeros(MAX_WORD_BYTES, np.uint8), np.zeros(1, np.int32), np.zeros(len(SHAPE), np.int32)
    for w in range(begins.shape[0]):
        here = tokens[offsets[w] :]
        n = read_text(utf8, begins[w], ends[w], classes, signs, keys, values, word, here, hits, shape)
        offsets[w + 1] = offsets[w] + n


def read_features(
    windows: Windows,
    tokens: Table,
    vectors: npt.NDArray[np.int8],
    scales: Features,
    lexicon: Table,
    n_categories: int,
) -> tuple[Features, Counts]:
    """(the features of n windows, (n, k + N_SHAPE + c), the number of their tokens that are known, (n,)).

    The first k are of length 1, or 0 where no token is known: sum over tokens of (1 + log times) vector · scale.
    """
    n, n_most = len(windows.begins), int((windows.ends - windows.begins).max(initial=0))
    out = np.zeros((n, vectors.shape[1] + N_SHAPE + n_categories), np.float32)
    known = np.zeros(n, np.int32)
    _read_features(
        windows.utf8, windows.begins, windows.ends, character_classes(), SIGNS, tokens.keys, tokens.values, vectors,
        scales, lexicon.keys, lexicon.values, np.empty(n_most + 1, np.uint64), np.zeros(len(scales) + 1, np.int32),
        np.zeros(n_categories + 1, np.int32), out, known,
    )  # fmt: skip
    return out, known


@njit(nogil=True, cache=True)
def _read_features(
    utf8: Bytes, begins: Offsets, ends: Offsets, classes: Bytes, signs: Counts, keys: Hashes, places: Counts,
    vectors: npt.NDArray[np.int8], scales: Features, lexicon_keys: Hashes, lexicon_values: Counts,
    tokens: Hashes, times: Counts, hits: Counts, out: Features, known: Counts,
) -> None:  # fmt: skip
    k = vectors.shape[1]
    word, shape = np.zeros(MAX_WORD_BYTES, np.uint8), np.zeros(len(SHAPE), np.int32)
    for w in range(begins.shape[0]):
        hits[:] = 0
        shape[:] = 0
        n_tokens = read_text(
            utf8, begins[w], ends[w], classes, signs, lexicon_keys, lexicon_values, word, tokens, hits, shape
        )
        n_known, n_distinct = _count_known(tokens, n_tokens, keys, places, times)
        _add_vectors(tokens, n_distinct, times, vectors, scales, out[w, :k])
        dense = out[w, k:]
        shape_features(shape, n_known, n_distinct, dense)
        for c in range(dense.shape[0] - N_SHAPE):
            dense[N_SHAPE + c] = np.log1p(30 * hits[c] / max(shape[WORDS], 1))
        known[w] = n_known


@njit(nogil=True, cache=True)
def _count_known(tokens: Hashes, n_tokens: int, keys: Hashes, places: Counts, times: Counts) -> tuple[int, int]:
    """(known tokens, different ones); their numbers are then in tokens[:different], times[number] how often."""
    n_known, n_distinct = 0, 0
    for t in range(n_tokens):
        place = find(tokens[t], keys)
        if place >= 0:
            number = places[place]
            if times[number] == 0:
                tokens[n_distinct] = np.uint64(number)
                n_distinct += 1
            times[number] += 1
            n_known += 1
    return n_known, n_distinct


@njit(nogil=True, cache=True)
def _add_vectors(
    tokens: Hashes, n_distinct: int, times: Counts, vectors: npt.NDArray[np.int8], scales: Features, out: Features
) -> None:
    """The sum of the vectors of tokens[:n_distinct], of length 1; clears their times."""
    for t in range(n_distinct):
        number = np.int64(tokens[t])
        weight = np.float32(1 + np.log(times[number])) * scales[number]
        times[number] = 0
        for j in range(out.shape[0]):
            out[j] += weight * np.float32(vectors[number, j])
    square = 0.0
    for j in range(out.shape[0]):
        square += np.float64(out[j]) * np.float64(out[j])
    if square > 0:
        factor = np.float32(1 / np.sqrt(square))
        for j in range(out.shape[0]):
            out[j] *= factor


@njit(nogil=True, cache=True)
def shape_features(shape: Counts, n_known: int, n_distinct: int, out: Features) -> None:
    """N_SHAPE features of counts: lengths, rates of letters, of signs, of lines, and of known tokens."""
    chars, words, lines = max(shape[CHARS], 1), max(shape[WORDS], 1), max(shape[LINES], 1)
    n_sentences = shape[PERIODS] + shape[QUESTIONS] + shape[EXCLAMATIONS] + 1
    out[0], out[1], out[2] = np.log1p(chars), np.log1p(words), np.log1p(lines)
    out[3], out[4] = np.log(chars / lines), np.log1p(words / n_sentences)
    out[5] = shape[LETTERS] / max(shape[LATIN_WORDS], 1)
    out[6] = shape[SYLLABLES] / max(shape[HANGUL_WORDS], 1)
    out[7] = shape[SYLLABLES] / max(shape[SYLLABLES] + shape[LETTERS], 1)
    out[8] = shape[LETTERS] / chars
    at = N_LENGTHS - UPPER
    out[at + UPPER] = np.sqrt(shape[UPPER] / max(shape[LETTERS], 1))
    for c in range(CAPITALISED, LONG_WORDS + 1):
        out[at + c] = np.sqrt(shape[c] / max(shape[LATIN_WORDS], 1))
    for c in range(DIGITS, REPEATS + 1):
        out[at + c] = np.sqrt(shape[c] / chars)
    for c in range(BLANK_LINES, CODE_LINES + 1):
        out[at + c] = shape[c] / max(shape[LINES] + shape[BLANK_LINES], 1)
    at += CODE_LINES + 1
    out[at] = n_known / max(shape[TOKENS], 1)
    out[at + 1] = n_distinct / max(n_known, 1)
    out[at + 2] = np.log1p(n_distinct)
