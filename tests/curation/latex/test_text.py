import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.latex.accents import COMBINING, SYMBOLS, accented
from curation.latex.paper import Document, convert
from manifests.schema_readers import Latex
from tests.curation.latex_archives import document


def read(body: str, preamble: str = "", **options: object) -> Document:
    found = convert({"m.tex": document(body, preamble)}, Latex.model_validate(options))
    assert found is not None
    return found


def text(body: str, preamble: str = "", **options: object) -> str:
    return str(read(body, preamble, **options).text)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (r"\section{A}\subsection*{B}\paragraph[s]{C \emph{d}}e", "## A\n\n### B\n\n##### C d\n\ne"),
        ("\\section {A}\n\\label{a} b", "## A\n\nb"),
        ("a\nb\n\nc", "a b\n\nc"),
        (r"``a'' -- b---c `d'", "“a” – b—c ‘d’"),
        (r"\'e \'{e} \"{\i} \^{\i} \c{c} \c c \v{S} \H{o} \~n \=a \L\o d\'z \ss", "é é ï î ç ç Š ő ñ ā Łødź ß"),
        (r"5\,\% of \$3 \& \#1 a\_b \{c\} \textbackslash", "5 % of $3 & #1 a_b {c} \\"),
        (r"\LaTeX{} is \LaTeX\ and \LaTeX is", "LaTeX is LaTeX and LaTeXis"),
        (r"{\bf bold} \textbf{b} \emph{i} \textcolor{red}{c} \href{http://x}{d}", "bold b i c d"),
        (r"see~\cite{a,b}. As \citet{c} (\citep{d}) says", "see. As [c] says"),
        (r"Eq.~\eqref{eq:1} and \cref{s}", "Eq. eq:1 and s"),
        (r"a\footnote{b \emph{c}.} d", "a (b c.) d"),
        (r"\begin{itemize}\item a \item[b] c\end{itemize}", "- a\n- b: c"),
        (r"\begin{enumerate}\item a\begin{itemize}\item b\end{itemize}\item c\end{enumerate}d",
         "1. a\n  - b\n2. c\n\nd"),
        (r"\begin{description}\item[T] d\end{description}", "- T: d"),
        (r"\begin{tabular}{|l|r|}\hline a & b\\[2pt] \multicolumn{2}{c}{c} \\ \cline{1-2} & $x$\end{tabular}",
         "a | b\nc\n| $x$"),
        (r"\begin{table}\caption[s]{Cap}\begin{tabular}{l}x\\y\end{tabular}\end{table}", "Table: Cap\n\nx\ny"),
        (r"\begin{figure}\includegraphics[w=1]{x}Not\caption{A $f$ plot\label{f}}\end{figure}b",
         "Figure: A $f$ plot\n\nb"),
        (r"\begin{tikzpicture}\node {$x$};\end{tikzpicture}a", "a"),
        (r"\begin{theorem}[Gauss] It.\end{theorem}\begin{proof}[Idea] So.\end{proof}",
         "Theorem (Gauss). It.\n\nIdea. So."),
        (r"a\[x\]b \begin{equation}\label{e}y\end{equation}",
         "a\n\\[x\\]\nb\n\\begin{equation}\\label{e}y\\end{equation}"),
        ("$a\n  +b$ c", "$a\n  +b$ c"),
        ("\\begin{verbatim}\n if (a) % b\n\n  c\n\\end{verbatim}d", "```\n if (a) % b\n\n  c\n```\n\nd"),
        (r"\verb|a_b%| \lstinline!x! \url{http://a/%20b_c}", "a_b% x http://a/%20b_c"),
        (r"\begin{minted}{python}" "\nx = 1\n" r"\end{minted}", "```\nx = 1\n```"),
        (r"\begin{thebibliography}{9}\bibitem{a} A.\end{thebibliography}b", "b"),
        (r"\texorpdfstring{$x$}{x} \parbox{2cm}{a} \makebox[1cm]{b} \vspace*{1cm}c", "$x$ a b c"),
        (r"\begin{abstract}a\end{abstract} b \keywords{c}", "## Abstract\n\na\n\nb\n\nKeywords: c"),
        (r"\parindent=0pt \vskip 1cm plus 2pt a \ifx\a\b c\else d\fi", "a cd"),
        (r"\begin{CJK}{UTF8}{mj}한글\end{CJK} \unknown{kept} $5", "한글 kept $5"),
        (r"\begin{algorithm}\begin{algorithmic}[1]\If{$x$} \State y \EndIf\end{algorithmic}\end{algorithm}",
         "if $x$\ny\nend if"),
    ],
)  # fmt: skip
def test_what_a_reader_sees(source: str, expected: str) -> None:
    assert unicodedata.normalize("NFC", text(source)) == unicodedata.normalize("NFC", expected)


def test_title_theorems_and_macros_of_the_preamble() -> None:
    preamble = (
        "\\title[short]{On \\ours{} and $\\R$\\thanks{X}}\\author{Nobody}\\newcommand{\\ours}{Onggi}"
        "\\newcommand{\\R}{\\mathbb R}\\newtheorem{satz}[theorem]{Satz}"
    )
    found = read(r"\maketitle \begin{satz} \ours: $\R$. \end{satz}", preamble)
    assert found.text == "# On Onggi and $\\R$\n\nSatz. Onggi: $\\R$.\n\n\\newcommand{\\R}{\\mathbb R}"
    assert (found.title, found.n_formulas) == ("On Onggi and $\\R$", 2)
    assert text("$\\R$", preamble, macros="expand").endswith("$\\mathbb R$")


def test_references_are_kept_on_request() -> None:
    body = r"As \cite{a}.\begin{thebibliography}{9}\bibitem[A]{a} A \emph{B}.\end{thebibliography}"
    assert text(body, bibliography="keep") == "As [a].\n\n## References\n\n[a] A B."
    files = {"m.tex": document(r"\cite{a}\bibliography{x}"), "m.bbl": body.partition(".")[2], "x.bib": "@book{}"}
    found = convert(files, Latex(bibliography="keep"))
    assert found is not None
    assert found.text == "[a]\n\n## References\n\n[a] A B."


def test_tables_are_dropped_on_request() -> None:
    body = r"\begin{table}\caption{Cap}\begin{tabular}{l}x\end{tabular}\end{table}a"
    assert text(body, tables="drop") == "Table: Cap\n\na"


def test_latex_on_request_is_the_source_in_one_piece() -> None:
    preamble = "\\newcommand{\\R}{r} % c"
    files = {"m.tex": document("a $\\R$ % c\n\\input{b}", preamble), "b.tex": "\\section{B}"}
    kept, replaced = (convert(files, Latex(to="latex", macros=macros)) for macros in ("keep", "expand"))
    assert kept is not None
    assert replaced is not None
    assert kept.text == "\\newcommand{\\R}{r}\n\\begin{document}\na $\\R$ \\section{B}\n\\end{document}"
    assert replaced.text == "\\begin{document}\na $r$ \\section{B}\n\\end{document}"


@pytest.mark.parametrize("accent", sorted(COMBINING))
def test_accents_agree_with_unicode(accent: str) -> None:
    found = accented(accent, "a")
    assert unicodedata.normalize("NFD", found) == "a" + COMBINING[accent]


def test_accents_and_symbols_agree_with_pylatexenc() -> None:
    latex2text = pytest.importorskip("pylatexenc.latex2text")
    peer = latex2text.LatexNodes2Text()
    for accent in "`'^\"~=.cvuHkrdb":
        for letter in "aeiounszcCSEZ":
            source = f"\\{accent}{{{letter}}}"
            assert unicodedata.normalize("NFC", peer.latex_to_text(source)) == text(source)
    for name in ("ss", "ae", "OE", "aa", "o", "L", "i", "textbackslash"):
        assert peer.latex_to_text(f"\\{name}{{}}") == SYMBOLS[name]


WORDS = st.lists(st.text(alphabet="abc가나", min_size=1, max_size=6), min_size=1, max_size=5).map(" ".join)
FORMULAS = st.sampled_from(["$x$", "$$y$$", r"\(z\)", r"\[w_{1}\]", r"\begin{align}a&=b\\c&=d\end{align}", "$a\n b$"])


@given(
    st.lists(st.one_of(WORDS, FORMULAS), min_size=1, max_size=12),
    st.sampled_from(["", "\\emph{", "\\footnote{", "{\\bf "]),
)
def test_words_and_formulas_come_through_in_their_order(pieces: list[str], command: str) -> None:
    body = " ".join(f"{command}{piece}{'}' if command else ''}" for piece in pieces)
    found = read(body)
    at = 0
    for piece in pieces:
        at = str(found.text).index(piece, at) + len(piece)
    assert found.n_formulas == sum(piece[0] in "$\\" for piece in pieces)
