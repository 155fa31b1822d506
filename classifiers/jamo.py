"""Korean parted into jamo: 시발 reads ㅅㅣㅂㅏㄹ, so that a model sees what ㅅㅂ, 씨발 and 시바 have in common.

Parts of words of a syllable each are too coarse where words are spelled as they sound: of 2 and 3 syllables there are
millions, of 3 to 5 jamo some thousands, which a few thousand labels can teach. Syllables are parted as Unicode's NFD
parts them, and jamo of the keyboard become those that begin a syllable (vowels: that follow), as in NFKD; all else
stays as it is.
"""

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from classifiers.scripts import Bytes, Offsets, text_buffers

SYLLABLE, LAST_SYLLABLE = 0xAC00, 0xD7A3
KEYBOARD, LAST_KEYBOARD = 0x3131, 0x318E
LEAD, VOWEL, TAIL = 0x1100, 0x1161, 0x11A7
N_VOWELS, N_TAILS = 21, 28
LONGEST = 3
"""Bytes become so many times as many at most: a syllable of three bytes is three jamo of three each."""
Codes = npt.NDArray[np.int32]


def part_syllables(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """n texts with Hangul parted into conjoining jamo; a null stays one. Doing it twice changes nothing more."""
    utf8, offsets = text_buffers(texts)
    out = np.empty(LONGEST * int(offsets[-1] - offsets[0]), np.uint8)  # untouched pages cost nothing
    out_offsets = np.zeros(len(texts) + 1, np.int64)
    _part(utf8, offsets, _of_keyboard(), out, out_offsets)
    parted = pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(out_offsets), pa.py_buffer(out))
    return pc.if_else(texts.is_valid(), parted, None) if texts.null_count else parted


@cache
def _of_keyboard() -> Codes:
    """The conjoining jamo of each jamo of the keyboard; itself where it has none."""
    codes = range(KEYBOARD, LAST_KEYBOARD + 1)
    return np.array([ord(unicodedata.normalize("NFKD", chr(code))[0]) for code in codes], np.int32)


@njit(nogil=True, cache=True)
def _part(utf8: Bytes, offsets: Offsets, keyboard: Codes, out: Bytes, out_offsets: Offsets) -> None:
    at = 0
    for d in range(offsets.shape[0] - 1):
        i, end = offsets[d], offsets[d + 1]
        while i < end:
            code = _code(utf8, i, end)
            if SYLLABLE <= code <= LAST_SYLLABLE:
                at = _write_syllable(code - SYLLABLE, out, at)
                i += 3
            elif KEYBOARD <= code <= LAST_KEYBOARD:
                at = _write(keyboard[code - KEYBOARD], out, at)
                i += 3
            else:
                out[at] = utf8[i]
                at += 1
                i += 1
        out_offsets[d + 1] = at


@njit(nogil=True, cache=True)
def _code(utf8: Bytes, i: int, end: int) -> int:
    """The code point of three bytes that begins at i; 0: another kind of character."""
    if utf8[i] & 0xF0 != 0xE0 or i + 2 >= end:
        return 0
    return ((int(utf8[i]) & 0x0F) << 12) | ((int(utf8[i + 1]) & 0x3F) << 6) | (int(utf8[i + 2]) & 0x3F)


@njit(nogil=True, cache=True)
def _write_syllable(index: int, out: Bytes, at: int) -> int:
    """Its two or three jamo (The Unicode Standard, section 3.12); returns the position after them."""
    at = _write(LEAD + index // (N_VOWELS * N_TAILS), out, at)
    at = _write(VOWEL + index // N_TAILS % N_VOWELS, out, at)
    return _write(TAIL + index % N_TAILS, out, at) if index % N_TAILS else at


@njit(nogil=True, cache=True)
def _write(code: int, out: Bytes, at: int) -> int:
    """A character of three bytes."""
    out[at] = 0xE0 | (code >> 12)
    out[at + 1] = 0x80 | ((code >> 6) & 0x3F)
    out[at + 2] = 0x80 | (code & 0x3F)
    return at + 3
