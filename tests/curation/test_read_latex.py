from pathlib import Path

from tests.curation.latex_archives import document, tarred, zipped
from tests.curation.reading import Row, read_all

PAPER = {
    "ms.tex": document(
        "\\begin{abstract}We show.\\end{abstract}\\input{intro}\\include{model}\\input{gone}",
        "\\title{On Jars}\\usepackage{kotex}",
    ),
    "intro.tex": "\\section{서론} 옹기는 $x^2$ 숨을 쉰다.\n",
    "model.tex": "\\section{Model}\n\\[ y = \\alpha x \\]\n\\input{ms}\n",
    "notes.tex": "Nobody includes this text. " * 20,
    "fig.eps": "%!PS-Adobe-3.0",
}
TEXT = (
    "# On Jars\n\n## Abstract\n\nWe show.\n\n## 서론\n\n옹기는 $x^2$ 숨을 쉰다.\n\n## Model\n\n\\[ y = \\alpha x \\]"
)


def read(folder: Path, **latex: object) -> list[Row]:
    rows, _ = read_all(
        folder, format="latex", latex=latex, metadata=FACTS, metadata_map=dict(zip(FACTS, FACTS, strict=True))
    )
    return rows


FACTS = (
    "title", "main_file", "n_files", "n_missing", "n_cycles", "n_unused", "n_formulas", "n_sections",
    "language", "categories",
)  # fmt: skip


def test_a_paper_is_one_record(tmp_path: Path) -> None:
    (tmp_path / "2301.01234v2.tar.gz").write_bytes(zipped(tarred(PAPER)))
    [row] = read(tmp_path)
    assert row["content"].decode() == TEXT
    assert (row["key"], row["url"]) == ("2301.01234v2", "https://arxiv.org/abs/2301.01234v2")
    assert (row["category"], row["license"]) == ("academic", None)
    assert row["metadata"] == {
        "title": "On Jars", "main_file": "ms.tex", "n_files": "3", "n_missing": "1", "n_cycles": "1", "n_unused": "1",
        "n_formulas": "2", "n_sections": "2", "language": "ko", "categories": None,
    }  # fmt: skip
    assert [(note["kind"], note["detail"]) for note in row["notes"]] == [
        ("input_cycle", "ms.tex > model.tex > ms.tex"),
        ("missing_input", "gone in ms.tex"),
        ("unused_file", "notes.tex"),
    ]
