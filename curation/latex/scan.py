"""What every pass over LaTeX source shares: patterns, and where verbatim text, comments and groups end.

All of it is linear: a search that fails is remembered, so that no input is searched twice for the same thing.
"""

import re


def names(text: str) -> frozenset[str]:
    """The names in a text, between which white space stands."""
    return frozenset(text.split())


VERBATIM = names("verbatim verbatim* Verbatim Verbatim* BVerbatim LVerbatim lstlisting minted alltt")
"""Environments in which nothing is a command or a comment."""
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
    r"\\(?:lstnewenvironment|DefineVerbatimEnvironment|newverbatim|newtcblisting|NewTCBListing)\s*"
    r"(?:\[[^\]\n]{0,200}\])?\{([^{}\\\s]{1,64})\}"
    r"|\\(?:new|renew)environment\*?\s*\{([^{}\\\s]{1,64})\}\s*(?:\[\d\])?\s*\{"
    r"(?:(?!\\(?:new|renew)environment|\\end[{v])[\s\S]){0,300}?\\(?:verbatim|@verbatim|VerbatimEnvironment|lstlisting)(?![A-Za-z])"
    r"|\\newminted\s*\[([^{}\\\s\]]{1,64})\]"
)
BEGIN = re.compile(r"\s*\{([^{}\\$%\n]{1,64})\}")
VERB = re.compile(r"\*?([^A-Za-z*\s])[^\n]{0,500}?\1")
BRACED = re.compile(r"\{(?:[^{}\n]|\{[^{}\n]{0,200}\}){0,500}\}")
OPTIONS = re.compile(r"\s*\[[^\]\n]{0,500}\]")
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
    found = (match[1] or match[2] or match[3] for source in sources for match in DECLARED_VERBATIM.finditer(source))
    return frozenset(found)


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
