"""A view of texts in which spellings that hide words are undone: 카.지.노, ㅋㅏㅈㅣ노 and 카 지 노 read 카지노.

Models that look for advertising and abuse are trained on this view and score it; documents keep their text. What is
undone, in this order: letters of other shapes (full width, circled, mathematical, accents) and capitals; characters
without width; Cyrillic and Greek letters within Latin words; jamo that spell syllables; mobile numbers in words, of
which every one reads 010-0000-0000; what stands between the syllables or letters of one word. ㅋㅋ and ㅠㅠ stay.
The name of the view changes when what it does changes.
"""

import unicodedata
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from classifiers.jamo import part_syllables
from classifiers.scripts import TABLE_SIZE, character_classes, text_buffers
from classifiers.spelling_kernels import DROPPED, Codes, Tables, view

View = Literal["spelling-1", "jamo-1"]

FOLDED = (  # blocks whose characters stand for one plain letter or digit each (NFKC)
    (0x2070, 0x209C), (0x2100, 0x214F), (0x2460, 0x24FF), (0x3260, 0x327B), (0xFF01, 0xFF5E), (0x1D400, 0x1D7FF),
    (0x1F130, 0x1F149),
)  # fmt: skip
ACCENTED = ((0xC0, 0x24F), (0x1E00, 0x1EFF))
BOXED = (0x1F150, 0x1F170)
"""Where the letters A to Z in black circles and black boxes begin; Unicode has no plain form of them."""
WITHOUT_WIDTH = (
    (0xAD, 0xAD), (0x034F, 0x034F), (0x0300, 0x036F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180E),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
)  # fmt: skip
LOOK_ALIKE = {
    "а": "a", "в": "b", "с": "c", "е": "e", "н": "h", "і": "i", "ј": "j", "к": "k", "м": "m", "о": "o", "р": "p",
    "ѕ": "s", "т": "t", "у": "y", "х": "x", "ԁ": "d", "ո": "n", "ɡ": "g", "ı": "i", "α": "a", "β": "b", "ε": "e",
    "ι": "i", "κ": "k", "ν": "v", "ο": "o", "ρ": "p", "τ": "t", "υ": "u", "χ": "x",
}  # fmt: skip
LIST_SIGNS = ",/·ㆍ・･、:;'\"‘’“”()[]<>《》〈〉「」『』≪≫&"
"""Between single syllables these part items more often than they hide a word: 초·중·고."""
SPACES = "\t\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"

HIDDEN = Path(__file__).parent / "lexicon" / "hidden.txt"
"""Words that are hidden by a sign or a digit within them; pairs of their syllables are joined across one."""

L_JAMO = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
V_JAMO = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
T_JAMO = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"


def read_as(texts: pa.LargeStringArray, name: View | None) -> pa.LargeStringArray:
    """n texts in the view of that name; None: as they are."""
    if name is None:
        return texts
    plain = plain_spelling(texts)
    return part_syllables(plain) if name == "jamo-1" else plain


def plain_spelling(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """n texts with the spellings undone that hide words; a null stays one. Doing it twice changes nothing more."""
    utf8, offsets = text_buffers(texts)
    out = np.empty(2 * int(offsets[-1] - offsets[0]) + len(texts), np.uint8)  # untouched pages cost nothing
    out_offsets = np.zeros(len(texts) + 1, np.int64)
    longest = 2 * int(np.diff(offsets).max(initial=0)) + 16
    a, b, kinds, ends, sizes = (np.empty(longest, np.int32) for _ in range(5))
    view(utf8, offsets, tables(), a, b, kinds, ends, sizes, out, out_offsets)
    made = pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(out_offsets), pa.py_buffer(out))
    return pc.if_else(texts.is_valid(), made, None) if texts.null_count else made


@cache
def tables() -> Tables:
    """What the kernels look up."""
    listed = np.zeros(TABLE_SIZE, np.bool_)
    listed[[ord(sign) for sign in LIST_SIGNS]] = True
    alike = np.zeros(TABLE_SIZE, np.int32)
    for letter, latin in LOOK_ALIKE.items():
        alike[ord(letter)] = ord(latin)
    pairs = {(ord(a) << 32) | ord(b) for word in hidden_words() for a, b in pairwise(word)}
    return Tables(_folded(), character_classes(), listed, alike, np.array(sorted(pairs), np.int64))


def hidden_words() -> list[str]:
    """The words of HIDDEN."""
    lines = HIDDEN.read_text("utf-8").splitlines()
    return [word for line in lines if not line.startswith("#") for word in line.split()]


def _folded() -> Codes:
    """What each character is read as; DROPPED: nothing."""
    folded = np.arange(TABLE_SIZE, dtype=np.int32)
    for first, last in FOLDED:
        for code in range(first, last + 1):
            _set_plain(folded, code, unicodedata.normalize("NFKC", chr(code)))
    for first, last in ACCENTED:
        for code in range(first, last + 1):
            _set_plain(folded, code, unicodedata.normalize("NFD", chr(code))[0])
    for start in BOXED:
        folded[start : start + 26] = np.arange(ord("a"), ord("z") + 1)
    folded[ord("A") : ord("Z") + 1] += 32
    folded[0x391:0x3A2] += 32  # capitals of Greek and Cyrillic, which may look like Latin ones
    folded[0x410:0x430] += 32
    folded[0x400:0x410] += 80
    folded[[ord(space) for space in SPACES]] = ord(" ")
    _set_jamo(folded)
    for first, last in WITHOUT_WIDTH:
        folded[first : last + 1] = DROPPED
    return folded


def _set_plain(folded: Codes, code: int, plain: str) -> None:
    """Plain ASCII in lower case, a syllable or a jamo: only what is one character."""
    lowered = plain.lower()
    is_plain = len(lowered) == 1 and (lowered.isascii() or "가" <= lowered <= "힣" or "\u1100" <= lowered <= "\u1112")
    if is_plain and (lowered.isalnum() or code >= 0xFF01):
        folded[code] = ord(lowered)


def _set_jamo(folded: Codes) -> None:
    """Conjoining and half-width jamo as those of the keyboard."""
    for start, jamo in ((0x1100, L_JAMO), (0x1161, V_JAMO), (0x11A8, T_JAMO)):
        folded[start : start + len(jamo)] = [ord(letter) for letter in jamo]
    for code in (*range(0xFFA1, 0xFFBF), *range(0xFFC2, 0xFFDD)):
        if name := unicodedata.name(chr(code), ""):
            folded[code] = ord(unicodedata.lookup(name.removeprefix("HALFWIDTH ")))
    for code in range(0x3260, 0x326E):  # circled
        folded[code] = folded[folded[code]]


def spell(text: str) -> str:
    """One text in the view."""
    return str(plain_spelling(pa.array([text], pa.large_string()))[0].as_py())
