r"""TeX that is shown in a document, not given: it neither ends the document nor opens formulas and sections in it."""

import time

import pytest

from curation.latex.flatten import definition_end
from curation.latex.paper import Document, convert
from curation.latex.quantities import QUANTITIES, quantity
from manifests.schema_readers import Latex
from tests.curation.latex_archives import document

WHOLE = "\\documentclass{x}\n\\begin{document}\n\\section{No}\n\\end{document}\n"


def read(body: str, preamble: str = "") -> Document:
    found = convert({"m.tex": document(body, preamble)}, Latex())
    assert found is not None
    return found


@pytest.mark.parametrize(
    "shown",
    [
        f"\\begin{{sourcecode}}\n{WHOLE}\\end{{sourcecode}}\n",
        f"\\begin{{undeclared}}\n{WHOLE}\\end{{undeclared}}\n",
        f"\\begin{{quote}}\n{WHOLE}\\end{{quote}}\n",
        'Then "\\end{document}" follows.',
        "\\IfFileExists{x}{\\begin{document}\n\\end{document}\n}{}",
    ],
)
def test_a_document_that_is_shown_does_not_end_the_paper(shown: str) -> None:
    found = read(f"\\section{{A}}\n{shown}\n\\section{{B}} $x$")
    assert "## A" in str(found.text)
    assert str(found.text).endswith("## B\n\n$x$")


def test_the_first_end_ends_a_paper_and_what_follows_is_said() -> None:
    found = read("A.\n\\end{document}\nOld words.\n")
    assert (found.text, [note.kind for note in found.notes]) == ("A.", ["text_after_end"])


@pytest.mark.parametrize(
    ("preamble", "body", "expected"),
    [
        (r"\MakeShortVerb{\|}", r"|a_$%b| $|y|$", "a_$%b $|y|$"),
        (r"\lstMakeShortInline[x=y]!", r"!\c! a", r"\c a"),
        (r"\MakeShortVerb\|", r"|$| \DeleteShortVerb{\|} |x|", "$ |x|"),
        (r"\let\v\verb", r"\v|$%| a", "$% a"),
        (r"\newcommand{\v}{\lstinline}", r"\v!$! a", "$ a"),
        ("", r"\lstinline[a={[2]b}]!x! y", "x y"),
        (r"\newcommand{\a}[1]{\bf#1}", r"\a{word} c", "word c"),
        (r"\newcommand{\a}[1]{#1ward}", r"\a{\LaTeX} c", "LaTeXward c"),
        ("", "\\section[Short]\n   {Long}", "## Long"),
        ("", "\\begin{figwindow}[1,r,{x},{y}] Words $z$.\\end{figwindow}", "Words $z$."),
        (r"\title{A}", r"\maketitle b \title{C} d", "# A\n\nb\n\n# C\n\nd"),
        ("\\newif\\ifall \\alltrue \\ifx\\a\\b \\allfalse \\fi", r"\ifall a\else b\fi", "ab"),
    ],
)
def test_what_is_shown_and_what_is_said(preamble: str, body: str, expected: str) -> None:
    assert read(body, preamble).text == expected


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("SI", ["3", "\\metre"], "3 m"),
        ("SI", ["9.81", "\\kilo\\gram\\per\\metre\\cubed"], "9.81 kg/m³"),
        ("qty", ["5", "m.s^{-1}"], "5 m.s^-1"),
        ("si", ["\\newton\\metre"], "N·m"),
        ("si", ["\\square\\metre"], "m²"),
        ("num", ["3e-2 \\pm 1"], "3e-2 ± 1"),
        ("SIrange", ["1", "2", "\\percent"], "1–2 %"),
        ("ang", ["12;3"], "12°3′"),
        ("ce", ["2 H2O -> H3O+"], "2 H2O -> H3O+"),
    ],
)
def test_quantities_stay_readable(name: str, arguments: list[str], expected: str) -> None:
    assert len(arguments) == QUANTITIES[name]
    assert quantity(name, arguments) == expected
    assert read(f"\\{name}" + "".join(f"{{{argument}}}" for argument in arguments) + ".").text == f"{expected}."


def test_a_definition_is_looked_for_in_linear_time() -> None:
    started = time.process_time()
    assert definition_end("\\a" + "\\longcommandname with many words " * 12 + "}", 0, "def") is None
    assert time.process_time() - started < 0.2
