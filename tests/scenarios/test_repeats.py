"""Repeated lines and stretches leave the written texts; later decisions equal fresh runs."""

import json
from pathlib import Path

import polars as pl
import pytest

from curation.explain import explain
from curation.pipeline import changed_manifest, curate, decide_again
from curation.summary import Summary
from manifests.errors import RequestError
from manifests.load import load_manifest
from manifests.store import Folder
from tests.scenarios.runs import document_files, job_of

pytestmark = pytest.mark.usefixtures("without_charts")

NOTICE = "이 누리집의 글은 저작권법의 보호를 받습니다. 허락 없이 옮겨 실을 수 없습니다. 문의는 관리자에게 하십시오."
MANIFEST = """
kind: corpus
name: small
inputs: [{source: web, path: data.jsonl, key: name, category: category}]
rules:
  - {name: category, keep: "category <> 'spam'"}
dedup:
  exact: true
  lines: {keep: not_red, other: {red_over: 20, green_max: 3}}
  spans: {min_chars: 40}
limits: {shard_bytes: 2_000}
output: {path: out, shard_bytes: 2_000}
"""


def lay_out(folder: Path) -> Path:
    """Documents with a menu each, a notice in every third, some equal, some spam."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for n in range(40):
        notice = f"{NOTICE}\n" if n % 3 == 0 else ""
        text = f"홈 | 게시판 | 로그인\n제{n}호 글입니다.\n{notice}글 {n * n}의 본문이 여기에서 끝납니다."
        rows.append({"name": f"n{n}", "category": "spam" if n % 5 == 0 else "ok", "text": text})
    rows += [row | {"name": row["name"] + "b"} for row in rows[1:4]]
    rows.append({"name": "only", "category": "ok", "text": f"홈 | 게시판 | 로그인\n\n{NOTICE}"})
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "web.yaml"
    path.write_text(MANIFEST)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("repeats")
    curate(job_of(lay_out(folder)))
    return folder


def table(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(folder / name / "*.parquet")


def test_one_occurrence_of_a_stretch_is_left_and_no_red_line(finished: Path) -> None:
    documents, ledger = table(finished / "out", "documents"), table(finished / "out", "ledger")
    assert documents["text"].str.contains("게시판").sum() == 0
    assert documents["text"].str.contains(NOTICE, literal=True).sum() == 1
    first = documents.filter(pl.col("text").str.contains(NOTICE, literal=True))["id"].item()
    had = ledger.filter(pl.col("edits").is_not_null())
    assert had["id"].to_list() == documents["id"].to_list()
    assert (
        first
        == had.filter(pl.col("edits").list.len() == 1)
        .join(documents, on="id")
        .sort("id")
        .filter(pl.col("text").str.contains("저작권"))["id"]
        .item()
    )
    edits = had.explode("edits").unnest("edits").with_columns(n_chars=pl.col("end") - pl.col("start"))
    assert set(edits.select("rule", "n_chars").iter_rows()) == {
        ("repeated_lines", len("홈 | 게시판 | 로그인\n")),
        ("repeated_spans", len(NOTICE) + 1),
    }


def test_the_report_lists_what_took_most(finished: Path) -> None:
    ledger = table(finished / "out", "ledger").explode("edits").unnest("edits").drop_nulls("rule")
    counts = ledger.group_by("rule").agg(
        n_docs=pl.col("id").n_unique(), n_places=pl.len(), n_chars=(pl.col("end") - pl.col("start")).sum()
    )
    summary = Summary.model_validate(Folder(str(finished / "out")).read_json("summary.json"))
    assert [part.model_dump(exclude={"pieces"}) for part in summary.removed] == counts.sort("rule").to_dicts()
    assert [[piece.text for piece in part.pieces] for part in summary.removed] == [
        ["홈 | 게시판 | 로그인\n"],
        [f"{NOTICE}\n"],
    ]
    report = (finished / "out/report.html").read_text()
    assert all(piece in report for piece in ("Removed from texts", NOTICE, "홈 | 게시판 | 로그인"))


def test_a_document_that_loses_all_is_dropped(finished: Path) -> None:
    row = table(finished / "out", "ledger").filter(key="only").to_dicts()[0]
    is_first = table(finished / "out", "documents").filter(pl.col("key") == "only").height
    names = ("verdict", "stage", "reason", "value", "threshold", "edits")
    assert is_first or [row[name] for name in names] == ["dropped", "dedup", "repeated_text", 1.0, 1.0, None]


def test_decisions_equal_fresh_runs_with_any_number_of_workers(finished: Path) -> None:
    run = Folder(str(finished / "out"))
    other = (
        MANIFEST.replace("<> 'spam'", "= 'spam'").replace("red_over: 20", "red_over: 99").replace("out,", "fresh,")
    )
    path = finished / "other.yaml"
    path.write_text(other.replace("min_chars: 40", "min_chars: 30"))
    fresh = curate(job_of(path, n_workers=2))
    manifest = changed_manifest(run, load_manifest(str(path)), str(finished), [])
    again = decide_again(run, manifest, str(finished / "decided"))
    assert again.digests == fresh.digests
    assert document_files(finished / "decided") == document_files(finished / "fresh")
    back = changed_manifest(run, load_manifest(str(finished / "web.yaml")), str(finished), [])
    assert decide_again(run, back, str(finished / "back")).counts["kept"] > 0
    assert document_files(finished / "back") == document_files(finished / "out")


def test_a_share_too_large_drops_and_texts_can_be_left_alone(finished: Path) -> None:
    run = Folder(str(finished / "out"))
    overrides = ["dedup.max_removed_frac=0.5", "dedup.lines.action=drop", "dedup.spans.action=drop"]
    manifest = changed_manifest(run, load_manifest(str(finished / "web.yaml"), overrides), str(finished), [])
    decide_again(run, manifest, str(finished / "strict"))
    documents, ledger = table(finished / "strict", "documents"), table(finished / "strict", "ledger")
    measured = table(finished / "out", "measured")
    assert documents["text"].is_in(measured["text"].implode()).all()
    assert ledger["edits"].null_count() == ledger.height
    lost = ledger.filter(pl.col("reason") == "repeated_text")
    assert lost.height > 3
    assert lost["value"].is_between(0.5, 1.0).all()
    assert set(lost["threshold"]) == {0.5}


def test_explain_shows_what_was_removed(finished: Path) -> None:
    run = Folder(str(finished / "out"))
    row = table(finished / "out", "ledger").filter(pl.col("edits").list.len() == 2).to_dicts()[0]
    (story,) = explain(run, row["id"])
    assert [piece["text"] for piece in story.removed] == ["홈 | 게시판 | 로그인\n", f"{NOTICE}\n"]
    assert story.ledger["edits"] == row["edits"]


def test_texts_that_change_must_be_stored(tmp_path: Path) -> None:
    path = lay_out(tmp_path)
    path.write_text(MANIFEST.replace("output:", "store: columns\noutput:"))
    with pytest.raises(RequestError, match=r"store: all"):
        job_of(path)
