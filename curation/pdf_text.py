"""From the lines of a PDF's pages to paragraphs: which lines belong together, and what stands between their words.

A PDF knows glyphs and where they are. PDFium gives them in lines; paragraphs are gone, and so are the spaces at which
lines end.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

SHORT_FRAC = 0.12
"""A line that ends this much of the column's width before its neighbours ends a paragraph."""
SPACED_FACTOR = 1.35
"""Lines that are further apart than usual, by this, belong to two paragraphs."""
SIZE_FACTOR = 1.2
"""So do lines in letters of other sizes, as a heading and what follows it."""
RUNNING_FRAC, RUNNING_PAGES_MIN = 0.3, 3
"""A line at the edge of so many pages is a running head or foot: left and right pages may have their own."""
N_EDGE_LINES = 2
"""Running heads and feet are looked for in so many lines at the top and the bottom of a page."""
MID_WORD_FRAC = 0.2
"""Where so many of the breaks that can be told fall inside words, lines break anywhere, as Korean allows."""

_BULLET = re.compile(r"(?:[•·▪◦‣※○●■□*\-–—]|\(?(?:\d{1,3}|[가-하a-zA-Z])[.)]|[①-⑳])\s")
_NUMBER = re.compile(r"\d{1,6}")
_ENDS = re.compile(r"[.!?。:;][\"'”’)\]]*$")
_WORD = re.compile(r"\w+")
_HYPHENS = "\ufffe\u00ad-\u2010"
_ENDINGS = tuple("은는이가을를에의로와과도만서며고면나지게다")
"""Syllables with which most Korean words end: particles and endings."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page with its box, in points from the page's lower left corner; `size` is the letters' height."""

    text: str
    left: float
    right: float
    bottom: float
    size: float


def pages_to_text(pages: Sequence[Sequence[Line]]) -> str:
    """The text of a document, one paragraph per line; `pages` are the lines of each in reading order."""
    joiner = _Joiner(line.text for page in pages for line in page)
    paragraphs: list[str] = []
    before: Line | None = None
    for page in pages:
        continues = _Continues(page)
        for number, line in enumerate(page):
            if before is not None and continues(before, number):
                paragraphs[-1] = joiner.join(paragraphs[-1], line.text)
            else:
                paragraphs.append(line.text)
            before = line
    return "\n".join(text.replace("\ufffe", "-") for text in paragraphs)


def without_running(pages: Sequence[Sequence[Line]]) -> tuple[list[list[Line]], list[str]]:
    """The pages without running heads and feet, and what was left out.

    Such a line stands at the edge of three pages in ten or more, with the same words and numbers, but for one that
    goes up with the pages. A page that has no other lines keeps them.
    """
    seen: Counter[tuple[str, int]] = Counter()
    for number, page in enumerate(pages):
        seen.update({key for i in _edges(page) for key in _running_keys(page[i].text, number)})
    n_often = max(RUNNING_PAGES_MIN, RUNNING_FRAC * len(pages))
    kept, left_out = [], []
    for number, page in enumerate(pages):
        running = {i for i in _edges(page) if any(seen[k] >= n_often for k in _running_keys(page[i].text, number))}
        if len(running) == len(page):
            running = set()
        kept.append([line for i, line in enumerate(page) if i not in running])
        left_out += [page[i].text for i in sorted(running)]
    return kept, left_out


def _edges(page: Sequence[Line]) -> set[int]:
    """The lines at the top and the bottom of a page, wherever the text has them."""
    by_height = sorted(range(len(page)), key=lambda i: page[i].bottom)
    return {*by_height[:N_EDGE_LINES], *by_height[-N_EDGE_LINES:]}


def _running_keys(text: str, page_number: int) -> Iterator[tuple[str, int]]:
    """What a running line has in common with its like on other pages: all of it, or all but a number that is the
    page's plus a constant."""
    yield text, 0
    for match in _NUMBER.finditer(text):
        yield f"{text[: match.start()]}\0{text[match.end() :]}", int(match[0]) - page_number


class _Continues:
    """Whether a line of a page goes on with the paragraph before it."""

    def __init__(self, page: Sequence[Line]) -> None:
        self.page = page
        steps = [a.bottom - b.bottom for a, b in pairwise(page) if a.bottom > b.bottom]
        self.step = median(steps) if steps else 0.0

    def __call__(self, before: Line, number: int) -> bool:
        line = self.page[number]
        if _BULLET.match(line.text) or not 1 / SIZE_FACTOR < line.size / max(before.size, 0.01) < SIZE_FACTOR:
            return False
        follows = number > 0 and before.bottom > line.bottom
        if follows and before.bottom - line.bottom > SPACED_FACTOR * self.step:
            return False
        if not follows and _ENDS.search(before.text):  # another column or page: only an open sentence goes on
            return False
        if not follows:  # columns lie elsewhere: how long a line is says what where it ends cannot
            return before.right - before.left > (1 - SHORT_FRAC) * (line.right - line.left)
        around = [
            before,
            *(other for other in self.page[max(0, number - 4) : number + 4] if _is_above(before, other)),
        ]
        width = max(other.right for other in around) - min(other.left for other in around)
        return before.right > max(other.right for other in around) - SHORT_FRAC * width


def _is_above(a: Line, b: Line) -> bool:
    """Whether two lines stand in one column: each begins before the other ends."""
    return a.left < b.right and b.left < a.right


class _Joiner:
    """Joins lines by what the document's own words say of the place where they break."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.words: Counter[str] = Counter()
        ends: list[tuple[str, str]] = []
        last = ""
        for text in lines:
            found = _WORD.findall(text)
            self.words.update(found[1:-1])  # those at the ends may be parts
            if found:
                ends.append((last, found[0]))
                last = found[-1]
        told = [told for a, b in ends if a and _korean(a, b) and (told := self._mid_word(a, b)) is not None]
        self.breaks_anywhere = bool(told) and sum(told) > MID_WORD_FRAC * len(told)

    def join(self, text: str, line: str) -> str:
        """The text with a line that goes on where it stopped."""
        if text[-1:] in _HYPHENS and text[-2:-1].isalpha() and line[:1].isalpha():
            return self._join_hyphen(text, line)
        a, b = _last_word(text), _first_word(line)
        if a and b and _korean(a, b) and self._is_mid_word(a, b):
            return text + line
        return f"{text} {line}"

    def _join_hyphen(self, text: str, line: str) -> str:
        """`manu-` and `facture`: a hyphen stays where the document writes the word with it elsewhere, or never
        without it and a capital follows."""
        a, b = _last_word(text[:-1]), _first_word(line)
        with_it = self.words[a] and self.words[b] and not self.words[a + b]
        if with_it or line[0].isupper():
            return f"{text[:-1]}-{line}"
        return text[:-1] + line

    def _is_mid_word(self, a: str, b: str) -> bool:
        told = self._mid_word(a, b)
        if told is not None:
            return told
        return self.breaks_anywhere and not a.endswith(_ENDINGS)

    def _mid_word(self, a: str, b: str) -> bool | None:
        """What other lines say: the two are one word, or two; None where they say neither, or both."""
        one, two = self.words[a + b], min(self.words[a], self.words[b])
        if bool(one) != bool(two):
            return bool(one)
        return None


def _korean(a: str, b: str) -> bool:
    return "가" <= a[-1] <= "힣" and "가" <= b[0] <= "힣"


def _last_word(text: str) -> str:
    found = re.search(r"\w+$", text[-60:])
    return found[0] if found else ""


def _first_word(text: str) -> str:
    found = re.match(r"\w+", text)
    return found[0] if found else ""
