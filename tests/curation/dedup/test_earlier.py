"""What earlier runs hold is dropped, equal or similar, without reading their texts."""

from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest

from curation.dedup import candidates, earlier, exchange
from curation.pipeline import changed_manifest, curate, decide_again
from curation.shards import drop_texts
from manifests.errors import RequestError
from manifests.load import load_manifest
from manifests.store import Folder
from tests.curation.dedup.test_near import ENGLISH, KOREAN, edited, write_sentences
from tests.scenarios.runs import document_files, job_of

pytestmark = pytest.mark.usefixtures("without_pages")

MANIFEST = """
kind: corpus
name: crawl
inputs: [{source: s, path: docs.jsonl, key: key}]
limits: {shard_bytes: 20000}
rules: [{name: marked, keep: "key <> 'refused'"}]
dedup: {near: {jaccard: 0.7}, against: []}
output: out
"""


def lay_out(folder: Path, texts: dict[str, str], against: list[str], manifest: str = MANIFEST) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [orjson.dumps({"key": key, "text": text}) for key, text in texts.items()]
    (folder / "docs.jsonl").write_bytes(b"\n".join(rows))
    path = folder / "crawl.yaml"
    path.write_text(manifest.replace("against: []", f"against: {against}"))
    return path


def ledger_of(output: str) -> dict[str, dict[str, object]]:
    return {row["key"]: row for row in (Folder(output) / "ledger").scan().collect().to_dicts()}


@pytest.fixture
def crawls(tmp_path: Path) -> tuple[Path, Path]:
    """An earlier run, and a later one that holds equal, similar and new texts."""
    rng = np.random.default_rng(0)
    old = {f"old{k}": write_sentences(rng, KOREAN if k % 2 else ENGLISH, 150) for k in range(40)}
    refused = write_sentences(rng, KOREAN, 150)
    first = lay_out(tmp_path / "first", {k: " ".join(v) for k, v in old.items()} | {"refused": " ".join(refused)}, [])
    curate(job_of(first))
    new = {f"new{k}": " ".join(write_sentences(rng, KOREAN, 150)) for k in range(30)}
    new |= {f"same{k}": " ".join(old[f"old{k}"]) for k in range(5)}
    new |= {f"like{k}": " ".join(edited(rng, old[f"old{k}"], 1)) for k in range(10, 20)}
    new["taken"] = " ".join(refused)
    return first, lay_out(tmp_path / "second", new, ["../first/out"])


def test_a_run_is_not_compared_with_itself(tmp_path: Path) -> None:
    path = lay_out(tmp_path, {"a": "글 하나"}, [])
    record = curate(job_of(path))
    lay_out(tmp_path, {"a": "글 하나"}, ["out"])
    with pytest.raises(RequestError, match=r"dedup.against: .*out is this run's own folder"):
        job_of(path)
    run = Folder(str(tmp_path / "out"))
    manifest = changed_manifest(run, load_manifest(str(path)), str(tmp_path), [])
    with pytest.raises(RequestError, match="own folder"):
        decide_again(run, manifest, run.path)
    assert run.read_json("run.json")["digests"] == record.digests


def test_equal_and_similar_texts_are_dropped_and_named(crawls: tuple[Path, Path]) -> None:
    first, second = crawls
    drop_texts(Folder(str(first.parent / "out")))  # the earlier texts are not needed
    job = job_of(second)
    curate(job)
    rows, old = ledger_of(job.output), ledger_of(str(first.parent / "out"))
    held = {key for key, row in rows.items() if row["reason"] == "held_by_earlier_run"}
    assert held == {key for key in rows if key.startswith(("same", "like"))}
    for key in held:
        number = key.removeprefix("same").removeprefix("like")
        assert rows[key]["duplicate_of"] == old[f"old{number}"]["id"]
        assert str(rows[key]["detail"]).endswith("first/out")
        assert (rows[key]["stage"], rows[key]["duplicate_of_copy"]) == ("dedup", None)
    assert rows["taken"]["verdict"] == "kept"  # the earlier run read it, and did not keep it


def test_small_ranges_and_workers_change_nothing(
    crawls: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(crawls[1])
    curate(job)
    for module in (earlier, candidates):
        monkeypatch.setattr(module, "TEXTS_PER_RANGE", 10)
        monkeypatch.setattr(module, "BAND_ROWS_PER_RANGE", 10)
    monkeypatch.setattr(earlier, "ROWS_PER_RANGE", 10)
    monkeypatch.setattr(exchange, "ROW_GROUP_ROWS", 8)
    other = job_of(crawls[1], tmp_path / "other")
    curate(other)
    assert document_files(tmp_path / "other") == document_files(Path(job.output))


def test_a_decision_without_the_earlier_run_restores(crawls: tuple[Path, Path], tmp_path: Path) -> None:
    job = job_of(crawls[1])
    curate(job)
    path = crawls[1].parent / "alone.yaml"
    path.write_text(MANIFEST)
    manifest = changed_manifest(Folder(job.output), load_manifest(str(path), ()), str(path.parent), ())
    decide_again(Folder(job.output), manifest, str(tmp_path / "again"))
    assert not any(row["reason"] == "held_by_earlier_run" for row in ledger_of(str(tmp_path / "again")).values())


def test_equal_texts_alone_need_no_signatures(crawls: tuple[Path, Path], tmp_path: Path) -> None:
    first, _ = crawls
    Folder(str(first.parent / "out")).remove("signatures")
    texts = {"same": (first.parent / "docs.jsonl").read_text().splitlines()[0], "other": "다른 글입니다"}
    texts["same"] = orjson.loads(texts["same"])["text"]
    exact = MANIFEST.replace("near: {jaccard: 0.7}", "exact: true")
    job = job_of(lay_out(tmp_path / "third", texts, ["../first/out"], exact))
    curate(job)
    rows = ledger_of(job.output)
    assert (rows["same"]["reason"], rows["other"]["verdict"]) == ("held_by_earlier_run", "kept")
    with pytest.raises(RequestError, match=r"first/out has no signatures like those asked for.*onggi decide"):
        curate(job_of(lay_out(tmp_path / "fourth", texts, ["../first/out"])))


def test_an_earlier_run_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="nowhere: holds no run"):
        job_of(lay_out(tmp_path, {"a": "글"}, ["nowhere"]))


def test_a_changed_earlier_run_is_looked_at_again(crawls: tuple[Path, Path]) -> None:
    first, second = crawls
    before = curate(job_of(second))
    first.write_text(first.read_text().replace("key <> 'refused'", "key <> 'old0'"))
    curate(job_of(first))
    after = curate(job_of(second))
    assert before.fingerprint != after.fingerprint
    rows = ledger_of(str(second.parent / "out"))
    assert (rows["same0"]["verdict"], rows["taken"]["reason"]) == ("kept", "held_by_earlier_run")
    held = (Folder(str(second.parent / "out")) / "held").scan().select(pl.len()).collect().item()
    assert held == 15
