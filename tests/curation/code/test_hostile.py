"""Files made to take long, or to end a run."""

import time

import pytest

from curation.code.headers import without_headers
from curation.code.kinds import file_kind
from curation.code.languages import language_of
from curation.code.notebooks import BadNotebookError, read_notebook

SLOW = {
    "banner": ("a.js", "/" * 72 + "\n// title\nvar x=1;\n"),
    "comments": ("a.js", "// http://a.b http://c.d\n" * 12 + "var x;"),
    "blank header": ("a.h", "\n" * 100_000),
    "blank perl": ("a.pl", "\n" * 100_000),
    "blank script": ("a.js", "\n" * 100_000),
    "open comments": ("a.js", "/* " * 100_000),
}


@pytest.mark.parametrize("name", SLOW)
def test_no_file_takes_long(name: str) -> None:
    path, text = SLOW[name]
    started = time.perf_counter()
    file_kind(path, language_of(path, text), text, 1 << 20)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("outputs", ["5", "null", "[NaN]", '["\\ud83d"]', '{"a": 1}'])
def test_outputs_of_any_kind_do_no_harm(outputs: str) -> None:
    cell = f'{{"cell_type": "code", "source": "x=1", "outputs": {outputs}}}'
    assert read_notebook(f'{{"cells": [{cell}]}}'.encode()).text == "# %%\nx=1\n"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100_000, b"{", b"1"])
def test_what_is_no_notebook_is_told(content: bytes) -> None:
    with pytest.raises(BadNotebookError):
        read_notebook(content)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("Yacc", "%token NUM\n%union { int i; }\n%%\n"),
        ("Lex", "%option noyywrap\n%%\n"),
        ("Assembly", "#include <x.h>\n#define A\n.text\n"),
        ("Haskell", "{-# LANGUAGE GADTs #-}\nmodule A where\n"),
        ("Pascal", "{$mode objfpc}\nprogram a;\n"),
        ("Go", "//go:build linux\n\npackage a\n"),
        ("TypeScript", '/// <reference types="node" />\nlet a;\n'),
    ],
)
def test_directives_are_no_headers(language: str, text: str) -> None:
    sign = {"Haskell": "--", "Assembly": "#"}.get(language, "//")
    legal = f"{sign} Copyright 2024 Onggi\n"
    assert without_headers(legal + text, language, only_legal=True)[0] == text
    assert without_headers(text, language, only_legal=False)[0] == text


def test_a_comment_that_begins_like_a_directive_goes_in_languages_of_the_hash() -> None:
    assert without_headers("# if you copy, copyright\nx = 1\n", "Python", only_legal=False)[0] == "x = 1\n"
