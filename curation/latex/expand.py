"""Macros replaced by what they stand for: everywhere, or everywhere but in formulas.

The source is a stack of texts: what a macro stands for is read before what follows it, as TeX does. Nothing is
executed; a macro that needs TeX to be understood stays. Growth and recursion are bounded.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from curation.latex.flatten import ends_in_command
from curation.latex.macros import STRUCTURE, Environment, Macro, read_definition, substitute
from curation.latex.scan import BEGIN, MATH, Verbatim, group_end, inline_verbatim, names, skip_space
from curation.latex.words import TITLES
from curation.read_batch import Note

N_ACTIVE_MAX = 8
"""A macro inside its own expansion, directly or in an argument; more is recursion, whose end only TeX would find."""
N_ARGUMENT_CHARS_MAX = 1 << 16
N_TORN_MAX = 30
"""Macros whose arguments could not be read; after so many the rest is left as it is."""

SCAN = re.compile(r"\\([A-Za-z@]+)|\\(.)|\$|\n[ \t]*\n", re.DOTALL)
WORDS_OF_DEFINITIONS = re.compile(
    r"\\((?:re|provide)?newcommand|renewcommand|providecommand|DeclareRobustCommand|(?:re)?newenvironment|"
    r"[egx]?def|(?:New|Renew|Provide|Declare)DocumentCommand|let|DeclareMathOperator)(?![A-Za-z@])"
)
DEFINERS = names(
    "newcommand renewcommand providecommand DeclareRobustCommand newenvironment renewenvironment def edef "
    "gdef xdef NewDocumentCommand RenewDocumentCommand ProvideDocumentCommand DeclareDocumentCommand let "
    "DeclareMathOperator"
)
KNOWN_ENVIRONMENTS = names(
    "document abstract itemize enumerate description figure table tabular quote quotation center "
    "thebibliography appendix titlepage verbatim comment"
)
TAKES_ONE_TOKEN = re.compile(
    r"(?:[_^]|\\(?:d?frac|tfrac|sqrt|hat|widehat|bar|tilde|widetilde|vec|dot|ddot|overline|underline|math[a-z]+|bm|"
    r"boldsymbol|operatorname|text|textrm))\s*$"
)
INTERNAL = re.compile(r"@|\\(?:if|else\b|fi\b|def\b|let\b|[vh]box\b|list\b|par\b|everypar\b)")
OPTION = re.compile(r"\[((?:[^\[\]{}]|\{[^{}]{0,500}\}){0,1000})\]")
CLOSERS = {"(": "\\)", "[": "\\]"}


@dataclass
class Expanded:
    """A source with its macros replaced; `definitions` are those that its formulas still use, in order."""

    text: str
    definitions: list[str]
    notes: list[Note] = field(default_factory=list)


def collect(sources: Iterable[str]) -> list[Macro | Environment]:
    """The definitions in packages of the document's own, whose text is never part of the document."""
    found: list[Macro | Environment] = []
    for source in sources:
        position = 0
        while match := WORDS_OF_DEFINITIONS.search(source, position):
            read = read_definition(source, match.end(), match[1])
            position = read[1] if read else match.end()
            if read and read[0] and _is_plain(read[0]):
                found.append(read[0])
    return found


def _is_plain(definition: Macro | Environment) -> bool:
    """Whether a definition of a package is a name for something, rather than a part of how the package works."""
    if isinstance(definition, Environment):
        return not INTERNAL.search(definition.begin.body + definition.end)
    return "@" not in definition.name and definition.pattern is None and not INTERNAL.search(definition.body)


def expand(
    source: str,
    chars_max: int,
    *,
    formulas: bool,
    verbatim: frozenset[str] = frozenset(),
    defined: Iterable[Macro | Environment] = (),
) -> Expanded:
    r"""Replace the macros that a flattened source defines; the definitions themselves are taken out.

    Args:
        chars_max: what all replacements together may add.
        formulas: whether macros inside formulas are replaced too. A macro that only begins or ends a formula, as
            `\be` for `\begin{equation}`, always is.
        verbatim: environments beside the usual ones that are read as they stand.
        defined: definitions from elsewhere.
    """
    return _Expander(source, chars_max, formulas, verbatim, defined).run()


class _Frame:
    __slots__ = ("fresh", "name", "position", "text", "verbatim")

    def __init__(self, text: str, name: str, verbatim: frozenset[str]) -> None:
        self.text, self.name, self.position, self.fresh = text, name, 0, True
        self.verbatim = Verbatim(verbatim)


class _Expander:
    def __init__(
        self,
        source: str,
        chars_max: int,
        formulas: bool,
        verbatim: frozenset[str],
        defined: Iterable[Macro | Environment],
    ) -> None:
        self.frames = [_Frame(source, "", verbatim)]
        self.chars_left, self.formulas, self.verbatim = chars_max, formulas, verbatim
        self.macros: dict[str, Macro] = {}
        self.environments: dict[str, Environment] = {}
        self.history: list[Macro] = []
        self.used: dict[str, None] = {}
        self.active: Counter[str] = Counter()
        self.out: list[str] = []
        self.math: str | None = None  # what ends the formula
        self.after_word = False
        self.n_torn = 0
        self.titles: list[tuple[int, str]] = []  # where they stand in `out`; set with what is defined at the end
        self.notes: dict[Note, None] = {}
        for definition in defined:
            self._define(definition, "newcommand")

    def run(self) -> Expanded:
        self._read()
        for index, raw in self.titles:
            self.frames, self.out, out = [_Frame(raw, "", self.verbatim)], [], self.out
            self._read()
            self.out, out[index] = out, "".join(self.out)
        return Expanded("".join(self.out), self._definitions(), list(self.notes))

    def _read(self) -> None:
        while self.frames:
            self._step()

    def _step(self) -> None:
        frame = self.frames[-1]
        match = SCAN.search(frame.text, frame.position)
        if match is None:
            self._copy(frame, len(frame.text))
            self._pop()
            return
        if match[1]:
            self._word(frame, match)
            return
        self._copy(frame, match.end())
        if match[2]:
            self._symbol(frame, match[2], match.start())
        elif match[0] == "$":
            self._dollar(frame)
        elif self.math in ("$", "$$"):
            self.math = None

    def _copy(self, frame: _Frame, end: int) -> None:
        """Emit the frame's text up to `end`; two frames never join a command and a letter."""
        if end > frame.position:
            piece = frame.text[frame.position : end]
            if (frame.fresh or self.after_word) and piece[0].isascii() and piece[0].isalpha() and self._open_word():
                self.out.append(" ")
            self.out.append(piece)
            frame.fresh = self.after_word = False
            frame.position = end

    def _open_word(self) -> bool:
        return bool(self.out) and ends_in_command(self.out[-1], len(self.out[-1]))

    def _pop(self) -> None:
        frame = self.frames.pop()
        self.active[frame.name] -= 1
        self.after_word = True

    def _push(self, text: str, name: str) -> None:
        self.chars_left -= len(text) + 1
        self.active[name] += 1
        self.frames.append(_Frame(text, name, self.verbatim))

    def _symbol(self, frame: _Frame, symbol: str, start: int) -> None:
        if self.math is None and symbol in CLOSERS:
            self.math = CLOSERS[symbol]
        elif self.math == f"\\{symbol}":
            self.math = None
        elif symbol in self.macros and symbol not in STRUCTURE and (self.formulas or self.math is None):
            self.out[-1] = self.out[-1][: -len(frame.text[start : frame.position])]
            self._call(self.macros[symbol], frame, start)

    def _dollar(self, frame: _Frame) -> None:
        double = frame.text.startswith("$", frame.position)
        if self.math is None:
            self.math = "$$" if double else "$"
        elif self.math not in ("$", "$$") or (self.math == "$$" and not double):
            return
        else:
            double = double and self.math == "$$"
            self.math = None
        if double:
            self._copy(frame, frame.position + 1)

    def _word(self, frame: _Frame, match: re.Match[str]) -> None:
        word, end = match[1], match.end()
        if "@" in word and word not in self.macros:
            word = word.partition("@")[0]
            end = match.start() + 1 + len(word)
        if word in DEFINERS and self._defined(frame, word, match.start(), end):
            return
        if word in ("begin", "end"):
            self._environment(frame, word, match.start(), end)
        elif word in ("verb", "lstinline", "mintinline"):
            self._copy(frame, inline_verbatim(frame.text, end, word) or end)
        elif word in TITLES and len(self.frames) == 1:
            self._title(frame, end)
        elif word == "ensuremath" and not self.formulas:
            self._ensuremath(frame, end)
        elif word in self.macros and self._wanted(self.macros[word]):
            self._copy(frame, match.start())
            frame.position = end
            self._call(self.macros[word], frame, match.start())
        else:
            if word in self.macros and self.math is not None:
                self.used[word] = None
            self._copy(frame, max(end, match.start() + 1))

    def _wanted(self, macro: Macro) -> bool:
        """Whether a macro is replaced where it stands."""
        if not macro.primitive and not macro.expandable:
            return False
        return self.formulas or self.math is None or self._ends_formula(macro)

    def _ends_formula(self, macro: Macro) -> bool:
        body = macro.body.strip()
        return body == self.math or (self.math != "$" and body.startswith(str(self.math)))

    def _ensuremath(self, frame: _Frame, end: int) -> None:
        start = skip_space(frame.text, end)
        closed = group_end(frame.text, start, 4000) if frame.text.startswith("{", start) else None
        for name in re.findall(r"\\([A-Za-z@]+)", frame.text[start : closed or start]):
            if name in self.macros:
                self.used[name] = None
        self._copy(frame, closed or end)

    def _title(self, frame: _Frame, end: int) -> None:
        r"""Leave a title for later: `\maketitle` is what sets it."""
        option = OPTION.match(frame.text, end)
        start = option.end() if option else end
        closed = group_end(frame.text, start, 4000) if frame.text.startswith("{", start) else None
        self._copy(frame, start)
        if closed:
            self.titles.append((len(self.out), frame.text[start:closed]))
            self.out.append("")
            frame.position = closed

    def _defined(self, frame: _Frame, word: str, start: int, end: int) -> bool:
        if self.n_torn > N_TORN_MAX:
            return False
        star = word == "DeclareMathOperator" and frame.text.startswith("*", end)
        read = read_definition(frame.text, end, f"{word}*" if star else word)
        if read is None:
            self.n_torn += 1
            return False
        in_formula = self.math is not None and not self.formulas
        self._copy(frame, read[1] if in_formula else start)
        frame.position = read[1]
        if read[0] is not None:
            self._define(read[0], word)
        return True

    def _define(self, definition: Macro | Environment, word: str) -> None:
        if isinstance(definition, Environment):
            self.environments[definition.begin.name] = definition
            return
        if definition.name in STRUCTURE or (
            word.startswith(("provide", "Provide")) and definition.name in self.macros
        ):
            return
        if definition.primitive and definition.body[1:] in self.macros:
            known = self.macros[definition.body[1:]]
            definition = Macro(
                definition.name,
                known.n_arguments,
                known.default,
                known.body,
                definition.source,
                known.pattern,
                known.primitive,
            )
        self.macros[definition.name] = definition
        self.history.append(definition)

    def _environment(self, frame: _Frame, word: str, start: int, end: int) -> None:
        found = BEGIN.match(frame.text, end)
        if found is None:
            self._copy(frame, end)
            return
        name = found[1].strip()
        own = self.environments.get(name) if name not in KNOWN_ENVIRONMENTS and name not in MATH else None
        if own and own.begin.expandable and self.math is None and self._room(name):
            self._copy(frame, start)
            frame.position = found.end()
            self._call_environment(own, word, frame)
            return
        self._copy(frame, found.end())
        if word == "begin" and name in frame.verbatim.names:
            self._copy(frame, frame.verbatim.end(frame.text, found.end(), name) or found.end())
        elif word == "begin" and self.math is None and name in MATH:
            self.math = f"\\end{{{name}}}"
        elif word == "end" and self.math == f"\\end{{{name}}}":
            self.math = None

    def _call_environment(self, own: Environment, word: str, frame: _Frame) -> None:
        if word == "end":
            self._push(own.end, own.begin.name)
            return
        arguments = self._arguments(own.begin)
        self._push(substitute(own.begin.body, arguments or []), own.begin.name)

    def _room(self, name: str) -> bool:
        if self.chars_left > 0 and self.active[name] < N_ACTIVE_MAX and self.n_torn <= N_TORN_MAX:
            return True
        self.notes[Note("macro_limit", f"\\{name}")] = None
        return False

    def _call(self, macro: Macro, frame: _Frame, start: int) -> None:
        """Read the macro's arguments and what it stands for; leave it as it is where that is not possible."""
        after = frame.position
        if not self._room(macro.name):
            self._emit_name(macro.name)
            return
        if macro.primitive:
            self._emit_name(macro.body.removeprefix("\\"), backslash=macro.body.startswith("\\"))
            return
        if self.math is None and macro.name.isalpha() and not macro.n_arguments:
            frame.position = skip_space(frame.text, frame.position)
        arguments = self._arguments(macro)
        if arguments is None:
            self.n_torn += 1
            if self.frames and self.frames[-1] is frame:
                frame.position = after
            self._emit_name(macro.name)
            return
        text = substitute(macro.body, arguments)
        if self.math is not None and TAKES_ONE_TOKEN.search("".join(piece[-40:] for piece in self.out[-2:])):
            text = f"{{{text}}}"
        self._push(text, macro.name)

    def _emit_name(self, name: str, *, backslash: bool = True) -> None:
        self.out.append(f"\\{name}" if backslash else name)
        self.after_word = True

    def _arguments(self, macro: Macro) -> list[str] | None:
        if macro.pattern is not None:
            return self._delimited(macro.pattern)
        arguments: list[str] = []
        if macro.default is not None:
            arguments.append(self._option(macro.default))
        while len(arguments) < macro.n_arguments:
            argument = self._argument()
            if argument is None:
                return None
            arguments.append(argument)
        return arguments

    def _next(self) -> _Frame:
        """The frame that holds the next token after white space."""
        while True:
            frame = self.frames[-1]
            frame.position = skip_space(frame.text, frame.position)
            if frame.position < len(frame.text) or len(self.frames) == 1:
                return frame
            self._pop()

    def _option(self, default: str) -> str:
        frame = self._next()
        found = OPTION.match(frame.text, frame.position)
        if found:
            frame.position = found.end()
        return found[1] if found else default

    def _argument(self) -> str | None:
        frame = self._next()
        text, start = frame.text, frame.position
        if text.startswith("{", start):
            end = group_end(text, start, N_ARGUMENT_CHARS_MAX)
            if end is None:
                return None
            frame.position = end
            return text[start + 1 : end - 1]
        token = re.compile(r"\\(?:[A-Za-z]+|.)|[^}\s]", re.DOTALL).match(text, start)
        if token is None:
            return None
        frame.position = token.end()
        return token[0]

    def _delimited(self, pattern: str) -> list[str] | None:
        """The arguments of a `\\def` whose parameter text holds more than parameters."""
        first, *rest = re.split(r"#\d", pattern)
        frame = self.frames[-1]
        if not frame.text.startswith(first.strip(), skip_space(frame.text, frame.position)):
            return None
        frame.position = skip_space(frame.text, frame.position) + len(first.strip())
        arguments = []
        for mark in rest:
            argument = self._up_to(frame, mark.strip()) if mark.strip() else self._argument()
            if argument is None or self.frames[-1] is not frame:
                return None
            arguments.append(argument)
        return arguments

    def _up_to(self, frame: _Frame, mark: str) -> str | None:
        at = frame.text.find(mark, frame.position, frame.position + 20_000)
        if at < 0:
            return None
        argument = frame.text[frame.position : at]
        frame.position = at + len(mark)
        return argument

    def _definitions(self) -> list[str]:
        """The sources of the macros that formulas use, and of those that these use."""
        needed: dict[str, None] = {}
        waiting = list(self.used)
        by_name: dict[str, list[Macro]] = {}
        for macro in self.history:
            by_name.setdefault(macro.name, []).append(macro)
        while waiting:
            name = waiting.pop()
            if name in needed or name not in by_name:
                continue
            needed[name] = None
            waiting += [n for macro in by_name[name] for n in re.findall(r"\\([A-Za-z@]+)", macro.body)]
        kept = (macro.source for macro in self.history if macro.name in needed)
        return list(dict.fromkeys(kept))
