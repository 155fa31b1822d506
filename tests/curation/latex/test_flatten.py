import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.latex.flatten import flatten, without_comments
from curation.latex.main_file import main_file
from tests.curation.latex_archives import document

LARGE = 1 << 20


def flat(main: str, **files: str) -> str:
    return flatten({"main.tex": main} | {f"{name}.tex": text for name, text in files.items()}, "main.tex", LARGE).text


def kinds(files: dict[str, str], main: str = "main.tex") -> list[tuple[str, str]]:
    return [(note.kind, note.detail) for note in flatten(files, main, LARGE).notes]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a % b\nc", "a c"),
        ("a%\n  b", "ab"),
        ("a%\n\nb", "a\n\nb"),
        (r"5\% of x % y", r"5\% of x "),
        ("\\\\% two backslashes end a line\nb", "\\\\b"),
        ("\\alpha%\nx", "\\alpha\nx"),
        ("\\verb|%| % gone", "\\verb|%| "),
        ("\\lstinline{%} % gone", "\\lstinline{%} "),
        ("\\begin{verbatim}\n% kept\n\\end{verbatim}% gone", "\\begin{verbatim}\n% kept\n\\end{verbatim}"),
        ("\\begin{minted}{c}\nx % y\n\\end{minted}", "\\begin{minted}{c}\nx % y\n\\end{minted}"),
        ("a\\begin{comment}\n\\section{No}\n\\end{comment}b", "ab"),
        ("\\url{http://x/%20y} % gone", "\\url{http://x/%20y} "),
        ("\\iffalse a \\ifx b \\fi c \\fi d", " d"),
        ("\\iffalse a \\else b\\fi c", " b c"),
        ("\\iftrue a\\else b\\fi", " a"),
        ("\\if0 no \\fi yes", " yes"),
        ("$a \\iff b$ \\fi", "$a \\iff b$ \\fi"),
        ("\\ifpdf a\\else b\\fi", "\\ifpdf a\\else b\\fi"),
        ("\\newif\\ifx@y \\x@ytrue \\ifx@y a\\else b\\fi", "\\newif\\ifx@y \\x@ytrue  a"),
        ("\\newcommand{\\c}{\\iffalse} % x", "\\newcommand{\\c}{\\iffalse} "),
        ("a\\endinput rest\nnever", "a rest"),
        ("\\excludecomment{hidden}\\begin{hidden}x\\end{hidden}y", "y"),
        ("\\lstnewenvironment{code}{}{}\\begin{code}\n% kept\n\\end{code}",
         "\\lstnewenvironment{code}{}{}\\begin{code}\n% kept\n\\end{code}"),
    ],
)  # fmt: skip
def test_what_tex_skips_is_gone_and_nothing_else(source: str, expected: str) -> None:
    assert flat(source) == expected


@pytest.mark.parametrize(
    "command", ["\\input{part}", "\\input part\n", "\\input{part.tex}", '\\input{"part"}', "\\include{part}",
     "\\subfile{part}",
                "\\import{./}{part}", "\\subimport{}{part}", "\\input{./PART}", "\\InputIfFileExists{part}{}{}"]
)  # fmt: skip
def test_every_way_to_include(command: str) -> None:
    assert "<here>" in flat(f"a {command} b", part="<here>")


def test_files_are_read_in_order_and_nested() -> None:
    main = document("\\input{sections/intro}\\include{sections/model}\\section{End}")
    files = {
        "paper/main.tex": main,
        "paper/sections/intro.tex": "\\section{Intro}\\input{sections/more}",
        "paper/sections/more.tex": "\\subsection{More}",
        "paper/sections/model.tex": "\\section{Model}\\input{deep}",
        "paper/sections/deep.tex": "\\subsection{Deep}",
    }
    found = flatten(files, "paper/main.tex", LARGE)
    titles = [part.partition("}")[0] for part in found.text.split("section{")[1:]]
    assert titles == ["Intro", "More", "Model", "Deep", "End"]
    assert found.files == [f"paper/{n}.tex" for n in ("main", "sections/intro", "sections/more", "sections/model",
                                                      "sections/deep")]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"x/main.tex": "\\import{sub/}{f}", "x/sub/f.tex": "near", "sub/f.tex": "far"}, "near"),
        ({"x/main.tex": "\\import{sub/}{f}", "sub/f.tex": "far"}, "far"),
        ({"x/main.tex": "\\import{sub}{f}", "x/sub/f.tex": "a\\subimport{t/}{g}", "x/sub/t/g.tex": "b"}, "ab"),
        ({"x/main.tex": "\\import{../sub/}{f}", "sub/f.tex": "a\\subimport{t/}{g}", "sub/t/g.tex": "b"}, "ab"),
    ],
)
def test_imports_start_at_the_folder_of_the_main_file(files: dict[str, str], expected: str) -> None:
    found = flatten(files, "x/main.tex", LARGE)
    assert (found.text, found.notes) == (expected, [])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("\\IfFileExists{a}{yes}{no}", "yes"),
        ("\\IfFileExists {z} {yes}%\n{no}", "no"),
        ("\\IfFileExists{plot.pdf}{yes}{no}", "yes"),
        ("\\InputIfFileExists{z}{Y}{N}", "N"),
        ("\\InputIfFileExists{a}{Y}{N}", "YA"),
        ("\\IfFileExists{a}{\\IfFileExists{z}{p}{\\input{a}}}{no}", "A"),
        ("\\IfFileExists{a}{x\\endinput\n}{no} never", "x"),
        ("\\IfFileExists{a}{\\iffalse}{no} never \\fi x", " x"),
        ("\\IfFileExists{x.sty}{yes}{no}", "\\IfFileExists{x.sty}{yes}{no}"),
        ("\\IfFileExists{\\jobname}{yes}{no}", "\\IfFileExists{\\jobname}{yes}{no}"),
        ("\\IfFileExists{a}{torn", "\\IfFileExists{a}{torn"),
    ],
)
def test_whether_a_file_is_there_is_known(source: str, expected: str) -> None:
    assert flatten({"m.tex": source, "a.tex": "A"}, "m.tex", LARGE, others=["plot.pdf"]).text == expected


@pytest.mark.parametrize(
    ("definition", "use", "expected"),
    [
        ("\\newcommand{\\inc}[1]{\\input{#1}}", "\\inc{a} b", "A b"),
        ("\\newcommand\\sec[2]{\\section{#2}\\input{#1}}", "\\sec{a} {T}", "\\section{T}A"),
        ("\\def\\inc{\\input a }", "\\inc b", "A b"),
        ("\\def\\i#1{\\input{#1}}\\def\\j#1#2{\\i{#1}#2}", "\\j{a}{z}", "Az"),
        ("\\newcommand{\\dir}{sub}", "\\input{\\dir/a}", "sub A"),
        ("\\def\\dir{sub/}", "\\import{\\dir}{a}", "sub A"),
        ("\\def\\dir{sub/}", "\\IfFileExists{\\dir a}{y}{n}", "y"),
        ("\\newcommand{\\inc}[1]{\\input{#1}}", "\\inc torn", "\\inc torn"),
        ("\\newif\\ifx@y", "\\ifx@y\\iftrue\\input{a}\\else\\input{a}\\fi\\else\\input{sub/a}\\fi", " sub A"),
    ],
)
def test_files_are_found_through_macros_and_conditionals(definition: str, use: str, expected: str) -> None:
    found = flatten({"m.tex": definition + use, "a.tex": "A", "sub/a.tex": "sub A"}, "m.tex", LARGE)
    assert (found.text, found.notes) == (definition + expected, [])


def test_files_that_hold_nothing_but_files_have_an_end() -> None:
    files = {f"{n}.tex": f"\\input{{{n + 1}}}" * 10 for n in range(20)} | {"20.tex": ""}
    assert flatten(files, "0.tex", LARGE).too_large
    macros = "".join(
        f"\\def\\{chr(97 + n)}{{\\input{{20}}{f'{chr(92)}{chr(98 + n)}' * 10}}}" for n in range(15, -1, -1)
    )
    flatten({"m.tex": macros + "\\a", "20.tex": ""}, "m.tex", LARGE)


def test_branches_in_branches_take_linear_time() -> None:
    started = time.process_time()
    for unit in ("\\IfFileExists{a}{", "\\IfFileExists{a}{}{}"):
        flatten({"m.tex": unit * 20_000 + "}{}" * 20_000, "a.tex": "A"}, "m.tex", LARGE)
    assert time.process_time() - started < 3


def test_cycles_and_missing_files_are_noted() -> None:
    files = {
        "main.tex": "\\input{a}\\input{gone}\\input{epsf}\\input{\\jobname-x}",
        "a.tex": "A\\input{main}\\input{a}",
    }
    assert kinds(files) == [
        ("input_cycle", "main.tex > a.tex > main.tex"),
        ("input_cycle", "a.tex > a.tex"),
        ("missing_input", "gone in main.tex"),
        ("missing_input", "\\jobname-x in main.tex"),
    ]


def test_includeonly_and_the_preamble_of_a_subfile() -> None:
    assert flat("\\includeonly{b}\\include{a}\\include{b}", a="A", b="B").split() == ["B"]
    part = "\\documentclass[main]{subfiles}\\begin{document}Part\\end{document} never"
    assert flat(document("\\subfile{part} after"), part=part).count("document}") == 2


def test_growth_ends_and_is_told() -> None:
    files = {f"{n}.tex": f"\\input{{{n + 1}}}" * 10 for n in range(20)} | {"20.tex": "x" * 100}
    found = flatten(files, "0.tex", 10_000)
    assert found.too_large
    assert len(found.text) < 11_000


@given(st.text(alphabet="ab\\%{}\n $", max_size=60))
def test_comments_go_and_everything_else_stays(source: str) -> None:
    """The oracle: line by line, up to the first % that no odd number of backslashes precedes."""
    kept = []
    for line in source.split("\n"):
        at = 0
        while at < len(line) and line[at] != "%":
            at += 2 if line[at] == "\\" else 1
        kept.append(line[:at])
    assert "".join(without_comments(source).split()) == "".join("".join(kept).split())


WORDS = st.text(alphabet="가나abc.,-\n ", min_size=1, max_size=30)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6), st.integers(0, 3))
def test_no_character_of_an_included_file_is_lost(parts: list[tuple[str, str]], depth: int) -> None:
    files = {}
    for number, (before, after) in enumerate(parts):
        deeper = f"\\input{{sub/f{number + 1}}}" if number + 1 < len(parts) else ""
        files[f"sub/f{number}.tex"] = f"{before}{deeper}{'%c' * depth}\n{after}"
    found = flatten(files | {"m.tex": "\\input{sub/f0}"}, "m.tex", LARGE).text
    expected = "".join(before for before, _ in parts) + "".join(after for _, after in reversed(parts))
    assert "".join(found.split()) == "".join(expected.split())


ANY_TEX = st.lists(
    st.sampled_from(
        ["\\input{a}", "\\input{b}", "\\begin{verbatim}", "\\end{verbatim}", "\\iffalse", "\\else", "\\fi",
         "\\newif\\ifq", "%",
         "\n", "{", "}", "\\def\\a#1{", "\\newcommand{\\b}[1][x]", "\\verb|", "\\url{", "\\end{document}", "\\",
          "text ", "$"]
    ),
    max_size=25,
).map("".join)  # fmt: skip


@given(ANY_TEX, ANY_TEX)
@settings(max_examples=300)
def test_anything_can_be_flattened(main: str, other: str) -> None:
    flatten({"main.tex": main, "a.tex": other, "b.tex": main}, "main.tex", 50_000)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.tex": document("x"), "b.tex": "text"}, "a.tex"),
        ({"a.tex": document("x"), "ms.tex": document("y")}, "ms.tex"),
        ({"appendix.tex": document("x" * 900), "z.tex": document("y\\input{appendix}")}, "z.tex"),
        ({"part.tex": "\\documentclass[m]{subfiles}\\begin{document}\\end{document}", "z.tex": document("")},
         "z.tex"),
        ({"a.tex": document("x"), "z.tex": document("x"), "00README.XXX": "z.tex toplevelfile\n"}, "z.tex"),
        ({"a.tex": document("x"), "z.tex": document("x"), "00README.XXX": "a.tex ignore\n"}, "z.tex"),
        ({"main.tex": document("x"), "z.tex": document("x"),
          "00README.json": '{"sources": [{"usage": "toplevel", "filename": "z.tex"}]}'}, "z.tex"),
        ({"main.tex": document("x"), "00README.json": "{broken"}, "main.tex"),
        ({"% commented.tex": "% \\documentclass{a}\n\\section{x}", "b.tex": document("")}, "b.tex"),
        ({"paper": document("x"), "data.csv": "a,b"}, "paper"),
        ({"plain.tex": "\\magnification=1200 Hello \\bye"}, "plain.tex"),
        ({"old.tex": "\\documentstyle[12pt]{article}\\begin{document}x\\end{document}", "macros.tex": "\\def\\a{b}"},
         "old.tex"),
        ({"readme.txt": "just words", "x.bib": "@article{}"}, None),
    ],
)  # fmt: skip
def test_the_main_file(files: dict[str, str], expected: str | None) -> None:
    assert main_file(files) == expected
    assert main_file(dict(reversed(files.items()))) == expected


def test_names_never_lead_out() -> None:
    files = {"main.tex": "\\input{../../etc/passwd}\\input{/etc/passwd}\\input{|ls}"}
    assert [kind for kind, _ in kinds(files)] == ["missing_input"] * 3
