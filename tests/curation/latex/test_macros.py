import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.latex.expand import collect, expand

LARGE = 100_000


def expanded(source: str, *, formulas: bool = True) -> str:
    return expand(source, LARGE, formulas=formulas).text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (r"\newcommand{\R}{\mathbb{R}}$\R$", r"$\mathbb{R}$"),
        (r"\newcommand\R{\mathbb R}$x^\R$", r"$x^{\mathbb R}$"),
        (r"\newcommand*{\n}[1]{\|#1\|}$\n{x}\n y$", r"$\|x\|\|y\|$"),
        (r"\newcommand{\n}[2][p]{<#2>_{#1}}$\n{x}\n[q]{x}$", r"$<x>_{p}<x>_{q}$"),
        (r"\def\v#1{\vec{#1}}$\v x\v{ab}$", r"$\vec{x}\vec{ab}$"),
        (r"\def\pair<#1,#2>{(#1;#2)}\pair<a,b>", "(a;b)"),
        (r"\renewcommand{\epsilon}{\varepsilon}$\epsilon$", r"$\varepsilon$"),
        (r"\let\old\phi\renewcommand{\phi}{\old x}$\phi$", r"$\phi x$"),
        (r"\newcommand{\a}{1}\providecommand{\a}{2}\a", "1"),
        (r"\newcommand{\a}{1}\renewcommand{\a}{2}\a", "2"),
        (r"\newcommand{\a}{1}\let\b\a\renewcommand{\a}{2}\b", "1"),
        (r"\DeclareMathOperator{\tr}{tr}\DeclareMathOperator*{\am}{arg\,max}$\tr\am$",
         r"$\operatorname{tr}\operatorname*{arg\,max}$"),
        (r"\NewDocumentCommand{\a}{O{1} m}{#1#2}\a{x}\a[2]{y}", "1x2y"),
        (r"\newcommand{\a}{\b}\newcommand{\b}[1]{<#1>}\a{x}", "<x>"),
        (r"\newcommand{\a}{\alpha}$\a b\a$", r"$\alpha b\alpha$"),
        (r"\newenvironment{e}[1]{(#1:}{)}\begin{e}{x}y\end{e}", "(x:y)"),
        (r"\newcommand{\be}{\begin{equation}}\newcommand{\ee}{\end{equation}}\be x\ee",
         r"\begin{equation}x\end{equation}"),
        (r"\newcommand{\a}{1}\verb|\a|", r"\verb|\a|"),
        (r"\newcommand{\x}{\expandafter\y}\x", r"\x"),
        (r"\renewcommand{\section}{\Huge}\section{A}", r"\section{A}"),
    ],
)  # fmt: skip
def test_macros_are_replaced(source: str, expected: str) -> None:
    assert expanded(source) == expected


@pytest.mark.parametrize(
    ("source", "expected", "definitions"),
    [
        (r"\newcommand{\R}{\mathbb{R}}\newcommand{\we}{We \emph{all}}\we{} use $\R$", r"We \emph{all}{} use $\R$",
         [r"\newcommand{\R}{\mathbb{R}}"]),
        (r"\def\be{\begin{equation}}\def\ee{\end{equation}}\def\x{y}\be \x \ee", r"\begin{equation}\x \end{equation}",
         [r"\def\x{y}"]),
        (r"\newcommand{\a}{\b}\newcommand{\b}{1}\newcommand{\c}{2}$\a$", r"$\a$",
         [r"\newcommand{\a}{\b}", r"\newcommand{\b}{1}"]),
        (r"\newcommand{\m}{\mbox{$x$}}$\m+1$", r"$\m+1$", [r"\newcommand{\m}{\mbox{$x$}}"]),
        (r"$$\def\a{1}\a$$", r"$$\def\a{1}\a$$", [r"\def\a{1}"]),
        (r"\newcommand{\R}{r}\[\R\] \(\R\) \ensuremath{\R} \R", r"\[\R\] \(\R\) \ensuremath{\R} r",
         [r"\newcommand{\R}{r}"]),
    ],
)  # fmt: skip
def test_formulas_keep_their_macros_and_the_definitions_are_kept(
    source: str, expected: str, definitions: list[str]
) -> None:
    found = expand(source, LARGE, formulas=False)
    assert (found.text, found.definitions) == (expected, definitions)


@pytest.mark.parametrize("source", [r"\def\a{\a}\a b", r"\def\a{x\a\a}\a b", r"\def\a{\b}\def\b{\a\a\a\a}\a b",
                                    r"\def\a#1{\a{#1#1}}\a{xx} b"])  # fmt: skip
def test_recursion_ends_and_is_told(source: str) -> None:
    found = expand(source, LARGE, formulas=True)
    assert found.text.endswith("b")
    assert len(found.text) < 3 * LARGE
    assert {note.kind for note in found.notes} == {"macro_limit"}


def test_a_package_gives_names_and_not_how_it_works() -> None:
    source = r"\newcommand{\R}{\mathbb R}\def\my@x{1}\newcommand{\p}{\my@x}\newcommand{\q}{\if a b\fi}"
    assert [definition.name for definition in collect([source])] == ["R"]  # type: ignore[union-attr]


PIECES = st.sampled_from(
    ["\\newcommand{\\a}{", "\\def\\b#1", "\\a", "\\b", "{", "}", "[", "]", "$", "$$", "\\[", "\\]", "#1", "x",
     " ", "\n\n",
     "\\begin{equation}", "\\end{equation}", "\\begin{verbatim}", "\\end{verbatim}", "\\let\\a=\\b", "\\verb|", "\\",
     "\\newenvironment{e}{\\a}{\\b}", "\\begin{e}", "\\end{e}", "\\ensuremath{", "\\DeclareMathOperator{\\c}{"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join), st.booleans())
@settings(max_examples=300)
def test_anything_can_be_expanded(source: str, formulas: bool) -> None:
    found = expand(source, 10_000, formulas=formulas)
    assert len(found.text) <= len(source) + 25_000


@given(st.text(alphabet="ab{}[]$\\ \n", max_size=60))
def test_without_definitions_nothing_changes(source: str) -> None:
    assert expand(source, LARGE, formulas=True).text == source
