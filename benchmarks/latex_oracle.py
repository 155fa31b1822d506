r"""What a TeX source has in headings and formulas, told by rules of its own: nothing of the reader is used here.

The files are put together, comments go, and what is shown rather than said (`\verb`, listings, `|..|`) is lifted out
of the range of characters that TeX knows: no pattern finds anything in it, and formulas still have all their bytes.
Then headings and formulas are looked for. Each has a place: in the text, or in something that is no text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath


def names(text: str) -> list[str]:
    """The names in a text, between which white space stands."""
    return text.split()


LIFT = 0x100000
"""Private characters; a text lifted by so much is out of the way, and can be put down again."""
LISTINGS = names(
    "verbatim Verbatim BVerbatim LVerbatim lstlisting minted alltt filecontents comment LTXexample PTXexample "
    "tcblisting codeexample CodeExample sourcecode dispExample dispListing verbatimtab lcode spverbatim "
    "SideBySideExample CenterExample cverbatim tcboutputlisting VerbatimOut SaveVerbatim lstcode"
)
DECLARED = re.compile(
    r"\\(?:lstnewenvironment|\w*VerbatimEnvironment|newverbatim|newtcblisting|\w+TCBListing|(?:re)?newenvironment\*?|"
    r"\w+DocumentEnvironment)\s*(?:\[[^\]]*\])?\s*\{([^{}\\\s]+)\}((?:(?!\\(?:re)?newenvironment)[\s\S]){0,400})"
)
SHOWS = re.compile(r"\\(?:begin\{)?@?(?:[vV]erbatim|lstlisting|VerbatimOut|VerbatimEnvironment|tcblisting|comment)")
SHORT = re.compile(
    r"\\(?:MakeShortVerb|DefineShortVerb|lstMakeShortInline)\*?\s*(?:\[[^\]]*\])?\s*\{?\\?([^\sA-Za-z{}\\])\}?"
)
SHORT_CLASS = re.compile(
    r"^[^%\n]*\\documentclass\s*(?:\[[^\]]*\])?\{(?:ltxdoc|ltxguide|l3doc|ltnews)\}", re.MULTILINE
)
INPUT = re.compile(r"(?:\{([^{}\\#]+)\}|\s+([^\s{}\\#]+))")
WORD = re.compile(
    r"\\(?P<inline>verb|lstinline|mintinline)(?![A-Za-z])|\\begin\s*\{(?P<env>[^{}\\]+)\}"
    r"|\\(?P<input>input|include|subfile)(?![A-Za-z])|\\(?P<end>end\s*\{document\}|endinput(?![A-Za-z]))"
    r"|\\(?P<false>iffalse(?![A-Za-z]))|\\[A-Za-z@]+|\\."
    r"|(?P<comment>%[^\n]*(?P<line>\n[ \t]*)?)|(?P<short>[^\w\s\\{}$&\[\]])",
    re.DOTALL,
)
IFS = re.compile(
    r"(?<!\\)%[^\n]*|\\(if(?:x|num|dim|odd|false|true|mmode|case|defined|draft|thenelse)?|fi|else)(?![A-Za-z])"
)
HEADING = re.compile(r"\\(?:part|chapter|section|subsection|subsubsection|paragraph|subparagraph)\*?\s*(?=[\[{])")
DISPLAYS = re.compile(r"\\begin\{((?:equation|align|gather|multline|eqnarray|flalign|alignat|displaymath)\*?)\}")
PIECES = re.compile(r"\\begin\{[^{}]*\}|\\end\{[^{}]*\}|\\[A-Za-z@]+|\\.|\$\$?|[{}]|\n[ \t]*\n", re.DOTALL)
COLUMNS = re.compile(r"\\begin\{(?:\w*tab\w*\*?|array|tblr|longtblr|NiceTabular\w*|matrix)\}|[<>!@](?=\{)")
GROUP = re.compile(r"\\.|[{}]", re.DOTALL)
DRAWINGS = names(
    "tikzpicture pspicture pspicture* picture circuitikz tikzcd forest pgfpicture axis thebibliography CCSXML "
    "figure figure* wrapfigure SCfigure sidewaysfigure subfigure overpic asy psmatrix xy prooftree postscript "
    "marginfigure scope lilypond gnuplot sagesilent fmffile feynman"
)
DEFINES = names(
    "newcommand renewcommand providecommand DeclareRobustCommand def edef gdef xdef let newenvironment "
    "renewenvironment DeclareMathOperator NewDocumentCommand RenewDocumentCommand ProvideDocumentCommand "
    "DeclareDocumentCommand newcolumntype NewDocumentEnvironment newcommandx newtheorem newacronym "
    "newglossaryentry DeclareAcronym definecolor newlist newtcolorbox"
)
SETS = names(
    "tikzset pgfplotsset lstset hypersetup geometry captionsetup setlist pgfkeys index label glossary author "
    "thanks affil address date institute email affiliation tcbset sisetup SetLabelAlign "
    "DeclareCaptionLabelSeparator titleformat fancyhead fancyfoot lhead rhead chead lfoot rfoot cfoot markboth "
    "markright settowidth widthof heightof phantom hphantom vphantom bibliographystyle ctikzset setkeys newsavebox "
    "sbox savebox todo setbeamertemplate usepackage setchemformula"
)
CALLS = re.compile(rf"\\({'|'.join(sorted(map(re.escape, DEFINES + SETS), key=len, reverse=True))})(?![A-Za-z@])\*?")
LIST_LABEL = re.compile(r"\\begin\{(?:ding)?list\}(?=\{)")
NOTHING_LEFT = re.compile(r"\\(?:re)?newcommand\*?\{?\\([A-Za-z]+)\}?\[1\]\{\s*\}")
"""Commands that leave their argument out."""
OPTION = re.compile(r"(?:\\[A-Za-z@]+\*?|\}|\])[ \t]*\n?[ \t]*\[")

DEFINITION, SETTING, DRAWING, OPTIONAL, COLUMN, GOBBLED = (
    "in a definition: it stands where the macro is used",
    "in an argument that is no text (keys, lengths, labels, index entries, the authors)",
    "in a drawing, a figure's body or the list of references",
    "in an optional argument: how something is set, a short title",
    "in a table's column specification",
    "in the argument of a command that the document defines to leave it out",
)
PLACES = (None, DEFINITION, SETTING, DRAWING, OPTIONAL, COLUMN, GOBBLED)


@dataclass
class Item:
    """A heading's source or a formula's; `place` says in what it stands that is no text, None in the text."""

    source: str
    place: str | None


@dataclass
class Truth:
    """What a source has."""

    headings: list[Item] = field(default_factory=list)
    formulas: list[Item] = field(default_factory=list)
    n_odd: int = 0  # dollars without a partner in their paragraph and group


def truth(main: str, files: dict[str, str]) -> Truth:
    """The headings and formulas of a document, in their order."""
    text = _Assembly(main, files).text()
    preamble, _, body = text.partition("\\begin{document}")
    text = odd_columns(body or preamble)
    places = Places(text, NOTHING_LEFT.findall(preamble))
    found = Truth()
    for match in HEADING.finditer(text):
        start = match.end() if text[match.end()] == "{" else _bracket_end(text, match.end())
        if start is not None:
            start += len(text[start:]) - len(text[start:].lstrip(" \t\n"))
        if start is not None and text[start : start + 1] == "{":
            place = places.of(match.start())
            found.headings.append(
                Item(put_down(text[start + 1 : (group_end(text, start) or start + 200) - 1]), place)
            )
    for start, end in _formulas(text, found):
        found.formulas.append(Item(put_down(text[start:end]), places.of(start)))
    return found


def lift(text: str) -> str:
    """Out of reach of every pattern."""
    return "".join(chr(ord(c) + LIFT) if ord(c) < 0xF000 else c for c in text)


def put_down(text: str) -> str:
    """As it was."""
    return "".join(chr(ord(c) - LIFT) if ord(c) >= LIFT else c for c in text)


def group_end(text: str, start: int) -> int | None:
    """Behind the brace that closes the one at `start`."""
    depth = 0
    for match in GROUP.finditer(text, start, start + 50_000):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return None


def _bracket_end(text: str, start: int) -> int | None:
    """Behind the bracket that closes the one at `start`, which no blank line parts from it."""
    depth = n_brackets = 0
    for at in range(start, min(len(text), start + 3000)):
        c = text[at]
        if c == "\\" or text[at - 1] == "\\":
            continue
        depth += (c == "{") - (c == "}")
        if depth < 0 or text.startswith("\n\n", at):
            return None
        if depth == 0:
            n_brackets += (c == "[") - (c == "]")
            if n_brackets == 0:
                return at + 1
    return None


VERBS = re.compile(
    r"\\(?:let|def|newcommand\*?)\s*\{?\\([A-Za-z]+)\}?\s*=?\s*"
    r"\{?\\(?:verb|lstinline)\s*(?:[}\s%]|$)"
)


class _Assembly:
    """The source in one piece."""

    def __init__(self, main: str, files: dict[str, str]) -> None:
        self.main, self.files, self.ended, self.n_begun = main, files, False, 0
        self.listings = {name + star for name in LISTINGS for star in ("", "*")}
        for source in files.values():
            self.listings |= {m[1] for m in DECLARED.finditer(source) if _is_listing(m[0], m[2])}
        self.verbs = {"verb", "lstinline", "mintinline"} | {
            m[1] for source in files.values() for m in VERBS.finditer(source)
        }
        self.short = set(SHORT.findall(files[main]))
        if re.search(r"^\s*\\ShortVerb\s*$", files[main], re.MULTILINE):
            self.short.add('"')
        if SHORT_CLASS.search(files[main]):
            self.short.add("|")

    def text(self) -> str:
        return self._file(self.main, ())

    def _file(self, name: str, open_: tuple[str, ...]) -> str:
        source, out, at, copied = self.files[name], [], 0, 0
        handlers: dict[str, Callable[[str, re.Match[str]], tuple[str, int] | None]] = {
            "inline": self._inline, "env": self._listing, "comment": self._comment, "short": self._short,
            "false": self._false,
        }  # fmt: skip
        while not self.ended and (match := WORD.search(source, at)):
            at = match.end()
            kind = next((k for k, v in match.groupdict().items() if v is not None and k != "line"), "")
            done: tuple[str, int] | None = None
            if kind == "" and match[0][1:] in self.verbs:
                kind = "inline"
            if kind in handlers:
                done = handlers[kind](source, match)
            elif kind == "input":
                done = self._input(source, match, (*open_, name))
            elif kind == "end" and not self._is_shown(source, match):
                self.ended = not open_ and match["end"] != "endinput"
                out.append(source[copied : match.start()])
                return "".join(out)
            if done:
                out += [source[copied : match.start()], done[0]]
                at = copied = done[1]
        if not self.ended:
            out.append(source[copied:])
        return "".join(out)

    def _is_shown(self, source: str, match: re.Match[str]) -> bool:
        """An end between two quotation marks or in braces, or one that a second beginning has opened."""
        before, after = source[match.start() - 1 : match.start()], source[match.end() : match.end() + 1]
        if before == after and before in set("|\"!'+/"):
            return True
        if source[match.end() : match.end() + 100].lstrip().startswith("}"):
            return True
        if match["end"] == "endinput" or self.n_begun < 2:
            return False
        self.n_begun -= 1
        return True

    def _input(self, source: str, match: re.Match[str], open_: tuple[str, ...]) -> tuple[str, int] | None:
        named = INPUT.match(source, match.end())
        if named is None:
            return None
        wanted = (named[1] or named[2]).strip().strip('"')
        for folder in (PurePosixPath(self.main).parent, PurePosixPath(open_[-1]).parent):
            for candidate in (f"{wanted}.tex", wanted):
                path = str(folder / candidate)
                if path in self.files and path not in open_:
                    inner = self._file(path, open_)
                    return (f" {inner}\n\n" if match["input"] == "include" else inner), named.end()
        return " ", named.end()

    def _inline(self, source: str, match: re.Match[str]) -> tuple[str, int] | None:
        start = match.end()
        if match["inline"] not in ("verb", None) and source[start : start + 1] == "[":
            start = _bracket_end(source, start) or start
        if match["inline"] == "mintinline":
            start = group_end(source, start) or start
        start += source.startswith("*", start)
        mark = source[start : start + 1]
        end = (
            group_end(source, start) if mark == "{" else source.find(mark, start + 1, start + 600) + 1 if mark else 0
        )
        if not end or (mark != "{" and "\n" in source[start:end]) or mark.isspace() or mark.isalpha():
            return None
        name = match["inline"] or "verb"
        return lift(f"\\{name}{source[match.end() : end]}"), end

    def _listing(self, source: str, match: re.Match[str]) -> tuple[str, int] | None:
        name = match["env"].strip()
        self.n_begun += name == "document"
        end = source.find(f"\\end{{{name}}}", match.end())
        if end < 0 or name == "document":
            return None
        if name not in self.listings:
            inside = source[match.end() : min(end, match.end() + 20_000)]
            if not re.search(r"^[ \t]*\\(?:documentclass|(?:begin|end)\{document\})", inside, re.MULTILINE):
                return None
            self.listings.add(name)
        end += len(name) + 6
        return lift(source[match.start() : end]), end

    def _comment(self, source: str, match: re.Match[str]) -> tuple[str, int]:
        after = source[match.end() : match.end() + 1]
        if match["line"] is not None and after == "\n":
            return "\n", match.end()
        command = re.search(r"\\[A-Za-z]+$", source[max(0, match.start() - 60) : match.start()])
        return ("\n" if match["line"] is not None else " ") if command and after.isalpha() else "", match.end()

    def _short(self, source: str, match: re.Match[str]) -> tuple[str, int] | None:
        mark = match["short"]
        end = source.find(mark, match.end(), match.end() + 500) if mark in self.short else -1
        line = source.rfind("\n", 0, match.start()) + 1
        if end < 0 or "\n" in source[match.start() : end]:
            return None
        in_formula = re.sub(r"\\.|[|][^|\n]*[|]", "", source[line : match.start()]).count("$") % 2
        return None if in_formula else (lift(source[match.start() : end + 1]), end + 1)

    def _false(self, source: str, match: re.Match[str]) -> tuple[str, int] | None:
        depth = 1
        for inner in IFS.finditer(source, match.end()):
            word = inner[1] or ""
            depth += word.startswith("if") - (word == "fi")
            if depth == 0 or (depth == 1 and word == "else"):
                return " ", inner.end()
        return None


def _is_listing(command: str, body: str) -> bool:
    general = re.match(r"\\(?:(?:re)?newenvironment|\w+DocumentEnvironment)", command)
    return SHOWS.search(body) is not None if general else True


def odd_columns(text: str) -> str:
    """`>{$}` and `X[c,$]` in column specifications hold single dollars, which are no formulas."""
    out, copied = [], 0
    for match in COLUMNS.finditer(text):
        if match.start() < copied:
            continue
        start = match.end()
        while text[start : start + 1] == "[":
            start = _bracket_end(text, start) or len(text)
        if text[start : start + 1] != "{":
            continue
        end = group_end(text, start)
        if end and "$" in text[start:end] and end - start < 500:
            out += [text[copied:start], lift(text[start:end])]
            copied = end
    return "".join([*out, text[copied:]])


class Places:
    """What each position of a text stands in, where that is no text."""

    def __init__(self, text: str, gobblers: list[str]) -> None:
        self._cover = bytearray(len(text))
        for match in COLUMNS.finditer(text):
            if text[match.end() : match.end() + 1] == "{":
                self._paint(match.start(), group_end(text, match.end()), COLUMN)
        for match in OPTION.finditer(text):
            if not match[0].startswith("\\item"):
                self._paint(match.end() - 1, _bracket_end(text, match.end() - 1), OPTIONAL)
        for match in CALLS.finditer(text):
            place = DEFINITION if match[1] in DEFINES else SETTING
            self._paint(match.start(), _arguments_end(text, match.end()), place)
        for match in LIST_LABEL.finditer(text):
            self._paint(match.end(), group_end(text, match.end()), SETTING)
        for name in gobblers:
            for call in re.finditer(rf"\\{name}(?![A-Za-z@])(?=\{{)", text):
                self._paint(call.start(), group_end(text, call.end()), GOBBLED)
        self._environments(text)

    def _paint(self, start: int, end: int | None, place: str) -> None:
        if end is not None and end > start:
            self._cover[start:end] = bytes([PLACES.index(place)]) * (end - start)

    def of(self, position: int) -> str | None:
        """What it is; None in the text."""
        return PLACES[self._cover[position]]

    def _environments(self, text: str) -> None:
        for name in DRAWINGS:
            for match in re.finditer(rf"\\begin\{{{re.escape(name)}\}}", text):
                end = text.find(f"\\end{{{name}}}", match.end())
                if end < 0:
                    continue
                at = match.start()
                for caption in re.finditer(
                    r"\\caption(?:of\{\w+\})?\*?(?:\[[^\]]*\])?(?=\{)", text[match.start() : end]
                ):
                    start = match.start() + caption.end()
                    self._paint(at, start, DRAWING)
                    at = group_end(text, start) or start
                self._paint(at, end, DRAWING)


def _arguments_end(text: str, at: int) -> int:
    """Behind all arguments that follow a command; behind the first group of a \\def."""
    while True:
        at += len(text[at : at + 50]) - len(text[at : at + 50].lstrip(" \n"))
        c = text[at : at + 1]
        if c == "{":
            end = group_end(text, at)
        elif c == "[":
            end = _bracket_end(text, at)
        elif found := re.compile(r"\\(?:[A-Za-z@]+|.)[^{}\\$\n]{0,40}(?=[{\\\[])|[#\d()\[\]o m+=-]+(?=\{)").match(
            text, at
        ):
            end = found.end()
        else:
            return at
        if end is None or end == at:
            return at
        at = end


def _formulas(text: str, found: Truth) -> list[tuple[int, int]]:
    """Where formulas stand: to the partner of what opens one, in its group and paragraph."""
    spans, at = [], 0
    while match := PIECES.search(text, at):
        at = match.end()
        piece = match[0]
        if display := DISPLAYS.match(piece):
            end = text.find(f"\\end{{{display[1]}}}", at)
            if end >= 0:
                at = end + len(display[1]) + 6
                spans.append((match.start(), at))
            continue
        closer = {"$": "$", "$$": "$$", "\\(": "\\)", "\\[": "\\]"}.get(piece)
        if closer:
            closed = _closed(text, at, closer)
            if closed is None:
                found.n_odd += piece[0] == "$"
            else:
                spans.append((match.start(), closed))
                at = closed
    return spans


def _closed(text: str, at: int, closer: str) -> int | None:
    depth = 0
    for match in PIECES.finditer(text, at):
        piece = match[0]
        depth += (piece == "{") - (piece == "}")
        if depth < 0 or piece[0] == "\n":
            return None
        if depth == 0 and piece == "$$" and closer == "$":
            return match.start() + 1
        if depth == 0 and piece == closer:
            return match.end()
    return None
