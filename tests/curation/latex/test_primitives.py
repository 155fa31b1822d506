r"""Primitives of TeX in running text: what they take is no text, and what they set is."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.latex.paper import convert
from curation.latex.primitives import character, dingbat, number
from manifests.schema_readers import Latex
from tests.curation.latex_archives import document


def text(body: str) -> str:
    found = convert({"m.tex": document(body)}, Latex())
    assert found is not None
    return str(found.text)


@pytest.mark.parametrize(
    "source",
    [
        r"\write18{rm -rf}", r"\immediate\write\x{zz}", r"\openout\x=foo.txt", r"\openin0=foo", r"\closeout\x",
        r"\message{zz}", r"\typeout{zz}", r"\special{zz}", r"\everypar={zz}", r"\catcode`\@=11", r"\catcode64=11",
        r"\lccode`\a=`\b", r"\mathcode`\*" '="8000', r"\catcode`\|=\active", r"\newif\ifx@a", r"\newif\ifx",
        r"\count0=3", r"\dimen0=3pt", r"\skip0=1pt plus 1fil", r"\advance\count0 by 1", r"\global\advance\x by -2cm",
        r"\setbox0", r"\box0", r"\copy\x", r"\vrule height 2pt width 3pt depth 1pt", r"\hrule", r"\the\count0",
        r"\font\x=cmr10 scaled 1200", r"\font\x=cmr10 at 12pt", r"\chardef\x=65", r"\mathchardef\x=" '"1234',
        r"\newcount\x", r"\looseness=-1", r"\spacefactor=1000", r"\unitlength=1mm", r"\epsfxsize=3cm\epsfbox{x.eps}",
        r"\makeatletter\x@atrue\@addtoreset{equation}{section}\makeatother", r"\csname foo\endcsname",
        r"\ifcsname foo\endcsname\fi", r"\ifmmode x\else\fi", r"\ifmmode\ifx x\else y\fi\fi",
    ],
)  # fmt: skip
def test_what_a_primitive_takes_is_no_text(source: str) -> None:
    assert text(f"a {source} b").split() == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (r"a\hbox to 3cm{hb} b", "ahb b"),
        (r"\hbox to\hsize{hb}", "hb"),
        (r"\vbox spread 0.5\hsize{hb} \hbox{x}", "hb x"),
        (r"\hbox to nothing", "to nothing"),
        (r"\char65 b", "Ab"),
        (r"\char`\%\char'101\char" '"41 x', "%AAx"),
        (r"\symbol{65} \symbol{" '"AC00} \\char 44032', "A 가 가"),
        (r"\char200 b \char1 c", "b c"),
        (r"\ding{51} \ding{55} \ding{172} \ding{72}", "✓ ✗ ① ★"),
        (r"\enquote{q \enquote{i}} b, \enquote*{x}", "“q ‘i’” b, ‘x’"),
        (r"\say{x \say{y $z$}.}", "“x ‘y $z$’.”"),
        (r"\foreignquote{german}{x} \textcquote[p]{key}{y}", "“x” “y”"),
        (r"\enquote torn {b}", "torn b"),
        (r"\ifmmode x\else $y$\fi", "$y$"),
        (r"\ifnum1=1word\fi \ifodd\x yes\fi \ifcase\x zero\or one\fi", "wordyeszeroone"),
        (r"\ifdim\x<3pt yes\fi \ifnum\count0>`a no\fi", "yesno"),
        (r"$\ifmmode x\else y\fi$", r"$\ifmmode x\else y\fi$"),
        (r"user@home \LaTeX{} a@b", "user@home LaTeX a@b"),
        (r"\year 5 people in \language{} use", "5 people in use"),
    ],
)
def test_what_stays(source: str, expected: str) -> None:
    assert text(source) == expected


@given(st.integers(32, 126), st.sampled_from(["{}", '"{:X}', "'{:o}"]))
def test_numbers_are_read_in_each_base(code: int, form: str) -> None:
    source = form.format(code)
    assert number(source, 0) == (code, len(source))
    assert character(code) == chr(code)


def test_codes_without_a_character_set_nothing() -> None:
    assert [character(code) for code in (0, 31, 127, 200, 0xD800, 0x110000, 1 << 40)] == [""] * 7
    assert [dingbat(code) for code in (0, 32, 127, 240, 255, -1)] == [""] * 6


PIECES = st.sampled_from(
    [r"\hbox to", r"\write", r"\char", r"\catcode`", r"\enquote{", "}", "{", r"\ifmmode", r"\else", r"\fi", "3cm",
     "=", '"41', "`", "\n\n", " ", r"\makeatletter", r"\x@y", "@", r"\@", r"\vrule", "height", r"\font\x",
     "cmr10 at", "$", r"\csname", r"\endcsname", r"\symbol{", r"\say", "*", "가"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=25).map("".join))
@settings(max_examples=300, deadline=None)
def test_torn_primitives_give_text(body: str) -> None:
    found = text(body + "\n\n마지막")
    assert "마지막" in found or "$" in body or "{" in body


@pytest.mark.parametrize("unit", [r"\ifmmode ", r"\hbox to", r"\char", r"\enquote{", r"\csname ", r"\advance\x "])
def test_repeated_primitives_take_linear_time(unit: str) -> None:
    started = time.process_time()
    text(unit * (60_000 // len(unit)))
    assert time.process_time() - started < 2
