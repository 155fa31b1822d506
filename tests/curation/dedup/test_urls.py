"""One document per canonical URL: in whole runs, against brute force, with workers, killed, and decided again."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from curation import decide as deciding
from curation.addresses.urls import canonical_url
from curation.explain import explain
from curation.pipeline import changed_manifest, curate, decide_again
from manifests.load import load_manifest
from manifests.record import RunRecord
from manifests.schema_addresses import Urls
from manifests.store import Folder
from tests.scenarios.runs import document_files, job_of

pytestmark = pytest.mark.usefixtures("without_pages")
pytest.importorskip("publicsuffixlist")

MANIFEST = """
kind: corpus
name: same
inputs:
  - {source: a, path: "a*.jsonl", key: key, url: url, date: date}
  - {source: b, path: b.jsonl, key: key, url: url, date: date}
measure: {urls: {index_files: true}}
rules: [{name: short, keep: "n_text_bytes >= 40"}]
dedup: {url: true, exact: true}
limits: {shard_bytes: 20_000}
output: {path: out, shard_bytes: 20_000}
"""
SPELLINGS = ["http://E.kr/{}?b=1&a=2", "http://e.kr:80/x/../{}?a=2&utm_source=q&b=1#top", "http://e.kr/{}/", "urn:{}"]


def rows(seed: int, n_rows: int = 400) -> list[dict[str, Any]]:
    chosen = random.Random(seed)
    return [
        {
            "key": f"{seed}-{number}",
            "url": chosen.choice([*SPELLINGS, None]) and chosen.choice(SPELLINGS).format(chosen.randrange(90)),
            "date": chosen.choice([None, *(f"2024-01-{day:02}" for day in range(1, 28))]),
            "text": " ".join([f"{chosen.randrange(150)}"] * chosen.randrange(5, 60)),
        }
        for number in range(n_rows)
    ]


def lay_out(folder: Path, manifest: str = MANIFEST) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in (("a1", 1), ("a2", 2), ("b", 3)):
        (folder / f"{name}.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows(seed))))
    path = folder / "same.yaml"
    path.write_text(manifest)
    return path


def ledger_of(run: str | Path) -> pl.DataFrame:
    return (Folder(str(run)) / "ledger").scan().collect()


def expected(ledger: pl.DataFrame, min_bytes: int, rank: Callable[[dict[str, Any]], Any]) -> dict[str, str | None]:
    """What each record loses to, by its key, found by comparing all with all: None where it is kept."""
    by_key = {row["key"]: row for seed in (1, 2, 3) for row in rows(seed)}
    ids = {row["key"]: (row["id"], row["copy"]) for row in ledger.to_dicts()}
    passing = {key: row for key, row in by_key.items() if len(row["text"]) >= min_bytes}
    same_url = dict[str, list[str]]()
    for key, row in passing.items():
        url = canonical_url(row["url"] or "", Urls(index_files=True))
        same_url.setdefault(url or key, []).append(key)
    outcome = dict[str, str | None]()
    same_text = dict[str, list[str]]()
    for keys in same_url.values():
        best, *rest = sorted(keys, key=lambda key: (*rank(passing[key]), ids[key]))
        outcome |= dict.fromkeys(rest, f"duplicate_url {ids[best][0]}")
        same_text.setdefault(passing[best]["text"], []).append(best)
    for keys in same_text.values():
        best, *rest = sorted(keys, key=lambda key: ids[key])
        outcome |= {best: None} | dict.fromkeys(rest, f"exact_duplicate {ids[best][0]}")
    return outcome


POLICIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "newest": lambda row: (row["date"] is None, -int((row["date"] or "0").replace("-", ""))),
    "first": lambda row: (0,),
    "longest": lambda row: (-len(row["text"]),),
}


def outcomes(ledger: pl.DataFrame) -> dict[str, str | None]:
    judged = ledger.filter(pl.col("reason").is_null() | (pl.col("stage") == "dedup"))
    return {
        row["key"]: f"{row['reason']} {row['duplicate_of']}" if row["reason"] else None for row in judged.to_dicts()
    }


@pytest.mark.parametrize("policy", POLICIES)
def test_the_best_of_each_url_is_kept(tmp_path: Path, policy: str) -> None:
    job = job_of(lay_out(tmp_path, MANIFEST.replace("url: true", f"url: {{keep: {policy}}}")))
    curate(job)
    ledger = ledger_of(job.output)
    assert outcomes(ledger) == expected(ledger, 40, POLICIES[policy])
    lost = ledger.filter(pl.col("reason") == "duplicate_url")
    assert lost.height > 100 and lost["duplicate_of_copy"].null_count() == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    path = lay_out(tmp_path_factory.mktemp("urls"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("curation.pipeline.write_report", lambda run, record, summary: "")
        return path, curate(job_of(path))


def test_a_new_decision_equals_a_new_run(run: tuple[Path, RunRecord], tmp_path: Path) -> None:
    path, _ = run
    longer = lay_out(tmp_path, MANIFEST.replace("n_text_bytes >= 40", "n_text_bytes >= 120"))
    fresh = curate(job_of(longer))
    old = Folder(str(path.parent / "out"))
    manifest = changed_manifest(old, load_manifest(str(path), ()), str(path.parent), ["short=120"])
    again = decide_again(old, manifest, str(tmp_path / "again"))
    assert document_files(tmp_path / "again") == document_files(tmp_path / "out")
    assert again.digests == fresh.digests
    ledger = ledger_of(tmp_path / "again")
    assert outcomes(ledger) == expected(ledger, 120, POLICIES["newest"])


def test_addresses_that_were_not_measured_are_compared_all_the_same(
    run: tuple[Path, RunRecord], tmp_path: Path
) -> None:
    plain = MANIFEST.replace("measure: {urls: {index_files: true}}\n", "")
    without = lay_out(tmp_path, plain.replace("url: true, ", ""))
    curate(job_of(without))
    manifest = changed_manifest(
        Folder(str(tmp_path / "out")), load_manifest(str(without), ["dedup.url=true"]), str(tmp_path), ()
    )
    again = decide_again(Folder(str(tmp_path / "out")), manifest, str(tmp_path / "again"))
    assert again.digests["ledger"] == run[1].digests["ledger"]  # no path of these ends in index.html
    assert "canonical_url" not in (Folder(str(tmp_path / "again")) / "documents").scan().collect_schema()


def test_a_decision_that_was_killed_goes_on(
    run: tuple[Path, RunRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("choose_survivors", "write_passing", "find_groups"):
        path = lay_out(tmp_path / place)
        kill, done = getattr(deciding.urls, place), []

        def killed(*arguments: Any, kill: Any = kill, done: list[int] = done) -> Any:
            done.append(1)
            if len(done) == 1:
                raise KeyboardInterrupt
            return kill(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(deciding.urls, place, killed)
            with pytest.raises(KeyboardInterrupt):
                curate(job_of(path))
            assert curate(job_of(path)).digests == run[1].digests


def test_what_has_the_same_url_can_be_explained(run: tuple[Path, RunRecord]) -> None:
    folder = Folder(str(run[0].parent / "out"))
    ledger = ledger_of(folder.path)
    lost = ledger.filter(pl.col("reason") == "duplicate_url").row(0, named=True)
    [story] = [story for story in explain(folder, lost["id"]) if story.ledger["copy"] == lost["copy"]]
    ids = [row["id"] for row in story.url_group]
    assert lost["id"] in ids and lost["duplicate_of"] in ids
    urls = {canonical_url(row["url"]) for row in story.url_group}
    assert urls == {story.measured["canonical_url"]}


@pytest.mark.slow
def test_workers_come_to_the_same(run: tuple[Path, RunRecord], tmp_path: Path) -> None:
    job = job_of(lay_out(tmp_path), None, 3)
    assert curate(job).digests == run[1].digests
    assert document_files(tmp_path / "out") == document_files(run[0].parent / "out")
