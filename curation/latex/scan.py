"""What every pass over LaTeX source shares: patterns, and where verbatim text, comments and groups end.

All of it is linear: a search that fails is remembered, so that no input is searched twice for the same thing.
"""

import re
from collections.abc import Iterator


def names(text: str) -> frozenset[str]:
    """The names in a text, between which white space stands."""
    return frozenset(text.split())


VERBATIM = names(
    "verbatim verbatim* Verbatim Verbatim* BVerbatim BVerbatim* LVerbatim LVerbatim* SaveVerbatim VerbatimOut "
    "lstlisting minted alltt sourcecode verbatimtab verbatimwrite listing* lcode LTXexample PTXexample CodeExample "
    "codeexample tcblisting tcblisting* tcboutputlisting dispExample dispExample* dispListing dispListing* "
    "SideBySideExample CenterExample Example* cverbatim spverbatim lstcode pygmented pyglist"
)
"""Environments in which nothing is a command or a comment, those that show code beside what it makes among them."""
MATH = frozenset(
    name + star
    for name in names(
        "equation align alignat flalign gather multline eqnarray displaymath math dmath dgroup darray xalignat "
        "xxalignat IEEEeqnarray empheq mathpar numcases subnumcases equationarray"
    )
    for star in ("", "*")
)
"""Environments that are formulas as a whole."""
DECLARED_VERBATIM = re.compile(
    r"\\(?:lstnewenvironment|(?:Rec|C)ustomVerbatimEnvironment|DefineVerbatimEnvironment|newverbatim|"
    r"(?:re)?newtcblisting|(?:New|Declare|Provide|Renew)TCBListing|newtcbinputlisting)\s*"
    r"(?:\[[^\]\n]{0,200}\])?\s*\{([^{}\\\s]{1,64})\}"
    r"|\\(?:(?:new|renew)environment\*?|(?:New|Declare|Provide|Renew)DocumentEnvironment)\s*\{([^{}\\\s]{1,64})\}"
    r"\s*(?:\[\d\]|\{[^{}]{0,100}\})?\s*(?:\[[^\]\n]{0,100}\])?\s*\{"
    r"(?:(?!\\(?:re)?new(?:environment|command)|Document(?:Environment|Command)|\\end[{v])[\s\S]){0,300}?"
    r"\\(?:verbatim|@verbatim|Verbatim|VerbatimEnvironment|VerbatimOut|lstlisting|begin\s*\{verbatim\})(?![A-Za-z])"
    r"|\\newminted\s*\[([^{}\\\s\]]{1,64})\]"
    r"|\\let\s*\\([A-Za-z]{1,64})\s*=?\s*\\(?:verbatim|Verbatim|lstlisting|alltt)(?![A-Za-z@])"
)
NEW_MINTED = re.compile(r"\\newminted\s*\{([^{}\\\s]{1,64})\}")
PROSE = names(
    "document itemize enumerate description list trivlist center flushleft flushright quote quotation verse abstract "
    "figure figure* table table* tabular tabular* tabularx longtable minipage titlepage appendix appendices frame "
    "multicols thebibliography small footnotesize sloppypar landscape comment filecontents filecontents*"
)
"""Environments of which no one makes listings; one that is not closed must not be taken for one."""
BEGIN = re.compile(r"\s*\{([^{}\\$%\n]{1,64})\}")
VERB = re.compile(r"\*?([^A-Za-z*\s])[^\n]{0,500}?\1")
WHOLE_DOCUMENT = re.compile(r"^[ \t]*\\(?:documentclass(?![A-Za-z])|(?:begin|end)[ \t]*\{document\})", re.MULTILINE)
LINE_COMMENT = re.compile(r"(?<!\\)%[^\n]*")
BEGIN_OR_END = re.compile(r"\\(begin|end)\s*\{([^{}\\$%\n]{1,64})\}")
SHOWN_CHARS_MAX = 20_000
"""A listing of a document is not longer."""
SHORT_VERB = re.compile(
    r"\*?\s*(?:\[[^\]\n]{0,200}\])?\s*(?:\{\s*\\?([^A-Za-z0-9\s{}\\%])\s*\}|\\([^A-Za-z0-9\s{}\\%])|([^A-Za-z0-9\s{}\\%*\[]))"
)
VERB_ALIAS = re.compile(
    r"\\(?:let\s*\\([A-Za-z]+)\s*=?\s*|(?:re|provide)?newcommand\*?\s*\{?\\([A-Za-z]+)\}?\s*\{\s*|"
    r"def\s*\\([A-Za-z]+)\s*\{\s*)\\(verb|lstinline)\s*(?=\}|[\s\\%])(?![\s]*[|!+])"
)
BRACED = re.compile(r"\{(?:[^{}\n]|\{[^{}\n]{0,200}\}){0,500}\}")
OPTIONS = re.compile(r"\s*\[(?:[^\[\]{}\n]|\{(?:[^{}\n]|\{[^{}\n]{0,200}\}){0,300}\}){0,500}\]|\s*\[[^\]\n]{0,500}\]")
SPACE = re.compile(r"[ \t]*\n?[ \t]*")
"""White space that TeX skips before an argument; a blank line ends a paragraph, and is not skipped."""
GROUP = re.compile(r"\\.|%[^\n]*|[{}]", re.DOTALL)
GROUP_CHARS_MAX = 65_536
"""An argument of a definition is looked for this far; beyond it the braces are taken as unbalanced."""


class Verbatim:
    """Where the verbatim environments of one source end; `declared` are those of the document's own."""

    def __init__(self, declared: frozenset[str]) -> None:
        self.names = declared | VERBATIM
        self._missing: dict[str, int] = {}  # name -> a position from which on its \end does not come

    def end(self, source: str, position: int, name: str) -> int | None:
        r"""The position after `\end{name}`, or None where it does not come."""
        if position >= self._missing.get(name, len(source) + 1):
            return None
        mark = f"\\end{{{name}}}"
        at = source.find(mark, position)
        if at < 0:
            self._missing[name] = position
            return None
        return at + len(mark)


def declared_verbatim(sources: list[str]) -> frozenset[str]:
    """The names of environments that sources declare to be verbatim."""
    found = (next(filter(None, m.groups())) for source in sources for m in DECLARED_VERBATIM.finditer(source))
    minted = (f"{match[1]}code" for source in sources for match in NEW_MINTED.finditer(source))
    return frozenset((*found, *minted)) - PROSE


def verb_aliases(sources: list[str]) -> dict[str, str]:
    r"""Names that documents give to `\verb` or `\lstinline`."""
    found = (match for source in sources for match in VERB_ALIAS.finditer(source))
    return {
        name: match[4] for match in found if (name := match[1] or match[2] or match[3]) not in ("verb", "lstinline")
    }


def shown_environments(sources: list[str]) -> frozenset[str]:
    r"""The names of environments in which documents are shown, `\documentclass` or `\end{document}` and all.

    Nothing else in TeX may stand around these, so what does is a listing, whoever declares it.
    """
    return frozenset(name for source in sources for name in _around_documents(source))


def _around_documents(source: str) -> Iterator[str]:
    source = LINE_COMMENT.sub("", source)
    end_of_last = 0
    for match in WHOLE_DOCUMENT.finditer(source):
        if match.start() < end_of_last:
            continue
        found = _environment_around(source, match.start(), max(end_of_last, match.start() - SHOWN_CHARS_MAX))
        if found and found[0] not in PROSE:
            yield found[0]
            end_of_last = found[1]


def quoted(source: str, start: int, end: int) -> bool:
    r"""Whether a command stands between two marks or in a group, as in `"\endinput"`: it is spoken of, not given."""
    return between_marks(source, start, end) or source[end : end + 200].lstrip()[:1] == "}"


def between_marks(source: str, start: int, end: int) -> bool:
    """Whether the same punctuation stands before and behind a command."""
    before, after = source[max(0, start - 1) : start], source[end : end + 1]
    return before == after != "" and not before.isalnum() and not before.isspace() and before not in "{}\\%$"


def shown_at(source: str, position: int) -> bool:
    """Whether an environment is open at `position` that ends behind it, as around a document that is shown."""
    first = max(0, position - SHOWN_CHARS_MAX)
    blank = LINE_COMMENT.sub(lambda match: " " * len(match[0]), source[first : position + SHOWN_CHARS_MAX])
    return _environment_around(blank, position - first, 0) is not None


def _environment_around(source: str, position: int, first: int) -> tuple[str, int] | None:
    """The innermost environment that is open at `position`, and its end; None where none is or it does not end."""
    open_: list[str] = []
    for match in BEGIN_OR_END.finditer(source, first, position):
        name = match[2].strip()
        if match[1] == "begin":
            open_.append(name)
        elif name in open_:
            del open_[len(open_) - 1 - open_[::-1].index(name) :]
    for name in reversed(open_):
        if name == "document":
            return None
        end = source.find(f"\\end{{{name}}}", position, position + SHOWN_CHARS_MAX)
        if end >= 0 and source.find(f"\\begin{{{name}}}", position, end) < 0:
            return name, end
    return None


def inline_verbatim(source: str, position: int, word: str) -> int | None:
    r"""The end of what follows `\verb`, `\lstinline` or `\mintinline` at `position`; None where it is not closed."""
    if word != "verb":
        options = OPTIONS.match(source, position)
        position = options.end() if options else position
        if word == "mintinline":
            language = BEGIN.match(source, position)
            position = language.end() if language else position
        if source.startswith("{", position):
            braced = BRACED.match(source, position)
            return braced.end() if braced else None
    found = VERB.match(source, position)
    return found.end() if found else None


def group_end(source: str, position: int, chars_max: int = GROUP_CHARS_MAX) -> int | None:
    """The position after the brace that closes the one at `position`, comments left out; None where none does."""
    depth = 0
    for match in GROUP.finditer(source, position, position + chars_max):
        mark = match[0]
        if mark == "{":
            depth += 1
        elif mark == "}":
            depth -= 1
            if depth <= 0:
                return match.end()
    return None


def skip_space(source: str, position: int) -> int:
    """The position after white space, at most one line break of it."""
    found = SPACE.match(source, position)
    return found.end() if found else position
