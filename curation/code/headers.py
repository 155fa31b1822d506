"""Comments at the top of a file, above its first line of code: licences and copyright notices, and the rest."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

HEADER_CHARS = 100_000
"""Comments that go on for longer are no header."""

_C = ("//",), (("/*", "*/"),)
_HASH: tuple[tuple[str, ...], tuple[tuple[str, str], ...]] = ("#",), ()
_DASH = ("--",), (("--[[", "]]"), ("{-", "-}"), ("/*", "*/"))
_LISP = (";",), (("#|", "|#"),)
_PERCENT = ("%",), (("/*", "*/"),)
_ML = (), (("(*", "*)"),)
_MARKUP = (), (("<!--", "-->"),)
_SIGNS = {
    _HASH: "Python Ruby Perl Shell Makefile CMake R YAML TOML Elixir Julia Tcl Awk Dockerfile Nim Crystal PowerShell "
    "Meson Starlark Raku sed fish GraphQL Cython Gnuplot Snakemake Mojo",
    _DASH: "Lua Haskell SQL Ada VHDL Elm AppleScript PureScript Eiffel Cabal Agda Idris",
    _LISP: "Scheme|Common Lisp|Emacs Lisp|Clojure|Racket|fennel|NewLisp|Hy".replace("|", "\n"),
    _PERCENT: "Erlang TeX MATLAB Prolog Octave Mercury Logtalk",
    _ML: "OCaml|Standard ML|Rocq Prover|Modula-2|F#|Mathematica".replace("|", "\n"),
    _MARKUP: "HTML XML SVG Vue Svelte Markdown",
    (("//",), (("{", "}"), ("(*", "*)"))): "Pascal",
    (("#", "//"), (("/*", "*/"),)): "PHP HCL Nix Jsonnet",
    (("!", "c ", "C ", "*"), ()): "Fortran",
    (("#", ";", "//", "@", "!"), (("/*", "*/"),)): "Assembly GAS",
    (("dnl", "#"), ()): "M4",
    (("#", ";"), ()): "INI",
    (("'", "rem ", "Rem ", "REM "), ()): "Visual Basic|Visual Basic .NET|BASIC".replace("|", "\n"),
    (("::", "rem ", "Rem ", "REM ", "@rem ", "@REM "), ()): "Batchfile",
    (('"',), ()): "Vim script",
    (('.\\"', "'\\\""), ()): "Roff",
    (("@c ", "@comment "), ()): "Texinfo",
    (("//",), (("/*", "*/"),)): "Lex Yacc",
}
SIGNS = {
    language: signs
    for signs, languages in _SIGNS.items()
    for language in (languages.split("\n") if "\n" in languages else languages.split())
}
"""(signs of line comments, (start, end) of block comments) by language; all others are taken to be like C."""

_KEEP_LINE = re.compile(r"#!|<\?|<!DOCTYPE|<%|#\s*-\*-|#.*?coding[:=]|%[{]\s*$|\s*$", re.IGNORECASE)
_DIRECTIVE = re.compile(
    r"#\s*(?:frozen_string_literal|cython|distutils|pragma)\b|\S{1,3}\s*-\*-|//go:|//\s*\+build\b|///\s*<(?:reference|amd)"
    r"|(?://|/\*)\s*@(?:ts-\w+|flow|jsx)\b|\{-#|\{\$|\(\*\$|--\s*\{-#",
    re.IGNORECASE,
)
"""What stands in a comment, and tools obey."""
_PREPROCESSED = frozenset({"Assembly", "GAS"})
_PREPROCESSOR = re.compile(r"#\s*(?:include|define|undef|if|ifn?def|elif|else|endif|pragma|error|line|import)\b")
_LEGAL = re.compile(
    r"copyright|licen[cs]e|\(c\)\s*(?:19|20)\d\d|©|all rights reserved|SPDX-|public domain"
    r"|permission is hereby granted|"
    r"redistribution and use|저작권|라이[선센]스",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Comment:
    """Characters [start, end) of a text, whole lines of one comment; its line comments follow each other."""

    start: int
    end: int


def leading_comments(text: str, language: str | None) -> Iterator[Comment]:
    """The comments above the first line of code. Shebangs, declarations and blank lines may stand between."""
    lines, blocks = SIGNS.get(language or "", _C)
    at = 1 if text.startswith("\ufeff") else 0
    while at < min(len(text), HEADER_CHARS):
        stop = _line_end(text, at)
        line = text[at:stop].lstrip(" \t")
        block = next((pair for pair in blocks if line.startswith(pair[0])), None)
        if _is_kept(line, language):
            at = stop if block is None else _block_end(text, at, block) or len(text)
        elif block is not None:
            end = _block_end(text, at, block)
            if end is None:
                return
            yield Comment(at, end)
            at = end
        elif lines and line.startswith(lines):
            end = stop
            while end < len(text) and _goes_on(text[end : _line_end(text, end)].lstrip(" \t"), lines, language):
                end = _line_end(text, end)
            yield Comment(at, end)
            at = end
        else:
            return


def _is_kept(line: str, language: str | None) -> bool:
    """Whether a line is none of a header though it may look like a comment: blank, or something that a tool obeys."""
    is_directive = _KEEP_LINE.match(line) or _DIRECTIVE.match(line)
    return bool(is_directive or (language in _PREPROCESSED and _PREPROCESSOR.match(line)))


def _goes_on(line: str, signs: tuple[str, ...], language: str | None) -> bool:
    return line.startswith(signs) and not _is_kept(line, language)


def without_headers(text: str, language: str | None, *, only_legal: bool) -> tuple[str, int]:
    """The text without its leading comments, or without those that speak of copyright or a licence; and "
    "how many went."""
    gone = [
        comment
        for comment in leading_comments(text, language)
        if not only_legal or _LEGAL.search(text[comment.start : comment.end])
    ]
    for comment in reversed(gone):
        rest = text[comment.end :]
        text = text[: comment.start] + (rest.lstrip("\n") if _is_blank_before(text, comment.start) else rest)
    return text, len(gone)


def _is_blank_before(text: str, at: int) -> bool:
    return not text[:at].strip() or text[:at].endswith("\n\n")


def _line_end(text: str, at: int) -> int:
    """Where the line at `at` ends, its newline with it."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _block_end(text: str, at: int, block: tuple[str, str]) -> int | None:
    """Where the lines of a block comment end; None where code follows it on its last line, or it never ends."""
    opened = text.index(block[0], at) + len(block[0])
    closed = text.find(block[1], opened, at + HEADER_CHARS)
    if closed < 0:
        return None
    end = _line_end(text, closed)
    return end if not text[closed + len(block[1]) : end].strip() else None
