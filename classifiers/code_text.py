"""Is a text code, markup or data rather than prose? Counts over its bytes, weighed by a logistic model.

The weights are data (`models/code.json`); `benchmarks/language_fit.py` makes them.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import float32, uint64

from classifiers.fasttext_rows import kernel
from classifiers.scripts import Bytes, Offsets, text_buffers

Hashes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.float32]

WEIGHTS = Path(__file__).parent / "models" / "code.json"
CHAR_KINDS = (  # each a feature: its share of the characters that are not spaces
    "semicolon ;", "braces {}", "parentheses ()", "brackets []", "angles <>", "equals =", 'quotes "',
    "slashes /\\", "underscore _", "sigils #@$&|^~%`", "arithmetic *+-", "colon :", "comma ,", "stop .?!'",
    "digit", "upper", "lower", "not_ascii",
)  # fmt: skip
PAIRS = (  # two or three neighbouring characters: their number, by the characters that are not spaces
    "call", "member", "operator", "camel", "tag", "quoted_item", "assignment", "prose_space", "title_space",
    "prose_stop", "prose_lines",
)  # fmt: skip
LINES = (  # by the lines that are not empty
    "ends_statement", "ends_closed", "ends_comma", "ends_angle", "ends_sentence", "indented", "starts_comment",
    "starts_angle", "starts_brace",
)  # fmt: skip
WORDS = ("code_words", "english_words")  # by the ASCII words, in whatever case
FEATURES = CHAR_KINDS + PAIRS + LINES + WORDS
N_KINDS, N_PAIRS, N_LINES = len(CHAR_KINDS), len(PAIRS), len(LINES)
CALL, MEMBER, OPERATOR, CAMEL, TAG, QUOTED, ASSIGN, PROSE_SPACE, TITLE_SPACE, PROSE_STOP, PROSE_LINES = range(
    N_KINDS, N_KINDS + N_PAIRS
)
FIRST_LINE = N_KINDS + N_PAIRS
(END_STATEMENT, END_CLOSED, END_COMMA, END_ANGLE, END_SENTENCE, INDENTED, START_COMMENT, START_ANGLE, START_BRACE) = (
    range(FIRST_LINE, FIRST_LINE + N_LINES)
)
CODE_WORD, ENGLISH_WORD = range(FIRST_LINE + N_LINES, len(FEATURES))
DIGIT, UPPER, LOWER, NOT_ASCII, BLANK = 14, 15, 16, 17, 255

CODE_WORD_LIST = (
    "def return import from class self elif int void const function var let public private static struct include "
    "define null nullptr none true false print printf endif ifdef pragma namespace template typename typedef bool "
    "char double float long unsigned string str enum try catch throw except raise lambda async await new delete "
    "case switch break continue while foreach func fn impl pub mut use package interface extends implements "
    "export require module sub my local echo fi done esac begin end select where insert update table varchar href "
    "div span src type name id html body head script style meta link li ul td tr px rgb width height color margin "
    "padding http https www com org std cout endl args kwargs len range init main"
)
ENGLISH_WORD_LIST = (
    "the of and to a in that it was he i his with as you had for she not but at on they her have him is be which "
    "this by are or an we were there been if what when would so no who all their said will one my them do me "
    "could some then has your than its about into more can any only other up how our did these may also such very "
    "should most us"
)
HASH_SLOTS = 1024
NO_WORD, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a
OTHER_WORD = len(FEATURES)  # a column that is thrown away


def code_signs(samples: pa.LargeStringArray) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Per text: the probability that it is code, markup or data, and the share of its characters in lines of prose.

    Both float32 in [0, 1]; 0 where there are only spaces.
    """
    weights, bias = load_weights()
    features = code_features(samples)
    probability = 1 / (1 + np.exp(-(features @ weights + bias)))
    return np.where(features.any(axis=1), probability, 0).astype(np.float32), features[:, PROSE_LINES] ** 2


def code_features(samples: pa.LargeStringArray) -> npt.NDArray[np.float32]:
    """One row per text and one column per name in FEATURES: the square roots of the shares, float32 in [0, 1]."""
    utf8, offsets = text_buffers(samples)
    counts = np.zeros((len(samples), len(FEATURES) + 1), np.float32)
    totals = np.zeros((len(samples), 3), np.float32)
    _count_signs(utf8, offsets, _char_kinds(), *_word_table(), counts, totals)
    n_chars, n_lines, n_words = np.maximum(totals, 1).T
    counts[:, :FIRST_LINE] /= n_chars[:, None]
    counts[:, FIRST_LINE:CODE_WORD] /= n_lines[:, None]
    counts[:, CODE_WORD:] /= n_words[:, None]
    shares: npt.NDArray[np.float32] = np.sqrt(counts[:, :OTHER_WORD])
    return shares


@cache
def load_weights() -> tuple[npt.NDArray[np.float32], np.float32]:
    """The shipped weights in the order of FEATURES, and the bias."""
    model: dict[str, Any] = json.loads(WEIGHTS.read_text())
    return np.array([model["weights"][name] for name in FEATURES], np.float32), np.float32(model["bias"])


@cache
def _char_kinds() -> Bytes:
    """The column of each byte; BLANK for spaces and controls."""
    kinds = np.full(256, NOT_ASCII, np.uint8)
    kinds[:33] = kinds[127] = BLANK
    for column, name in enumerate(CHAR_KINDS[:DIGIT]):
        for char in name.split()[-1]:
            kinds[ord(char)] = column
    kinds[ord("0") : ord("9") + 1] = DIGIT
    kinds[ord("A") : ord("Z") + 1] = UPPER
    kinds[ord("a") : ord("z") + 1] = LOWER
    return kinds


@cache
def _word_table() -> tuple[npt.NDArray[np.uint64], Bytes]:
    """An open-addressing table of word hashes, and the column of each."""
    hashes, columns = np.zeros(HASH_SLOTS, np.uint64), np.zeros(HASH_SLOTS, np.uint8)
    for words, column in ((CODE_WORD_LIST, CODE_WORD), (ENGLISH_WORD_LIST, ENGLISH_WORD)):
        for word in words.split():
            value = int(NO_WORD)
            for byte in word.encode():
                value = ((value ^ byte) * int(FNV_PRIME)) % 2**64
            slot = value % HASH_SLOTS
            while hashes[slot]:
                slot = (slot + 1) % HASH_SLOTS
            hashes[slot], columns[slot] = value, column
    return hashes, columns


@kernel()
def _count_signs(
    utf8: Bytes,
    offsets: Offsets,
    kinds: Bytes,
    word_hashes: Hashes,
    word_columns: Bytes,
    counts: Counts,
    totals: Counts,
) -> None:
    """counts[document, feature]; totals[document] = characters that are not spaces, lines not empty, ASCII words."""
    for d in range(offsets.shape[0] - 1):
        start, end, row = offsets[d], offsets[d + 1], counts[d]
        n_chars, n_lines, n_words = 0, 0, 0
        line_start = start
        first, last = -1, -1  # visible bytes of this line
        word = NO_WORD
        before_line = (0, float32(0), float32(0))  # the counts that prose is judged by
        kind, n_inner, n_beyond = np.uint8(BLANK), 0, 0
        for i in range(start, end + 1):
            byte = int(utf8[i]) if i < end else 10
            kind_before, kind = kind, kinds[byte]
            if kind == LOWER and kind_before == LOWER:  # most letters: they make nothing with their neighbours
                word = (word ^ uint64(byte)) * FNV_PRIME
                n_inner += 1
                continue
            if kind == NOT_ASCII and kind_before == NOT_ASCII:  # nor do these
                n_beyond += byte & 0xC0 != 0x80
                last = i
                continue
            if n_inner:
                row[LOWER] += n_inner
                n_chars, last, n_inner = n_chars + n_inner, i - 1, 0
            elif n_beyond:
                row[NOT_ASCII] += n_beyond
                n_chars, n_beyond = n_chars + n_beyond, 0
            if UPPER <= kind <= LOWER:
                word = (word ^ uint64(byte | 32)) * FNV_PRIME
            elif word != NO_WORD:
                n_words += 1
                row[_word_column(word, word_hashes, word_columns)] += 1
                word = NO_WORD
            if kind != BLANK:
                last = i
                if first < 0:
                    first = i
                if byte & 0xC0 != 0x80:
                    n_chars += 1
                    row[kind] += 1
                    _count_pair(utf8, kinds, i, start, end, row)
            elif byte == 10:
                if first >= 0:
                    n_lines += 1
                    _count_line(utf8, line_start, first, last, row)
                    _count_prose(utf8, first, last, n_chars, before_line, row)
                line_start, first = i + 1, -1
                before_line = (n_chars, row[PROSE_SPACE], row[NOT_ASCII])
        totals[d, 0], totals[d, 1], totals[d, 2] = n_chars, n_lines, n_words


@kernel()
def _word_column(word: np.uint64, hashes: Hashes, columns: Bytes) -> int:
    """The column of a word of the lists; OTHER_WORD for the rest."""
    last_slot = uint64(HASH_SLOTS - 1)
    slot = word & last_slot
    while hashes[slot] != 0:
        if hashes[slot] == word:
            return int(columns[slot])
        slot = (slot + uint64(1)) & last_slot
    return OTHER_WORD


@kernel()
def _count_pair(utf8: Bytes, kinds: Bytes, i: int, start: int, end: int, counts: Counts) -> None:
    """What the visible character at i makes with its neighbours."""
    byte = utf8[i]
    before = utf8[i - 1] if i > start else 10
    after = utf8[i + 1] if i + 1 < end else 10
    kind, kind_before, kind_after = kinds[byte], kinds[before], kinds[after]
    if before == 32 and UPPER <= kind <= NOT_ASCII and i >= start + 2:  # word word
        kind_back = kinds[utf8[i - 2]]
        if kind >= LOWER and LOWER <= kind_back <= NOT_ASCII:
            counts[PROSE_SPACE] += 1
        elif kind <= LOWER and UPPER <= kind_back <= LOWER:
            counts[TITLE_SPACE] += 1
    if byte == 40 and (DIGIT <= kind_before <= LOWER or before == 95):  # name(
        counts[CALL] += 1
    elif byte == 46 and UPPER <= kind_before <= LOWER and UPPER <= kind_after <= LOWER:  # name.name
        counts[MEMBER] += 1
    elif kind == UPPER and kind_before == LOWER:  # aName
        counts[CAMEL] += 1
    elif (byte == 47 and before == 60) or (byte == 62 and before == 47):  # </ and />
        counts[TAG] += 1
    elif byte == 34 and (before == 61 or before == 40 or after == 58 or after == 44):  # =" (" ": ",
        counts[QUOTED] += 1
    elif byte == 61 and before == 32 and after == 32:  # a = b
        counts[ASSIGN] += 1
    elif _is_operator(byte) and _is_operator(before) and not (byte == before and (byte == 45 or byte == 61)):
        counts[OPERATOR] += 1
    stops = byte == 44 or byte == 46 or byte == 63 or byte == 33  # , . ? !
    if stops and kind_after == BLANK and LOWER <= kind_before <= NOT_ASCII:
        counts[PROSE_STOP] += 1


@kernel()
def _is_operator(byte: int) -> bool:
    """One of & | : < = > + - !"""
    return byte == 38 or byte == 124 or byte == 58 or 60 <= byte <= 62 or byte == 43 or byte == 45 or byte == 33


@kernel()
def _count_line(utf8: Bytes, line_start: int, first: int, last: int, counts: Counts) -> None:
    """How the line whose visible bytes are utf8[first : last + 1] begins and ends."""
    head, tail = utf8[first], utf8[last]
    second = utf8[first + 1] if first < last else 32
    if tail == 59 or tail == 123 or tail == 125:  # ; { }
        counts[END_STATEMENT] += 1
    elif tail == 41 or tail == 93 or tail == 58 or tail == 92 or tail == 40:  # ) ] : \ (
        counts[END_CLOSED] += 1
    elif tail == 44:
        counts[END_COMMA] += 1
    elif tail == 62:
        counts[END_ANGLE] += 1
    elif tail == 46 or tail == 63 or tail == 33 or (tail == 0x82 and utf8[last - 1] == 0x80):  # . ? ! and 。
        counts[END_SENTENCE] += 1
    if first - line_start >= 2 or utf8[line_start] == 9:
        counts[INDENTED] += 1
    if (head == 47 and (second == 47 or second == 42)) or (head == 35 and 97 <= second <= 122):  # // /* #include
        counts[START_COMMENT] += 1
    elif head == 60:
        counts[START_ANGLE] += 1
    elif head == 123 or head == 125 or head == 41 or head == 93 or head == 91:  # { } ) ] [
        counts[START_BRACE] += 1


@kernel()
def _count_prose(
    utf8: Bytes,
    first: int,
    last: int,
    n_chars: int,
    before_line: tuple[int, np.float32, np.float32],
    counts: Counts,
) -> None:
    """Add the line to the prose if it is full of words, begins unlike a comment or tag, ends unlike code."""
    head = utf8[first]
    second = utf8[first + 1] if first < last else 32
    if head == 60 or head == 59 or head == 35:  # < ; #
        return
    if (head == 47 and (second == 47 or second == 42)) or (head == 45 and second == 45):  # // /* --
        return
    tail = utf8[last]
    before = utf8[last - 1] if first < last else 32
    if tail == 59 or tail == 123 or tail == 125 or (tail == 58 and (before == 41 or before == 93)):  # ; { } ): ]:
        return
    n_line = n_chars - before_line[0]
    n_pairs, n_not_ascii = counts[PROSE_SPACE] - before_line[1], counts[NOT_ASCII] - before_line[2]
    if n_pairs * 14 > n_line + 14 or n_not_ascii * 2 > n_line:
        counts[PROSE_LINES] += n_line
