"""The programming language of a file: by its name, and by its content where names are shared or say nothing."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cache

from curation.code.names import ENDINGS, EXACT_ENDINGS, NAMES, RENAMED
from curation.code.shared import SHARED, choose
from manifests.errors import missing_extra

LOOK_CHARS = 50_000
"""How much of a file is looked at where its name does not tell the language."""

_TEMPLATE = re.compile(
    r"\.(?:in|am|tmpl|template|tmp|orig|dist|sample|example|bak|j2|jinja2?|mako|skel)$", re.IGNORECASE
)
_SHEBANG = re.compile(r"\A#!\s*(\S+)(?:[ \t]+([^\n]*))?")
_MODE = re.compile(r"-\*-\s*(?:.*?\bmode:\s*)?([\w+#-]+)\s*(?:;.*?)?-\*-", re.IGNORECASE)
_VIM = re.compile(r"(?:^|\s)(?:vim?|ex):.*?\b(?:ft|filetype|syntax)=(\w+)")
_EXECS = (
    ("Tcl", re.compile(r'^exec\s+(?:tclsh|wish|expect)\S*\s+"?\$0', re.MULTILINE)),
    ("Perl", re.compile(r"^\s*eval\s+['\"]\(?exec\s+\S*perl|\bexec\s+perl\b.*\$0", re.MULTILINE)),
)
_STARTS = (
    ("PHP", re.compile(r"\A\s*<\?php")),
    ("HTML", re.compile(r"\A\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)),
    ("SVG", re.compile(r"\A\s*(?:<\?xml.*?\?>\s*)?(?:<!--.*?-->\s*|<!DOCTYPE svg.*?>\s*)*<svg\b", re.DOTALL)),
    ("XML", re.compile(r"\A\s*<\?xml\b")),
    ("TeX", re.compile(r"\A\s*\\(?:documentclass|input|begin)\b")),
    ("Roff", re.compile(r"\A(?:[.']\\\"[^\n]*\n)*\.T[Hh]\s")),
    ("Diff", re.compile(r"\A(?:diff --git |--- \S+[^\n]*\n\+\+\+ )")),
)
_INTERPRETERS = {
    word: language
    for language, words in {
        "Shell": "sh bash dash ksh zsh ash csh tcsh mksh bats nix-shell openrc-run",
        "JavaScript": "node nodejs qjs rhino gjs",
        "TypeScript": "deno bun tsx ts-node",
        "Python": "python pypy ipython jython",
        "Perl": "perl",
        "Ruby": "ruby jruby",
        "PHP": "php",
        "Lua": "lua luajit texlua",
        "Tcl": "tclsh wish expect",
        "Awk": "awk gawk mawk nawk",
        "sed": "sed",
        "Makefile": "make",
        "Scheme": "guile",
        "Racket": "racket",
        "Common Lisp": "sbcl clisp",
        "Emacs Lisp": "emacs",
        "Erlang": "escript",
        "Elixir": "elixir",
        "Haskell": "runhaskell runghc stack",
        "OCaml": "ocaml ocamlrun",
        "Scala": "scala",
        "Groovy": "groovy",
        "Kotlin": "kotlin",
        "Swift": "swift",
        "R": "rscript",
        "MATLAB": "octave",
        "Julia": "julia",
        "Crystal": "crystal",
        "Dart": "dart",
        "PowerShell": "pwsh",
        "fish": "fish",
        "M4": "m4",
        "Gnuplot": "gnuplot",
        "Prolog": "swipl",
        "Nim": "nim",
        "Rust": "rust-script",
        "C": "tcc",
        "D": "rdmd",
    }.items()
    for word in words.split()
}
_MODES = {
    word: language
    for language, words in {
        "C": "c",
        "C++": "c++ cpp",
        "Python": "python",
        "Perl": "perl cperl",
        "Ruby": "ruby",
        "Shell": "sh shell-script bash zsh",
        "Common Lisp": "lisp common-lisp",
        "Scheme": "scheme",
        "Emacs Lisp": "emacs-lisp elisp",
        "Makefile": "makefile make",
        "M4": "autoconf m4 config",
        "Tcl": "tcl",
        "Java": "java",
        "JavaScript": "javascript js js2",
        "HTML": "html",
        "XML": "xml nxml",
        "SGML": "sgml",
        "TeX": "tex latex",
        "Texinfo": "texinfo",
        "Org": "org",
        "reStructuredText": "rst",
        "Markdown": "markdown",
        "Text": "text fundamental outline",
        "Fortran": "fortran f90",
        "Ada": "ada",
        "Haskell": "haskell",
        "OCaml": "ocaml tuareg",
        "Objective-C": "objc",
        "PHP": "php",
        "Lua": "lua",
        "YAML": "yaml",
        "INI": "conf",
        "Assembly": "asm",
        "Roff": "nroff",
        "Prolog": "prolog",
        "Vim script": "vim",
        "Awk": "awk",
        "SQL": "sql",
        "CSS": "css",
        "CMake": "cmake",
        "Erlang": "erlang",
        "Diff": "diff",
        "Rust": "rust",
        "Go": "go",
        "TypeScript": "typescript",
    }.items()
    for word in words.split()
}
"""What editors call them."""


@dataclass(frozen=True)
class Known:
    """What Pygments knows: languages by ending, by whole name, and by pattern of the name."""

    endings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    patterns: tuple[tuple[re.Pattern[str], str], ...] = ()


@cache
def known() -> Known:
    """The names that Pygments' lexers claim.

    Raises:
        RequestError: Pygments is not installed.
    """
    endings: dict[str, tuple[str, ...]] = {}
    names: dict[str, tuple[str, ...]] = {}
    patterns = []
    for language, globs in _lexers():
        for glob in globs:
            is_ending = glob.startswith("*.")
            rest = glob[1:] if is_ending else glob
            if any(sign in rest for sign in "*?["):
                patterns.append((re.compile(translate(glob)), language))
            else:
                table = endings if is_ending else names
                table[rest] = tuple(dict.fromkeys((*table.get(rest, ()), language)))
    return Known(endings, names, tuple(patterns))


def _lexers() -> Iterable[tuple[str, tuple[str, ...]]]:
    """(language, globs of names) of every lexer, without loading any."""
    try:
        from pygments.lexers import get_all_lexers
    except ImportError as error:
        raise missing_extra("format: code", "Pygments", "code") from error
    return [(RENAMED.get(name, name), tuple(globs)) for name, _, globs, _ in get_all_lexers(plugins=False)]


@cache
def all_languages() -> dict[str, str]:
    """Every language by its name in lower case."""
    shared = [language for choices in SHARED.values() for language, _ in choices if language]
    more = [*ENDINGS.values(), *NAMES.values(), *shared, *_INTERPRETERS.values(), *_MODES.values()]
    return {language.lower(): language for language in [*(name for name, _ in _lexers()), *more]}


def language_of(path: str, text: str) -> str | None:
    """The language of the file at `path` with this text, as GitHub calls it; None where nothing tells."""
    name = path.rpartition("/")[2]
    found = _by_name(name, text)
    if found is None and (stem := _TEMPLATE.sub("", name)) != name:
        found = _by_name(stem, text)
    return found or _by_content(text)


def _by_name(name: str, text: str) -> str | None:
    lower = name.lower()
    if lower in NAMES:
        return _unless_script(NAMES[lower], lower, text)
    for ending in _endings(name):
        if (language := _by_ending(ending, text)) is not None:
            return language
    base = known()
    if name in base.names:
        return _one_of(base.names[name], name, text)
    return next((language for pattern, language in base.patterns if pattern.match(name)), None)


def _by_ending(ending: str, text: str) -> str | None:
    """The language of an ending; the longest is asked first."""
    lower = ending.lower()
    if ending in EXACT_ENDINGS:
        return EXACT_ENDINGS[ending]
    if lower in SHARED:
        return _by_modeline(text) or choose(SHARED[lower], text[:LOOK_CHARS]) or None
    if lower in ENDINGS:
        return ENDINGS[lower]
    languages = known().endings.get(ending) or known().endings.get(lower)
    return _one_of(languages, f"x{ending}", text) if languages else None


def _endings(name: str) -> Iterable[str]:
    """The endings of a name from the longest to the shortest; a name that begins with a dot is one as well."""
    at = name.find(".")
    while at >= 0:
        if name[at + 1 :]:
            yield name[at:]
        at = name.find(".", at + 1)


def _one_of(languages: tuple[str, ...], name: str, text: str) -> str:
    """Of languages that claim the same name, the one whose lexer in Pygments finds most of its own in the text."""
    if len(languages) == 1:
        return languages[0]
    from pygments.lexers import guess_lexer_for_filename
    from pygments.util import ClassNotFound

    try:
        guessed = guess_lexer_for_filename(name, text[:LOOK_CHARS]).name
    except ClassNotFound:
        return languages[0]
    return RENAMED.get(str(guessed), str(guessed))


def _unless_script(language: str, name: str, text: str) -> str:
    """A script is called `install` as well."""
    return (_by_shebang(text) or language) if language == "Text" and "." not in name else language


def _by_content(text: str) -> str | None:
    head = text[:4096]
    return (
        _by_shebang(head) or _by_modeline(text) or next((la for la, pattern in _STARTS if pattern.search(head)), None)
    )


def _by_shebang(text: str) -> str | None:
    match = _SHEBANG.match(text)
    if match is None:
        return None
    program, words = match[1].rpartition("/")[2], (match[2] or "").split()
    if program == "env":
        words = [word for word in words if not word.startswith("-") and "=" not in word]
        program = words[0].rpartition("/")[2] if words else ""
    language = _INTERPRETERS.get(program.lower()) or _INTERPRETERS.get(re.sub(r"[-\d.]+$", "", program.lower()))
    if language == "Shell":  # lines that the shell runs and that call the real interpreter
        return next((other for other, pattern in _EXECS if pattern.search(text[:1000])), language)
    return language


def _by_modeline(text: str) -> str | None:
    first = "\n".join(text[:1000].split("\n")[:2])
    match = _MODE.search(first) or _VIM.search(text[:500]) or _VIM.search(text[-500:])
    return _MODES.get(match[1].lower().removesuffix("-mode")) if match else None
