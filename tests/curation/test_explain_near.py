"""What `onggi explain` says of near-duplicates and of earlier runs."""

from collections.abc import Callable
from pathlib import Path

import orjson
import polars as pl
import pytest

from curation import explain_near
from curation.diff import diff
from curation.explain import Story, explain
from curation.pipeline import changed_manifest, curate, decide_again
from curation.shards import drop_texts
from manifests.load import load_manifest
from manifests.record import read_record
from manifests.store import Folder
from tests.curation.dedup.test_earlier import lay_out as lay_out_against
from tests.curation.dedup.test_near import shingles_of
from tests.curation.dedup.test_survivors import MANIFEST, SENTENCE, lay_out
from tests.scenarios.runs import job_of

pytestmark = pytest.mark.usefixtures("without_charts")


def stories(output: str) -> dict[str, Story]:
    run = Folder(output)
    ledger = (run / "ledger").scan().select("id", "key").collect()
    return {key: explain(run, id_)[0] for id_, key in ledger.iter_rows()}


def test_members_with_what_became_of_them_and_how_similar_they_are(tmp_path: Path) -> None:
    job = job_of(lay_out(tmp_path))
    record = curate(job)
    assert record.near["n_clusters"] == 1 and record.near["n_texts"] == 3 and record.near["n_members"] == 4
    told = stories(job.output)
    near = told["a"].near
    assert near is not None
    assert told["d"].near is None
    assert (near.size, near.n_by_outcome) == (4, {"near_duplicate": 3, "kept": 1})
    assert near.compared_with == told["c"].ledger["id"]
    assert [member["verdict"] for member in near.members] == ["kept", "dropped", "dropped", "dropped"]
    assert near.members[1]["id"] == told["a"].ledger["id"]  # the document itself comes after the survivor
    texts = {"a": SENTENCE, "b": SENTENCE + " 끝입니다", "c": SENTENCE + " 끝입니다 정말로 끝입니다", "e": SENTENCE}
    sets = {told[key].ledger["id"]: shingles_of(text) for key, text in texts.items()}
    for member in near.members:
        mine, other = sets[member["id"]], sets[near.compared_with]
        assert member["jaccard"] == pytest.approx(len(mine & other) / len(mine | other))
    assert {row["id"] for row in told["a"].exact_group} == {told["a"].ledger["id"], told["e"].ledger["id"]}


def test_rules_may_name_the_sizes_of_groups(tmp_path: Path) -> None:
    rule = "near_cluster_size between 2 and 9 and exact_size < 3"
    path = lay_out(tmp_path, MANIFEST.replace("signals.word_count >= 20", rule))
    curate(job_of(path))
    told = {key: story.rules[0] for key, story in stories(str(tmp_path / "out")).items()}
    assert told["a"].values == {"near_cluster_size": 4, "exact_size": 2} and told["a"].holds
    assert told["d"].values == {"near_cluster_size": 1, "exact_size": 1} and told["d"].holds is False


def test_without_a_survivor_the_document_is_compared(tmp_path: Path) -> None:
    path = lay_out(tmp_path, MANIFEST.replace("word_count >= 20", "word_count >= 2000"))
    curate(job_of(path))
    story = stories(str(tmp_path / "out"))["b"]
    assert story.near is not None
    assert story.near.compared_with == story.near.members[0]["id"] == story.ledger["id"]
    assert story.near.n_by_outcome == {"short": 4}


def test_texts_that_are_gone_and_clusters_found_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lay_out(tmp_path)
    job = job_of(path)
    curate(job)
    run = Folder(job.output)
    path.write_text(MANIFEST.replace("jaccard: 0.7", "jaccard: 1.0"))
    manifest = changed_manifest(run, load_manifest(str(path), ()), str(tmp_path), ())
    again = decide_again(run, manifest, str(tmp_path / "again"))
    assert again.near["n_clusters"] == 0 and read_record(run).near["n_clusters"] == 1
    assert stories(job.output)["a"].near is None  # what lies there now is not what this run was decided from
    counts, _ = diff(run, Folder(str(tmp_path / "again")))
    assert set(counts["change"]) == {"gained", "reason"}

    path.write_text(MANIFEST)
    decide_again(run, changed_manifest(run, load_manifest(str(path), ()), str(tmp_path), ()), job.output)
    drop_texts(run)
    monkeypatch.setattr(explain_near, "N_MEMBERS", 2)
    near = stories(job.output)["a"].near
    assert near is not None
    assert near.compared_with is None
    assert [member["jaccard"] for member in near.members] == [None, None]


def test_what_an_earlier_run_holds(tmp_path: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    first = lay_out_against(tmp_path / "first", {"old": SENTENCE}, [])
    curate(job_of(first))
    texts = {"like": SENTENCE + " 끝입니다", "refused": SENTENCE, "other": "전혀 다른 글 " * 10}
    job = job_of(lay_out_against(tmp_path / "second", texts, ["../first/out"]))
    curate(job)
    told = stories(job.output)
    old = stories(str(first.parent / "out"))["old"].ledger["id"]
    held = {"run": str(first.parent / "out"), "id": old}
    assert told["like"].held == held and told["like"].ledger["reason"] == "held_by_earlier_run"
    assert told["refused"].held == held and told["refused"].ledger["reason"] == "marked"
    assert told["other"].held is None
    code, shown, _ = command("explain", job.output, told["like"].ledger["id"])
    assert code == 0
    assert f"an earlier run holds it: {held['run']}, {old}" in shown
    assert "Near-duplicates: 2 records in its cluster" in shown
    assert "duplicate of" not in shown
    report = (Path(job.output) / "report.html").read_text()
    assert "Held by earlier runs" in report and held["run"] in report


def test_summary_of_ranges_is_that_of_one(tmp_path: Path) -> None:
    job = job_of(lay_out(tmp_path))
    curate(job)
    whole = Folder(job.output).read_json("summary.json")["near"]
    other = job_of(
        lay_out(tmp_path / "other", MANIFEST.replace("output: out", "output: {path: out, shard_bytes: 1024}"))
    )
    curate(other)
    assert len((Folder(other.output) / "ledger").names(".parquet")) > 1
    assert Folder(other.output).read_json("summary.json")["near"] == whole
    assert sum(row["n_docs"] for row in whole["sizes"]) == 5
    (cluster,) = whole["clusters"]
    assert [member["verdict"] for member in cluster["members"]] == ["kept", "dropped"]
    rows = pl.DataFrame(whole["sizes"]).group_by("size").agg(pl.sum("n_kept")).sort("size")
    assert rows.rows() == [(1, 1), (4, 1)]


def test_personal_data_in_clusters_is_masked(tmp_path: Path) -> None:
    text = SENTENCE + " 연락처는 kim.cheolsu@mail.kr 입니다"
    manifest = MANIFEST.replace("signals: true", "signals: true, pii: {kinds: [email]}")
    path = lay_out(tmp_path, manifest + "redact: {mode: placeholder}\n")
    rows = [{"key": str(k), "text": f"{text} {'끝' * k}"} for k in range(3)]
    (tmp_path / "web.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    curate(job_of(path))
    summary = (tmp_path / "out" / "summary.json").read_text()
    (cluster,) = orjson.loads(summary)["near"]["clusters"]
    assert all("연락처는 <EMAIL>" in member["text"] for member in cluster["members"][:1])
    assert len(cluster["members"]) == 2
    assert "kim.cheolsu" not in summary + (tmp_path / "out" / "report.html").read_text()
