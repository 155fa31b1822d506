"""What scripts a text is written in: counts over the UTF-8 bytes of an Arrow column, no Python object per document.

Letters are the Unicode categories L*, digits Nd, symbols S* and P*, spaces Z* and the white-space controls; which
letters belong to a script is listed here, so that an answer does not change with the interpreter's Unicode tables.
"""

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float32]

OTHER, SPACE, DIGIT, SYMBOL, LETTER, HANGUL, LATIN, HAN, KANA = range(9)
N_CLASSES = 9
TABLE_SIZE = 0x20000  # the planes above hold Han letters and nothing else that matters here

SCRIPT_RANGES = (  # first and last code point; only the letters among them count
    (HANGUL, 0x1100, 0x11FF), (HANGUL, 0x3131, 0x318E), (HANGUL, 0xA960, 0xA97C), (HANGUL, 0xAC00, 0xD7A3),
    (HANGUL, 0xD7B0, 0xD7FB), (HANGUL, 0xFFA0, 0xFFDC),
    (LATIN, 0x41, 0x5A), (LATIN, 0x61, 0x7A), (LATIN, 0xAA, 0xAA), (LATIN, 0xBA, 0xBA), (LATIN, 0xC0, 0x24F),
    (LATIN, 0x250, 0x2AF), (LATIN, 0x1D00, 0x1D25), (LATIN, 0x1D62, 0x1D65), (LATIN, 0x1D6B, 0x1D77),
    (LATIN, 0x1D79, 0x1D9A), (LATIN, 0x1E00, 0x1EFF), (LATIN, 0x2090, 0x209C), (LATIN, 0x2184, 0x2184),
    (LATIN, 0x2C60, 0x2C7C), (LATIN, 0x2C7E, 0x2C7F), (LATIN, 0xA722, 0xA76F), (LATIN, 0xA771, 0xA787),
    (LATIN, 0xA78B, 0xA7F1), (LATIN, 0xA7F5, 0xA7F7), (LATIN, 0xA7FA, 0xA7FF), (LATIN, 0xAB30, 0xAB5A),
    (LATIN, 0xAB60, 0xAB64), (LATIN, 0xAB66, 0xAB68), (LATIN, 0xFB00, 0xFB06), (LATIN, 0xFF21, 0xFF3A),
    (LATIN, 0xFF41, 0xFF5A), (LATIN, 0x1DF00, 0x1DF2A),
    (HAN, 0x3400, 0x4DBF), (HAN, 0x4E00, 0x9FFF), (HAN, 0xF900, 0xFAFF),
    (KANA, 0x3041, 0x309F), (KANA, 0x30A1, 0x30FF), (KANA, 0x31F0, 0x31FF), (KANA, 0xFF66, 0xFF9F),
    (KANA, 0x1AFF0, 0x1AFFE), (KANA, 0x1B000, 0x1B167),
)  # fmt: skip


@dataclass(frozen=True)
class ScriptShares:
    """One float32 per document in each array, in [0, 1], never NaN.

    `hangul_frac` (syllables and jamo), `latin_frac`, `han_frac` and `kana_frac` are shares of the letters and 0 where
    there are none; `letter_frac`, `digit_frac` and `symbol_frac` are shares of the characters that are not spaces.
    `n_letters` and `n_chars` (int64) are the counts behind them; `n_chars` leaves spaces out.
    """

    hangul_frac: Shares
    latin_frac: Shares
    han_frac: Shares
    kana_frac: Shares
    letter_frac: Shares
    digit_frac: Shares
    symbol_frac: Shares
    n_letters: Offsets
    n_chars: Offsets


def script_shares(texts: pa.LargeStringArray) -> ScriptShares:
    """Shares of scripts, digits and symbols per document; a null counts as the empty text."""
    utf8, offsets = text_buffers(texts)
    counts = np.zeros((len(texts), N_CLASSES), np.int64)
    _count_classes(utf8, offsets, character_classes(), counts)
    n_letters = counts[:, LETTER:].sum(axis=1)
    n_chars = n_letters + counts[:, OTHER] + counts[:, DIGIT] + counts[:, SYMBOL]

    return ScriptShares(
        _share(counts[:, HANGUL], n_letters), _share(counts[:, LATIN], n_letters),
        _share(counts[:, HAN], n_letters), _share(counts[:, KANA], n_letters),
        _share(n_letters, n_chars), _share(counts[:, DIGIT], n_chars), _share(counts[:, SYMBOL], n_chars),
        n_letters, n_chars,
    )  # fmt: skip


def text_buffers(texts: pa.LargeStringArray) -> tuple[Bytes, Offsets]:
    """The UTF-8 bytes and the n + 1 offsets of a large_string array, without copying; slices are respected."""
    texts = texts.fill_null("") if texts.null_count else texts
    if not len(texts):
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, utf8 = texts.buffers()
    values = np.frombuffer(utf8, np.uint8) if utf8 is not None else np.empty(0, np.uint8)
    return values, np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]


def _share(part: Offsets, whole: Offsets) -> Shares:
    share: Shares = np.divide(part, np.maximum(whole, 1), dtype=np.float32)
    return share


@cache
def character_classes() -> Bytes:
    """The class of every code point below TABLE_SIZE, one byte each."""
    table = np.fromiter((_class_of(chr(c)) for c in range(TABLE_SIZE)), np.uint8, TABLE_SIZE)
    for script, first, last in SCRIPT_RANGES:
        block = table[first : last + 1]
        block[block == LETTER] = script
    return table


def _class_of(char: str) -> int:
    category = unicodedata.category(char)
    if category[0] == "Z" or char in "\t\n\v\f\r\x85":
        return SPACE
    if category == "Nd":
        return DIGIT
    return {"L": LETTER, "S": SYMBOL, "P": SYMBOL}.get(category[0], OTHER)


@njit(nogil=True, cache=True)
def _count_classes(utf8: Bytes, offsets: Offsets, classes: Bytes, counts: Offsets) -> None:
    """counts[document, class] += 1 for every character."""
    for d in range(offsets.shape[0] - 1):
        i, end = offsets[d], offsets[d + 1]
        while i < end:
            byte = utf8[i]
            if byte < 0x80:
                counts[d, classes[byte]] += 1
                i += 1
                continue
            code, width = decode(utf8, i, end)
            counts[d, classes[code] if code < TABLE_SIZE else HAN if code < 0x33480 else OTHER] += 1
            i += width


@njit(nogil=True, cache=True, inline="always")
def decode(utf8: Bytes, i: int, end: int) -> tuple[int, int]:
    """Code point and width in bytes of the non-ASCII character at utf8[i]; a broken one is U+FFFD, one byte wide."""
    byte = np.int64(utf8[i])
    if 0xC0 <= byte < 0xE0 and i + 1 < end:
        return ((byte & 0x1F) << 6) | (utf8[i + 1] & 0x3F), 2
    if 0xE0 <= byte < 0xF0 and i + 2 < end:
        return ((byte & 0x0F) << 12) | (np.int64(utf8[i + 1] & 0x3F) << 6) | (utf8[i + 2] & 0x3F), 3
    if byte >= 0xF0 and i + 3 < end:
        high = ((byte & 0x07) << 18) | (np.int64(utf8[i + 1] & 0x3F) << 12)
        return high | (np.int64(utf8[i + 2] & 0x3F) << 6) | (utf8[i + 3] & 0x3F), 4
    return 0xFFFD, 1
