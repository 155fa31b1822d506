"""From marks to lines: headings, lists, sections that are dropped, and what markup leaves behind."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from curation.wikitext.marks import GONE, HEADING, LIST, VERBATIM_CLOSE, VERBATIM_OPEN

_APOSTROPHES = re.compile(r"'{2,}")
_SWITCHES = re.compile(
    r"__(?:NO|FORCE)?TOC__|__NOEDITSECTION__|__NOGALLERY__|__(?:HIDDEN|NO|EXPECT)[A-Z]+__|__NEWSECTIONLINK__|"
    r"__(?:NO)?INDEX__|__STATICREDIRECT__|__DISAMBIG__|__목차(?:숨김|보임)?__|__(?:목차|단락편집|편집)숨김__|__동음이의__|"
    r"__숨은분류__|__색인(?:함|안함)__|__갤러리숨김__|__새글쓰기__"
)
_TAGS = (
    "div span small big center font b i u s strike del ins em strong sup sub tt code p br hr li ul ol dl dd dt table "
    "tr td th tbody caption blockquote ref references nowiki noinclude includeonly onlyinclude poem gallery cite q "
    "abbr ruby rb rt rp var kbd samp pre section mark bdi h1 h2 h3 h4 h5 h6 source syntaxhighlight timeline"
)
_LEFT_TAGS = re.compile(rf"<(/?)({_TAGS.replace(' ', '|')})(?![a-z0-9])[^<>\n]{{0,2000}}>", re.IGNORECASE)
_VARIANT = re.compile(r"-\{(?:[A-Z;a-z-]{0,20}\|)?([^{}]{0,2000})\}-")
_BRACKETS = re.compile(rf"([(（])([^()（）{GONE}]{{0,200}}{GONE}[^()（）]{{0,200}})([)）])")
_BETWEEN = re.compile(rf"\s*[,;、·]\s*{GONE}(?=\s*[,;、·])")
_LIST_MARKS = re.compile(rf"(?:{LIST}[*#:;]\s*)+")
_CELL = re.compile(r" ?(?:\|\||!!) ?")
_NOTHING = "\ufdd5"
"""Stands where brackets were, to take the space before them along."""
_AT_START = re.compile(rf"^[\s,;:、·{GONE}]*{GONE}[\s,;:、·{GONE}]*")
_AT_END = re.compile(rf"[\s,;:、·]*{GONE}[\s,;:、·{GONE}]*$")
_SPACES = re.compile(r"[ \t\xa0]{2,}|[\t\xa0]")
_ALONE = re.compile(rf"{VERBATIM_OPEN}(\d+){VERBATIM_CLOSE}\s?[.,;:。]?\s?(?:\([^()]{{0,20}}\))?[.,]?")
_BLOCK = frozenset({"br", "hr", "p", "div", "li", "tr", "td", "th", "dd", "dt", "table", "blockquote", "center"})


def lines_of(text: str, dropped_sections: Collection[str]) -> tuple[str, list[int], list[int]]:
    """The text in its final lines, marks of verbatim parts still standing.

    Args:
        text: what the renderer made.
        dropped_sections: titles in lower case.

    Returns:
        the text; the numbers of verbatim parts that stand alone in a line; those in sections that were dropped.
    """
    writer = _Writer(dropped_sections)
    for line in _without_remains(text).split("\n"):
        writer.add(line)
    return "\n".join(writer.out).strip("\n"), writer.alone, writer.lost


def _without_remains(text: str) -> str:
    if "''" in text:
        text = _APOSTROPHES.sub(_apostrophes, text)
    if "__" in text:
        text = _SWITCHES.sub("", text)
    if "-{" in text:
        text = _VARIANT.sub(_variant, text)
    if "<" in text:
        text = _LEFT_TAGS.sub(_left_tag, text)
    if GONE in text:
        text = _BRACKETS.sub(_bracket, text).replace(f" {_NOTHING}", "").replace(_NOTHING, "")
    for remains in ("[[", "]]", "\ufdd7\ufdd7"):  # the last: of openings that were kept from the tokenizer
        text = text.replace(remains, "")
    return text


def _apostrophes(found: re.Match[str]) -> str:
    """Two are italic, three bold, five both; of four one is an apostrophe, as are those beyond five."""
    n = len(found[0])
    return "'" if n == 4 else "'" * max(0, n - 5)


def _variant(found: re.Match[str]) -> str:
    """`-{zh-hans:A; zh-hant:B}-`: the first."""
    return found[1].split(";")[0].rpartition(":")[2].strip()


def _left_tag(found: re.Match[str]) -> str:
    name = found[2].lower()
    if name == "li" and not found[1]:
        return f"\n{LIST}*"
    return "\n" if name in _BLOCK else ""


def _bracket(found: re.Match[str]) -> str:
    """Brackets around templates that were dropped: `(pronounced {{x}}; born 1900)`."""
    inside = _BETWEEN.sub("", found[2])
    inside = _AT_END.sub("", _AT_START.sub("", inside)).replace(GONE, "").strip()
    return f"{found[1]}{inside}{found[3]}" if inside else _NOTHING


@dataclass
class _Writer:
    dropped_sections: Collection[str]
    out: list[str] = field(default_factory=list)
    alone: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)  # written before the next line, if there is one
    dropping: int = 0  # the level of the section that is dropped
    counters: dict[str, int] = field(default_factory=dict)  # of ordered lists, by their marks
    blank: bool = False
    in_table: bool = False

    def add(self, line: str) -> None:
        """One line of the text with marks."""
        if line.startswith(HEADING) and line[1:2].isdecimal():
            self._heading(int(line[1]), _plain(line[2:]))
            return
        if self.dropping:
            self._lose(line)
            return
        self._line(line.strip())

    def _lose(self, line: str) -> None:
        self.lost += [int(part.split(VERBATIM_CLOSE)[0]) for part in line.split(VERBATIM_OPEN)[1:]]

    def _heading(self, level: int, title: str) -> None:
        self.counters.clear()
        if self.dropping and level > self.dropping:
            self._lose(title)
            return
        self.dropping = level if title.lower().strip(" :.") in self.dropped_sections else 0
        self.headings = [(above, text) for above, text in self.headings if above < level]
        if self.dropping:
            self._lose(title)
        elif title:
            self.headings.append((level, title))

    def _line(self, line: str) -> None:
        marks = ""
        if found := _LIST_MARKS.match(line):
            marks, line = "".join(mark for mark in found[0] if mark in "*#:;"), line[found.end() :]
        text = self._without_table_marks(_plain(line.replace(f"{LIST}:", ": ")))
        if not text or (marks and not text.strip(" .,;:–—-|()·")):
            self.blank = True
            if not marks:
                self.counters.clear()
            return
        if (not marks or marks[-1] == ":") and (found := _ALONE.fullmatch(text)):
            self.alone.append(int(found[1]))
        self._write_headings()
        if self.blank and self.out and self.out[-1]:
            self.out.append("")
        self.blank = False
        self.out.append(self._marked(marks, text))

    def _without_table_marks(self, text: str) -> str:
        """A line of a table that never ends, which the tokenizer leaves as it is."""
        if text.startswith("{|"):
            self.in_table = True
            return ""
        if not self.in_table or text[:1] not in ("|", "!"):
            return text
        self.in_table = not text.startswith("|}")
        return "" if text[:2] in ("|}", "|-") else _CELL.sub(" | ", text[1:]).strip()

    def _write_headings(self) -> None:
        for level, title in self.headings:
            if self.out and self.out[-1]:
                self.out.append("")
            self.out += [f"{'#' * level} {title}", ""]
            self.blank = False
        self.headings = []

    def _marked(self, marks: str, text: str) -> str:
        if not marks:
            self.counters.clear()
            return text
        self.counters = {
            known: n for known, n in self.counters.items() if marks.startswith(known) or len(known) <= len(marks)
        }
        depth = sum(mark in "*#" for mark in marks[:-1])
        indent = "  " * min(depth, 8)
        if marks[-1] == "#":
            self.counters[marks] = self.counters.get(marks, 0) + 1
            return f"{indent}{self.counters[marks]}. {text}"
        return f"{indent}- {text}" if marks[-1] == "*" else f"{indent}{text}"


def _plain(line: str) -> str:
    """A line without marks that mean nothing in it, with single spaces."""
    line = line.replace(GONE, "").replace(LIST, "").replace(HEADING, "").strip()
    return _SPACES.sub(" ", line) if "  " in line or "\t" in line or "\xa0" in line else line
