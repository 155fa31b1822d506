"""Where personal data may stand: numbers of some length, alone or in groups, and at signs between letters."""

import numpy as np
import numpy.typing as npt
from numba import uint64

from curation.kernels import at, kernel
from curation.kernels.characters import HIGHS_8, ONES_8, Bytes, Offsets, decode, eight_bytes

MAIL, NUMBER = 0, 1
N_FIELDS = 4  # document, first byte, byte past the last, MAIL or NUMBER

MIN_DIGITS = 8  # 1588-1234; shorter ones are four groups with dots, M123A4567 or begin like 2001:db8::1
GAP_CHARS = 3  # between two groups of digits, as in "010 - 1234" and "+82 (0)10"

AT_8, FULLWIDTH_8 = uint64(0x40) * ONES_8, uint64(0xEF) * ONES_8
BELOW_DIGITS_8, ABOVE_DIGITS_8 = uint64(0x7F - 0x2F) * ONES_8, uint64(0x7F + 0x3A) * ONES_8
SEVENS_8 = uint64(0x7F) * ONES_8

_MAIL_BYTES = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
IN_DOMAIN = np.array([byte in _MAIL_BYTES for byte in range(256)])
IN_USER = np.array([byte in _MAIL_BYTES + b"._%+-" for byte in range(256)])
IN_HEX = np.array([byte in b"0123456789abcdefABCDEF" for byte in range(256)])
IS_PASSPORT = np.array([byte in b"MSROD" for byte in range(256)])

HYPHENS = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d"
DOTS = ".\u00b7\u2024\u2219\u30fb\u318d\uff0e"
SPACES = " \u00a0"
GAPS = np.array(sorted(map(ord, HYPHENS + DOTS + SPACES + "()")))
"""What stands between the groups of a number."""


@kernel()
def digit_size(utf8: Bytes, i: int, end: int) -> int:
    """Bytes of the digit at utf8[i], ASCII or fullwidth; 0 where there is none."""
    if i >= end:
        return 0
    byte = utf8[at(i)]
    if 0x30 <= byte <= 0x39:
        return 1
    if byte == 0xEF and i + 2 < end and utf8[at(i + 1)] == 0xBC and 0x90 <= utf8[at(i + 2)] <= 0x99:
        return 3
    return 0


@kernel()
def gap_size(utf8: Bytes, i: int, end: int) -> int:
    """Bytes of the up to GAP_CHARS characters of GAPS at utf8[i] that lead to another digit; 0 where they do not."""
    k = i
    for _ in range(GAP_CHARS):
        if k >= end:
            return 0
        character, size = decode(utf8, k)
        if character >= 0x80:
            is_gap = False
            for gap in GAPS:
                is_gap |= gap == character
        else:
            is_gap = (
                character == 0x20 or character == 0x2D or character == 0x2E or character == 0x28 or character == 0x29
            )
        if not is_gap:
            return 0
        k += size
        if digit_size(utf8, k, end):
            return k - i
    return 0


@kernel()
def is_passport(utf8: Bytes, i: int, run_end: int, start: int, end: int) -> bool:
    """Whether the three digits at utf8[i] may be those of M123A4567."""
    if run_end - i != 3 or i == start or run_end + 5 > end or not IS_PASSPORT[utf8[at(i - 1)]]:
        return False
    return 0x41 <= utf8[at(run_end)] <= 0x5A and digit_size(utf8, run_end + 1, end) == 1


@kernel()
def hex_end(utf8: Bytes, i: int, end: int) -> int:
    """Where an IPv6 address that may begin at utf8[i] ends, or i: public ones begin with 2 or 3 and three more."""
    if utf8[at(i)] != 0x32 and utf8[at(i)] != 0x33:
        return i
    k, n_colons = i, 0
    while k < end and k - i < 40 and (IN_HEX[utf8[at(k)]] or utf8[at(k)] == 0x3A):
        if utf8[at(k)] == 0x3A:
            n_colons += 1
            if n_colons == 1 and k - i != 4:
                return i
        k += 1
    return k if n_colons >= 2 else i


@kernel()
def next_start(utf8: Bytes, i: int, end: int) -> int:
    """The first digit, at sign or fullwidth character at or after i."""
    while i < end:
        if i + 8 <= end:
            eight = eight_bytes(utf8, i)
            low = eight & SEVENS_8  # Warren, Hacker's Delight, section 6-1; exact, as no sum carries
            digits = (low + BELOW_DIGITS_8) & (ABOVE_DIGITS_8 - low) & ~eight
            mails, wides = eight ^ AT_8, eight ^ FULLWIDTH_8
            if not (digits | ((mails - ONES_8) & ~mails) | ((wides - ONES_8) & ~wides)) & HIGHS_8:
                i += 8
                continue
            stop = i + 8
        else:
            stop = end
        while i < stop:
            byte = utf8[at(i)]
            if 0x30 <= byte <= 0x39 or byte == 0x40 or byte == 0xEF:
                return i
            i += 1
    return end


@kernel()
def number_at(utf8: Bytes, i: int, start: int, end: int) -> tuple[int, bool]:
    """(end of the number that starts at utf8[i] with all its groups, whether it may be personal data)."""
    k, n_digits, n_groups, n_quads, hexes = i, 0, 0, 0, hex_end(utf8, i, end)
    may_be = hexes > i
    while True:
        first, n_before = k, n_digits
        size = digit_size(utf8, k, end)
        while size:
            k, n_digits = k + size, n_digits + 1
            size = digit_size(utf8, k, end)
        n_groups += 1
        may_be |= is_passport(utf8, first, k, start, end)
        gap = gap_size(utf8, k, end)
        n_quads = n_quads + 1 if n_digits - n_before <= 3 else 0
        may_be |= n_quads >= 4
        n_quads = n_quads if gap == 1 and utf8[at(k)] == 0x2E else 0
        if not gap:
            break
        k += gap
    return max(k, hexes), may_be or n_digits >= MIN_DIGITS


@kernel()
def find_candidates(utf8: Bytes, offsets: Offsets, out: npt.NDArray[np.int64]) -> int:
    """Writes where personal data may stand into the rows of out; returns how many there are, more than fit too."""
    n_found = 0
    for d in range(len(offsets) - 1):
        start, end = offsets[d], offsets[d + 1]
        i = next_start(utf8, start, end)
        while i < end:
            if utf8[at(i)] == 0x40:
                kind, past = MAIL, i + 1
                may_be = start < i and past < end and IN_USER[utf8[at(i - 1)]] and IN_DOMAIN[utf8[at(past)]]
            elif digit_size(utf8, i, end):
                kind = NUMBER
                past, may_be = number_at(utf8, i, start, end)
            else:
                kind, past, may_be = NUMBER, i + 1, False
            if may_be:
                if n_found < len(out):
                    row = out[n_found]
                    row[0], row[1], row[2], row[3] = d, i, past, kind
                n_found += 1
            i = next_start(utf8, past, end)
    return n_found


@kernel()
def count_chars(utf8: Bytes, start: int, end: int) -> int:
    """Characters of utf8[start:end]."""
    n_chars = 0
    for i in range(start, end):
        n_chars += utf8[at(i)] & 0xC0 != 0x80
    return n_chars
