"""Characters as kernels see them: decoding UTF-8, and one table of character classes."""

from functools import cache

import numpy as np
import numpy.typing as npt
from numba import uint64

from curation.kernels import at, kernel

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Values = npt.NDArray[np.float64]

N_CODE_POINTS = 0x110000

ONES_8, HIGHS_8 = uint64(0x0101010101010101), uint64(0x8080808080808080)  # the lowest, the highest bit of each byte

SPACE = 1  # str.isspace(): where str.split() cuts
LINE_BREAK = 2  # where str.splitlines() cuts
SYMBOL = 4  # datatrove's PUNCTUATION_SET: a word of these alone is no word to Gopher
TERMINAL = 8  # datatrove's TERMINAL_PUNCTUATION: what ends a line to FineWeb
ALPHA = 16  # str.isalpha()
DECIMAL = 32  # str.isdecimal(): what \d matches
SYLLABLE = 64  # a precomposed Hangul syllable
JAMO = 128  # a Hangul letter outside a syllable (ㅋ, ㅠ)

# Line separators of str.splitlines(); "\r\n" counts once.
_LINE_BREAKS = "\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"
# The next two are datatrove 0.10.1's (utils/text.py, Apache-2.0), its fullwidth １ included; a test compares them.
_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«´»–—’“”„…∶━►、。〈〉《》「」【】！％（），．１：；？～" + "".join(
    map(chr, [*range(9), *range(11, 32), *range(127, 160)])
)
_TERMINAL_RANGES = """
    21 2E 3F 589 61D-61F 6D4 700-702 7F9 837 839 83D-83E 964-965 104A-104B 1362 1367-1368 166E 1735-1736 17D4-17D6
    17D9-17DA 1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F 1B7D-1B7E 1C3B-1C3C 1C7E-1C7F 203C-203D 2047-2049 2E2E
    2E3C 2E53-2E54 3002 A4FF A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB FE52
    FE56-FE57 FF01 FF0E FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1 11141-11143 111C5-111C6
    111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 1144B-1144C 115C2-115C3 115C9-115D7 11641-11642 1173C-1173E 11944
    11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F 16AF5 16B37-16B38 16B44 16E98 1BC9F
    1DA88"""
_SYLLABLE_RANGES = "AC00-D7A3"
_JAMO_RANGES = "1100-11FF 3131-318E A960-A97C D7B0-D7C6 D7CB-D7FB FFA1-FFBE FFC2-FFC7 FFCA-FFCF FFD2-FFD7 FFDA-FFDC"


def _code_points(ranges: str) -> Offsets:
    """All code points of hexadecimal ranges such as "21 61D-61F"."""
    bounds = [[int(bound, 16) for bound in item.split("-")] for item in ranges.split()]
    return np.concatenate([np.arange(item[0], item[-1] + 1) for item in bounds])


def _ordinals(characters: str) -> Offsets:
    return np.array([ord(character) for character in characters])


@cache
def character_classes() -> Bytes:
    """Class bits of every code point, shape (0x110000,), built from this Python's Unicode tables in some 50 ms."""
    every = np.arange(N_CODE_POINTS, dtype=np.uint32).view("U1")
    classes = np.zeros(N_CODE_POINTS, np.uint8)
    classes[np.strings.isspace(every)] |= SPACE
    classes[np.strings.isalpha(every)] |= ALPHA
    classes[np.strings.isdecimal(every)] |= DECIMAL
    terminal = _code_points(_TERMINAL_RANGES)
    classes[_ordinals(_LINE_BREAKS)] |= LINE_BREAK
    classes[terminal] |= TERMINAL | SYMBOL
    classes[_ordinals(_PUNCTUATION)] |= SYMBOL
    classes[_code_points(_SYLLABLE_RANGES)] |= SYLLABLE
    classes[_code_points(_JAMO_RANGES)] |= JAMO
    return classes


@kernel()
def decode(utf8: Bytes, i: int) -> tuple[int, int]:
    """(code point, number of bytes) of the character that starts at utf8[i]; the buffer is valid UTF-8."""
    lead = int(utf8[at(i)])
    if lead < 0x80:
        return lead, 1
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | int(utf8[at(i + 1)] & 0x3F), 2
    middle = int(utf8[at(i + 1)] & 0x3F) << 6 | int(utf8[at(i + 2)] & 0x3F)
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | middle, 3
    return (lead & 0x07) << 18 | middle << 6 | int(utf8[at(i + 3)] & 0x3F), 4


@kernel()
def eight_bytes(utf8: Bytes, i: int) -> np.uint64:
    """utf8[i:i + 8] as one number, the first byte lowest; LLVM makes one load of it."""
    eight = uint64(0)
    for k in range(8):
        eight |= uint64(utf8[at(i + k)]) << uint64(8 * k)
    return eight


@kernel()
def strip(utf8: Bytes, start: int, end: int, classes: Bytes) -> tuple[int, int]:
    """(start, end) of utf8[start:end] without the white space at both ends, as str.strip() leaves it."""
    while start < end:
        character, size = decode(utf8, start)
        if not classes[at(character)] & SPACE:
            break
        start += size
    while start < end:
        last = end - 1
        while utf8[at(last)] & 0xC0 == 0x80:
            last -= 1
        if not classes[decode(utf8, last)[0]] & SPACE:
            break
        end = last
    return start, end
