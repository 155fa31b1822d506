import io
import json
import random
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.latex.archive import BrokenArchiveError, TooLargeError, gunzip, unpack
from curation.latex.licenses import licenses, licenses_digest, spdx
from curation.pipeline import resolved
from curation.read import Split, plan_splits, read_split
from curation.read_latex import _fill, _record
from curation.shards import MeasureTask
from manifests.errors import RequestError, RunError
from manifests.schema import CorpusManifest, Input, Limits
from tests.curation.latex_archives import document, tarred, zipped
from tests.curation.reading import LIMITS, Row, read_all

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


def test_macros_and_the_rest_are_options(tmp_path: Path) -> None:
    paper = {"a.tex": document("$\\R$\\bibliography{b}", "\\newcommand{\\R}{r}"),
     "a.bbl": "\\begin{thebibliography}{1}"
             "\\bibitem{k} Book.\\end{thebibliography}"}  # fmt: skip
    (tmp_path / "x.tar").write_bytes(tarred(paper))
    contents = [read(tmp_path, **options)[0]["content"].decode() for options in ({}, {"macros": "expand"},
                {"bibliography": "keep"}, {"to": "latex"})]  # fmt: skip
    assert contents[0] == "$\\R$\n\n\\newcommand{\\R}{r}"
    assert contents[1] == "$r$"
    assert contents[2].startswith("$\\R$\n\n## References\n\n[k] Book.")
    assert contents[3].startswith("\\newcommand{\\R}{r}\n\\begin{document}")


@pytest.mark.parametrize(
    ("name", "content", "reason", "detail"),
    [
        ("a.gz", zipped("%PDF-1.5 ..."), "not_latex", "PDF"),
        ("a.pdf", b"%PDF-1.5 ...", "not_latex", "PDF"),
        ("a.gz", zipped("%!PS-Adobe-2.0\n"), "not_latex", "PostScript"),
        ("a.gz", zipped("<!DOCTYPE html><html>"), "not_latex", "HTML"),
        ("a.gz", zipped("%auto-ignore\nThis paper has been withdrawn."), "not_latex", "withdrawn"),
        ("a.gz", zipped("This paper is withdrawn by the author."), "not_latex", "withdrawn"),
        ("a.gz", zipped(""), "not_latex", "empty"),
        ("a.tar.gz", zipped(tarred({"a.docx": "PK", "b.png": b"\x89PNG"})), "not_latex",
         "no TeX source among 2 files"),
        ("a.tar.gz", zipped(tarred({})), "not_latex", "an empty archive"),
        ("a.tar.gz", zipped(tarred(PAPER))[:-20], "truncated", "the gzip member ends early"),
        ("a.tar.gz", b"\x1f\x8b\x09\x00nonsense and more", "malformed_gzip", None),
        ("a.tar", tarred(PAPER)[:2000], "truncated", None),
        ("a.gz", zipped(b" " * (LIMITS.record_bytes + 1)), "record_too_large", None),
    ],
)  # fmt: skip
def test_what_is_no_paper_is_a_row(
    tmp_path: Path, name: str, content: bytes, reason: str, detail: str | None
) -> None:
    (tmp_path / name).write_bytes(content)
    [row] = read(tmp_path)
    assert (row["reason"], row["verdict"]) == (reason, "dropped" if reason == "not_latex" else "failed")
    assert detail is None or row["detail"] == detail
    assert row["content"] is None


def test_a_single_file_and_old_names(tmp_path: Path) -> None:
    (tmp_path / "hep-th9901001.gz").write_bytes(
        zipped("\\documentstyle{article}\\begin{document}Old.\\end{document}")
    )
    (tmp_path / "math0309136v1.tex").write_text(document("New."))
    (tmp_path / "mine.tex").write_text(document("Mine."))
    rows = {row["key"]: row for row in read(tmp_path)}
    assert {key: row["content"] for key, row in rows.items()} == {
        "hep-th/9901001": b"Old.", "math/0309136v1": b"New.", "mine.tex": b"Mine.",
    }  # fmt: skip
    assert (rows["hep-th/9901001"]["url"], rows["mine.tex"]["url"]) == ("https://arxiv.org/abs/hep-th/9901001", None)


def test_korean_in_euc_kr(tmp_path: Path) -> None:
    source = document("\\section{서론} 옹기는 숨을 쉬는 그릇이다. $x$", "\\usepackage{hangul}")
    (tmp_path / "a.tar.gz").write_bytes(zipped(tarred({"a.tex": source.encode("cp949")})))
    [row] = read(tmp_path)
    assert row["content"].decode() == "## 서론\n\n옹기는 숨을 쉬는 그릇이다. $x$"


def bulk(folder: Path) -> list[str]:
    """A tar as arXiv's bulk data has them; returns the names in it."""
    members: dict[str, bytes | str] = {
        "2301/2301.00001.gz": zipped(tarred(PAPER)),
        "2301/2301.00002.pdf": "%PDF-1.4",
        "2301/2301.00003.gz": zipped(document("Three.")),
        "2301/2301.00004.gz": b"\x1f\x8bbroken",
        "2301/2301.00005.gz": zipped(document("Five. " * 1000)),
    }
    folder.mkdir(exist_ok=True)
    (folder / "arXiv_src_2301_001.tar").write_bytes(tarred(members))
    (folder / "shuffled.tar").write_bytes(tarred(members, sorted(members, reverse=True)))
    return sorted(members)


def test_a_bulk_tar_holds_a_record_per_paper(tmp_path: Path) -> None:
    names = bulk(tmp_path)
    (tmp_path / "shuffled.tar").unlink()
    rows = read(tmp_path)
    assert [row["key"] for row in rows] == [name[5:15] for name in names]
    assert [row["reason"] for row in rows] == [None, "not_latex", None, "malformed_gzip", None]


@pytest.mark.parametrize("names", [["2301.01234.tex"], ["2301.01234.tex", "2301.01234.pdf"]])
def test_a_tar_of_one_paper_is_one_record_whether_gzipped_or_not(tmp_path: Path, names: list[str]) -> None:
    paper = tarred({name: document("One.") for name in names})
    for folder, content in (("plain", paper), ("gzipped", zipped(paper))):
        (tmp_path / folder).mkdir()
        for name in ("hep-paper.tar", "2302.00001.tar"):
            (tmp_path / folder / name).write_bytes(content)
    plain, gzipped = read(tmp_path / "plain"), read(tmp_path / "gzipped")
    assert identified(plain) == identified(gzipped)
    assert [(row["key"], row["content"]) for row in plain] == [("2302.00001", b"One."), ("hep-paper.tar", b"One.")]


def test_members_of_gzip_are_joined_in_linear_time() -> None:
    started = time.process_time()
    assert gunzip(zipped("") * 100_000 + zipped("a") + zipped("b"), 100) == b"ab"
    assert time.process_time() - started < 2  # a quadratic one takes five


def test_reading_goes_on_at_any_record(tmp_path: Path) -> None:
    bulk(tmp_path)
    of = Input(source="s", path=str(tmp_path), format="latex")
    limits = Limits(record_bytes=1 << 20)
    [split] = plan_splits(of, "", 1 << 30)
    rows = [row for batch in read_split(split, of, limits, []) for row in batch.records.to_pylist()]
    assert len(rows) == 10
    for index in range(2):
        for number in range(6):
            rest = read_split(split, of, limits, [], (index << 24) + number)
            assert [row for batch in rest for row in batch.records.to_pylist()] == rows[index * 5 + number :]


def identified(rows: list[Row]) -> list[tuple[object, ...]]:
    return sorted((row["key"], row["content_digest"], row["content"] or b"", str(row["notes"])) for row in rows)


def test_ids_do_not_depend_on_the_order_of_members(tmp_path: Path) -> None:
    bulk(tmp_path / "bulk")
    names = sorted(PAPER)
    for number in range(4):
        random.Random(number).shuffle(names)
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "2301.01234.tar.gz").write_bytes(zipped(tarred(PAPER, names)))
    first, *others = [identified(read(tmp_path / str(number))) for number in range(4)]
    assert others == [first] * 3
    rows = read(tmp_path / "bulk")
    assert identified(rows[:5]) == identified(rows[5:])


def test_a_text_changes_with_its_policy_and_its_id_does_not(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(zipped(tarred(PAPER)))
    text, latex = read(tmp_path), read(tmp_path, to="latex")
    assert text[0]["content"] != latex[0]["content"]
    assert text[0]["content_digest"] == latex[0]["content_digest"]


def snapshot(path: Path) -> Path:
    papers = [
        {"id": "2301.00001", "license": "http://creativecommons.org/licenses/by/4.0/", "categories": "cs.CL cs.AI",
         "update_date": "2023-02-01", "abstract": "x" * 500},
        {"id": "hep-th/9901001", "license": None, "categories": "hep-th", "update_date": "2009-01-01"},
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, papers)) + "\n\n")
    return path


def test_licences_come_from_the_metadata(tmp_path: Path) -> None:
    path = snapshot(tmp_path / "meta.json")
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("2301.00001v3.gz", "hep-th9901001.gz", "2301.99999.gz"):
        (folder / name).write_bytes(zipped(document("x")))
    rows = {row["key"]: row for row in read(folder, licenses=str(path))}
    found = {key: (row["license"], row["date"], row["metadata"]["categories"]) for key, row in rows.items()}
    assert found == {
        "2301.00001v3": ("CC-BY-4.0", "2023-02-01", "cs.CL cs.AI"),
        "hep-th/9901001": (None, "2009-01-01", "hep-th"),
        "2301.99999": (None, None, None),
    }
    assert len(licenses(str(path))) == 2


def test_licences_that_are_not_there_or_not_that(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(zipped(document("x")))
    with pytest.raises(RequestError, match=r"latex.licenses: .*arxiv-metadata-oai-snapshot.json"):
        read(tmp_path, licenses=str(tmp_path / "none.json"))
    (tmp_path / "bad.json").write_text("[1]\n")
    with pytest.raises(RunError, match="line 1: no object with an `id`"):
        read(tmp_path, licenses=str(tmp_path / "bad.json"))
    assert spdx("http://arxiv.org/licenses/nonexclusive-distrib/1.0/") == "arXiv-nonexclusive-distrib-1.0"
    assert spdx("http://creativecommons.org/publicdomain/zero/1.0/") == "CC0-1.0"
    assert spdx("http://example.org/mine") == "http://example.org/mine"


def test_links_and_names_that_lead_out_are_left_out() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("../../evil.tex", "a.tex", "./b.tex", "/abs.tex"):
            archive.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("link.tex")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    found = unpack(out.getvalue(), "x.tex", 1 << 20)
    assert sorted(found.files) == ["a.tex", "abs.tex", "b.tex"]
    assert found.left_out == ["../../evil.tex", "link.tex"]


def test_bombs_are_bounded() -> None:
    with pytest.raises(TooLargeError):
        unpack(zipped(b"\0" * (1 << 22)), "x.tex", 1 << 20)
    with pytest.raises(TooLargeError):
        unpack(zipped(tarred({"a.tex": b"x" * (1 << 21)})), "x.tex", 1 << 20)


@given(st.one_of(st.binary(max_size=600), st.binary(max_size=300).map(zipped), st.dictionaries(
    st.text(alphabet="ab./\\\0", max_size=6).map(lambda n: f"{n}.tex"), st.binary(max_size=200), max_size=3).map(
        lambda files: tarred({name.replace("\0", "_"): data for name, data in files.items()}))))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_any_bytes_make_a_row(data: bytes) -> None:
    item = Input(source="s", path="x", format="latex")
    row = _fill(_record("a.gz", "a.gz"), data, item, LIMITS, None)
    assert (row.verdict is None) == (row.content is not None)
    try:
        unpack(data, "a.tex", LIMITS.record_bytes)
    except (BrokenArchiveError, TooLargeError):
        assert row.verdict == "failed"


def corpus(folder: Path) -> CorpusManifest:
    of = {"source": "s", "path": "in", "format": "latex", "latex": {"licenses": "meta.json"}}
    return CorpusManifest.model_validate(
        {"kind": "corpus", "name": "n", "inputs": [of], "output": str(folder / "out")}
    )


def test_licences_lie_beside_the_manifest_and_parts_depend_on_what_they_hold(tmp_path: Path) -> None:
    manifest = resolved(corpus(tmp_path), str(tmp_path))
    assert manifest.inputs[0].latex.licenses == str(tmp_path / "meta.json")
    split = Split("s", "in", "latex", 0, 1, 1, "digest", ("a.gz",))
    prints = set()
    for text in ('{"id": "1"}', '{"id": "2"}'):
        (tmp_path / "meta.json").write_text(text)
        licenses_digest.cache_clear()
        prints.add(MeasureTask("out", split, manifest.inputs[0], manifest).fingerprint)
    assert len(prints) == 2
