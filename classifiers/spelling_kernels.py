"""The kernels of `classifiers.spelling`: each step reads the code points of one text and writes them anew."""

from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from classifiers.scripts import DIGIT, OTHER, SPACE, SYMBOL, TABLE_SIZE, Bytes, Offsets, decode

Codes = npt.NDArray[np.int32]

kernel = partial(njit, nogil=True, cache=True, _nrt=False)  # they allocate nothing, so nothing counts references

DROPPED = 0
NEWLINE, BLANK = 10, 32
SYLLABLE, LAST_SYLLABLE = 0xAC00, 0xD7A3
CONSONANT, LAST_CONSONANT, VOWEL, LAST_VOWEL = 0x3131, 0x314E, 0x314F, 0x3163
LAUGHS = (0x314B, 0x314E)  # ㅋ, ㅎ
MAX_GAP = 3
CHAIN_OF_SIGNS, CHAIN_OF_SPACES = 3, 5
"""So many single syllables in a row are one word; fewer are where a word of `HIDDEN` is."""
CHAIN_OF_LETTERS, SPACED_LETTERS = 3, 4
NO_GAP, SPACES, SIGNS, LISTED, ODD, A_DIGIT, MIXED = range(7)
JOIN = 1
LEET = ((48, 111), (49, 105), (51, 101), (52, 97), (36, 115))  # p0rn, cas1no, s3x, c4sino, ca$ino
N_DIGITS = 11  # of a mobile number; the old ones have ten
NUMBER = np.array([ord(c) for c in "010-0000-0000"], np.int32)
LEAD = np.array([0, 1, -1, 2, -1, -1, 3, 4, 5, -1, -1, -1, -1, -1, -1, -1, 6, 7, 8, -1, 9, 10, 11, 12, 13, 14, 15, 16,
                 17, 18])  # fmt: skip
TAIL = np.array([1, 2, 3, 4, 5, 6, 7, 0, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 0, 18, 19, 20, 21, 22, 0, 23, 24, 25,
                 26, 27])  # fmt: skip
SPELLED = np.array([ord(c) for c in "공영일이삼사오육륙칠팔구"], np.int32)
SPELLED_VALUE = np.array([0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9])


class Tables(NamedTuple):
    """What the kernels look up, by code point below TABLE_SIZE."""

    folded: Codes
    classes: Bytes
    """As `scripts.character_classes`."""
    listed: npt.NDArray[np.bool_]
    """Signs that part items of a list."""
    alike: Codes
    """The Latin letter that a letter looks like; 0: none."""
    pairs: Offsets
    """Two syllables of a hidden word, the first in the upper 32 bits; rising."""


@kernel()
def view(
    utf8: Bytes,
    offsets: Offsets,
    tables: Tables,
    a: Codes,
    b: Codes,
    kinds: Codes,
    ends: Codes,
    sizes: Codes,
    out: Bytes,
    out_offsets: Offsets,
) -> None:
    """Write every text anew; a, b, kinds, ends and sizes are scratch for twice the longest text."""
    at = 0
    for d in range(offsets.shape[0] - 1):
        n = _fold(utf8, offsets[d], offsets[d + 1], tables, a)
        _fold_look_alikes(a, n, tables)
        n = _compose(a, n)
        n = _name_numbers(a, n, tables, b)
        n = _join_syllables(b, n, tables, kinds, ends, sizes)
        n = _join_letters(b, n, tables)
        at = _encode(b, n, out, at)
        out_offsets[d + 1] = at


@kernel()
def _fold(utf8: Bytes, i: int, end: int, tables: Tables, a: Codes) -> int:
    """a: the code points that utf8[i:end] is read as; returns how many."""
    n = 0
    while i < end:
        code, width = int(utf8[i]), 1
        if code >= 0x80:
            code, width = decode(utf8, i, end)
        i += width
        plain = tables.folded[code] if code < TABLE_SIZE else np.int32(code)
        if plain != DROPPED or code == DROPPED:
            a[n] = plain
            n += 1
    return n


@kernel()
def _fold_look_alikes(a: Codes, n: int, tables: Tables) -> None:
    """Runs of Latin letters and letters that look like them, if there is a Latin one in them."""
    i = 0
    while i < n:
        if not (_is_latin(a[i]) or _looks_latin(a[i], tables)):
            i += 1
            continue
        start, n_latin, n_alike = i, 0, 0
        while i < n and (_is_latin(a[i]) or _looks_latin(a[i], tables)):
            n_latin += _is_latin(a[i])
            n_alike += not _is_latin(a[i])
            i += 1
        if n_latin and n_alike:
            for k in range(start, i):
                if not _is_latin(a[k]):
                    a[k] = tables.alike[a[k]]


@kernel(inline="always")
def _is_latin(code: int) -> bool:
    return 97 <= code <= 122


@kernel(inline="always")
def _looks_latin(code: int, tables: Tables) -> bool:
    return 0x80 <= code < TABLE_SIZE and tables.alike[code] > 0


@kernel(inline="always")
def _is_alnum(code: int) -> bool:
    return _is_latin(code) or 48 <= code <= 57


@kernel(inline="always")
def _is_syllable(code: int) -> bool:
    return SYLLABLE <= code <= LAST_SYLLABLE


@kernel(inline="always")
def _is_consonant(code: int) -> bool:
    return CONSONANT <= code <= LAST_CONSONANT


@kernel()
def _vowel(a: Codes, i: int, n: int) -> int:
    """The number of the vowel at i, -1 if there is none; l, 1 and | after a consonant are drawn for ㅣ, r for ㅏ."""
    if i >= n:
        return -1
    code = a[i]
    if VOWEL <= code <= LAST_VOWEL:
        return int(code - VOWEL)
    if (code == 108 or code == 49 or code == 124 or code == 114) and not (i + 1 < n and _is_alnum(a[i + 1])):
        return 0 if code == 114 else 20
    return -1


@kernel()
def _double_vowel(first: int, second: int) -> int:
    """ㅗ and ㅏ are ㅘ, and so on; -1: no vowel."""
    if first == 8:
        return 9 if second == 0 else 10 if second == 1 else 11 if second == 20 else -1
    if first == 13:
        return 14 if second == 4 else 15 if second == 5 else 16 if second == 20 else -1
    return 19 if first == 18 and second == 20 else -1


@kernel()
def _compose(a: Codes, n: int) -> int:
    """Jamo that spell syllables, in place; returns how many code points are left."""
    i = at = 0
    while i < n:
        size = 0
        if _is_consonant(a[i]):
            size, code = _syllable_at(a, i, n)
            if size:
                a[at] = code
                i += size
                at += 1
        if size == 0:
            a[at] = a[i]
            i += 1
            at += 1
    return at


@kernel()
def _syllable_at(a: Codes, i: int, n: int) -> tuple[int, int]:
    """How many jamo from i on spell a syllable, and which; 0: they do not. Laughing and crying is no spelling."""
    lead, vowel = LEAD[a[i] - CONSONANT], _vowel(a, i + 1, n)
    laughs = a[i] == LAUGHS[0] or a[i] == LAUGHS[1]
    if lead < 0 or vowel < 0 or (i + 2 < n and a[i + 2] == a[i + 1]) or (laughs and i > 0 and a[i - 1] == a[i]):
        return 0, 0
    size = 2
    double = _double_vowel(vowel, _vowel(a, i + 2, n))
    if double >= 0 and not (i + 3 < n and a[i + 3] == a[i + 2]):
        size, vowel = 3, double
    tail = 0
    if i + size < n and _is_consonant(a[i + size]) and _vowel(a, i + size + 1, n) < 0:
        last = a[i + size]
        tail = 0 if last == LAUGHS[0] or last == LAUGHS[1] else TAIL[last - CONSONANT]
    return size + (tail > 0), SYLLABLE + (lead * 21 + vowel) * 28 + tail


@kernel()
def _digit(code: int) -> int:
    """The digit that a character stands for in a spelled number; -1: none."""
    if 48 <= code <= 57:
        return int(code - 48)
    if code == 111 or code == 0x25CB:  # o, ○
        return 0
    if code == 108 or code == 105:  # l, i
        return 1
    if _is_syllable(code):
        for k in range(len(SPELLED)):
            if SPELLED[k] == code:
                return int(SPELLED_VALUE[k])
    return -1


@kernel()
def _number_end(a: Codes, i: int, n: int, tables: Tables) -> int:
    """Where the mobile number that begins at i ends; -1: none does."""
    if _digit(a[i]) != 0 or (i > 0 and _is_alnum(a[i - 1]) and not _is_syllable(a[i])):
        return -1
    n_digits, end, k, gap = 0, i, i, 0
    while k < n and n_digits < N_DIGITS and gap <= MAX_GAP:
        digit = _digit(a[k])
        if digit >= 0:
            if (n_digits == 1 and digit != 1) or (n_digits == 2 and 2 <= digit <= 5):
                return -1
            n_digits, end, gap = n_digits + 1, k + 1, 0
        elif _is_sign(a[k], tables) or a[k] == BLANK:
            gap += 1
        else:
            break
        k += 1
    is_whole = n_digits >= N_DIGITS - 1 and not (end < n and _is_alnum(a[end]))
    return end if is_whole else -1


@kernel()
def _name_numbers(a: Codes, n: int, tables: Tables, b: Codes) -> int:
    """b: a with each mobile number in the same form; returns its length."""
    i = at = 0
    while i < n:
        end = _number_end(a, i, n, tables)
        if end > 0:
            for k in range(len(NUMBER)):
                b[at] = NUMBER[k]
                at += 1
            i = end
        else:
            b[at] = a[i]
            at += 1
            i += 1
    return at


@kernel(inline="always")
def _is_sign(code: int, tables: Tables) -> bool:
    """Neither letter nor digit nor space; what is beyond the table is an emoji of a later Unicode or a Han letter."""
    if code >= TABLE_SIZE or code == NEWLINE:
        return False
    kind = tables.classes[code]
    return kind in (SYMBOL, OTHER) and code >= BLANK


@kernel()
def _gap(b: Codes, start: int, end: int, tables: Tables) -> int:
    """What stands between two syllables: b[start:end]."""
    if end - start > MAX_GAP:
        return NO_GAP
    n_spaces = n_signs = n_listed = n_odd = n_digits = 0
    for k in range(start, end):
        code = b[k]
        if code == BLANK:
            n_spaces += 1
        elif _is_sign(code, tables):
            n_signs += 1
            n_listed += tables.listed[code]
            n_odd += 0x2600 <= code < 0x27C0 or code >= 0x1F300  # hearts, stars, emoji
        else:
            n_digits += tables.classes[code] == DIGIT if code < TABLE_SIZE else False
    if n_spaces + n_signs + n_digits < end - start or (n_digits and end - start > 1):
        return NO_GAP
    if n_digits:
        return A_DIGIT
    if n_spaces:
        return MIXED if n_signs else SPACES
    return ODD if n_odd == n_signs else LISTED if n_listed else SIGNS


@kernel()
def _is_pair(tables: Tables, first: int, second: int) -> bool:
    key = (np.int64(first) << 32) | np.int64(second)
    low, high = 0, len(tables.pairs)
    while low < high:
        middle = (low + high) >> 1
        if tables.pairs[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low < len(tables.pairs) and tables.pairs[low] == key


@kernel()
def _join_syllables(b: Codes, n: int, tables: Tables, kinds: Codes, ends: Codes, sizes: Codes) -> int:
    """Drops what stands between the syllables of one word, in place; returns the new length."""
    n_units = _units(b, n, tables, kinds, ends, sizes)
    if n_units < 2:
        return n
    _decide(b, n_units, tables, kinds, ends, sizes)
    at, unit, i = 0, 0, 0
    while i < n:
        b[at] = b[i]
        at += 1
        i += 1
        if unit < n_units - 1 and i == ends[unit]:
            if kinds[unit] == -JOIN:
                i = ends[unit + 1] - sizes[unit + 1]
            unit += 1
    return at


@kernel()
def _units(b: Codes, n: int, tables: Tables, kinds: Codes, ends: Codes, sizes: Codes) -> int:
    """Runs of syllables: where each ends, its size, and what parts it from the next; returns how many."""
    n_units = i = 0
    while i < n:
        if not _is_syllable(b[i]):
            i += 1
            continue
        start = i
        while i < n and _is_syllable(b[i]):
            i += 1
        if n_units:
            kinds[n_units - 1] = _gap(b, ends[n_units - 1], start, tables)
        ends[n_units], sizes[n_units], kinds[n_units] = i, i - start, NO_GAP
        n_units += 1
    return n_units


@kernel()
def _decide(b: Codes, n_units: int, tables: Tables, kinds: Codes, ends: Codes, sizes: Codes) -> None:
    """kinds: -JOIN where what parts two runs is dropped."""
    unit = 0
    while unit < n_units - 1:
        kind = kinds[unit]
        last = unit  # of a chain of single syllables with gaps of this kind
        if kind in (SPACES, SIGNS):
            while last < n_units - 1 and kinds[last] == kind and sizes[last] == 1 and sizes[last + 1] == 1:
                last += 1
        wanted = CHAIN_OF_SPACES if kind == SPACES else CHAIN_OF_SIGNS
        if last - unit + 1 >= wanted:
            for k in range(unit, last):
                kinds[k] = -JOIN
            unit = last
            continue
        last = max(last, unit + 1)
        for k in range(unit, last):
            both_single = sizes[k] == 1 and sizes[k + 1] == 1
            first, second = b[ends[k] - 1], b[ends[k + 1] - sizes[k + 1]]
            if kind == ODD or (
                kind != NO_GAP
                and (both_single or (kind != SPACES and kind != MIXED))
                and _is_pair(tables, first, second)
            ):
                kinds[k] = -JOIN
        unit = last


@kernel()
def _leet(b: Codes, k: int, n: int) -> int:
    """The letter that a digit between two letters stands for; else what is there."""
    code = b[k]
    if k == 0 or k + 1 >= n or not _is_latin(b[k - 1]) or not _is_latin(b[k + 1]):
        return int(code)
    for digit, letter in LEET:
        if code == digit:
            return letter
    return int(code)


@kernel()
def _join_letters(b: Codes, n: int, tables: Tables) -> int:
    """Drops what stands between single Latin letters: c.a.s.i.n.o; in place; returns the new length."""
    i = at = 0
    while i < n:
        last = _letters_end(b, i, n, tables) if _is_latin(b[i]) else i
        if last > i:
            for k in range(i, last + 1, 2):
                b[at] = b[k]
                at += 1
            i = last + 1
        else:
            b[at] = b[i]
            at += 1
            i += 1
    return at


@kernel()
def _letters_end(b: Codes, i: int, n: int, tables: Tables) -> int:
    """The last letter of a chain of single letters, the same sign between all, that begins at i; i: there is none."""
    if (i > 0 and not _parts(b, i - 1, tables)) or i + 1 >= n:
        return i
    sign, last = b[i + 1], i
    if sign != BLANK and not _is_sign(sign, tables):
        return i
    while last + 2 < n and b[last + 1] == sign and _is_latin(b[last + 2]):
        last += 2
    if last + 1 < n and not _parts(b, last + 1, tables):
        last -= 2
    n_letters = (last - i) // 2 + 1
    return last if n_letters >= (SPACED_LETTERS if sign == BLANK else CHAIN_OF_LETTERS) else i


@kernel()
def _parts(b: Codes, k: int, tables: Tables) -> bool:
    """Whether the character at k is no letter and no digit."""
    code = b[k]
    return code <= BLANK or _is_sign(code, tables) or (code < TABLE_SIZE and tables.classes[code] == SPACE)


@kernel()
def _encode(b: Codes, n: int, out: Bytes, at: int) -> int:
    """Appends code points to out as UTF-8; returns the new end. A digit between Latin letters is the letter."""
    for k in range(n):
        code = b[k]
        if code < 0x80:
            out[at] = _leet(b, k, n)
            at += 1
        elif code < 0x800:
            out[at], out[at + 1] = 0xC0 | (code >> 6), 0x80 | (code & 0x3F)
            at += 2
        elif code < 0x10000:
            out[at], out[at + 1] = 0xE0 | (code >> 12), 0x80 | ((code >> 6) & 0x3F)
            out[at + 2] = 0x80 | (code & 0x3F)
            at += 3
        else:
            out[at], out[at + 1] = 0xF0 | (code >> 18), 0x80 | ((code >> 12) & 0x3F)
            out[at + 2], out[at + 3] = 0x80 | ((code >> 6) & 0x3F), 0x80 | (code & 0x3F)
            at += 4
    return at
