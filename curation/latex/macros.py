r"""What a document's own macros are: `\newcommand`, `\def` and their like, read from source that has no comments."""

import re
from dataclasses import dataclass

from curation.latex.flatten import DEFINITIONS, definition_end, ends_in_command
from curation.latex.scan import group_end, names, skip_space

COMMAND = re.compile(r"\\(?:[A-Za-z@]+|.)", re.DOTALL)
NAME = re.compile(r"\*?\s*(?:\{\s*(\\(?:[A-Za-z@]+|.))\s*\}|(\\(?:[A-Za-z@]+|.)))", re.DOTALL)
N_ARGUMENTS = re.compile(r"\s*\[\s*(\d)\s*\]")
OPTIONAL = re.compile(r"\s*\[((?:[^\[\]{}]|\{[^{}]{0,500}\}){0,500})\]")
PARAMETER = re.compile(r"##|#([1-9])")
OPERATOR = re.compile(r"(\*?)\s*\{?\s*(\\[A-Za-z@]+)\s*\}?\s*(?=\{)")
LET = re.compile(r"\s*(\\(?:[A-Za-z@]+|.))\s*=?\s?(\\(?:[A-Za-z@]+|.)|[^\s\\])", re.DOTALL)
XPARSE = re.compile(r"\s*(?:([mov])|O\s*\{([^{}]{0,200})\})\s*")
ENVIRONMENT = re.compile(r"\*?\s*\{\s*([^{}\\]{1,64}?)\s*\}")
PROGRAMS = re.compile(
    r"\\(?:csname|expandafter|futurelet|@ifnextchar|@ifstar|@startsection|halign|catcode|setbox|global|advance|write|"
    r"openin|openout|read|noexpand|string|meaning|afterassignment|aftergroup|@tempcnta|loop|uppercase|lowercase|"
    r"scantokens|begingroup|@@input|input|include|verb|lstinline)(?![A-Za-z@])"
    r"|\\begin\s*(?:\{\s*(?:[vV]erbatim|lstlisting|minted|alltt|comment)|[^{\s])|\\begin\s*$"
)
"""Programming, which needs a TeX engine, and text that is read as it stands: such bodies are not expanded."""
STRUCTURE = names(
    "part chapter section subsection subsubsection paragraph subparagraph title author date maketitle item "
    "caption footnote footnotetext footnotemark thanks cite citet citep ref eqref label pageref begin end "
    "document bibliography bibitem newcommand renewcommand providecommand def let input include appendix "
    "tableofcontents usepackage documentclass url href verb par newline \\ ( ) [ ] { } $ & % # _ emph textbf "
    "textit texttt textrm text mbox hbox vspace hspace cleardoublepage clearpage newpage includegraphics frac "
    "sqrt left right"
)
"""Commands whose meaning is known whatever a document's style makes of them."""


@dataclass(frozen=True, slots=True)
class Macro:
    r"""One definition. `default` is that of a first, optional argument; `pattern` the parameter text of a `\def`."""

    name: str  # without its backslash
    n_arguments: int
    default: str | None
    body: str
    source: str
    pattern: str | None = None
    primitive: bool = False
    """`\\let` to a command that no one defined: the command itself, never expanded again."""

    @property
    def expandable(self) -> bool:
        """Whether text can take the place of this macro without a TeX engine."""
        return PROGRAMS.search(self.body) is None


@dataclass(frozen=True, slots=True)
class Environment:
    """A document's own environment: what stands for its begin and its end."""

    begin: Macro
    end: str


def read_definition(source: str, position: int, word: str) -> tuple[Macro | Environment | None, int] | None:
    r"""What is defined by `\word` at `position`, with the position behind it; None where nothing complete is.

    The first is None where the definition is understood as one, but not what it does.
    """
    if word == "let":
        return _let(source, position)
    if word in ("DeclareMathOperator", "DeclareMathOperator*"):
        return _operator(source, position)
    if word not in DEFINITIONS:
        return None
    end = definition_end(source, position, word)
    if end is None:
        return None
    whole = f"\\{word}{source[position:end]}"
    at = len(word) + 1
    if word in ("newenvironment", "renewenvironment"):
        return _environment(whole, at), end
    if word.endswith("def"):
        return _def(whole, at), end
    return (_document_command if word.endswith("DocumentCommand") else _newcommand)(whole, at), end


def _newcommand(whole: str, position: int) -> Macro | None:
    name = NAME.match(whole, position)
    if name is None:
        return None
    count, default, at = _parameters(whole, name.end())
    body = _group(whole, at)
    return None if body is None else Macro((name[1] or name[2])[1:], count, default, body, whole)


def _parameters(whole: str, position: int) -> tuple[int, str | None, int]:
    count = N_ARGUMENTS.match(whole, position)
    if count is None:
        return 0, None, position
    default = OPTIONAL.match(whole, count.end())
    return int(count[1]), default[1] if default else None, default.end() if default else count.end()


def _def(whole: str, position: int) -> Macro | None:
    name = COMMAND.match(whole, skip_space(whole, position))
    at = whole.find("{", name.end()) if name else -1
    if name is None or at < 0:
        return None
    pattern, body = whole[name.end() : at], _group(whole, at)
    if body is None:
        return None
    plain = re.fullmatch(r"\s*(?:#\d\s*)*", pattern) is not None
    return Macro(name[0][1:], pattern.count("#"), None, body, whole, None if plain else pattern)


def _document_command(whole: str, position: int) -> Macro | None:
    name = NAME.match(whole, position)
    spec = _group(whole, name.end()) if name else None
    if name is None or spec is None:
        return None
    kinds = list(XPARSE.finditer(spec))
    if "".join(kind[0] for kind in kinds) != spec or any(k[1] != "m" for k in kinds[1:]):
        return None
    default = None if not kinds or kinds[0][1] == "m" else kinds[0][2] or ""
    end = group_end(whole, skip_space(whole, name.end())) or len(whole)
    body = _group(whole, end)
    return None if body is None else Macro((name[1] or name[2])[1:], len(kinds), default, body, whole)


def _environment(whole: str, position: int) -> Environment | None:
    name = ENVIRONMENT.match(whole, position)
    if name is None:
        return None
    count, default, at = _parameters(whole, name.end())
    begin = _group(whole, at)
    end = group_end(whole, _at_group(whole, at))
    last = _group(whole, end) if end else None
    if begin is None or last is None:
        return None
    return Environment(Macro(name[1], count, default, begin, whole), last)


def _operator(source: str, position: int) -> tuple[Macro | None, int] | None:
    found = OPERATOR.match(source, position)
    end = group_end(source, found.end()) if found else None
    if found is None or end is None:
        return None
    body = f"\\operatorname{found[1]}{source[found.end() : end]}"
    return Macro(found[2][1:], 0, None, body, f"\\DeclareMathOperator{source[position:end]}"), end


def _let(source: str, position: int) -> tuple[Macro | None, int] | None:
    found = LET.match(source, position)
    if found is None:
        return None
    return Macro(found[1][1:], 0, None, found[2], f"\\let{found[0]}", primitive=True), found.end()


def _at_group(whole: str, position: int) -> int:
    found = re.compile(r"\s*").match(whole, position)
    return found.end() if found else position


def _group(whole: str, position: int) -> str | None:
    start = _at_group(whole, position)
    end = group_end(whole, start) if whole.startswith("{", start) else None
    return None if end is None else whole[start + 1 : end - 1]


def substitute(body: str, arguments: list[str]) -> str:
    """The body with its parameters replaced; `##` becomes `#`. No letter is added to the name of a command."""

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return "#"
        index = int(match[1]) - 1
        argument = arguments[index] if index < len(arguments) else ""
        before = " " if argument[:1].isalpha() and ends_in_command(body, match.start()) else ""
        after = (
            " " if body[match.end() : match.end() + 1].isalpha() and ends_in_command(argument, len(argument)) else ""
        )
        return f"{before}{argument}{after}"

    return PARAMETER.sub(value, body) if "#" in body else body
