"""Where a text may be cut: never inside what a reader sees as one character, and where possible between sentences."""

import re
import unicodedata

CLOSERS = "\"'”’)\\]」』"
SENTENCE_END = re.compile(rf"[.?!。？！…][{CLOSERS}]*\s+|\n\s*")
"""Ends where the next sentence or line begins."""

_SEEN_BACK_CHARS = 64
"""How far before a place the end of a sentence may begin that ends there: dots, closing brackets, white space."""

_ZERO_WIDTH_JOINER = "\u200d"
_EXTENDS = frozenset("\u200c\u200d\uff9e\uff9f\u0e33\u0eb3")
_PREPENDED = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e"
    "\U000110bd\U000110cd\U000111c2\U000111c3\U000113d1\U0001193f\U00011941\U00011a84"
    "\U00011a85\U00011a86\U00011a87\U00011a88\U00011a89\U00011d46\U00011f02"
)
_VIRAMA = 9  # canonical combining class of signs that join the consonants at both sides


def is_boundary(text: str, i: int) -> bool:
    """Whether text[:i] and text[i:] share no grapheme cluster.

    It is strict: it refuses some places that Unicode allows (between two flags, after any zero-width joiner), and
    allows none that Unicode refuses. Source of the rules: Unicode Standard Annex 29, section 3.1.1.
    """
    if i <= 0 or i >= len(text):
        return True
    before, after = text[i - 1], text[i]
    if before < "\u0300" and after < "\u0300":
        return not (before == "\r" and after == "\n")
    return not (
        _extends(after)
        or before == _ZERO_WIDTH_JOINER
        or before in _PREPENDED
        or (_is_flag(before) and _is_flag(after))
        or _joins_hangul(before, after)
        or _joins_consonants(text, i)
    )


def _extends(character: str) -> bool:
    n = ord(character)
    is_mark = unicodedata.category(character) in ("Mn", "Me", "Mc", "Cn")  # Cn: newer than this Python, so it may be
    return is_mark or character in _EXTENDS or 0x1F3FB <= n <= 0x1F3FF or 0xE0020 <= n <= 0xE007F


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _joins_hangul(before: str, after: str) -> bool:
    """Whether two Hangul letters or syllables make up one syllable."""
    is_leading = "\u1100" <= before <= "\u115f" or "\ua960" <= before <= "\ua97c"
    is_vowel = "\u1160" <= after <= "\u11a7" or "\ud7b0" <= after <= "\ud7c6"
    is_final = "\u11a8" <= after <= "\u11ff" or "\ud7cb" <= after <= "\ud7fb"
    is_syllable = "가" <= after <= "힣"
    is_next_leading = "\u1100" <= after <= "\u115f" or "\ua960" <= after <= "\ua97c"
    return is_vowel or is_final or (is_leading and (is_syllable or is_next_leading))


def _joins_consonants(text: str, i: int) -> bool:
    while i > 0 and _extends(text[i - 1]):
        i -= 1
        if unicodedata.combining(text[i]) == _VIRAMA:
            return True
    return False


def at_characters(text: str, start: int, end: int) -> tuple[int, int]:
    """The largest part of text[start:end] that cuts no grapheme cluster; start == end where there is none."""
    while start < end and not is_boundary(text, start):
        start += 1
    while start < end and not is_boundary(text, end):
        end -= 1
    return start, end


def at_sentences(text: str, start: int, end: int) -> tuple[int, int]:
    """The whole sentences and lines in text[start:end], with the white space after them; start == end if none.

    A sentence ends as `[.?!。？！…]["'”’)\\]」』]*\\s` says or with its line, which needs no model.
    """
    places = [0] if start == 0 else []
    for found in SENTENCE_END.finditer(text, max(0, start - _SEEN_BACK_CHARS)):
        if found.end() > end:
            break
        if found.end() >= start:
            places.append(found.end())
    places += [end] if end == len(text) else []
    return (places[0], places[-1]) if places else (start, start)


def cut(text: str, spans: list[tuple[int, int]], boundary: str) -> list[tuple[int, int]]:
    """What to remove so that no more than `spans` goes, and nothing is cut apart.

    Spans that overlap or touch are taken as one. With `boundary` "sentence" each shrinks to the sentences that lie in
    it whole; where there is none, and with "character", to whole characters. What reaches the end of the text takes
    along the white space before it. Offsets are in characters; the result is in order.
    """
    cuts = []
    for start, end in merged(spans):
        first, past = at_sentences(text, start, end) if boundary == "sentence" else (start, start)
        first, past = at_characters(text, first, past) if first < past else at_characters(text, start, end)
        if past == len(text):
            first = len(text[:first].rstrip())
        if first < past:
            cuts.append((first, past))
    return merged(cuts)


def merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that overlap or touch as one."""
    result: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def without(spans: list[tuple[int, int]], taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What of `spans` lies outside `taken`; all are in order and apart from each other."""
    left = []
    for start, end in spans:
        for first, past in taken:
            if past > start and first < end:
                if start < first:
                    left.append((start, first))
                start = past
        if start < end:
            left.append((start, end))
    return left
