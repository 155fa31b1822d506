"""LaTeX source as tokens whose partners are known: braces, brackets, environments and formulas.

Three passes over the tokens, each linear whatever the source: braces and environments; then what closes a formula;
then which bracket closes an option. Partners that do not exist are -1, and such a token is text.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass

from curation.latex.scan import MATH, Verbatim, inline_verbatim

TOKEN = re.compile(
    r"\\(?:begin|end)[ \t]*\{[^{}\\$%\n]{1,64}\}|\\[A-Za-z]+|\\.|\\|\n[ \t]*\n\s*|[{}\[\]$&~]|"
    r"[^\\{}\[\]$&~\n]+(?:\n(?![ \t]*\n)[^\\{}\[\]$&~\n]*)*|\n",
    re.DOTALL,
)
NAME = re.compile(r"\\(begin|end)[ \t]*\{([^{}]*)\}")
INLINE_VERBATIM = frozenset((r"\verb", r"\lstinline", r"\mintinline"))
OPENS = {r"\(": r"\)", r"\[": r"\]"}


@dataclass
class Tokens:
    r"""Tokens of a source: `starts` and `ends` as positions, `partner` as indices of tokens, -1 where there is none.

    A `{`, `[`, `$` or `\begin{x}` that is closed knows its end, and a `}` or `\end{x}` its beginning; a display opens
    at the first `$` and closes at the last. `verbatim` are tokens that are read as they stand.
    """

    source: str
    starts: array[int]
    ends: array[int]
    partner: array[int]
    verbatim: set[int]

    def __len__(self) -> int:
        return len(self.starts)

    def text(self, index: int) -> str:
        """A token as it stands in the source."""
        return self.source[self.starts[index] : self.ends[index]]

    def span(self, first: int, last: int) -> str:
        """The source of the tokens from `first` to `last`, both included."""
        return self.source[self.starts[first] : self.ends[last]]


def environment(token: str) -> tuple[str, str] | None:
    r"""(`begin` or `end`, its name) of such a token, else None."""
    found = NAME.fullmatch(token)
    return (found[1], found[2].strip()) if found else None


def tokenize(source: str, verbatim: frozenset[str] = frozenset()) -> Tokens:
    """The tokens of source that has no comments; `verbatim` names environments beside the usual ones."""
    starts, ends, literal = _split(source, verbatim)
    tokens = Tokens(source, starts, ends, array("i", [-1]) * len(starts), literal)
    _match_groups(tokens)
    _match_formulas(tokens)
    _match_options(tokens)
    return tokens


def _split(source: str, verbatim: frozenset[str]) -> tuple[array[int], array[int], set[int]]:
    starts, ends, literal = array("i"), array("i"), set()
    raw = Verbatim(verbatim)
    position, n_chars = 0, len(source)
    while position < n_chars:
        for match in TOKEN.finditer(source, position):
            start, position = match.span()
            starts.append(start)
            ends.append(position)
            if source[start] == "\\":
                end = _verbatim_end(source, match[0], position, raw)
                if end is not None:
                    literal.add(len(starts) - 1)
                    ends[-1] = position = end
                    break
        else:
            break
    return starts, ends, literal


def _verbatim_end(source: str, token: str, position: int, raw: Verbatim) -> int | None:
    if token in INLINE_VERBATIM:
        return inline_verbatim(source, position, token[1:])
    found = environment(token)
    return raw.end(source, position, found[1]) if found and found[0] == "begin" and found[1] in raw.names else None


def _match_groups(tokens: Tokens) -> None:
    """Braces with braces, and `\\begin` with the `\\end` of the same name; what lies between may be torn."""
    braces: list[int] = []
    environments: list[tuple[str, int]] = []
    n_open: dict[str, int] = {}
    for index in range(len(tokens)):
        first = tokens.source[tokens.starts[index]]
        if first == "{":
            braces.append(index)
        elif first == "}" and braces:
            _pair(tokens, braces.pop(), index)
        elif first == "\\" and index not in tokens.verbatim and (found := environment(tokens.text(index))):
            kind, name = found
            if kind == "begin":
                environments.append((name, index))
                n_open[name] = n_open.get(name, 0) + 1
            elif n_open.get(name):
                _close(tokens, environments, n_open, name, index)


def _close(
    tokens: Tokens, environments: list[tuple[str, int]], n_open: dict[str, int], name: str, index: int
) -> None:
    while True:
        inner, begin = environments.pop()
        n_open[inner] -= 1
        if inner == name:
            _pair(tokens, begin, index)
            return


def _pair(tokens: Tokens, first: int, last: int) -> None:
    tokens.partner[first], tokens.partner[last] = last, first


def _match_formulas(tokens: Tokens) -> None:
    """The end of each formula: in the same group, before the paragraph ends, as TeX wants it.

    A group inside a formula may hold text with formulas of its own, so each group has its own open formula.
    """
    source, partner = tokens.source, tokens.partner
    frames: list[tuple[int, str]] = [(-1, "")]  # (the token that opened the formula, what closes it)
    index, n_tokens = 0, len(tokens)
    while index < n_tokens:
        first = source[tokens.starts[index]]
        if first == "{" and partner[index] >= 0:
            frames.append((-1, ""))
        elif first == "}" and partner[index] >= 0 and len(frames) > 1:
            frames.pop()
        elif first == "$":
            index = _dollar(tokens, frames, index)
        elif first == "\n" and tokens.ends[index] - tokens.starts[index] > 1:
            frames[-1] = (-1, "")
        elif first == "\\" and index not in tokens.verbatim:
            index = _command(tokens, frames, index)
        index += 1


def _dollar(tokens: Tokens, frames: list[tuple[int, str]], index: int) -> int:
    opened, closer = frames[-1]
    double = index + 1 < len(tokens) and tokens.source[tokens.starts[index + 1]] == "$"
    if not closer:
        frames[-1] = (index, "$$" if double else "$")
    elif closer == "$" or (closer == "$$" and double):
        last = index + (closer == "$$")
        _pair(tokens, opened, last)
        frames[-1] = (-1, "")
        return last
    else:
        return index
    return index + double


def _command(tokens: Tokens, frames: list[tuple[int, str]], index: int) -> int:
    token = tokens.text(index)
    opened, closer = frames[-1]
    if token in OPENS and not closer:
        frames[-1] = (index, OPENS[token])
    elif token == closer:
        _pair(tokens, opened, index)
        frames[-1] = (-1, "")
    elif not closer and tokens.partner[index] > index and (environment(token) or ("", ""))[1] in MATH:
        return tokens.partner[index]  # a formula as a whole: nothing in it opens another outside
    return index


def _match_options(tokens: Tokens) -> None:
    """`[` with the next `]` in the same group and paragraph, as LaTeX reads an option.

    From the back, with one open end per group. An option could hold a blank line, but a bracket that is only text and
    never closed would take whole sections with it.
    """
    source, partner = tokens.source, tokens.partner
    ends = [-1]
    for index in range(len(tokens) - 1, -1, -1):
        first = source[tokens.starts[index]]
        if first == "}" and partner[index] >= 0:
            ends.append(-1)
        elif first == "{" and partner[index] >= 0:
            ends.pop()
        elif first == "]":
            ends[-1] = index
        elif first == "\n" and tokens.ends[index] - tokens.starts[index] > 1:
            ends[-1] = -1
        elif first == "[":
            partner[index] = ends[-1]
