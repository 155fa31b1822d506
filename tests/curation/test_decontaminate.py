"""Decontamination of whole runs: verdicts, redaction, later decisions, and what the ledger and summary say of it."""

import json
from collections.abc import Iterator
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

QUESTION = "민지는 사과를 12개 가지고 있습니다. 동생이 그중 5개를 먹었다면 남은 사과는 몇 개입니까?"
STATEMENT = "한국은행이 <1950년 6월 12일>에 세워졌다는 사실을 알려 주는 기념비의 위치를 쓰시오."
MANIFEST = """
kind: corpus
name: small
inputs: [{source: web, path: data.jsonl, key: name}]
rules: [{name: no-spam, keep: "key not like 'spam%'"}]
dedup: {exact: true}
decontaminate: {against: [math.jsonl, quiz.jsonl]}
limits: {shard_bytes: 2_000}
output: {path: out, shard_bytes: 2_000}
"""


def lay_out(folder: Path) -> Path:
    """Documents with a running text of their own; some hold items, spaced, edited or twice."""
    texts = {
        f"clean{n}": f"제{n}호 글입니다. 이 글은 {n * n}번째 소식을 전하려고 쓴 것이며 시험과는 상관이 없습니다."
        for n in range(40)
    }
    texts["verbatim"] = f"오늘의 문제 🙂 {QUESTION} 답은 7입니다."
    texts["edited"] = f"문제: {QUESTION.replace(' ', '').replace('12', '30')}\n다음 글."
    texts["both"] = f"{STATEMENT}\n그리고\n{QUESTION}\n끝."
    texts["spam"] = f"광고 {QUESTION}"
    texts["copy1"] = texts["copy2"] = f"두 번 실린 글. {STATEMENT}"
    rows = [{"name": name, "text": text} for name, text in texts.items()]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "math.jsonl").write_text(json.dumps({"id": "m1", "question": QUESTION, "answer": "7"}))
    (folder / "quiz.jsonl").write_text(json.dumps({"id": "q1", "question": STATEMENT, "answer": "서울"}))
    path = folder / "web.yaml"
    path.write_text(MANIFEST)
    return path


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The manifest of a small contaminated corpus."""
    return lay_out(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a finished run that dropped."""
    folder = tmp_path_factory.mktemp("contaminated")
    curate(job_of(lay_out(folder)))
    yield folder


def ledger(output: Path) -> dict[str, dict[str, object]]:
    return {row["key"]: row for row in pl.read_parquet(output / "ledger" / "*.parquet").to_dicts()}


def texts(output: Path) -> dict[str, str]:
    return dict(pl.read_parquet(output / "documents" / "*.parquet").select("key", "text").iter_rows())


def again(folder: Path, name: str, *overrides: str) -> Path:
    run = Folder(str(folder / "out"))
    chosen = load_manifest(str(folder / "web.yaml"), overrides)
    decide_again(run, changed_manifest(run, chosen, str(folder), ()), str(folder / name))
    return folder / name


def test_what_holds_an_item_is_dropped_and_says_why(finished: Path) -> None:
    rows = ledger(finished / "out")
    dropped = {key for key, row in rows.items() if row["reason"] == "contaminated"}
    assert {"verbatim", "edited", "both"} < dropped
    assert dropped - {"verbatim", "edited", "both"} in ({"copy1"}, {"copy2"})  # the other is its duplicate
    assert rows["verbatim"]["stage"] == "decontaminate"
    assert rows["verbatim"]["detail"] == "math:m1"
    assert rows["verbatim"]["threshold"] == 0.6
    assert 0.6 <= float(str(rows["verbatim"]["value"])) <= 1
    assert rows["spam"]["reason"] == "no-spam"
    assert sum(row["verdict"] == "kept" for row in rows.values()) == 40


def test_the_summary_counts_per_benchmark_and_shows_both_texts(finished: Path) -> None:
    summary = Summary.model_validate_json((finished / "out" / "summary.json").read_bytes())
    counts = [(item.benchmark, item.n_docs, item.n_other_docs) for item in summary.benchmarks]
    assert counts == [("math", 3, 1), ("quiz", 2, 1)]
    hit = next(hit for hit in summary.benchmarks[0].hits if "🙂" not in hit.found and "12개" in hit.found)
    assert (hit.found, hit.wanted) == (QUESTION, QUESTION)


def test_report_and_explain_show_both_texts(finished: Path) -> None:
    """The page escapes what strangers wrote."""
    page = (finished / "out" / "report.html").read_text()
    section = page[page.index('id="benchmarks"') : page.index('id="failures"')]
    assert section.count(QUESTION) >= 2
    assert section.count("한국은행이 &lt;1950년 6월 12일&gt;에") >= 2
    row = ledger(finished / "out")["both"]
    (story,) = explain(Folder(str(finished / "out")), str(row["id"]))
    assert {(item["benchmark"], item["item"]) for item in story.items} == {("math", "m1"), ("quiz", "q1")}
    record = json.loads((finished / "out" / "run.json").read_bytes())
    assert record["benchmarks"]["math"] == {"n_docs": 3, "n_other_docs": 1, "n_hits": 3}


def test_another_threshold_or_action_does_not_match_again(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def matched(*_: object) -> None:
        raise AssertionError("texts were matched again")

    monkeypatch.setattr("curation.decontaminate_index.ContaminationIndex.find", matched)
    strict = ledger(again(finished, "strict", "decontaminate.score=0.99"))
    assert strict["both"]["verdict"] == "dropped"
    assert again(finished, "redacted", "decontaminate.action=redact")
    alone = ledger(again(finished, "none", "decontaminate=null"))
    assert sum(row["reason"] == "contaminated" for row in alone.values()) == 0


def test_later_decisions_equal_a_fresh_run(finished: Path, manifest: Path) -> None:
    redacted = again(finished, "again", "decontaminate.action=redact")
    curate(job_of(manifest, manifest.parent / "out", 1, "decontaminate.action=redact"))
    assert document_files(redacted) == document_files(manifest.parent / "out")


def test_redaction_takes_the_words_and_nothing_else(finished: Path) -> None:
    output = again(finished, "words", "decontaminate.action=redact")
    found = texts(output)
    assert found["verbatim"] == "오늘의 문제 🙂  답은 7입니다."
    assert found["edited"] == "문제: \n다음 글."
    assert found["both"] == "\n그리고\n\n끝."
    assert found["clean7"].startswith("제7호 글입니다.")
    rows = ledger(output)
    assert rows["verbatim"]["verdict"] == "kept"
    assert rows["verbatim"]["edits"] == [{"rule": "contaminated", "start": 9, "end": 9 + len(QUESTION)}]
    assert rows["clean7"]["edits"] is None


def test_a_document_that_is_all_item_is_dropped_and_not_left_empty(manifest: Path) -> None:
    path = manifest.parent / "data.jsonl"
    path.write_text(json.dumps({"name": "alone", "text": f"{QUESTION} \n"}) + "\n" + path.read_text())
    output = manifest.parent / "out"
    curate(job_of(manifest, output, 1, "decontaminate.action=redact", "dedup.spans={}"))
    row = ledger(output)["alone"]
    assert [row[name] for name in ("verdict", "stage", "reason")] == ["dropped", "decontaminate", "contaminated"]
    assert row["edits"] is None and row["detail"] and row["value"] >= row["threshold"]
    assert "alone" not in texts(output) and all(text.strip() for text in texts(output).values())


def test_paths_start_at_the_manifest_that_decides(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    curate(job_of(manifest, None, 1, "decontaminate=null"))
    other = tmp_path_factory.mktemp("other")
    for path in manifest.parent.glob("*.json*"):
        if path.name != "data.jsonl":
            path.rename(other / path.name)
    run, chosen = Folder(str(manifest.parent / "out")), load_manifest(str(manifest))
    decided = decide_again(run, changed_manifest(run, chosen, str(other), []), str(other / "out"))
    assert decided.benchmarks
    kept_on = changed_manifest(Folder(str(other / "out")), None, "", [])
    assert decide_again(run, kept_on, run.path).digests == decided.digests


def test_a_changed_benchmark_is_looked_for_again(manifest: Path) -> None:
    first = curate(job_of(manifest))
    assert curate(job_of(manifest)).created == first.created
    (manifest.parent / "quiz.jsonl").write_text(
        json.dumps({"question": "아무 데도 없는 아주 다른 물음을 여기에 적어 둡니다."})
    )
    curate(job_of(manifest))
    assert ledger(manifest.parent / "out")["both"]["detail"] == "math:m1"


def test_with_texts_gone_other_benchmarks_cannot_be_looked_for(manifest: Path) -> None:
    curate(job_of(manifest, None, 1, "store=columns"))
    folder = manifest.parent
    assert (
        ledger(again(folder, "strict", "store=columns", "decontaminate.score=0.99"))["both"]["verdict"] == "dropped"
    )
    with pytest.raises(RequestError, match="measured with `store: columns`"):
        again(folder, "redacted", "store=columns", "decontaminate.action=redact")
    (folder / "quiz.jsonl").write_text(
        json.dumps({"question": "아무 데도 없는 아주 다른 물음을 여기에 적어 둡니다."})
    )
    with pytest.raises(RequestError, match="other benchmarks cannot be looked for"):
        again(folder, "other", "store=columns")


def test_mistakes_come_before_any_work(manifest: Path) -> None:
    with pytest.raises(RequestError, match="did you mean 'kmmlu'"):
        job_of(manifest, None, 1, "decontaminate.against=[kmlu]")
    assert not (manifest.parent / "out").exists()
