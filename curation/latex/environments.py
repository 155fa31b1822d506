"""What environments do to the text in them: lists, tables, figures, theorems, code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from curation.latex.output import BLOCK, LINE, SPACE
from curation.latex.scan import BEGIN, OPTIONS
from curation.latex.words import (
    ALGORITHMS,
    FIGURES,
    LISTS,
    MUTED,
    SECTIONS,
    TABLES,
    TABULARS,
    THEOREMS,
    TRANSPARENT,
)

if TYPE_CHECKING:
    from curation.latex.text import TextConverter

VERBATIM_TOKEN = re.compile(r"\\begin[ \t]*\{([^{}]*)\}(.*)\\end\{\1\}", re.DOTALL)
INLINE_TOKEN = re.compile(r"\\(verb|lstinline|mintinline)\*?(.*)", re.DOTALL)


class Environments:
    """The environments that are open, and what their commands mean there."""

    def __init__(self, converter: TextConverter, theorems: dict[str, str], *, tables: bool) -> None:
        self._converter, self._tables = converter, tables
        self._theorems = THEOREMS | theorems
        self._lists: list[list[int]] = []  # [number of the last item, or -1 where they are not counted]
        self._markers: list[str] = []
        self._floats: list[str] = []
        self._n_tabulars = self._n_tabbing = self._n_algorithms = 0

    @property
    def in_tabbing(self) -> bool:
        """Whether `\\=` and `\\>` are tabs."""
        return self._n_tabbing > 0

    @property
    def in_algorithm(self) -> bool:
        """Whether `\\State` and its like begin lines."""
        return self._n_algorithms > 0

    def begin(self, index: int, name: str, last: int) -> int:
        r"""Open the environment of the `\begin` at `index`, whose `\end` is at `last` or -1; where to go on."""
        after = index + 1
        if last < 0:
            return self._converter.skip(after, TRANSPARENT.get(name, TABULARS.get(name, "o")))
        torn = self._converter.has_heading(index, last)  # nothing that is left out holds headings: an \end is missing
        if not torn and (name in MUTED or (name == "thebibliography" and not self._converter.bibliography)):
            self._mute(last)
            return last
        if not torn and (name in FIGURES or name in TABLES):
            self._float("Figure" if name in FIGURES else "Table", last)
        elif name in TABULARS:
            return self._tabular(after, name, last)
        elif name in LISTS:
            self._list(name, last)
        elif name.rstrip("*") in self._theorems and name not in TRANSPARENT:
            return self._theorem(after, self._theorems[name.rstrip("*")], last)
        elif name in SECTIONS:
            self._converter.section(SECTIONS[name])
            self._then(last, lambda: self._gap(BLOCK))
        else:
            self._other(name, last)
        return self._converter.skip(after, TRANSPARENT.get(name, "o"))

    def _then(self, last: int, action: object) -> None:
        self._converter.at(last, action)  # type: ignore[arg-type]

    def _gap(self, width: int) -> None:
        self._converter.out.gap(width)

    def _mute(self, last: int) -> None:
        self._converter.out.muted += 1
        self._then(last, self._unmute)

    def _unmute(self) -> None:
        self._converter.out.muted -= 1

    def _float(self, kind: str, last: int) -> None:
        self._gap(BLOCK)
        self._floats.append(kind)
        if kind == "Figure":
            self._converter.out.muted += 1
        self._then(last, lambda: self._end_float(kind))

    def _end_float(self, kind: str) -> None:
        if kind == "Figure":
            self._unmute()
        if self._floats:
            self._floats.pop()
        self._gap(BLOCK)

    def caption(self, index: int, word: str) -> int:
        r"""`\caption[short]{text}`: a paragraph that says of what, also of a figure that is left out."""
        converter, out = self._converter, self._converter.out
        kind = (
            self._floats[-1] if self._floats else "Table" if word == "tablecaption" or self._n_tabulars else "Figure"
        )
        group = converter.group_after(index, "*mo" if word == "captionof" else "*o")
        end = converter.group_end(group)
        if end is None:
            return index
        muted = sum(name == "Figure" for name in self._floats)
        out.muted -= muted
        self._gap(BLOCK)
        out.words(f"{kind}: ")
        out.inline += 1
        converter.at(end, lambda: self._end_caption(muted))
        return group + 1

    def _end_caption(self, muted: int) -> None:
        self._converter.out.inline -= 1
        self._gap(BLOCK)
        self._converter.out.muted += muted

    def _tabular(self, index: int, name: str, last: int) -> int:
        index = self._converter.skip(index, TABULARS[name])
        if not self._tables:
            self._mute(last)
            return index
        self._gap(SPACE if self._n_tabulars else LINE)
        self._n_tabulars += 1
        if self._n_tabulars > 1:
            self._converter.out.inline += 1  # a table in a cell: its rows are lines of that cell
        self._then(last, self._end_tabular)
        return index

    def _end_tabular(self) -> None:
        if self._n_tabulars > 1:
            self._converter.out.inline -= 1
        self._n_tabulars -= 1
        self._gap(SPACE if self._n_tabulars else LINE)

    def cell(self) -> None:
        """`&` between two cells of a row; by itself elsewhere, a mistake in the source."""
        self._gap(SPACE)
        if self._n_tabulars:
            self._converter.out.words("|")
            self._gap(SPACE)

    def row(self) -> None:
        r"""`\\`: the end of a row or of a line."""
        self._gap(LINE)

    def paragraph(self) -> None:
        """A blank line: in a cell a space, elsewhere the end of the paragraph."""
        self._gap(SPACE if self._n_tabulars else BLOCK)

    def _list(self, name: str, last: int) -> None:
        self._gap(LINE if self._lists else BLOCK)
        marker = LISTS[name]
        self._lists.append([0])
        self._markers.append(marker)
        self._indent()
        self._then(last, self._end_list)

    def _end_list(self) -> None:
        self._lists.pop()
        self._markers.pop()
        self._indent()
        self._gap(LINE if self._lists else BLOCK)

    def _indent(self) -> None:
        self._converter.out.indent = "  " * max(0, len(self._lists) - 1)

    def item(self, index: int) -> int:
        r"""`\item`, with a term where the source gives one."""
        converter, out = self._converter, self._converter.out
        marker = self._markers[-1] if self._markers else "- "
        self._gap(LINE)
        if marker == "1":
            self._lists[-1][0] += 1
            marker = f"{self._lists[-1][0]}. "
        start = converter.skip(index, "")
        if start < len(converter.tokens) and converter.tokens.text(start) == "[":
            close = converter.tokens.partner[start]
            if close > start:
                converter.swallowed.add(close)
                out.words("- ")
                converter.at(close, self._end_term)
                return start + 1
        out.words(marker or "- ")
        return index

    def _end_term(self) -> None:
        self._converter.out.words(": ")

    def _theorem(self, index: int, title: str, last: int) -> int:
        converter, out = self._converter, self._converter.out
        self._gap(BLOCK)
        self._then(last, lambda: self._gap(BLOCK))
        tokens = converter.tokens
        if index < len(tokens) and tokens.text(index) == "[" and tokens.partner[index] > index:
            close = tokens.partner[index]
            converter.swallowed.add(close)
            if title == "Proof":  # its option takes the place of the word
                converter.at(close, lambda: out.words(". "))
                return index + 1
            out.words(f"{title} (")
            converter.at(close, self._end_note)
            return index + 1
        out.words(f"{title}. ")
        return index

    def _end_note(self) -> None:
        self._converter.out.close(")")
        self._converter.out.words(". ")

    def _other(self, name: str, last: int) -> None:
        width = SPACE if name in ("small", "CJK", "CJK*", "linenumbers", "Form", "scope") else BLOCK
        self._gap(width)
        if name == "tabbing":
            self._n_tabbing += 1
            self._then(last, self._end_tabbing)
        elif name in ALGORITHMS:
            self._n_algorithms += 1
            self._then(last, self._end_algorithm)
        elif name.lower() in ("keywords", "keyword", "ieeekeywords"):
            self._converter.out.words("Keywords: ")
        elif name == "thebibliography":
            self._converter.section("References")
        self._then(last, lambda: self._gap(width))

    def _end_tabbing(self) -> None:
        self._n_tabbing -= 1

    def _end_algorithm(self) -> None:
        self._n_algorithms -= 1

    def verbatim(self, token: str) -> None:
        """Code: fenced where it has lines of its own."""
        out = self._converter.out
        found = VERBATIM_TOKEN.fullmatch(token)
        if found:
            out.gap(BLOCK)
            out.raw(f"```\n{_code(found[1], found[2])}\n```")
            out.gap(BLOCK)
            return
        inline = INLINE_TOKEN.fullmatch(token)
        if inline:
            out.raw(_inline_code(inline[1], inline[2]))


def _code(name: str, content: str) -> str:
    """What stands in a verbatim environment, without the options and the line ends around it."""
    first, _, rest = content.partition("\n")
    if name == "minted":
        language = BEGIN.match(first.removeprefix(_options(first)))
        first = "" if language else first
    options = _options(first)
    return (f"{first[len(options) :]}\n{rest}" if first[len(options) :].strip() else rest).rstrip().strip("\n")


def _options(text: str) -> str:
    found = OPTIONS.match(text)
    return found[0] if found else ""


def _inline_code(word: str, rest: str) -> str:
    if word != "verb":
        rest = rest[len(_options(rest)) :]
        if word == "mintinline" and (language := BEGIN.match(rest)):
            rest = rest[language.end() :]
    return rest[1:-1]
