r"""One source from many: files in the order in which they are read, without comments and what TeX skips.

No TeX engine: the text is scanned once for commands and comments, `\input` and its like are followed, everything else
is copied. What cannot be followed becomes a note.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from curation.latex.main_file import DISTRIBUTED, Resolver, input_name
from curation.latex.scan import (
    BEGIN,
    MATH,
    SHORT_VERB,
    Verbatim,
    between_marks,
    declared_verbatim,
    group_end,
    inline_verbatim,
    names,
    quoted,
    shown_at,
    shown_environments,
    skip_space,
    verb_aliases,
)
from curation.read_batch import Note

N_OPEN_MAX = 64
"""Files open inside each other; TeX itself opens 15."""
N_TORN_MAX = 30
"""Definitions without an end; where there are more, the file's braces are unbalanced and none is looked for."""

SCAN = re.compile(r"\\([A-Za-z@]+)|\\.|%", re.DOTALL)
LET = re.compile(r"\s*\\([A-Za-z@]+)\s*=?\s*\\([A-Za-z@]+)")
URL_COMMENT = re.compile(r"%[ \t]*\n[ \t]*")
COMMENT = re.compile(r"%[^\n]*(\n[ \t]*)?")
COMMENT_OR_ESCAPE = re.compile(r"(\\[A-Za-z@]+|\\.)|%[^\n]*(\n[ \t]*)?", re.DOTALL)

INPUTS = frozenset(("input", "include", "subfile", "subfileinclude", "@input", "loadglsentries"))
IMPORTS = frozenset(
    ("import", "subimport", "inputfrom", "subinputfrom", "includefrom", "subincludefrom", "import*", "subimport*")
)
RAW = frozenset(("url", "href", "path", "nolinkurl", "Url"))
SHORT_VERB_WORDS = frozenset(
    (
        "MakeShortVerb",
        "ShortVerb",
        "DeleteShortVerb",
        "DefineShortVerb",
        "UndefineShortVerb",
        "lstMakeShortInline",
        "lstDeleteShortInline",
    )
)
SHORT_VERB_CLASSES = {"ltxdoc": "|", "ltxguide": "|", "ltnews": "|", "l3doc": '|"'}
"""Classes of documentation, with the characters that they make short for `\\verb`."""
OF_DISTRIBUTIONS = (
    ".sty", ".cls", ".def", ".fd", ".cfg", ".ldf", ".clo", ".enc", ".map", ".tfm", ".pfb", ".ttf", ".otf", ".bst",
)  # fmt: skip
"""Of files with these endings, which are TeX's own as well, it is not known whether they are there."""
N_BRANCHES_MAX = 16
"""Branches of `\\IfFileExists` open inside each other."""
N_MACROS_MAX = 10_000
"""Uses of macros that include files, which may use each other."""
OPENING_CHARS = 100
"""Opening a file counts as this much text: files that hold nothing but others would have no end."""
DEFINED = re.compile(
    r"\\(?:(?:re)?newcommand|providecommand|DeclareRobustCommand)\*?\s*\{?\s*\\([A-Za-z@]+)\s*\}?\s*(?:\[(\d)\])?\s*\{"
    r"|\\[egx]?def\s*\\([A-Za-z@]+)((?:#\d){0,9})\s*\{"
)
PLAIN = re.compile(r"[^\\{}#$%&\n]{0,200}")
WORD = re.compile(r"\\([A-Za-z@]+)[ \t]*")
PARAMETER = re.compile(r"#([1-9])")
GROUP_START = re.compile(r"(?:\s|%[^\n]*\n)*(?=\{)")
DEFINITIONS = {
    "newcommand": 1, "renewcommand": 1, "providecommand": 1, "DeclareRobustCommand": 1, "newenvironment": 2,
    "renewenvironment": 2, "def": 0, "edef": 0, "gdef": 0, "xdef": 0, "NewDocumentCommand": 2,
    "RenewDocumentCommand": 2, "ProvideDocumentCommand": 2, "DeclareDocumentCommand": 2, "long": -1,
}  # fmt: skip
"""Commands that define others, with the number of further groups after the name."""
NOT_CONDITIONALS = names(
    "iff ifthenelse iftoggle ifbool ifdef ifundef ifcsdef ifcsundef ifdefempty ifdefstring ifstrequal "
    "ifstrempty ifblank ifnumcomp ifnumequal ifnumgreater ifnumless ifnumodd ifboolexpr ifboolexpe ifnotblank "
    "ifdefmacro ifentrytype ifdimcomp ifdimequal ifdimgreater ifdimless ifinlist ifinlistcs ifcsstring "
    "ifcsempty iflanguage"
)


@dataclass
class Flat:
    """A flattened source: its text, the files read in order, those of its packages, and what went wrong."""

    text: str
    files: list[str]
    packages: list[str]
    verbatim: frozenset[str]
    notes: list[Note] = field(default_factory=list)
    too_large: bool = False


@dataclass
class _Conditional:
    known: bool
    keep: bool
    open_in: str


def flatten(
    files: Mapping[str, str], main: str, chars_max: int, bibliography: bool = False, others: Iterable[str] = ()
) -> Flat:
    """The source of a document as TeX would read it.

    Args:
        files: decoded text by name, line ends as `\\n`.
        main: one of them.
        chars_max: the source ends there, as `too_large`: files may include each other a thousandfold.
        bibliography: whether the .bbl file stands in the place of `\\bibliography`.
        others: names of files that are there and are no source, for `\\IfFileExists`.
    """
    flat = _Flattener(files, main, chars_max, bibliography, others).run()
    if not any(note.kind == "unclosed_conditional" for note in flat.notes):
        return flat
    # What a branch that never ends would leave out is no reason to lose it: all branches are kept.
    whole = _Flattener(files, main, chars_max, bibliography, others, decide=False).run()
    whole.notes += [note for note in flat.notes if note.kind == "unclosed_conditional"]
    return whole


class _Flattener:
    def __init__(
        self,
        files: Mapping[str, str],
        main: str,
        chars_max: int,
        bibliography: bool,
        others: Iterable[str],
        *,
        decide: bool = True,
    ) -> None:
        self.decide = decide  # whether conditionals are decided where that is possible
        self.files, self.main, self.chars_max, self.bibliography = files, main, chars_max, bibliography
        self.resolver = Resolver(list(files), main)
        self.all_files = Resolver([*files, *others], main)
        self.n_branches = self.n_torn_branches = 0
        sources = list(files.values())
        self.verbatim_names = declared_verbatim(sources) | shown_environments(sources)
        self.aliases = verb_aliases(sources)
        self.short_verb = ""  # characters between which text stands as it is
        self.scan = SCAN
        self.out: list[str] = []
        self.n_chars = 0
        self.open: list[str] = []
        self.read: dict[str, None] = {}
        self.packages: dict[str, None] = {}
        self.notes: dict[Note, None] = {}
        self.conditionals: list[_Conditional] = []
        self.n_dropping = 0  # of the open conditionals, those whose present branch is not read
        self.flags: dict[str, bool | None] = {}  # \newif\ifdraft: draft
        self.setters: dict[str, tuple[str, bool]] = {}  # \drafttrue: (draft, True)
        self.plain: dict[str, str] = {}  # macros that stand for a word, as for a folder
        self.including: dict[str, tuple[int, str]] = {}  # macros that include files: (number of arguments, body)
        self.n_macros = 0
        self.dropped_environments = {"comment"}
        self.only: frozenset[str] | None = None
        self.in_body = self.ended = self.too_large = False

    def run(self) -> Flat:
        self._file(self.main, [])
        for conditional in self.conditionals:
            if not conditional.keep:
                self._note("unclosed_conditional", f"in {conditional.open_in}")
        return Flat(
            "".join(self.out),
            list(self.read),
            list(self.packages),
            self.verbatim_names,
            list(self.notes),
            self.too_large,
        )

    @property
    def skipping(self) -> bool:
        return self.n_dropping > 0

    def _note(self, kind: str, detail: str) -> None:
        self.notes[Note(kind, detail)] = None

    def _emit(self, text: str) -> None:
        if text and not self.skipping:
            self.out.append(text)
            self._count(len(text))

    def _count(self, n_chars: int) -> None:
        self.n_chars += n_chars
        if self.n_chars > self.chars_max:
            self.too_large = self.ended = True

    def set_short_verb(self, characters: str) -> None:
        r"""Characters that are `\verb` from here on."""
        self.short_verb = characters
        marks = rf"|[{re.escape(characters)}]|\$\$?|\n[ \t]*\n" if characters else ""
        self.scan = re.compile(SCAN.pattern + marks, re.DOTALL)

    def _file(self, name: str, folders: list[str]) -> None:
        if len(self.open) == N_OPEN_MAX:
            self._note("input_too_deep", f"{name} in {self.open[-1]}")
            return
        self.read[name] = None
        self._count(OPENING_CHARS)
        self.open.append(name)
        _FileScan(self, self.files[name], name, folders).run()
        self.open.pop()

    def include(self, wanted: str, folders: list[str], here: str, *, optional: bool = False) -> bool:
        """Put a file in the place of the command that names it; False where there is none."""
        own = posixpath.dirname(here)
        found = self.resolver.find(wanted, folders, own)
        if found is None:
            known = posixpath.basename(wanted).lower() in DISTRIBUTED
            if not optional and not known:
                self._note("missing_input", f"{_one_line(wanted)} in {here}")
            return False
        if found in self.open:
            self._note("input_cycle", " > ".join([*self.open[self.open.index(found) :], found]))
            return False
        self._file(found, folders)
        return True

    def exists(self, wanted: str, folders: list[str], here: str) -> bool | None:
        """Whether a file is there; None where only TeX knows."""
        if "#" in wanted or "\\" in wanted:
            return None
        if self.all_files.find(wanted, folders, posixpath.dirname(here)):
            return True
        last = posixpath.basename(wanted).lower()
        return None if last.endswith(OF_DISTRIBUTIONS) or last in DISTRIBUTED else False

    def define(self, definition: str) -> None:
        """Remember a macro that includes files, or that names of files may hold."""
        found = DEFINED.match(definition)
        if found is None:
            return
        name, body = found[1] or found[3], definition[found.end() : -1]
        words = {match[1] for match in WORD.finditer(body)}
        if PLAIN.fullmatch(body):
            self.plain[name] = body
        elif "##" not in body and any(w in INPUTS or w in IMPORTS or w in self.including for w in words):
            self.including[name] = int(found[2] or len(found[4] or "") // 2), body

    def spelled(self, wanted: str) -> str:
        """The name of a file with the macros in it replaced."""
        return WORD.sub(lambda match: self.plain.get(match[1], match[0]), wanted) if "\\" in wanted else wanted

    def package(self, names: str, here: str) -> None:
        """Remember the archive's own packages and classes: they define macros."""
        for name in names.split(","):
            found = self.resolver.find(name, [], posixpath.dirname(here), (".sty", ".cls"))
            if found:
                self.packages[found] = None


class _FileScan:
    """One pass over one file."""

    def __init__(self, flattener: _Flattener, source: str, name: str, folders: list[str]) -> None:
        self.f, self.source, self.name, self.folders = flattener, source, name, folders
        self.verbatim = Verbatim(flattener.verbatim_names)
        self.position = self.copied = 0
        self.n_torn = 0
        self.math = False  # followed only where characters are short for verbatim text
        self.shows = False  # whether a document is open in the document
        self.stopped = False  # by \endinput

    def run(self) -> None:
        while not self.f.ended:
            match = self.f.scan.search(self.source, self.position)
            if match is None:
                break
            self.position = match.end()
            if match[0] == "%":
                self._comment(match.start())
            elif match[1]:
                self._word(match[1], match.start())
            elif self.f.short_verb:
                self._mark(match[0], match.start())
        if not self.f.ended:
            self._copy(len(self.source))

    def _copy(self, end: int, resume: int | None = None) -> None:
        """Copy what was passed up to `end`; go on at `resume`."""
        self.f._emit(self.source[self.copied : end])
        self.copied = self.position = end if resume is None else resume

    def _comment(self, start: int) -> None:
        found = COMMENT.match(self.source, start)
        end = found.end() if found else len(self.source)
        self._copy(start, end)
        self.f._emit(joint(self.source, start, end, found is not None and found[1] is not None))

    def _word(self, word: str, start: int) -> None:
        if word.startswith("if") and word not in NOT_CONDITIONALS:
            self._condition(word[2:], start)
        elif word in ("else", "fi"):
            self._branch(word, start)
        elif self.f.skipping:
            return
        elif word in _HANDLERS:
            _HANDLERS[word](self, word, start)
        elif word in self.f.including:
            self._macro(word, start)
        elif word in self.f.aliases:
            self._alias(word, start)
        elif word in self.f.setters:
            self._set_flag(start, *self.f.setters[word])

    def _condition(self, name: str, start: int) -> None:
        if self.f.skipping:
            self.f.conditionals.append(_Conditional(False, True, self.name))
            return
        keep = {"false": False, "true": True}.get(name, self.f.flags.get(name))
        if name == "" and re.compile(r"\s*0\s*[^0\s]").match(self.source, self.position):
            keep, self.position = False, self.source.index("0", self.position) + 1
        if (
            keep is None or not self.f.decide
        ):  # what only TeX can decide: both branches are kept, with the commands around them
            self.f.conditionals.append(_Conditional(False, True, self.name))
            return
        self._copy(start, self.position)
        self.f.conditionals.append(_Conditional(True, keep, self.name))
        self.f.n_dropping += not keep

    def _branch(self, word: str, start: int) -> None:
        if not self.f.conditionals:
            return
        conditional = self.f.conditionals[-1]
        if conditional.known:
            self._copy(start, self.position)
            if word == "else":
                conditional.keep = not conditional.keep
                self.f.n_dropping += -1 if conditional.keep else 1
        if word == "fi":
            self.f.n_dropping -= not conditional.keep
            self.f.conditionals.pop()

    def _set_flag(self, start: int, name: str, value: bool) -> None:
        r"""`\\drafttrue`; where only TeX knows whether it is reached, it is not known what `\\ifdraft` is."""
        asked = any(not conditional.known for conditional in self.f.conditionals)
        unsure = asked or self.source[max(0, start - 1) : start] == "{"
        self.f.flags[name] = None if unsure and self.f.flags.get(name) != value else value

    def _let(self, word: str, start: int) -> None:
        r"""`\let\ifdraft\iftrue` asks nothing: it sets what `\ifdraft` is."""
        found = LET.match(self.source, self.position)
        if found is None:
            return
        self.position = found.end()
        if found[1].startswith("if") and found[2] in ("iftrue", "iffalse"):
            self.f.flags[found[1][2:]] = found[2] == "iftrue"

    def _newif(self, word: str, start: int) -> None:
        found = re.compile(r"\s*\{?\\if([A-Za-z@]+)\}?").match(self.source, self.position)
        if found:
            name = found[1]
            self.f.flags[name] = False
            self.f.setters |= {f"{name}true": (name, True), f"{name}false": (name, False)}
            self.position = found.end()

    def _input(self, word: str, start: int) -> None:
        found = input_name(self.source, self.position)
        if found is None:
            return
        wanted, end = self.f.spelled(found[0]), found[1]
        if "#" in wanted or "\\" in wanted:
            if "#" not in wanted:
                self.f._note("missing_input", f"{_one_line(wanted)} in {self.name}")
            return
        if word == "include" and self.f.only is not None and posixpath.splitext(wanted)[0] not in self.f.only:
            self._copy(start, end)
            return
        self._put(start, end, wanted, self.folders, optional=word == "InputIfFileExists")
        if word == "include":
            self.f._emit("\n\n")

    def _put(self, start: int, end: int, wanted: str, folders: list[str], *, optional: bool = False) -> None:
        self._copy(start, end)
        self.f._emit(_separator(self.source, start))
        self.f.include(wanted, folders, self.name, optional=optional)
        if self.f.ended:
            return
        last = self.f.out[-1][-1:] if self.f.out else ""
        if self.source[end : end + 1].isalpha() and (last.isalpha() or last == "@"):
            self.f._emit("\n")  # a command at the end of the file stays itself

    def _import(self, word: str, start: int) -> None:
        position = self.position + self.source.startswith("*", self.position)
        folder = input_name(self.source, position)
        found = folder and input_name(self.source, folder[1])
        if not folder or not found:
            return
        main = posixpath.dirname(self.f.main)
        bases = (self.folders[:1] or [main]) if word.startswith("sub") else [main, ""]
        within, wanted = (self.f.spelled(part[0].strip('"')) for part in (folder, found))
        paths = [posixpath.normpath(posixpath.join(base, within)) for base in bases]
        there = (path for path in paths if self.f.resolver.holds(path, wanted))
        self._put(start, found[1], wanted, [next(there, paths[0]), *self.folders])

    def _macro(self, word: str, start: int) -> None:
        """A macro that includes files is replaced here; it stays where its arguments are no groups."""
        if self.f.n_torn_branches > N_TORN_MAX:
            return
        n_arguments, body = self.f.including[word]
        arguments, end = [""], self.position if n_arguments else skip_space(self.source, self.position)
        for _ in range(n_arguments):
            first = skip_space(self.source, end)
            last = group_end(self.source, first, 4000) if self.source.startswith("{", first) else None
            if last is None:
                self.f.n_torn_branches += 1
                return
            arguments.append(self.source[first + 1 : last - 1])
            end = last
        self.f.n_macros += 1
        if self.f.n_macros > N_MACROS_MAX or self.f.n_branches == N_BRANCHES_MAX:
            return
        self._copy(start, end)
        self._inner(PARAMETER.sub(lambda match: (arguments + [""] * 9)[int(match[1])], body), start)

    def _if_file(self, word: str, start: int) -> None:
        r"""`\IfFileExists{name}{yes}{no}`, and the one that also reads the file, behind what stands in `yes`."""
        at = skip_space(self.source, self.position)
        found = input_name(self.source, at) if self.source.startswith("{", at) else None
        wanted = self.f.spelled(found[0]) if found else ""
        exists = self.f.exists(wanted, self.folders, self.name) if found else None
        branches = self._two_groups(found[1]) if found and exists is not None else None
        if not found or not branches:
            if word == "InputIfFileExists":
                self._input(word, start)
            return
        self._copy(start, branches[1][1])
        first, last = branches[0 if exists else 1]
        self._inner(self.source[first + 1 : last - 1], start)
        if exists and word == "InputIfFileExists" and not self.f.ended:
            self.f.include(wanted, self.folders, self.name, optional=True)

    def _two_groups(self, position: int) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """Where two arguments begin and end, with their braces; None where they are torn or end the document."""
        groups: list[tuple[int, int]] = []
        if self.f.n_branches == N_BRANCHES_MAX or self.f.n_torn_branches > N_TORN_MAX:
            return None
        for _ in range(2):
            start = GROUP_START.match(self.source, position)
            end = group_end(self.source, start.end()) if start else None
            if start is None or end is None:
                self.f.n_torn_branches += 1
                return None
            groups.append((start.end(), end))
            position = end
        return None if "\\end{document}" in self.source[groups[0][0] : position] else (groups[0], groups[1])

    def _inner(self, source: str, start: int) -> None:
        """Read what stands in the place of a command, as if it stood there."""
        self.f._emit(_separator(self.source, start))
        inner = _FileScan(self.f, source, self.name, self.folders)
        inner.math, inner.shows = self.math, self.shows
        self.f.n_branches += 1
        inner.run()
        self.f.n_branches -= 1
        self.shows = inner.shows
        if inner.stopped:
            self._copy(self.position, len(self.source))
        elif self.f.out and ends_in_command(self.f.out[-1], len(self.f.out[-1])):
            self.f._emit(" ")

    def _begin(self, word: str, start: int) -> None:
        found = BEGIN.match(self.source, self.position)
        if found is None:
            return
        name = found[1].strip()
        if name == "document" and self.name != self.f.main:  # of a subfile
            self._copy(start, found.end())
        elif name == "document":
            self.shows = self.f.in_body  # a second one is shown, with its end
            self.f.in_body = True
        elif name in self.f.dropped_environments or name in ("filecontents", "filecontents*"):
            end = self.verbatim.end(self.source, found.end(), name)
            if end is not None:
                self._copy(start, end)
        elif name in MATH:
            self.math = True
        elif name in self.verbatim.names:
            end = self.verbatim.end(self.source, found.end(), name)
            if end is None:
                self.f._note("unclosed_verbatim", f"{name} in {self.name}")
            self._copy(start if end is None else end, found.end() if end is None else end)

    def _end(self, word: str, start: int) -> None:
        found = BEGIN.match(self.source, self.position)
        self.math = self.math and not (found and found[1].strip() in MATH)
        if found and found[1].strip() == "document" and self.name == self.f.main:
            self._end_document(start, found.end())
        elif found and found[1].strip() == "document":  # the document of a subfile ends, not the book
            self._copy(start, len(self.source))

    def _end_document(self, start: int, end: int) -> None:
        """The paper ends here, unless this is shown in it; what stands behind it is said."""
        later = self.source.find("\\end{document}", end) >= 0
        if later and (self.shows or quoted(self.source, start, end) or shown_at(self.source, start)):
            self.shows = False
            if between_marks(self.source, start, end):
                self._copy(start, end)
                self.f._emit("\\verb+\\end{document}+")
            else:
                self._copy(end)
            return
        if later:
            self.f._note("text_after_end", f"{len(self.source) - end} characters in {self.name}")
        self._copy(end)
        self.f.ended = True

    def _alias(self, word: str, start: int) -> None:
        """Another name of `\\verb`, which every later pass knows."""
        known = self.f.aliases[word]
        after = self.position
        end = inline_verbatim(self.source, after, known)
        if end is not None:
            self._copy(start)
            self.f._emit(f"\\{known}{self.source[after:end]}")
            self.copied = self.position = end

    def _verb(self, word: str, start: int) -> None:
        self.position = inline_verbatim(self.source, self.position, word) or self.position

    def _mark(self, mark: str, start: int) -> None:
        """What matters only where characters are short for verbatim text, which they are not in formulas."""
        if mark in ("$", "$$"):
            self.math = not self.math
        elif mark in ("\\(", "\\[", "\\)", "\\]"):
            self.math = mark[1] in "(["
        elif mark[0] == "\n":
            self.math = False
        elif mark in self.f.short_verb and not self.math and not self.f.skipping:
            self._short(mark, start)

    def _short(self, mark: str, start: int) -> None:
        r"""`|x|` becomes `\verb|x|`, which every later pass knows."""
        end = self.source.find(mark, self.position, self.position + 500)
        if end < 0 or "\n" in self.source[start:end]:
            return
        self._copy(start)
        self.f._emit(f"\\verb{self.source[start : end + 1]}")
        self.copied = self.position = end + 1

    def _short_verb(self, word: str, start: int) -> None:
        found = SHORT_VERB.match(self.source, self.position)
        if word == "ShortVerb" and found is None:
            self.f.set_short_verb(self.f.short_verb + '"')
        if found is None:
            return
        mark, known = found[1] or found[2] or found[3], self.f.short_verb
        self._copy(start, found.end())
        self.f.set_short_verb(
            known.replace(mark, "") + (mark if "Delete" not in word and "Undefine" not in word else "")
        )

    def _raw(self, word: str, start: int) -> None:
        """`%` is a character in the address of a link, unless it ends the line."""
        position = skip_space(self.source, self.position)
        end = self.source.find("}", position, position + 4000)
        if self.source.startswith("{", position) and end > 0:
            self._copy(position)
            self.f._emit(URL_COMMENT.sub("", self.source[position:end]))
            self.copied = self.position = end

    def _definition(self, word: str, start: int) -> None:
        """Copied whole: what TeX would skip or read inside a macro is decided where it is used."""
        end = definition_end(self.source, self.position, word) if self.n_torn < N_TORN_MAX else None
        if end is None:
            self.n_torn += 1
            return
        self._copy(start, end)
        definition = without_comments(self.source[start:end])
        self.f.define(definition)
        self.f._emit(definition)
        self.f._emit(joint(self.source, end, end, False))

    def _endinput(self, word: str, start: int) -> None:
        if quoted(self.source, start, self.position):
            return
        end = self.source.find("\n", self.position)
        rest = self.source[self.position : end] if end >= 0 else self.source[self.position :]
        self._copy(start, len(self.source))
        self.f._emit(without_comments(rest))
        self.stopped = True

    def _includeonly(self, word: str, start: int) -> None:
        found = input_name(self.source, self.position)
        if found and "\\" not in found[0] and not self.f.in_body:
            self.f.only = frozenset(posixpath.splitext(part.strip())[0] for part in found[0].split(","))
            self._copy(start, found[1])

    def _package(self, word: str, start: int) -> None:
        found = re.compile(r"\s*(?:\[[^\]]{0,4000}\])?\s*\{([^{}]{1,2000})\}").match(self.source, self.position)
        self.shows = self.shows or (self.f.in_body and word.startswith("document") and self.name == self.f.main)
        if found:
            self.f.package(found[1], self.name)
            if word == "documentclass" and self.name == self.f.main:
                self.f.set_short_verb(SHORT_VERB_CLASSES.get(found[1].strip(), ""))
        if found and word.startswith("document") and self.name != self.f.main:
            self._copy(start, found.end())

    def _bibliography(self, word: str, start: int) -> None:
        if not self.f.bibliography:
            return
        found = input_name(self.source, self.position) if word == "bibliography" else None
        end = found[1] if found else self.position
        stem = posixpath.splitext(self.f.main)[0]
        names = [name for name in sorted(self.f.files) if name.lower().endswith(".bbl")]
        wanted = f"{stem}.bbl" if f"{stem}.bbl" in names else names[0] if len(names) == 1 else None
        if wanted and wanted not in self.f.open:
            self._copy(start, end)
            self.f._file(wanted, self.folders)

    def _excludecomment(self, word: str, start: int) -> None:
        found = BEGIN.match(self.source, self.position)
        if found:
            self.f.dropped_environments.add(found[1])
            self._copy(start, found.end())


_HANDLERS = {
    **dict.fromkeys(INPUTS, _FileScan._input),
    **dict.fromkeys(IMPORTS, _FileScan._import),
    **dict.fromkeys(("IfFileExists", "InputIfFileExists"), _FileScan._if_file),
    **dict.fromkeys(RAW, _FileScan._raw),
    **dict.fromkeys(DEFINITIONS, _FileScan._definition),
    **dict.fromkeys(("verb", "lstinline", "mintinline"), _FileScan._verb),
    **dict.fromkeys(("usepackage", "RequirePackage", "documentclass", "documentstyle"), _FileScan._package),
    **dict.fromkeys(("bibliography", "printbibliography"), _FileScan._bibliography),
    **dict.fromkeys(SHORT_VERB_WORDS, _FileScan._short_verb),
    "begin": _FileScan._begin,
    "end": _FileScan._end,
    "newif": _FileScan._newif,
    "let": _FileScan._let,
    "endinput": _FileScan._endinput,
    "includeonly": _FileScan._includeonly,
    "excludecomment": _FileScan._excludecomment,
}


def definition_end(source: str, position: int, word: str) -> int | None:
    r"""The position after a definition whose command ends at `position`, or None where it is not complete."""
    n_groups = DEFINITIONS[word]
    if n_groups < 0:
        return None
    star = re.compile(r"\*?\s*").match(source, position)
    position = star.end() if star else position
    if n_groups == 0:
        found = re.compile(
            r"\\(?:[A-Za-z@]+(?![A-Za-z@])|[^A-Za-z@])[^{}\\%]{0,500}(?:\\[A-Za-z]+(?![A-Za-z])[^{}\\%]{0,100}){0,9}(?=\{)",
            re.DOTALL,
        ).match(source, position)
        return group_end(source, found.end()) if found else None
    named = group_end(source, position) if source.startswith("{", position) else _command_end(source, position)
    for _ in range(n_groups):
        position = named or 0
        if named is None:
            return None
        for _ in range(2):
            options = re.compile(r"[\s]*(?:%[^\n]*\n\s*)?\[(?:[^\[\]{}]|\{[^{}]{0,500}\}){0,500}\]").match(
                source, position
            )
            position = options.end() if options else position
        start = re.compile(r"(?:\s|%[^\n]*\n)*(?=\{)").match(source, position)
        named = group_end(source, start.end()) if start else None
    return named


def _command_end(source: str, position: int) -> int | None:
    found = re.compile(r"\\(?:[A-Za-z@]+|.)", re.DOTALL).match(source, position)
    return found.end() if found else None


def joint(source: str, start: int, end: int, next_line: bool) -> str:
    r"""What stands where a comment from `start` to `end` stood, so that the same tokens are left.

    A blank line after the comment ends the paragraph all the same; `\foo% \n bar` is not `\foobar`.
    """
    after = source[end : end + 1]
    if next_line and after == "\n":
        return "\n"
    if after.isalpha() and ends_in_command(source, start):
        return "\n" if next_line else " "
    return ""


def ends_in_command(source: str, end: int) -> bool:
    """Whether what ends there is the name of a command, to which a letter would be added."""
    start = end
    while start > 0 and end - start < 64 and (source[start - 1].isascii() and source[start - 1].isalpha()):
        start -= 1
    return start < end and source[start - 1 : start] == "\\"


def _separator(source: str, start: int) -> str:
    """Between a command right before `\\input` and the file's first letter."""
    return " " if ends_in_command(source, start) else ""


def without_comments(source: str) -> str:
    """A piece of source without its comments; nothing in it is taken as verbatim."""
    if "%" not in source:
        return source

    def kept(match: re.Match[str]) -> str:
        return match[1] or joint(source, match.start(), match.end(), match[2] is not None)

    return COMMENT_OR_ESCAPE.sub(kept, source)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
