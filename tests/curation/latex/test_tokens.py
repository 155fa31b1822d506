import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.latex.paper import convert
from curation.latex.tokens import tokenize
from manifests.schema_readers import Latex
from tests.curation.latex_archives import document


@given(st.text(alphabet="ab\\{}[]$&~ \n%é가", max_size=80))
def test_tokens_are_the_source(source: str) -> None:
    tokens = tokenize(source)
    assert "".join(tokens.text(index) for index in range(len(tokens))) == source


@given(st.text(alphabet="a{}[]$\\(", max_size=60))
def test_partners_know_each_other(source: str) -> None:
    tokens = tokenize(source)
    for index in range(len(tokens)):
        partner = tokens.partner[index]
        if partner >= 0 and tokens.text(index) != "[":
            assert tokens.partner[partner] == index


@pytest.mark.parametrize(
    ("source", "formulas"),
    [
        ("$a$$b$", ["$a$", "$b$"]),
        ("$$a$$ $b$", ["$$a$$", "$b$"]),
        (r"$a \text{ if $b$}$ c", [r"$a \text{ if $b$}$"]),
        ("$5 and\n\nthen $x$", ["$x$"]),
        (r"\(a\) \[b\]", [r"\(a\)", r"\[b\]"]),
        (r"\$5 and $x$", ["$x$"]),
        (r"\begin{align}a&b\end{align}$c$", [r"\begin{align}a&b\end{align}", "$c$"]),
        ("{$a} $b$", ["$b$"]),
        ("$ { $a$", ["$ { $"]),
    ],
)
def test_formulas_are_found(source: str, formulas: list[str]) -> None:
    text = convert({"m.tex": document(source)}, Latex())
    assert text is not None
    assert text.n_formulas == len(formulas)
    assert all(formula in str(text.text) for formula in formulas)


HARD = ["[", "{", "$", "${", "\\[", "\\verb|", "\\begin{verbatim}", "\\begin{x}", "\\end{x}", "\\section[",
 "\\def\\a{", "\\iffalse ",
        "\\ifx ", "\\newcommand{\\a}[", "\\url{", "\\\\[", "\\textcolor{", "\\footnote{", "\\'", "\\lstinline{",
         "\\a@", "&", "\\item["]  # fmt: skip


@pytest.mark.parametrize("piece", HARD)
def test_time_is_linear(piece: str) -> None:
    """Four times the source takes about four times as long, whatever is left open in it."""

    def seconds(n: int) -> float:
        started = time.process_time()
        convert({"m.tex": document(piece * n)}, Latex())
        return time.process_time() - started

    seconds(100)
    small = min(seconds(2_000) for _ in range(2))
    assert seconds(8_000) < 9 * small + 0.2


@given(st.lists(st.sampled_from([*HARD, "}", "]", "x", " ", "\n\n", "\\end{verbatim}", "\\]", "\\)",
 "\\begin{itemize}",
                                 "\\end{itemize}", "\\begin{tabular}{c}", "\\end{tabular}", "\\begin{figure}",
                                  "\\caption{",
                                 "\\end{figure}", "\\cite{a}", "\\begin{thm}", "\\end{thm}", "\\=", "\\c",
                                  "\\fi"]), max_size=30))  # fmt: skip
@settings(max_examples=300)
def test_torn_source_is_converted(pieces: list[str]) -> None:
    found = convert({"m.tex": document("".join(pieces) + "\n\nLast words.")}, Latex())
    assert found is not None
    assert found.text is not None
