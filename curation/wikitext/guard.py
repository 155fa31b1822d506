"""Wikitext made safe for a tokenizer that goes back where markup does not close: linear time whatever the text.

A tokenizer that meets `{{` reads on until `}}`; where there is none it goes back and reads the same again as text. So
a few thousand such openings cost minutes. Hence openings without an end, and what is nested deeper than any page is,
are found with one stack in one pass, and are kept from the tokenizer, which would have made them text in the end.
"""

import re

_AS_MARKS = {"{": "\ufdd6", "[": "\ufdd7", "<": "\ufdd8"}
_AS_TEXT = str.maketrans(_AS_MARKS)
"""Noncharacters of Unicode, which the tokenizer takes for text."""

MAX_UNCLOSED = 20
"""So many openings without an end are left to the tokenizer: real pages have a few, and it copes with these."""
MAX_DEPTH = 40

_MARKS = re.compile(
    r"\{\{|\}\}|\[\[|\]\]|\{\|(?!\})|\|\}(?!\})|</?[a-z][a-z0-9]*|/?>|<!--|\[(?=(?:[a-z]{2,9}:)?//|[a-z]{2,9}:)|\]",
    re.IGNORECASE,
)
_CLOSES = {"}}": "{{", "]]": "[[", "|}": "{|", "]": "["}
_BEGINNINGS = ("{{", "{|", "[", "<")
_OPENS = frozenset(_CLOSES.values())
_VOID = frozenset({"<br", "<hr", "<wbr", "<img", "<meta", "<link"})
_LITERAL = {
    f"<{name}": re.compile(f"</{name}", re.IGNORECASE)
    for name in ("nowiki", "math", "ce", "chem", "pre", "source", "syntaxhighlight", "score", "timeline", "gallery")
} | {"<!--": re.compile("-->")}
"""What holds no markup, and its end."""


def without_unclosed(text: str) -> tuple[str, int]:
    """The text with the openings broken up that have no end, and how many these are; mostly the text itself."""
    if sum(map(text.count, _BEGINNINGS)) <= MAX_UNCLOSED:  # as in most short pages
        return text, 0
    positions = _Openings(text).bad()
    if len(positions) <= MAX_UNCLOSED:
        return text, 0
    parts: list[str] = []
    at = 0
    for position in sorted(positions):
        end = position + (1 if text[position] == "<" else 2)
        parts += (text[at:position], text[position:end].translate(_AS_TEXT))
        at = end
    return "".join([*parts, text[at:]]), len(positions)


def with_marks(text: str) -> str:
    """The openings that had been broken up, as they were."""
    for mark, standing in _AS_MARKS.items():
        if standing in text:
            text = text.replace(standing, mark)
    return text


class _Openings:
    """One pass over the marks of a text with a stack of what is open."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.unclosed: list[int] = []
        self.pairs: list[tuple[int, int]] = []
        self.stack: list[tuple[str, int]] = []
        self.n_open: dict[str, int] = {}
        self.max_open = 0
        self.endless: set[str] = set()  # literal marks with no end in what is left

    def bad(self) -> list[int]:
        """Where openings are that nothing closes, that cross another construct, or that lie too deep."""
        self._scan()
        self.unclosed += [position for _, position in self.stack]
        return self.unclosed + (_too_deep(self.pairs) if self.max_open > MAX_DEPTH else [])

    def _scan(self) -> None:
        """Read all marks; a tag is open when its `>` has come, unless another mark of a tag came before."""
        tag: tuple[str, int] | None = None
        literal_end = 0
        stack, n_open, closes = self.stack, self.n_open, _CLOSES
        for found in _MARKS.finditer(self.text):
            mark, position = found[0], found.start()
            if position < literal_end:
                continue
            if mark in closes:
                self._close(closes[mark], position)
            elif mark in _OPENS:
                stack.append((mark, position))
                n_open[mark] = n_open.get(mark, 0) + 1
                self.max_open = max(self.max_open, len(stack))
            elif mark[-1] == ">":
                if tag and mark == ">":
                    literal_end = self._open_tag(*tag, found.end())
                tag = None
            elif mark == "<!--":
                literal_end = self._literal_end(mark, position, found.end())
            else:
                if tag:
                    self.unclosed.append(tag[1])
                is_end = mark[1] == "/"
                tag = None if is_end else (mark.lower(), position)
                if is_end:
                    self._close(f"<{mark[2:].lower()}", position)
        if tag:
            self.unclosed.append(tag[1])

    def _open_tag(self, mark: str, position: int, at: int) -> int:
        """Where reading goes on."""
        if mark in _LITERAL:
            return self._literal_end(mark, position, at)
        if mark not in _VOID:
            self.stack.append((mark, position))
            self.n_open[mark] = self.n_open.get(mark, 0) + 1
            self.max_open = max(self.max_open, len(self.stack))
        return at

    def _close(self, mark: str, position: int) -> None:
        if not self.n_open.get(mark) or (mark == "[" and self.stack[-1][0] != "["):
            return
        while True:
            opened, start = self.stack.pop()
            self.n_open[opened] -= 1
            if opened == mark:
                self.pairs.append((start, position))
                return
            self.unclosed.append(start)

    def _literal_end(self, mark: str, position: int, at: int) -> int:
        end = None if mark in self.endless else _LITERAL[mark].search(self.text, at)
        if end is None:
            self.endless.add(mark)
            self.unclosed.append(position)
            return at
        return end.end()


def _too_deep(pairs: list[tuple[int, int]]) -> list[int]:
    """The openings, of those with an end, inside more than `MAX_DEPTH` others."""
    deep: list[int] = []
    ends: list[int] = []
    for start, end in sorted(pairs):
        while ends and ends[-1] < start:
            ends.pop()
        if len(ends) >= MAX_DEPTH:
            deep.append(start)
        else:
            ends.append(end)
    return deep
