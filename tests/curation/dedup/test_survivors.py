"""Survivor policies: what each keeps, in whole runs, and that a decision equals a fresh run."""

from pathlib import Path

import orjson
import polars as pl
import pytest

from curation.dedup.survivors import rank
from curation.pipeline import changed_manifest, curate, decide_again
from manifests.errors import RequestError
from manifests.load import load_manifest
from manifests.schema import Dedup, NearDedup
from manifests.store import Folder
from tests.curation.dedup.test_near import KOREAN
from tests.scenarios.runs import document_files, job_of

pytestmark = pytest.mark.usefixtures("without_pages")

MANIFEST = """
kind: corpus
name: near
inputs:
  - {source: web, path: web.jsonl, key: key, date: date}
  - {source: books, path: books.jsonl, key: key, date: date}
measure: {language: {}, signals: true}
rules: [{name: short, keep: "signals.word_count >= 20"}]
dedup: {near: {jaccard: 0.7}}
output: out
"""
SENTENCE = " ".join(f"{word}{k}에서는" for k in range(4) for word in KOREAN)


def lay_out(folder: Path, manifest: str = MANIFEST) -> Path:
    web = [
        {"key": "a", "date": "2020-01-01T00:00:00Z", "text": SENTENCE},
        {"key": "b", "date": "2024-05-01", "text": SENTENCE + " 끝입니다"},
        {"key": "c", "date": None, "text": SENTENCE + " 끝입니다 정말로 끝입니다"},
        {"key": "d", "date": "2021-01-01", "text": "전혀 다른 글 " * 10},
    ]
    books = [{"key": "e", "date": "Tue, 15 Nov 2022 12:45:26 +0900", "text": SENTENCE}]
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("web", web), ("books", books)):
        (folder / f"{name}.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    path = folder / "near.yaml"
    path.write_text(manifest)
    return path


def kept(output: str) -> dict[str, dict[str, object]]:
    rows = (Folder(output) / "documents").scan().collect().to_dicts()
    return {row["key"]: row for row in rows}


@pytest.mark.parametrize(
    ("policy", "survivor"),
    [
        ("longest", "c"),
        ("newest", "b"),
        ("{score: signals.word_count}", "c"),
        ("{sources: [books, web]}", "e"),
    ],
)
def test_a_policy_chooses_the_survivor(tmp_path: Path, policy: str, survivor: str) -> None:
    job = job_of(lay_out(tmp_path, MANIFEST.replace("0.7}", f"0.7, keep: {policy}}}")))
    record = curate(job)
    documents = kept(job.output)
    assert set(documents) == {survivor, "d"}
    assert documents[survivor]["near_cluster_size"] == 4
    assert (documents["d"]["near_cluster_size"], documents["d"]["near_cluster"]) == (1, None)
    assert record.counts["dropped"] == 3
    ledger = (Folder(job.output) / "ledger").scan().collect()
    lost = ledger.filter(pl.col("verdict") == "dropped")
    assert set(lost["duplicate_of"]) == {documents[survivor]["id"]}
    reasons = dict(zip(lost["key"], lost["reason"], strict=True))
    same_text = {"a": "e", "e": "a"}.get(survivor)
    assert reasons == {key: "exact_duplicate" if key == same_text else "near_duplicate" for key in reasons}
    assert set(lost["stage"]) == {"dedup"}


def test_the_first_by_id_survives_whatever_the_order(tmp_path: Path) -> None:
    job = job_of(lay_out(tmp_path, MANIFEST.replace("0.7}", "0.7, keep: first}")))
    curate(job)
    ledger = (Folder(job.output) / "ledger").scan().collect()
    ids = dict(ledger.filter(pl.col("key") != "d").select("id", "key").iter_rows())
    assert set(kept(job.output)) == {"d", ids[min(ids)]}


def test_a_member_that_fails_a_rule_gives_way(tmp_path: Path) -> None:
    path = lay_out(tmp_path)
    job = job_of(path)
    curate(job)
    assert set(kept(job.output)) == {"c", "d"}
    fewer = MANIFEST.replace("word_count >= 20", "word_count >= 20 and signals.word_count < 51")
    path.write_text(fewer)
    fresh = job_of(path, tmp_path / "fresh")
    curate(fresh)
    assert set(kept(fresh.output)) == {"b", "d"}
    manifest = changed_manifest(Folder(job.output), load_manifest(str(path), ()), str(tmp_path), ())
    again = decide_again(Folder(job.output), manifest, str(tmp_path / "again"))
    assert document_files(tmp_path / "again") == document_files(tmp_path / "fresh")
    assert again.digests == job_record(fresh.output)


def job_record(output: str) -> dict[str, str]:
    digests: dict[str, str] = Folder(output).read_json("run.json")["digests"]
    return digests


def test_the_size_of_a_cluster_works_in_a_rule(tmp_path: Path) -> None:
    rule = '[{name: seen, keep: "near_cluster_size >= 2 and exact_size = 1"}]'
    job = job_of(lay_out(tmp_path, MANIFEST.replace('[{name: short, keep: "signals.word_count >= 20"}]', rule)))
    curate(job)
    assert set(kept(job.output)) == {"c"}
    ledger = (Folder(job.output) / "ledger").scan().collect()
    reasons = dict(zip(ledger["key"], ledger["reason"], strict=True))
    assert reasons == {"a": "seen", "b": "near_duplicate", "c": None, "d": "seen", "e": "seen"}


def test_a_score_that_is_not_measured_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"dedup\.near\.keep\.score: 'edu_score'.*signals\.word_count"):
        job_of(lay_out(tmp_path, MANIFEST.replace("0.7}", "0.7, keep: {score: edu_score}}")))


def test_dates_are_read_as_records_carry_them() -> None:
    dates = [
        "2024-01-02T03:04:05Z", "2024-01-02T03:04:05.678+09:00", "2024-01-02 03:04:05", "2024-01-02",
        "Tue, 02 Jan 2024 03:04:05 +0000", "yesterday", None,
    ]  # fmt: skip
    frame = pl.DataFrame({"date": dates})
    ranks = frame.select(rank(Dedup(near=NearDedup(keep="newest"))))["date"].to_list()
    instant = 1704164645.0
    assert ranks == [-instant, -(instant - 9 * 3600 + 0.678), -instant, -1704153600.0, -instant, None, None]
