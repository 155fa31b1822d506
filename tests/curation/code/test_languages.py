"""Languages of files: by names, by content where names are shared, by first lines where there is no name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.code.languages import all_languages, language_of
from curation.code.shared import SHARED, UNKNOWN

BY_NAME = {
    "a.py": "Python",
    "setup.py": "Python",
    "a.rs": "Rust",
    "a.go": "Go",
    "a.java": "Java",
    "a.kt": "Kotlin",
    "a.rb": "Ruby",
    "a.tsx": "TypeScript",
    "a.cs": "C#",
    "a.c": "C",
    "a.C": "C++",
    "a.cpp": "C++",
    "a.cu": "Cuda",
    "a.hs": "Haskell",
    "a.jl": "Julia",
    "a.lua": "Lua",
    "a.scala": "Scala",
    "a.swift": "Swift",
    "a.sh": "Shell",
    "a.bat": "Batchfile",
    "a.R": "R",
    "a.Rd": "Rd",
    "a.S": "Assembly",
    "a.s": "Assembly",
    "Makefile": "Makefile",
    "GNUmakefile": "Makefile",
    "Dockerfile": "Dockerfile",
    "CMakeLists.txt": "CMake",
    "configure.ac": "M4",
    "go.mod": "Go",
    "package.json": "JSON",
    "Cargo.lock": "TOML",
    "README": "Text",
    "a.blade.php": "PHP",
    "foo.c.in": "C",
    "config.h.in": "C",
    "a.py.j2": "Python",
    "a.vue": "Vue",
    "a.svelte": "Svelte",
    "a.sql": "SQL",
    "a.tf": "HCL",
    "a.proto": "Protocol Buffer",
    "a.dart": "Dart",
    "a.ml": "OCaml",
    "a.erl": "Erlang",
    "a.ex": "Elixir",
    "a.clj": "Clojure",
    "a.el": "Emacs Lisp",
    "a.f90": "Fortran",
    "a.vhd": "VHDL",
    "a.pas": "Pascal",
    "a.ipynb": "Jupyter Notebook",
    ".gitignore": "Ignore List",
    "a.PY": "Python",
}

BY_CONTENT = [
    ("a.h", "int f(void);\n", "C"),
    ("a.h", "#include <vector>\nnamespace a {\nclass B { public: B(); };\n}\n", "C++"),
    ("a.h", "#import <Foundation/Foundation.h>\n@interface A : NSObject\n@end\n", "Objective-C"),
    ("a.h", "/* a virtual function, std or class */\nstruct x { int y; };\n", "C"),
    ("a.m", "@implementation A\n- (void)b {}\n@end\n", "Objective-C"),
    ("a.m", "% sums\nfunction y = f(x)\n  y = x .* 2;\nend\n", "MATLAB"),
    ("a.m", "(* a note *)\nf[x_] := x^2\n", "Mathematica"),
    ("a.pl", "use strict;\nmy $x = 1;\n", "Perl"),
    ("a.pl", ":- module(jar, [jar/1]).\njar(X) :- clay(X).\n", "Prolog"),
    ("a.t", "use Test::More;\nok(1);\n", "Perl"),
    ("a.v", "module jar(input clk);\nalways @(posedge clk) begin end\nendmodule\n", "Verilog"),
    ("a.v", "Require Import Arith.\nLemma a : 1 = 1.\nProof. reflexivity. Qed.\n", "Rocq Prover"),
    ("a.v", "fn main() {\n\tprintln('hi')\n}\n", "V"),
    ("a.ts", "export const x: number = 1;\n", "TypeScript"),
    ("a.ts", '<?xml version="1.0"?>\n<!DOCTYPE TS>\n<TS></TS>\n', "XML"),
    ("a.r", "x <- c(1, 2)\n", "R"),
    ("a.r", 'REBOL [Title: "x"]\n', "Rebol"),
    ("a.cls", "\\NeedsTeXFormat{LaTeX2e}\n\\ProvidesClass{jar}\n", "TeX"),
    ("a.cls", "VERSION 1.0 CLASS\nAttribute VB_Name = \"Jar\"\n", "Visual Basic"),
    ("a.cls", "public with sharing class Jar {\n}\n", "Apex"),
    ("a.inc", "<?php\n$x = 1;\n", "PHP"),
    ("a.inc", "#define X 1\n", "C"),
    ("a.inc", "a few words\n", None),
    ("a.man", "[manpage_begin jar n 1]\n", "Tcl"),
    ("a.ll", "define i32 @main() {\n", "LLVM"),
    ("tool", "#!/bin/sh\neval 'exec perl -x -wS $0 ${1+\"$@\"}'\n  if 0;\n", "Perl"),
    ("a.d", "import std.stdio;\nvoid main() { writeln(1); }\n", "D"),
    ("a.d", "a.o: a.c a.h\n", "Makefile"),
    ("a.cl", "__kernel void f(__global float *x) {}\n", "OpenCL"),
    ("a.fs", "let x = 1\nprintfn \"%d\" x\n", "F#"),
    ("a.fs", "#version 330\nvoid main() {}\n", "GLSL"),
    ("a.pro", "QT += core\nSOURCES += a.cpp\n", "QMake"),
    ("a.l", "%{\n%}\n%%\n[0-9]+ { return 1; }\n", "Lex"),
    ("jar.1", ".TH JAR 1\n.SH NAME\n", "Roff"),
    ("notes.1", "first draft\n", "Text"),
    ("a.ml", "let rec f x = match x with\n | _ -> 1\n", "OCaml"),
    ("tool", "#!/usr/bin/env python3\nprint(1)\n", "Python"),
    ("tool", "#!/bin/sh\nexit 0\n", "Shell"),
    ("tool", "#!/usr/bin/env -S node --harmony\n1\n", "JavaScript"),
    ("tool", "#!/bin/sh\n# \\\nexec tclsh \"$0\" \"$@\"\nputs hi\n", "Tcl"),
    ("tool", "#!/usr/bin/perl5.30 -w\n1;\n", "Perl"),
    ("install", "#!/bin/bash\necho\n", "Shell"),
    ("tool", "// -*- mode: c++; indent: 2 -*-\n", "C++"),
    ("tool", "# vim: set ft=ruby :\n", "Ruby"),
    ("page", "<!DOCTYPE html>\n<html></html>\n", "HTML"),
    ("jar.xyz123", "nothing that tells\n", None),
]  # fmt: skip


@pytest.mark.parametrize("name", BY_NAME)
def test_by_name(name: str) -> None:
    assert language_of(f"src/{name}", "x\n") == BY_NAME[name]


@pytest.mark.parametrize(("name", "text", "language"), BY_CONTENT)
def test_by_content(name: str, text: str, language: str | None) -> None:
    assert language_of(name, text) == language


@given(st.sampled_from([*SHARED, ".g", ".as", ".b", ".n", ".xsl", ".lean", ".feature"]), st.text(max_size=300))
def test_any_text_has_one_of_the_known_languages(ending: str, text: str) -> None:
    language = language_of(f"x{ending}", text)
    assert language is None or all_languages()[language.lower()] == language
    assert language is not None or any(name == UNKNOWN for name, _ in SHARED[ending])


@given(st.text(max_size=40), st.text(max_size=200))
def test_any_name_and_text(name: str, text: str) -> None:
    language = language_of(name, text)
    assert language is None or language.lower() in all_languages()
