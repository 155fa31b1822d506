"""Comments above the first line of code, and what is left without them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.code.headers import SIGNS, leading_comments, without_headers

LEGAL = [
    ("C", "/* Copyright (c) 2020 Kim\n * MIT licence\n */\n#include <x.h>\n", "#include <x.h>\n"),
    (
        "C",
        "// Copyright 2020 Kim.\n// All rights reserved.\n\n// What it does\nint x;\n",
        "// What it does\nint x;\n",
    ),
    (
        "Python",
        "#!/usr/bin/python\n# -*- coding: utf-8 -*-\n# (c) 2020 Kim\nx = 1\n",
        "#!/usr/bin/python\n# -*- coding: utf-8 -*-\nx = 1\n",
    ),
    ("Python", '"""Copyright of jars."""\nx = 1\n', '"""Copyright of jars."""\nx = 1\n'),
    ("Python", "x = 1\n# Copyright 2020 Kim\n", "x = 1\n# Copyright 2020 Kim\n"),
    ("PHP", "<?php\n/**\n * @license MIT\n */\n$x = 1;\n", "<?php\n$x = 1;\n"),
    ("HTML", "<!DOCTYPE html>\n<!-- Copyright 2020 -->\n<p>x</p>\n", "<!DOCTYPE html>\n<p>x</p>\n"),
    ("SQL", "-- Copyright 2020\nSELECT 1;\n", "SELECT 1;\n"),
    ("Scheme", ";;; Copyright 2020\n(define x 1)\n", "(define x 1)\n"),
    ("OCaml", "(* Copyright 2020 *)\nlet x = 1\n", "let x = 1\n"),
    ("Fortran", "! Copyright 2020\nprogram x\n", "program x\n"),
    ("M4", "dnl Copyright 2020\nAC_INIT\n", "AC_INIT\n"),
    ("C", "// 저작권 2020 김\nint x;\n", "int x;\n"),
    ("C", "/* Copyright 2020 */ int x;\n", "/* Copyright 2020 */ int x;\n"),
    ("C", "/* Copyright, and no end\nint x;\n", "/* Copyright, and no end\nint x;\n"),
    ("Java", "/* Copyright 2020 */\n/* The jar. */\nclass Jar {}\n", "/* The jar. */\nclass Jar {}\n"),
]


@pytest.mark.parametrize(("language", "text", "expected"), LEGAL)
def test_legal_headers_go(language: str, text: str, expected: str) -> None:
    assert without_headers(text, language, only_legal=True)[0] == expected


def test_all_headers_go() -> None:
    text = "/* Copyright 2020 */\n/* The jar. */\n\n// more\nclass Jar {}\n// stays\n"
    assert without_headers(text, "Java", only_legal=False) == ("class Jar {}\n// stays\n", 3)


COMMENTS = {
    "C": "// a\n",
    "Python": "# a\n",
    "Lua": "-- a\n",
    "Erlang": "% a\n",
    "OCaml": "(* a *)\n",
    "XML": "<!-- a -->\n",
}
PIECES = [
    *COMMENTS.values(),
    "/* c\n d */\n",
    "/*",
    "*/",
    "\n",
    "x = 1\n",
    "#!sh\n",
    "Copyright 1\n",
    "<?php\n",
    "가\n",
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=10).map("".join), st.sampled_from([*SIGNS, None, "C"]), st.booleans()
)
def test_only_whole_lines_go_and_code_stays(text: str, language: str | None, only_legal: bool) -> None:
    left, n_gone = without_headers(text, language, only_legal=only_legal)
    spans = [(comment.start, comment.end) for comment in leading_comments(text, language)]
    assert all(start < end and text[:start][-1:] in ("", "\n") for start, end in spans)
    assert text.endswith(text[spans[-1][1] :] if spans else text) and n_gone <= len(spans)
    rest = iter(text.splitlines())
    assert all(line in rest for line in left.splitlines())
    assert (left == text) == (n_gone == 0)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("Yacc", "%token NUMBER\n%%\n"),
        ("Assembly", "#include <asm.h>\n#define X 1\n"),
        ("Haskell", "{-# LANGUAGE GADTs #-}\nmodule A where\n"),
        ("Pascal", "{$mode objfpc}\nunit a;\n"),
        ("Go", "//go:build linux\n\npackage a\n"),
        ("TypeScript", '/// <reference types="node" />\nlet a = 1;\n'),
        ("Python", "#!/usr/bin/env python\n# -*- coding: cp949 -*-\nx = 1\n"),
    ],
)
def test_what_tools_obey_is_no_header(language: str, code: str) -> None:
    assert without_headers(code, language, only_legal=False) == (code, 0)
    start, end = {"Haskell": ("-- ", ""), "Pascal": ("{ ", " }"), "Yacc": ("/* ", " */")}.get(
        language, ("# ", "") if language in ("Python", "Assembly") else ("// ", "")
    )
    if not code.startswith("#!"):
        text, n_gone = without_headers(f"{start}Copyright Kim{end}\n{code}", language, only_legal=False)
        assert (text, n_gone) == (code, 1)
