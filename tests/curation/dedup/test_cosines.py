"""How similar semantic duplicates are to their survivors: as brute force says, however much is held at once."""

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import pytest

from curation import explain_near
from curation.dedup import cosines
from curation.explain import explain
from curation.pipeline import changed_manifest, curate, decide_again
from manifests.load import load_manifest
from manifests.store import Folder
from tests.curation.dedup.test_semantic import embed_words, lay_out, make_texts, words_model
from tests.scenarios.runs import job_of

pytestmark = pytest.mark.usefixtures("without_charts")

__all__ = ["words_model"]

MANIFEST = """
kind: corpus
name: meaning
inputs: [{source: s, path: docs.jsonl, key: key}]
measure: {signals: true, pii: {kinds: [email]}}
dedup: {semantic: {model: MODEL, cosine: 0.9}}
redact: {mode: placeholder}
limits: {shard_bytes: 8000}
output: {path: out, shard_bytes: 8000}
"""


def write(folder: Path, model: str, *changes: tuple[str, str]) -> Path:
    manifest = MANIFEST.replace("MODEL", model)
    for old, new in changes:
        assert old in manifest
        manifest = manifest.replace(old, new)
    texts = [f"{text} kim{k}@mail.kr" if k % 3 == 0 else text for k, text in enumerate(make_texts(7, 150))]
    return lay_out(folder, texts, manifest)


@cache
def vectors_of(output: str) -> dict[str, npt.NDArray[np.float64]]:
    """Of each document, from its text anew."""

    class Bag:
        n_dims = 16

    rows = (Folder(output) / "measured").scan().select("id", "text").collect()
    return dict(zip(rows["id"], embed_words(rows["text"], Bag).astype(np.float64), strict=True))  # type: ignore[arg-type]


def cosine_of(run: Folder, left: str, right: str) -> float:
    a, b = (vectors_of(run.path)[id_] for id_ in (left, right))
    return float(a @ b / (a @ a * (b @ b)) ** 0.5)


def summary_of(output: str) -> dict:
    return Folder(output).read_json("summary.json")["semantic"]


def pairs_of(summary: dict) -> list[tuple[str, str, float]]:
    """(survivor, loser, cosine) of the least similar pairs."""
    found = [cluster["members"] for cluster in summary["edge"]]
    return [(survivor["id"], loser["id"], loser["cosine"]) for survivor, loser in found]


def test_the_least_similar_pair_of_each_group(
    tmp_path: Path, words_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(write(tmp_path, words_model))
    record = curate(job)
    run = Folder(job.output)
    assert len((run / "ledger").names(".parquet")) > 1 and len((run / "embeddings").names(".parquet")) > 2
    ledger = (run / "ledger").scan().filter(pl.col("reason") == "semantic_duplicate").collect()
    least: dict[str, tuple[float, str]] = {}
    for loser, survivor in ledger.select("id", "duplicate_of").iter_rows():
        least[survivor] = min(least.get(survivor, (2.0, "")), (round(cosine_of(run, loser, survivor), 4), loser))
    expected = sorted((cosine, survivor, loser) for survivor, (cosine, loser) in least.items())
    found = summary_of(job.output)
    shown = pairs_of(found)
    assert [cosine for _, _, cosine in shown] == pytest.approx([c for c, _, _ in expected[: len(shown)]], abs=2e-4)
    assert len(shown) == min(20, len(expected)) > 10
    for survivor, loser, cosine in shown:
        assert cosine == pytest.approx(cosine_of(run, loser, survivor), abs=2e-4)
    assert sum(found["cosines"]["dropped"]) == ledger.height
    assert shown[0][2] < 0.9  # joined through others
    assert record.semantic["n_clusters"] > 10 and record.semantic["n_members"] >= record.semantic["n_texts"]
    assert "least similar pairs" in (tmp_path / "out/report.html").read_text()

    monkeypatch.setattr(cosines, "VALUES_AT_ONCE", 3 * 16)
    again = job_of(write(tmp_path / "again", words_model))
    curate(again)
    assert summary_of(again.output) == found


def test_new_decisions_have_pairs_of_their_own(tmp_path: Path, words_model: str) -> None:
    job = job_of(write(tmp_path, words_model))
    curate(job)
    run = Folder(job.output)
    path = write(tmp_path, words_model, ("cosine: 0.9", "cosine: 0.97, keep: first"))
    manifest = changed_manifest(run, load_manifest(str(path), ()), str(tmp_path), ())
    record = decide_again(run, manifest, str(tmp_path / "strict"))
    fresh = job_of(write(tmp_path / "fresh", words_model, ("cosine: 0.9", "cosine: 0.97, keep: first")))
    assert curate(fresh).semantic == record.semantic
    found = summary_of(str(tmp_path / "strict"))
    assert found == summary_of(fresh.output)
    assert pairs_of(found) != pairs_of(summary_of(job.output))


def test_texts_that_are_gone_and_personal_data(tmp_path: Path, words_model: str) -> None:
    job = job_of(write(tmp_path, words_model, ("limits:", "store: columns\nlimits:")))
    curate(job)
    whole = summary_of(job.output)
    manifest = changed_manifest(Folder(job.output), None, "", ())
    decide_again(Folder(job.output), manifest, str(tmp_path / "again"))
    again = summary_of(str(tmp_path / "again"))
    assert pairs_of(again) == pairs_of(whole)
    assert again["sizes"] == whole["sizes"]
    for summary in (whole, again):
        members = [member for cluster in summary["edge"] + summary["clusters"] for member in cluster["members"]]
        assert any("<EMAIL>" in member["text"] for member in members)
        assert b"@mail.kr" not in orjson.dumps(summary)
    assert not all(member["text"] for cluster in again["edge"] for member in cluster["members"])  # dropped, and gone
    for output in (job.output, str(tmp_path / "again")):
        assert "@mail.kr" not in (Path(output) / "report.html").read_text()


def test_explain_tells_the_group_and_the_cosine(
    tmp_path: Path, words_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(write(tmp_path, words_model))
    curate(job)
    run = Folder(job.output)
    survivor, loser, cosine = pairs_of(summary_of(job.output))[0]
    (story,) = explain(run, loser)
    group = story.semantic
    assert group is not None and story.near is None
    assert group.compared_with == group.members[0]["id"] == survivor == story.ledger["duplicate_of"]
    assert group.members[1]["id"] == loser
    assert (group.members[0]["cosine"], group.members[1]["cosine"]) == (1, cosine)
    assert group.size == sum(group.n_by_outcome.values()) >= len(group.members)
    assert group.n_by_outcome["kept"] == 1
    for member in group.members:
        assert member["cosine"] == pytest.approx(cosine_of(run, member["id"], survivor), abs=2e-4)
    alone = (run / "documents").scan().filter(pl.col("semantic_cluster").is_null()).select("id").head(1).collect()
    assert explain(run, alone.item())[0].semantic is None
    monkeypatch.setattr(explain_near, "N_MEMBERS", 1)
    (short,) = explain(run, loser)
    assert short.semantic is not None and len(short.semantic.members) == 1


def test_groups_that_were_found_anew_are_not_told(tmp_path: Path, words_model: str) -> None:
    job = job_of(write(tmp_path, words_model))
    curate(job)
    run = Folder(job.output)
    loser = pairs_of(summary_of(job.output))[0][1]
    path = write(tmp_path, words_model, ("cosine: 0.9", "cosine: 0.99"))
    manifest = changed_manifest(run, load_manifest(str(path), ()), str(tmp_path), ())
    decide_again(run, manifest, str(tmp_path / "strict"))
    assert explain(run, loser)[0].semantic is None
