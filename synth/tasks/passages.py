"""Texts cut and parted where they pause: at ends of paragraphs, else of sentences, lines and words.

A passage is a slice of the text, so that nothing in it is changed, and all passages together hold every character
but the space between them.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator

PARAGRAPHS, SENTENCES, LINES, WORDS = range(4)
"""Where a text may be parted, the best first."""

MIN_CUT_FRAC = 0.5
"""Share of the room that a text cut at a better place must fill."""

_CLOSING = "\"'”’»」』)\\]}）〉》】"
_BLANK = re.compile(r"\n[^\S\n]*\n\s*")
_LINE_BREAK, _SPACE = re.compile(r"\s*\n\s*"), re.compile(r"\s+")
_SENTENCE = re.compile(
    rf"[.!?…]+[{_CLOSING}]*(\s+|(?<=[다요죠까]\.)(?=[가-힣]))|[。！？]+[{_CLOSING}]*(\s*)"  # 했다.그러나 is two, too
)
_LAST_WORD = re.compile(r"\S+$")
_TITLES = frozenset(["mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "inc", "ltd", "co"])
_ABBREVIATIONS = frozenset(["vs", "etc", "e.g", "i.e", "cf", "no", "fig", "vol", "pp", "u.s", "u.k", "a.m", "p.m"])
_LEFT_BACK = 20
"""Characters before a stop that are looked at for an abbreviation."""


def cut(text: str, max_chars: int) -> str:
    """The beginning of a text, whole where it has room, else up to the end of a paragraph, sentence, line or word.

    Where none of those comes in the second half of the room, it is cut between two characters as a reader sees them.
    """
    text = text.strip()
    if len(text) <= max_chars:
        return text
    for level in (PARAGRAPHS, SENTENCES, LINES, WORDS):
        fitting = [stop for stop, _ in _breaks(text[: max_chars + 1], 0, level) if stop <= max_chars]
        if fitting and fitting[-1] >= MIN_CUT_FRAC * max_chars:
            return text[: fitting[-1]].rstrip()
    end = max_chars
    while end > 0 and _goes_on(text[end]):
        end -= 1
    return text[: end or max_chars]


def _goes_on(char: str) -> bool:
    """Whether it belongs to the character before it: marks, joiners, vowels and finals of decomposed Hangul."""
    return unicodedata.category(char).startswith("M") or char == "\u200d" or "\u1160" <= char <= "\u11ff"


def chunks(text: str, max_words: int) -> list[str]:
    """A text in passages of so many words at most: as few breaks as fit, the best first.

    Words stand between spaces (in Korean they are eojeol); one alone is never parted.
    """
    return [text[start:end] for start, end in _packed(text, 0, len(text), max_words, PARAGRAPHS)]


def _packed(text: str, start: int, end: int, max_words: int, level: int) -> list[tuple[int, int]]:
    """Parts of a level put together while they fit; one that alone does not is parted at the next level."""
    found: list[tuple[int, int]] = []
    room = 0
    for begin, stop in parts(text, start, end, level):
        n_words = len(text[begin:stop].split())
        if n_words > max_words:
            found += _packed(text, begin, stop, max_words, level + 1)
            room = 0
        elif n_words <= room:
            found[-1] = (found[-1][0], stop)
            room -= n_words
        else:
            found.append((begin, stop))
            room = max_words - n_words
    return found


def parts(text: str, start: int, end: int, level: int) -> Iterator[tuple[int, int]]:
    """(start, end) of the parts of a slice at a level, without the space between them."""
    for stop, after in [*_breaks(text[start:end], start, level), (end, end)]:
        begin, until = start, stop
        while begin < until and text[begin].isspace():
            begin += 1
        while until > begin and text[until - 1].isspace():
            until -= 1
        if begin < until:
            yield begin, until
        start = after


def _breaks(text: str, offset: int, level: int) -> Iterator[tuple[int, int]]:
    """(where a part ends, where the next one begins) for each break of a level."""
    pattern, is_one = _LEVELS[level]
    for match in pattern.finditer(text):
        if is_one(match):
            stop = match.start() if level != SENTENCES else match.start(match.lastindex or 0)
            yield offset + stop, offset + match.end()


def _always(match: re.Match[str]) -> bool:
    return True


def _ends_sentence(match: re.Match[str]) -> bool:
    """Not `Dr. Kim`, `J. Kim`, `e.g. this`, `1. Item`, or a stop that goes on in small letters."""
    text, at, stop = match.string, match.start(), match[0].rstrip()
    if text[match.end() : match.end() + 1].islower() and stop[0] == ".":
        return False
    if stop != ".":
        return True
    before = text[max(0, at - _LEFT_BACK) : at]
    word = _LAST_WORD.search(before)
    last = word[0].lstrip("(\"'“‘[") if word else ""
    is_initial = len(last) == 1 and "A" <= last <= "Z" and last != "I"
    is_numeral = last.isdigit() and before.removesuffix(last).rstrip(" \t")[-1:] in ("", "\n")
    return not (is_initial or is_numeral or last.casefold() in _TITLES | _ABBREVIATIONS)


_LEVELS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = (
    (_BLANK, _always),
    (_SENTENCE, _ends_sentence),
    (_LINE_BREAK, _always),
    (_SPACE, _always),
)
