"""LaTeX tokens as the text that a reader sees: Markdown-like headings, lists and rows, formulas as in the source.

One loop over the tokens, no recursion: what has to happen where an argument or an environment ends waits in a heap by
the token's index, so that torn source cannot leave a state behind.
"""

import heapq
import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from curation.latex.accents import COMBINING, SYMBOLS, accented, ligatures
from curation.latex.environments import Environments
from curation.latex.flatten import NOT_CONDITIONALS, ends_in_command
from curation.latex.output import BLOCK, LINE, SPACE, Out
from curation.latex.primitives import WITH_GROUP, character, dingbat, is_primitive, number, reach
from curation.latex.quantities import QUANTITIES, quantity
from curation.latex.scan import MATH
from curation.latex.tokens import Tokens, environment
from curation.latex.words import (
    ALGORITHM_LINES,
    ARGUMENTS,
    CITED,
    CITED_AS_WORDS,
    HEADINGS,
    LAYOUT,
    LENGTHS,
    QUOTES,
    REFERRED,
    SECTIONS,
    SPACES,
    TITLES,
)

LENGTH = re.compile(
    r"\s*=?\s*[-+]?\s*[\d.,]*\s*(?:true)?\s*(?:pt|cm|mm|in|em|ex|bp|pc|dd|sp|mu)?"
    r"(?:\s*(?:plus|minus)\s*[-\d.]+\s*(?:pt|cm|mm|in|em|ex|bp|pc|fil+))*\s?"
)
PARENTHESES = re.compile(r"\s*\([^()\n]{0,200}\)")
KEYS = re.compile(r"[^,\s][^,]*")
LITERAL = {"%": "%", "&": "&", "#": "#", "$": "$", "_": "_", "{": "{", "}": "}"}
NOTHING = frozenset("!/-@()[]<>")
BREAKS = frozenset(("newline", "tabularnewline", "cr", "crcr"))
N_BRANCH_TOKENS_MAX = 2000
"""A branch of `\\ifmmode` is a few tokens; one that does not end so far on is torn."""
N_TORN_MAX = 30
INTERNAL = re.compile(r"[A-Za-z@]*")


@dataclass
class Counts:
    """What stands in the text."""

    n_formulas: int = 0
    n_sections: int = 0


class TextConverter:
    """Converts ranges of tokens; `theorems` are the document's own, name to title."""

    def __init__(self, tokens: Tokens, theorems: dict[str, str], *, tables: bool, bibliography: bool) -> None:
        self.tokens, self.bibliography = tokens, bibliography
        self.out, self.counts = Out(), Counts()
        self.environments = Environments(self, theorems, tables=tables)
        self._headings = [i for i in range(len(tokens)) if self._word_at(i) in HEADINGS]
        self.swallowed: set[int] = set()  # brackets that were an argument's
        self._waiting: list[tuple[int, int, Callable[[], None]]] = []
        self._n_waiting = 0
        self._after_word = False  # TeX skips white space behind a command's name
        self._title_at = -1  # the title command that names the document
        self._n_quotes = self._n_torn = 0
        self._at_is_letter = False  # behind `\makeatletter`

    def convert(self, first: int, end: int) -> str:
        """The text of the tokens from `first` up to `end`, which is not among them."""
        index = first
        while index < end:
            self._run_waiting(index)
            index = max(self._token(index), index + 1)
        self._run_waiting(len(self.tokens) + 1)
        return self.out.text()

    def title(self) -> str:
        """The text of the first title command, on one line; empty where the document has none."""
        for index in range(len(self.tokens)):
            if self._word_at(index) in TITLES:
                group = self.group_after(index + 1, "oo")
                end = self.group_end(group)
                if end is not None:
                    self._title_at = index
                    return self.sub_text(group + 1, end)
        return ""

    def sub_text(self, first: int, end: int) -> str:
        """The text of some tokens by themselves, on one line."""
        kept, self.out = self.out, Out()
        waiting, self._waiting = self._waiting, []
        self.out.inline = 1
        text = self.convert(first, end)
        self.out, self._waiting = kept, waiting
        return text

    def at(self, index: int, action: Callable[[], None]) -> None:
        """Do something when the token at `index` is reached or passed."""
        self._n_waiting += 1
        heapq.heappush(self._waiting, (index, -self._n_waiting, action))

    def has_heading(self, first: int, last: int) -> bool:
        """Whether a heading stands between two tokens."""
        at = bisect_left(self._headings, first)
        return at < len(self._headings) and self._headings[at] < last

    def _run_waiting(self, index: int) -> None:
        while self._waiting and self._waiting[0][0] <= index:
            heapq.heappop(self._waiting)[2]()

    def _word_at(self, index: int) -> str:
        return self.tokens.text(index)[1:] if self.tokens.source[self.tokens.starts[index]] == "\\" else ""

    def _token(self, index: int) -> int:
        """Convert one token; the index at which to go on."""
        first = self.tokens.source[self.tokens.starts[index]]
        if first == "\\":
            return self._command(index)
        after_word, self._after_word = self._after_word, False
        if first == "\n" and self.tokens.ends[index] - self.tokens.starts[index] > 1:
            self.environments.paragraph()
        elif first == "$":
            return self._formula(index)
        elif first == "&":
            self.environments.cell()
        elif first == "~":
            self.out.gap(SPACE)
        elif first in "[]":
            if index not in self.swallowed:
                self.out.words(first)
        elif first not in "{}":
            text = self.tokens.text(index)
            self.out.words(ligatures(text.lstrip(" \t\n") if after_word else text))
        return index + 1

    def _formula(self, index: int) -> int:
        last = self.tokens.partner[index]
        if last < 0:
            self.out.words("$")
            return index + 1
        display = self.tokens.source.startswith("$$", self.tokens.starts[index])
        self.put_formula(self.tokens.span(index, last), display=display)
        return last + 1

    def put_formula(self, source: str, *, display: bool) -> None:
        """A formula exactly as it stands; a display on lines of its own."""
        if self.out.muted:
            return
        self.counts.n_formulas += 1
        if display:
            self.out.gap(LINE)
        self.out.raw(source)
        if display:
            self.out.gap(LINE)

    def _command(self, index: int) -> int:
        token = self.tokens.text(index)
        self._after_word = False
        if index in self.tokens.verbatim:
            self.environments.verbatim(token)
            return index + 1
        if found := environment(token):
            return self._environment(index, *found)
        name = token[1:]
        if self._at_is_letter and self.tokens.source.startswith("@", self.tokens.ends[index] - (name == "@")):
            return self._internal(index)
        if name.isalpha() and name.isascii():
            self._after_word = True
            return self._word(index, name)
        return self._symbol(index, name)

    def _environment(self, index: int, kind: str, name: str) -> int:
        last = self.tokens.partner[index]
        if kind == "begin" and name in MATH and last > index:
            self.put_formula(self.tokens.span(index, last), display=name != "math")
            return last + 1
        if kind == "begin":
            return self.environments.begin(index, name, last)
        return index + 1

    def _symbol(self, index: int, name: str) -> int:
        if name in ("(", "[") and self.tokens.partner[index] > index:
            last = self.tokens.partner[index]
            self.put_formula(self.tokens.span(index, last), display=name == "[")
            return last + 1
        if name == "\\":
            self.environments.row()
            return self.skip(index + 1, "*o")
        if name in LITERAL:
            self.out.words(LITERAL[name])
        elif self.environments.in_tabbing and name in "=>'`+-<":
            self.out.gap(SPACE)
        elif name in COMBINING:
            return self._accent(index, name)
        elif name not in NOTHING:
            self.out.gap(SPACE)
        return index + 1

    def _accent(self, index: int, accent: str) -> int:
        """An accent with what it stands on: a group, a command for a dotless letter, or the next character."""
        tokens, after = self.tokens, index + 1
        if after >= len(tokens):
            return after
        end = self.group_end(after)
        if end is not None:
            inside = "".join(
                SYMBOLS.get(tokens.text(i)[1:], tokens.text(i)) for i in range(after + 1, min(end, after + 4))
            )
            self.out.words(accented(accent, inside.strip()) if end - after <= 3 else inside)
            self._after_word = False
            return end + 1
        text = tokens.text(after)
        if text[0] == "\\":
            base = SYMBOLS.get(text[1:], "")
            self.out.words(accented(accent, base))
            self._after_word = bool(base)
            return after + bool(base)
        if accent.isalpha():
            text = text.lstrip(" \t\n")
        if not text or text[0] in "{}[]$&~\n ":
            self.out.words(accented(accent, ""))
            return after
        self.out.words(accented(accent, text[0]) + ligatures(text[1:]))
        self._after_word = False
        return after + 1

    def _word(self, index: int, name: str) -> int:
        after = index + 1
        if name in HEADINGS:
            return self._heading(after, HEADINGS[name])
        if name in TITLES:
            return self._another_title(index)
        if is_primitive(name):
            return self._primitive(index, name)
        if name in CITED or name in CITED_AS_WORDS:
            return self._cite(after, name)
        if name in REFERRED:
            return self._refer(after)
        if name in ARGUMENTS:
            return self.skip(after, ARGUMENTS[name])
        if name in SYMBOLS:
            self.out.words(SYMBOLS[name])
        elif name in COMBINING:
            return self._accent(index, name)
        elif name in LENGTHS:
            return self._length(after)
        elif name in SPACES:
            self.out.gap(SPACE)
        elif name in BREAKS:
            self.environments.row()
        elif name == "par":
            self.environments.paragraph()
        elif name in ("makeatletter", "makeatother"):
            self._at_is_letter = name == "makeatletter"
        elif name not in LAYOUT:
            return self._special(index, name)
        return after

    def _special(self, index: int, name: str) -> int:
        after = index + 1
        if name in ("footnote", "footnotetext", "marginpar", "sidenote", "endnote"):
            return self._footnote(after)
        if name in ("caption", "captionof", "tablecaption", "subcaption"):
            return self.environments.caption(after, name)
        if name == "item":
            return self.environments.item(after)
        if name == "bibitem":
            return self._bibitem(after)
        if name in ("url", "path", "nolinkurl"):
            return self._url(after)
        if name == "ensuremath":
            return self._ensuremath(after)
        if name in QUANTITIES:
            return self._quantity(after, name)
        if name in QUOTES:
            return self._quote(after, name)
        if name in ("char", "symbol", "ding", "unichar", "Uchar"):
            return self._character(index, name)
        if name in SECTIONS:
            self.section(SECTIONS[name])
        elif name == "xspace":
            self._xspace(after)
        elif name == "keywords":
            self.out.gap(BLOCK)
            self.out.words("Keywords: ")
        elif self.environments.in_algorithm and name in ALGORITHM_LINES:
            self.out.gap(LINE)
            self.out.words(ALGORITHM_LINES[name])
        elif name.startswith("if") and name not in ("ifdraft", "iff"):
            return self._condition(after, name)
        else:
            return self._unknown(after)
        return after

    def _heading(self, index: int, level: int) -> int:
        group = self.group_after(index, "*o")
        end = self.group_end(group)
        if end is None:
            return index
        if self.has_heading(group, end):  # its brace is closed nowhere near: it ends with its paragraph
            end = next((i for i in range(group, end) if self.tokens.text(i).startswith("\n\n")), end)
        self.counts.n_sections += not self.out.muted
        self.out.gap(BLOCK)
        self.out.raw("#" * level)
        self.out.gap(SPACE)
        self.out.inline += 1
        self.at(end, self._end_heading)
        return group + 1

    def _another_title(self, index: int) -> int:
        """The document's title stands at its top; a second one, as of a part in another language, where it is."""
        if self._title_at in (-1, index):
            return self.skip(index + 1, "om")
        return self._heading(index + 1, 1)

    def _end_heading(self) -> None:
        self.out.inline -= 1
        self.out.gap(BLOCK)

    def section(self, title: str) -> None:
        """A heading that its command or environment names."""
        self.out.gap(BLOCK)
        self.out.raw(f"## {title}")
        self.out.gap(BLOCK)

    def _footnote(self, index: int) -> int:
        group = self.group_after(index, "oo")
        end = self.group_end(group)
        if end is None:
            return index
        self.out.gap(SPACE)
        self.out.raw("(")
        self.out.inline += 1
        self.at(end, self._end_footnote)
        return group + 1

    def _end_footnote(self) -> None:
        self.out.close(")")
        self.out.inline -= 1

    def _cite(self, index: int, name: str) -> int:
        group = self.group_after(index, "*oo")
        end = self.group_end(group)
        if end is None:
            return index
        if self.bibliography or name in CITED_AS_WORDS:
            keys = KEYS.findall(self.tokens.span(group + 1, end - 1)) if end > group + 1 else []
            self.out.words(f"[{', '.join(key.strip() for key in keys)}]")
        else:
            self.out.dropped()
        self._after_word = False
        return end + 1

    def _refer(self, index: int) -> int:
        """The label itself: formulas in the text bear it, and numbers are TeX's to give."""
        group = self.group_after(index, "*")
        end = self.group_end(group)
        if end is None:
            return index
        self.out.words(self.tokens.span(group + 1, end - 1).strip() if end > group + 1 else "")
        self._after_word = False
        return end + 1

    def _url(self, index: int) -> int:
        index = self.group_after(index, "")
        end = self.group_end(index)
        if end is None:
            return index
        self.out.words(self.tokens.span(index + 1, end - 1) if end > index + 1 else "")
        self._after_word = False
        return end + 1

    def _ensuremath(self, index: int) -> int:
        index = self.group_after(index, "")
        end = self.group_end(index)
        if end is None or end == index + 1:
            return index
        self.put_formula(f"${self.tokens.span(index + 1, end - 1)}$", display=False)
        self._after_word = False
        return end + 1

    def _quantity(self, index: int, name: str) -> int:
        """A number with its unit, or a formula of chemistry; as any command where arguments are missing."""
        arguments: list[str] = []
        after = index
        while len(arguments) < QUANTITIES[name]:
            group = self.group_after(after, "o")
            end = self.group_end(group)
            if end is None:
                return self._unknown(index)
            arguments.append(self.tokens.span(group + 1, end - 1) if end > group + 1 else "")
            after = end + 1
        self.out.words(quantity(name, arguments))
        self._after_word = False
        return after

    def _bibitem(self, index: int) -> int:
        group = self.group_after(index, "oo")
        end = self.group_end(group)
        self.out.gap(LINE)
        if end is None:
            return index
        self.out.words(f"[{self.tokens.span(group + 1, end - 1).strip()}] " if end > group + 1 else "")
        return end + 1

    def _xspace(self, index: int) -> None:
        """A space, unless punctuation follows."""
        self._after_word = False
        while index < len(self.tokens) and self.tokens.text(index) in ("{", "}"):
            index += 1
        following = self.tokens.text(index)[0] if index < len(self.tokens) else "."
        if following not in ".,;:!?/')]}-~\n ":
            self.out.gap(SPACE)

    def _length(self, index: int) -> int:
        """Skip the number behind a register, which may be a register too."""
        if index < len(self.tokens) and self.tokens.source[self.tokens.starts[index]] not in "\\{}[]$&~\n":
            text = self.tokens.text(index)
            found = LENGTH.match(text)
            self._after_word = False
            self.out.words(ligatures(text[found.end() if found else 0 :]))
            return index + 1
        return index

    def _condition(self, index: int, name: str) -> int:
        """Skip what a conditional asks, as far as that can be told without TeX."""
        if name == "ifmmode":
            return self._past_branch(index)
        if name not in ("ifx", "ifnum", "ifdim", "ifodd", "ifcase", "ifcat", "if"):
            return index
        stop = min(index + 4, len(self.tokens))
        while index < stop and self.tokens.source[self.tokens.starts[index]] == "\\":
            index += 1
        if name != "ifx" and index < stop and self.tokens.source[self.tokens.starts[index]] not in "{}[]$&~\n":
            text = self.tokens.text(index).lstrip()
            self._after_word = False
            self.out.words(ligatures(text[len(text.split(None, 1)[0]) :] if text else ""))
            index += 1
        return index

    def _unknown(self, index: int) -> int:
        """A command that is not known is left out, with its options; its arguments are text."""
        assigned = reach("", self.tokens.source, self.tokens.ends[index - 1])
        if assigned is not None:  # `\unitlength=1mm`
            return self._go_on(index, assigned)
        index = self.skip(index, "*")
        while index < len(self.tokens) and self.tokens.text(index) == "[" and self.tokens.partner[index] > index:
            last = self.tokens.partner[index]
            if last + 1 >= len(self.tokens) or self.tokens.text(last + 1) not in ("{", "["):
                break
            index = last + 1
        return index

    def _primitive(self, index: int, name: str) -> int:
        """Skip the numbers, lengths and names that a primitive takes, with the group that is no text."""
        end = reach(name, self.tokens.source, self.tokens.ends[index])
        if end is None and name.startswith("if"):
            return self._condition(index + 1, name)
        after = index + 1 if end is None else self._go_on(index + 1, end)
        return self.skip(after, "m") if name in WITH_GROUP else after

    def _go_on(self, index: int, position: int) -> int:
        """Go on at a position in the source; where it is inside a token of text, with the rest of that."""
        tokens = self.tokens
        self._after_word = ends_in_command(tokens.source, position)
        while index < len(tokens) and tokens.ends[index] <= position:
            index += 1
        if index == len(tokens) or tokens.starts[index] >= position:
            return index
        if tokens.source[tokens.starts[index]] != "\\":
            rest = tokens.source[position : tokens.ends[index]]
            self.out.words(ligatures(rest.lstrip(" \t\n") if self._after_word else rest))
        self._after_word = False
        return index + 1

    def _internal(self, index: int) -> int:
        r"""A command with `@` in its name, between `\makeatletter` and `\makeatother`."""
        start = self.tokens.starts[index] + 1
        found = INTERNAL.match(self.tokens.source, start)
        name = found[0] if found else ""
        after = self._go_on(index + 1, start + len(name))
        return self.skip(after, ARGUMENTS.get(name, ""))

    def _character(self, index: int, name: str) -> int:
        r"""`\char65`, `\symbol{65}`, `\ding{51}`."""
        tokens, after = self.tokens, index + 1
        group = self.group_after(after, "") if name != "char" else after
        end = self.group_end(group) if name != "char" else None
        found = number(tokens.source, tokens.ends[group if end else index])
        if found is None:
            return after
        self.out.words(dingbat(found[0]) if name == "ding" else character(found[0]))
        self._after_word = False
        return self._go_on(after, found[1]) if end is None else end + 1

    def _quote(self, index: int, name: str) -> int:
        """The marks of csquotes, which change where quotations stand in each other."""
        starred = index < len(self.tokens) and self.tokens.text(index).startswith("*")
        group = self.group_after(index, QUOTES[name])
        end = self.group_end(group)
        if end is None:
            return index
        marks = "‘’" if (self._n_quotes + starred) % 2 else "“”"
        self._n_quotes += 1
        self.out.words(marks[0])
        self.at(end, lambda: self._end_quote(marks[1]))
        self._after_word = False
        return group + 1

    def _end_quote(self, mark: str) -> None:
        self._n_quotes -= 1
        self.out.close(mark)
        self._after_word = False

    def _past_branch(self, index: int) -> int:
        r"""Text is no formula: behind the `\else` or `\fi` of an `\ifmmode`."""
        n_open = 0
        for at in range(index, min(index + N_BRANCH_TOKENS_MAX * (self._n_torn < N_TORN_MAX), len(self.tokens))):
            word = self._word_at(at)
            if word in ("else", "fi") and not n_open:
                return at + 1
            if self.tokens.text(at) == "}" and self.tokens.partner[at] < index:
                break
            n_open += word.startswith("if") and word not in NOT_CONDITIONALS
            n_open -= word == "fi"
        self._n_torn += 1
        return index

    def group_end(self, index: int) -> int | None:
        """The index of the brace that closes the group at `index`; None where none begins there."""
        if index < len(self.tokens) and self.tokens.text(index) == "{" and self.tokens.partner[index] > index:
            return self.tokens.partner[index]
        return None

    def group_after(self, index: int, spec: str) -> int:
        """The index of the group behind arguments that are left out, or where it should be."""
        index = self.skip(index, spec)
        start = self._past_space(index)
        return index if self.group_end(start) is None else start

    def skip(self, index: int, spec: str) -> int:
        """The index behind arguments as `latex_words` writes them, up to the first that is text."""
        for position, kind in enumerate(spec):
            start = self._past_space(index)
            if start >= len(self.tokens):
                break
            if kind == "t":
                self._resume(start, spec[position + 1 :])
                return start
            index = self._skip_one(index, start, kind)
        return index

    def _resume(self, start: int, rest: str) -> None:
        """Skip what follows a text argument when that has ended."""
        end = self.group_end(start)
        if rest and end is not None and "m" in rest:
            after = self.skip(end + 1, rest)
            self.at(end, lambda: self._mute_until(after))

    def _mute_until(self, index: int) -> None:
        self.out.muted += 1
        self.at(index, self._unmute)

    def _unmute(self) -> None:
        self.out.muted -= 1

    def _skip_one(self, index: int, start: int, kind: str) -> int:
        token = self.tokens.text(start)
        if kind == "*" and token.startswith("*"):
            return self._past_star(start, token)
        end = self.tokens.partner[start]
        if token in ("[", "{") and self.has_heading(start, end):
            return index  # braces or brackets are torn: no argument holds sections
        if kind == "o" and token == "[" and end > start:
            return end + 1
        if kind == "p":
            found = PARENTHESES.match(token)
            return start + 1 if found and found.end() >= len(token.rstrip()) else index
        return end + 1 if kind == "m" and self.group_end(start) is not None else index

    def _past_star(self, start: int, token: str) -> int:
        if token.strip() == "*":
            return start + 1
        self.tokens.starts[start] += 1  # `*text`: the star is read, the text is not
        return start

    def _past_space(self, index: int) -> int:
        """The index behind tokens of nothing but white space, which TeX skips before an argument."""
        while index < len(self.tokens) and self.tokens.source[self.tokens.starts[index]] in " \t\n":
            token = self.tokens.text(index)
            if not token.isspace() or (token[0] == "\n" and token != "\n"):
                break
            index += 1
        return index
