"""The one normal form of text, `nfc-1`: what the same text looks like, whatever it came through.

Everything measured, compared or written later has passed through here, so that two spellings of one text are one
text: names decomposed by macOS, halfwidth and fullwidth letters, the spaces of word processors, UTF-8 that somebody
read as Windows-1252. Nothing else changes: no lower-casing, no NFKC (which breaks ㅋㅋ apart and rewrites ㈜, ①, ㎏),
no stripping, no capping of runs. docs/normal-form.md lists each rule and why.

After it, the only white space is the ASCII space, tab and newline; `text.split()` is a split at those three.
"""

import re
import unicodedata
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ftfy import TextFixerConfig, fix_encoding_and_explain
from numba import njit

NORMAL_FORM = "nfc-1"
"""Part of every run's identity: any change of behaviour in this file must change it."""

# Windows-1252 leaves five of its bytes undefined; what is read of them means nothing.
_C1_AS_WINDOWS_1252 = {n: bytes([n]).decode("cp1252", errors="ignore") for n in range(0x80, 0xA0)}
_LINE_ENDS = "\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"
_SPACES = "\x1f\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_INVISIBLE = "\u00ad\u200b\u2060\ufeff"
_FULLWIDTH_ASCII = range(0xFF01, 0xFF5F)
# U+FFA0..FFDC name their compatibility jamo as a <narrow> decomposition; the holes in the block have none.
_HALFWIDTH_HANGUL = {
    n: chr(int(unicodedata.decomposition(chr(n)).split()[1], 16))
    for n in range(0xFFA0, 0xFFDD)
    if unicodedata.decomposition(chr(n))
}
_REPLACEMENTS: dict[int, str] = (
    dict.fromkeys((*range(0x09), *range(0x0E, 0x1C), *range(0x7F, 0xA0)), "")  # controls
    | dict.fromkeys(map(ord, _LINE_ENDS), "\n")
    | dict.fromkeys(map(ord, _SPACES), " ")
    | dict.fromkeys(map(ord, _INVISIBLE), "")
    | {n: chr(n - 0xFEE0) for n in _FULLWIDTH_ASCII}
    | _HALFWIDTH_HANGUL
)
_REPLACED = re.compile("[" + "".join(map(chr, _REPLACEMENTS)).replace("\\", r"\\") + "]")

# What the bytes 80..BF of UTF-8 look like once read as Latin-1 or Windows-1252.
_CONTINUATION = {chr(n) for n in range(0x80, 0xC0)} | {c for c in _C1_AS_WINDOWS_1252.values() if c}
_C = "[" + "".join(sorted(_CONTINUATION)) + "]"
_UTF8_AS_LATIN = re.compile(f"[\u00c2-\u00df]{_C}|[\u00e0-\u00ef]{_C}{{2}}|[\u00f0-\u00f4]{_C}{{3}}")
# Only whole lines are repaired: ftfy's other heuristics guess at parts of lines, and lose text where they are wrong.
_WHOLE_LINES = TextFixerConfig(
    unescape_html=False, replace_lossy_sequences=False, decode_inconsistent_utf8=False, fix_c1_controls=False
)

# A text that speaks of encodings rather quotes mojibake than suffers from it.
_SPEAKS_OF_ENCODINGS = re.compile(
    "mojibake|encod(?:ing|ed)|utf-?8|unicode|charset|character set|latin-?1|windows-1252|ftfy|인코딩|문자 ?집합", re.I
)

# Hangul of KS X 1001 read as Latin-1: a lead byte B0..C8, a trail byte A1..FE.
_EUCKR_AS_LATIN = re.compile("(?:[\u00b0-\u00c8][\u00a1-\u00fe]){2}")
_FREQUENT_SYLLABLES = frozenset(
    "이다는에의을가하고지로한은리를도어기으자사해인서시나라그있일수대아만것게보들니면과안정부장전제"
)
_N_SYLLABLES_MIN = 8
_FREQUENT_FRAC_MIN = 0.3

_C1 = re.compile("[\x80-\x9f]")
_LATIN = re.compile("[\x80-\x9f\u00b0-\u00f4]")  # all mojibake has one of these: its leads, or a control


def normalize(text: str) -> str:
    """The normal form `nfc-1` of a text; `normalize(normalize(x)) == normalize(x)`.

    It repeats until nothing changes, since a removed character can bring two others together. That ends: a repair
    shortens the text, and no step brings back what another replaces. Only mojibake can need a second time, and there
    is none without a letter or sign of Latin-1.
    """
    before = _without_surrogates(text)
    while (after := _replace(_repair(before))) != before and _LATIN.search(after):
        before = after
    return after


def _without_surrogates(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _repair(text: str) -> str:
    """Mojibake undone. This comes before spaces, soft hyphens and controls go: in mojibake they are bytes."""
    if not _LATIN.search(text):
        return text
    return _repair_windows_1252_as_latin(_repair_euckr_as_latin(_repair_utf8_as_latin(text)))


def _replace(text: str) -> str:
    text = text.replace("\r\n", "\n")
    if text.isascii():
        return text.translate(_REPLACEMENTS)
    return unicodedata.normalize("NFC", _REPLACED.sub(lambda match: _REPLACEMENTS[ord(match[0])], text))


def _repair_utf8_as_latin(text: str) -> str:
    """Repairs UTF-8 read as Latin-1 or Windows-1252 (`donâ€™t`) in lines that ftfy finds to be that as a whole."""
    if not _UTF8_AS_LATIN.search(text) or _SPEAKS_OF_ENCODINGS.search(text):
        return text
    return "\n".join(
        fix_encoding_and_explain(line, _WHOLE_LINES).text if _UTF8_AS_LATIN.search(line) else line
        for line in text.split("\n")
    )


def _repair_euckr_as_latin(text: str) -> str:
    """EUC-KR read as Latin-1 (`¾È³ç`), where the lines that decode read as Korean, by its commonest syllables."""
    if not _EUCKR_AS_LATIN.search(text):
        return text
    lines = text.split("\n")
    decoded = {i: korean for i, line in enumerate(lines) if (korean := _decode_euckr(line))}
    syllables = [c for line in decoded.values() for c in line if "가" <= c <= "힣"]
    n_frequent = sum(c in _FREQUENT_SYLLABLES for c in syllables)
    if len(syllables) < _N_SYLLABLES_MIN or n_frequent < _FREQUENT_FRAC_MIN * len(syllables):
        return text
    return "\n".join(decoded.get(i, line) for i, line in enumerate(lines))


def _decode_euckr(line: str) -> str:
    """The line read as EUC-KR, or an empty string where it is something else or has no Hangul."""
    if line.isascii() or not _EUCKR_AS_LATIN.search(line):
        return ""
    try:
        return line.encode("latin-1").decode("euc_kr")
    except UnicodeError:
        return ""


def _repair_windows_1252_as_latin(text: str) -> str:
    """Controls U+0080..009F are Windows-1252's quotes and dashes, in lines that Latin-1 could have carried."""
    if not _C1.search(text):
        return text
    return "\n".join(
        line.translate(_C1_AS_WINDOWS_1252) if max(line, default="") <= "\xff" else line for line in text.split("\n")
    )


_REPLACE, _UTF8_LEAD, _UTF8_CONTINUATION, _EUCKR_LEAD, _EUCKR_TRAIL = 1, 2, 4, 8, 16


@cache
def _character_flags() -> np.ndarray:
    """One byte for each code point: can it, alone or after another, make a text differ from its normal form?

    A character does so alone if it is replaced, if NFC changes it, or if it could compose with or move past what
    stands before it (Unicode's NFC_Quick_Check is No or Maybe).
    """
    flags = np.zeros(0x110000, np.uint8)
    for n in range(0x30000):  # planes 0 to 2; nothing above them has a decomposition or a combining class
        character = chr(n)
        parts = unicodedata.decomposition(character).split()
        if unicodedata.combining(character) or not unicodedata.is_normalized("NFC", character):
            flags[n] |= _REPLACE
        if len(parts) == 2 and not parts[0].startswith("<"):
            flags[int(parts[1], 16)] |= _REPLACE
    flags[0x1161:0x1176] |= _REPLACE  # the vowels and finals of which Hangul syllables are composed,
    flags[0x11A8:0x11C3] |= _REPLACE  # by rule and not by table
    flags[list(_REPLACEMENTS)] |= _REPLACE
    flags[0xC2:0xF5] |= _UTF8_LEAD
    flags[[ord(c) for c in _CONTINUATION]] |= _UTF8_CONTINUATION
    flags[0xB0:0xC9] |= _EUCKR_LEAD
    flags[0xA1:0xFF] |= _EUCKR_TRAIL
    return flags


@njit(nogil=True, cache=True)
def _find_candidates(utf8: np.ndarray, offsets: np.ndarray, flags: np.ndarray, candidates: np.ndarray) -> None:
    """candidates[doc] = whether utf8[offsets[doc]:offsets[doc + 1]] holds anything that normalising could change."""
    for d in range(offsets.shape[0] - 1):
        i, end, before = offsets[d], offsets[d + 1], 0
        while i < end:
            lead = np.int64(utf8[i])
            if lead < 0x80:
                point, size = lead, 1
            elif lead < 0xE0:
                point, size = (lead & 0x1F) << 6 | (utf8[i + 1] & 0x3F), 2
            elif lead < 0xF0:
                point, size = (lead & 0x0F) << 12 | (utf8[i + 1] & 0x3F) << 6 | (utf8[i + 2] & 0x3F), 3
            else:
                point, size = (
                    (
                        (lead & 0x07) << 18
                        | (utf8[i + 1] & 0x3F) << 12
                        | (utf8[i + 2] & 0x3F) << 6
                        | (utf8[i + 3] & 0x3F)
                    ),
                    4,
                )
            now = flags[point]
            # Lead bits are one place below their trail bits: UTF8_LEAD << 1 is UTF8_CONTINUATION, EUCKR likewise.
            if now & 1 or (before << 1) & now & 0b10100:
                candidates[d] = True
                break
            before = now & 0b01010
            i += size


def normalize_column(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """`normalize` of each text, null where the text is null; the very same array where nothing changes.

    A kernel over the UTF-8 buffer finds the few texts that could change; only those become Python strings.
    """
    _, offsets_buffer, utf8_buffer = texts.buffers()
    if utf8_buffer is None or len(texts) == 0:
        return texts
    offsets = np.frombuffer(offsets_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    candidates = np.zeros(len(texts), np.bool_)
    _find_candidates(np.frombuffer(utf8_buffer, np.uint8), offsets, _character_flags(), candidates)
    before = texts.take(np.flatnonzero(candidates)).to_pylist()
    after = [text if text is None else normalize(text) for text in before]
    changes = np.array([old != new for old, new in zip(before, after, strict=True)], np.bool_)
    if not changes.any():
        return texts
    candidates[candidates] = changes
    replacements = [new for new, changed in zip(after, changes, strict=True) if changed]
    return pc.replace_with_mask(texts, pa.array(candidates), pa.array(replacements, pa.large_string()))
