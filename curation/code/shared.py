"""Which of several languages a file is in whose ending they share: by what only one of them writes.

Per ending a list of (language, pattern); the first whose pattern occurs is taken, and the last, without a pattern, is
what such files mostly are.
"""

import re
from collections.abc import Iterable

UNKNOWN = ""
"""What a file is in that nothing tells."""

Choice = tuple[str, re.Pattern[str] | None]


def _choices(*choices: tuple[str, str | None]) -> list[Choice]:
    return [(language, re.compile(pattern, re.MULTILINE) if pattern else None) for language, pattern in choices]


_OBJECTIVE_C = (
    r"^[^\S\n]*@(?:interface|implementation|protocol|property|end|synthesize|class|import|selector)\b"
    r"|^[^\S\n]*#\s*import\s+[<\"]"
    r"|\bNS_(?:ASSUME|ENUM|OPTIONS)"
)
_CPP = (
    r"^[^\S\n]*#\s*include\s+<(?:algorithm|array|atomic|bitset|chrono|cstd\w+|cmath|deque|exception|fstream|functional|"
    r"iomanip|ios|iosfwd|iostream|iterator|limits|list|map|memory|mutex|new|optional|ostream|istream|queue"
    r"|set|sstream|"
    r"stack|stdexcept|streambuf|string|string_view|thread|tuple|type_traits|typeinfo|unordered_\w+|utility|variant|"
    r"vector|cstring|cassert|cctype|complex|numeric|initializer_list|locale)>"
    r"|^[^\S\n]*template\s*<|^[^\S\n]*(?:inline\s+)?namespace\b(?:\s+[\w:]+)?\s*(?:\{|$)"
    r"|^[^\S\n]*using\s+(?:namespace\s+\w|\w+\s*=|\w+::)"
    r"|^[^\S\n]*(?:public|private|protected|signals|(?:public |private |protected )?(?:Q_)?(?:slots|SLOTS"
    r"|SIGNALS))\s*:(?!:)"
    r"|^[ \t]*(?:class|struct)\s+(?:[A-Z_][A-Z0-9_]*\s+)?\w+(?:\s+final)?\s*:\s*(?:public|private|protected"
    r"|virtual|\w+::)"
    r"|^[ \t]*class\s+(?:\w+\s+)?\w+\s*(?:\{|$)|\bstd::\w|\b(?:static|const|dynamic|reinterpret)_cast\s*<"
    r"|\boperator\s*(?:==|!=|<|\(\)|\[\]|=|\+|->)\s*\(|^[^\S\n]*virtual\s+[\w~]|\btypename\s+\w|\bconstexpr\b"
    r"|\bnullptr\b"
    r"|=\s*(?:default|delete)\s*;"
)
_PERL = (
    r"^[^\S\n]*use\s+(?:strict|warnings|v?5\b|lib\b|base\b|parent\b|vars\b|utf8|constant\b|Test::"
    r"|[A-Z]\w*(?:::\w+)*\s*[;'\"q(])"
    r"|^[^\S\n]*package\s+[A-Za-z_][\w:]*\s*[;{]|^#!.*\bperl\b|\bmy\s*[\$@%(]|^=(?:head|pod|cut|over|item)"
    r"|^1;\s*$|->\{|\$_\b"
)
_RAKU = (
    r"^[^\S\n]*use\s+v6\b|^[^\S\n]*(?:unit\s+)?(?:grammar|role|module)\s+\w|^[^\S\n]*(?:multi|proto)\s+(?:sub|method)\b"
    r"|^[^\S\n]*my\s+class\b"
)
_PROLOG = r"^[a-z]\w*\([^()\n]*\)\.\s*$|^[a-z]\w*(?:\([^)]{0,2000}\))?\s*:-|^[^\S\n]*:-\s*[a-z]\w*"
_M_MATLAB = (
    r"^[^\S\n]*%|^[^\S\n]*function\b[^;{]*$|^[^\S\n]*(?:end(?:function|if|for|while)?|classdef\b.*|clear all"
    r"|clc)\s*;?\s*$|^[^\S\n]*#\s*(?:-\*-|Author|Copyright)|\.\*|\.\/|^[^\S\n]*##"
)
_ROFF = r"^[.'](?:\\\"|[A-Za-z]{1,2}(?:\s|$))"

SHARED: dict[str, list[Choice]] = {
    ".h": _choices(("Objective-C", _OBJECTIVE_C), ("C++", _CPP), ("C", None)),
    ".hh": _choices(("Hack", r"^<\?hh"), ("C++", None)),
    ".m": _choices(
        ("Objective-C", _OBJECTIVE_C + r"|^[^\S\n]*#\s*include\b|^/\*"),
        ("Mercury", r"^:-\s*module"),
        ("Mathematica", r"\(\*(?s:.*?)\*\)|\w\[[^\]]*\]\s*:="),
        ("MATLAB", _M_MATLAB),
        ("Mason", r"^<%(?:args|init|doc|once)"),
        ("MATLAB", None),
    ),
    ".mm": _choices(("Maple", r"^[^\S\n]*\w+\s*:=\s*proc\("), ("Objective-C++", None)),
    ".pl": _choices(
        ("Perl", r"^#!.*\bperl\b|^[^\S\n]*use\s+(?:strict|warnings)\b"),
        ("Prolog", _PROLOG),
        ("Raku", _RAKU),
        ("Perl", None),
    ),
    ".pm": _choices(("XPM", r"^[^\S\n]*/\* XPM \*/"), ("Perl", _PERL), ("Raku", _RAKU), ("Perl", None)),
    ".t": _choices(
        ("Perl", _PERL),
        ("Raku", _RAKU),
        ("Roff", _ROFF),
        ("Turing", r"^[^\S\n]*var\s+\w+\s*:\s*(?:int|string|real)\b"),
        ("Perl", None),
    ),
    ".v": _choices(
        (
            "Rocq Prover",
            r"^[^\S\n]*(?:Proof|Qed|Defined)\s*\.|^[^\S\n]*(?:From\s+\S+\s+)?Require(?:\s+(?:Import|Export))?\s|"
            r"^[^\S\n]*(?:Lemma|Theorem|Definition|Inductive|Fixpoint|Section|Notation|Ltac|Module|Set|Import"
            r"|Global|Local)\s+\w",
        ),
        ("V", r"^[^\S\n]*(?:pub\s+)?fn\s+[^\n;]*\{|^import\s+[\w.]+\s*$"),
        ("Verilog", None),
    ),
    ".ts": _choices(("XML", r"\A\s*(?:<\?xml|<!DOCTYPE TS|<TS\b)"), ("TypeScript", None)),
    ".tsx": _choices(("XML", r"\A\s*<\?xml"), ("TypeScript", None)),
    ".r": _choices(("Rebol", r"(?i:\brebol\s*\[)"), ("R", None)),
    ".cls": _choices(
        ("TeX", r"^[^\S\n]*\\(?:NeedsTeXFormat|Provides(?:Class|File)|LoadClass|def|newcommand)|^%"),
        ("Visual Basic", r"^VERSION \d|^Attribute VB_"),
        (
            "Apex",
            r"(?i)^[^\S\n]*(?:@\w+\s*(?:\([^)]*\)\s*)?)?(?:global|public|private)\s+(?:\w+\s+)*(?:class|interface|enum)\b",
        ),
        ("ObjectScript", r"^Class\s+[\w.]+"),
        ("OpenEdge ABL", None),
    ),
    ".inc": _choices(
        ("PHP", r"^[^\S\n]*<\?(?:php|=|\s)"),
        ("POVRay", r"^[^\S\n]*#(?:declare|local|macro|while)\s"),
        ("Pawn", r"^[^\S\n]*(?:native|forward|stock)\s+\w"),
        ("Pascal", r"(?i)^[^\S\n]*\{\$|^[^\S\n]*(?:procedure|unit|implementation|uses)\b|^[^\S\n]*end[.;]\s*$"),
        ("HTML", r"\A\s*<(?:!DOCTYPE|html|div|table|[a-z]+[ >])"),
        ("C++", _CPP),
        ("C", r"^[^\S\n]*#\s*(?:define|include|if|ifdef|ifndef|endif)\b|^[^\S\n]*/\*|;\s*$"),
        ("Makefile", r"^[\w.-]+\s*[:?+]?=|^[\w./%$()-]+\s*:(?:\s|$)"),
        (
            "Assembly",
            r"^[^\S\n]*\.(?:text|data|globl|global|section|align|type|byte|word|macro)\b|^[^\S\n]+(?:mov|push|pop|ldr|jmp)\s",
        ),
        (UNKNOWN, None),
    ),
    ".as": _choices(
        ("ActionScript", r"^[^\S\n]*package\b|^[^\S\n]*import\s+[\w.*]+;|\bfunction\b|^[^\S\n]*(?:public|private)\s"),
        ("ActionScript", None),
    ),
    ".bas": _choices(
        ("Visual Basic", r"^Attribute VB_|^[^\S\n]*(?:Public|Private)\s+(?:Sub|Function)\b"), ("BASIC", None)
    ),
    ".cl": _choices(
        ("Common Lisp", r"^[^\S\n]*\((?i:defun|in-package|defpackage|defmacro|defvar)\b"),
        ("OpenCL", r"\b__(?:kernel|global|local)\b|\bkernel\s+void\b|^[^\S\n]*#\s*(?:define|if|include)|/\*|//"),
        ("Common Lisp", None),
    ),
    ".d": _choices(
        ("Makefile", r"\A(?:\s*#[^\n]*\n)*\s*[\w./%$()-]+\.\w+(?:\s+[\w./-]+)*\s*:\s"),
        ("DTrace", r"^[^\S\n]*(?:\w*:\w*:\w*:\w*|BEGIN|END|provider\s+\w+\s*\{|#pragma\s+D\s)"),
        ("D", None),
    ),
    ".e": _choices(("C++", r"^[^\S\n]*#\s*include\b"), ("Eiffel", None)),
    ".es": _choices(("Erlang", r"^[^\S\n]*%%|^main\s*\("), ("JavaScript", None)),
    ".ex": _choices(("Elixir", r"^[^\S\n]*(?:def\w*|use|import|alias|@moduledoc|require)\b"), ("Elixir", None)),
    ".f": _choices(("Forth", r"^:\s\S+"), ("Fortran", None)),
    ".for": _choices(("Forth", r"^:\s\S+"), ("Fortran", None)),
    ".fs": _choices(
        ("Forth", r"^:\s\S+.*;\s*$"),
        ("GLSL", r"^[^\S\n]*(?:#version|precision\s+\w+|uniform\s|varying\s|void\s+main\s*\()"),
        ("F#", None),
    ),
    ".g": _choices(
        ("GAP", r"^[^\S\n]*(?:DeclareGlobal\w+|InstallMethod|BindGlobal|LoadPackage|gap>)|:=\s*function\s*\(|^#Y?\s"),
        ("ANTLR", None),
    ),
    ".gd": _choices(("GAP", r"^[^\S\n]*Declare\w+\s*\(|^##"), ("GDScript", None)),
    ".gi": _choices(("GAP", None)),
    ".i": _choices(
        ("SWIG", r"^[^\S\n]*%(?:module|include|import|define|typemap|extend|\{|rename|ignore|inline|feature)"),
        ("C", r"^[^\S\n]*#\s*(?:line\b|\d+\s+\"|include|define|if)"),
        ("SWIG", None),
    ),
    ".idl": _choices(("IDL", None)),
    ".j": _choices(("Objective-J", r"^[^\S\n]*@(?:import|implementation)\b"), ("Jasmin", None)),
    ".l": _choices(
        ("Common Lisp", r"^[^\S\n]*\(def(?:un|macro|var)\b"),
        ("Lex", r"^%(?:[%{}xs]|option)|^<[A-Z_,]+>"),
        ("Roff", _ROFF),
        ("Lex", None),
    ),
    ".ll": _choices(("LLVM", r"^(?:define|declare|target|source_filename)\s|^; ModuleID"), ("Lex", None)),
    ".ls": _choices(("LiveScript", None)),
    ".md": _choices(
        ("GCC Machine Description", r"\A\s*;;|^\(define_(?:insn|expand|attr|constants)"), ("Markdown", None)
    ),
    ".ml": _choices(
        (
            "Standard ML",
            r"^[^\S\n]*(?:structure|signature|functor)\s+\w+\s*(?::|=)|^[^\S\n]*fun\s+\w+[^=\n]*=(?!>)|^[^\S\n]*datatype\s",
        ),
        ("OCaml", None),
    ),
    ".mod": _choices(
        ("XML", r"<!ENTITY\s|<!ELEMENT\s"),
        ("Modula-2", r"(?i)^[^\S\n]*(?:(?:definition|implementation)\s+)?module\s+\w+\s*(?:\(|;)"),
        ("Go", r"^module\s+\S+\s*$(?s:.*)^(?:go|require)\s"),
        ("AMPL", None),
    ),
    ".ms": _choices(("Roff", _ROFF), ("MAXScript", None)),
    ".n": _choices(("Roff", _ROFF), ("Nemerle", None)),
    ".nb": _choices(("Mathematica", None)),
    ".p": _choices(
        ("Gnuplot", r"^[^\S\n]*s?plot\s|^[^\S\n]*set\s+(?:term|output|[xy]label)"),
        ("Pascal", r"(?i)^[^\S\n]*(?:program|procedure|begin)\b"),
        ("OpenEdge ABL", None),
    ),
    ".php": _choices(("Hack", r"\A\s*<\?hh"), ("PHP", None)),
    ".pp": _choices(
        ("Pascal", r"(?i)^[^\S\n]*(?:unit|program|library)\s+\w+\s*;|^[^\S\n]*end\.\s*$"), ("Puppet", None)
    ),
    ".pro": _choices(
        ("QMake", r"^[^\S\n]*(?:HEADERS|SOURCES|TEMPLATE|CONFIG|QT|TARGET|SUBDIRS)\s*[+*-]?="),
        ("Proguard", r"^-(?:keep|dontwarn|include|optimization)"),
        ("Prolog", _PROLOG),
        ("IDL", r"(?i)^[^\S\n]*(?:pro|function)\s+\w+\s*(?:,|$)"),
        ("Prolog", None),
    ),
    ".q": _choices(("SQL", r"(?i)^[^\S\n]*(?:select|create|drop|insert|set)\s"), ("Q", None)),
    ".re": _choices(("C++", r"^[^\S\n]*#\s*(?:include|define|if)|/\*!re2c"), ("ReasonML", None)),
    ".rs": _choices(("XML", r"\A\s*<\?xml"), ("RenderScript", r"^[^\S\n]*#pragma\s+(?:rs|version)"), ("Rust", None)),
    ".s": _choices(("Assembly", None)),
    ".sc": _choices(
        ("Python", r"^[^\S\n]*(?:Import|env\s*=|Export)\b|^[^\S\n]*def\s+\w+\(.*\):"),
        ("Scala", r"^[^\S\n]*import\s+(?:scala|java)\.|^[^\S\n]*(?:object|class|val|def)\s"),
        ("SuperCollider", None),
    ),
    ".sql": _choices(("SQL", None)),
    ".st": _choices(("StringTemplate", r"^\w+\([^)]*\)\s*::="), ("Smalltalk", None)),
    ".toc": _choices(("World of Warcraft TOC", r"^## "), ("TeX", None)),
    ".tst": _choices(("GAP", r"^gap> "), ("Scilab", None)),
    ".ttl": _choices(("Turtle", r"^[^\S\n]*@?(?i:prefix|base)\s"), ("Tera Term macro", None)),
    ".txt": _choices(("Vim Help File", r"\A\*[\w.-]+\.txt\*|^[^\S\n]*vim:\S*ft=help"), ("Text", None)),
    ".w": _choices(("CWeb", r"^@(?:\*|c\b|<|\s)"), ("OpenEdge ABL", None)),
    ".x": _choices(
        ("RPC", r"^[^\S\n]*(?:program|version)\s+\w+\s*\{|\bunion\s+\w+\s+switch\s*\("),
        ("Logos", r"^%(?:hook|end|ctor|group)\b"),
        ("Alex", r"^[^\S\n]*\{?\s*%wrapper|^tokens\s*:-"),
        ("Linker Script", r"^[^\S\n]*(?:OUTPUT_ARCH|OUTPUT_FORMAT|SECTIONS)\b"),
        ("RPC", None),
    ),
    ".y": _choices(("Happy", r"^%name\s|^[^\S\n]*%tokentype"), ("Yacc", None)),
    ".man": _choices(("Tcl", r"^\[(?:manpage_begin|comment)\b"), ("Roff", None)),
    ".asc": _choices(("Public Key", r"^-----BEGIN "), ("AsciiDoc", r"^=+ \S"), ("Text", None)),
    ".key": _choices(("Public Key", r"^-----BEGIN "), ("Text", None)),
    ".map": _choices(("JSON", r"\A\s*\{"), ("Linker Script", None)),
    ".def": _choices(
        ("Modula-2", r"^[^\S\n]*DEFINITION\s+MODULE\b"),
        ("C", r"^[^\S\n]*(?:#\s*(?:define|if|ifdef|ifndef|undef|include)\b|/\*|[A-Z_0-9]+\s*\()"),
        ("Module-Definition", None),
    ),
    ".conf": _choices(("INI", None)),
    ".tpl": _choices(("Smarty", r"\{(?:\$\w|if|foreach|include|/\w)|\{\*"), ("HTML", r"<\w+[ >]"), ("Text", None)),
    ".ins": _choices(("TeX", None)),
}
"""By ending, in lower case."""
for _number in range(1, 10):
    SHARED[f".{_number}"] = _choices(("Roff", _ROFF), ("Text", None))


def choose(choices: Iterable[Choice], text: str) -> str:
    """The first language whose pattern occurs in the text; the last one has no pattern."""
    return next(language for language, pattern in choices if pattern is None or pattern.search(text))
