"""Whole runs over a crawl: the documents of its files, killed with -9 or not; nothing whole is fetched again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from curation.crawl import gate as crawl_gate
from curation.crawl import source as crawl_source
from curation.pipeline import curate
from curation.plan import estimate
from manifests.house import HOME, child_environment
from manifests.record import RunRecord
from tests.curation.crawls import ID, SAMPLE, Asked, Mirror, Server, build, served
from tests.scenarios.runs import job_of

FILES = {SAMPLE / "libreoffice_ko.warc.gz": "kor", SAMPLE / "postgresql.warc.gz": "eng"}
FETCH = "fetch: {requests_per_second: 1000, connections: 2, ahead_bytes: 20000, contact: a@b.example}"
MANIFEST = """
kind: corpus
name: cc
inputs: [INPUT]
measure: {language: {}}
rules: [{name: language, keep: "language in ('ko', 'en')"}]
dedup: {exact: true}
limits: {shard_bytes: 200_000}
output: {path: out}
"""


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    return build(tmp_path_factory.mktemp("mirror"), FILES)


@pytest.fixture
def server(mirror: Mirror, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setattr(crawl_source, "BACKOFF_S", 0.02)
    monkeypatch.setattr(crawl_gate, "_clocks", lambda: tmp_path)
    with served(mirror.root) as server:
        yield server


def manifest(folder: Path, given: str) -> Path:
    folder.mkdir()
    (folder / "m.yaml").write_text(MANIFEST.replace("INPUT", given))
    return folder / "m.yaml"


def of_crawl(server: Server) -> str:
    return f"{{source: cc, path: '{server.url}', crawl: {{id: {ID}, {FETCH}}}, languages: [kor, eng]}}"


def of_files(mirror: Mirror) -> str:
    return f"{{source: cc, path: '{mirror.root}/crawl-data/{ID}/segments/1.1/warc/*.warc.gz'}}"


def places(run: Path) -> set[tuple[str, int]]:
    """Where the records lie that are in whole parts of a run."""
    rows = pl.read_parquet(run / "measured" / "*.parquet", columns=["file", "offset"])
    return {(file.partition("/crawl-data/")[2], offset) for file, offset in rows.iter_rows()}


def test_ranges_and_files_make_the_same_run(mirror: Mirror, server: Server, tmp_path: Path) -> None:
    by_ranges = curate(job_of(manifest(tmp_path / "a", of_crawl(server))))
    by_files = curate(job_of(manifest(tmp_path / "b", of_files(mirror))))
    assert by_ranges.counts["read"] == by_files.counts["read"] == 220
    assert by_ranges.counts["kept"] > 150
    assert by_ranges.digests == by_files.digests


def test_a_plan_fetches_no_page(server: Server, tmp_path: Path) -> None:
    job = job_of(manifest(tmp_path / "a", of_crawl(server)))
    found = estimate(job)
    named = sum(path.stat().st_size for path in FILES)
    assert server.warc_requests() == []
    assert found.n_records == 220
    assert 0.98 * named < found.inputs[0].size_bytes < named  # but for the records warcinfo
    assert found.inputs[0].format == "crawl" and found.inputs[0].text_bytes > 100_000


def test_how_it_is_fetched_changes_no_result(server: Server, tmp_path: Path) -> None:
    path = manifest(tmp_path / "a", of_crawl(server))
    record = curate(job_of(path))
    n_asked = len(server.warc_requests())
    path.write_text(path.read_text().replace("connections: 2", "connections: 1, retries: 9"))
    again = curate(job_of(path))
    assert again.digests == record.digests
    assert len(server.warc_requests()) == n_asked


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_where_it_was(mirror: Mirror, server: Server, tmp_path: Path) -> None:
    path = manifest(tmp_path / "a", of_crawl(server))
    run = path.parent / "out"
    whole: set[tuple[str, int]] = set()

    def kill_in_the_middle(asked: Asked, number: int) -> str | None:
        if len(list((run / "measured").glob("*.parquet"))) >= 4 and process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        return None

    server.fault = kill_in_the_middle
    server.latency_s = 0.01
    command = [sys.executable, str(HOME / "onggi.py"), "curate", str(path)]
    process = subprocess.Popen(command, env=child_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    whole = places(run)
    server.fault = None
    before = server.warc_requests()
    server.asked.clear()
    record: RunRecord = curate(job_of(path))
    assert record.digests == curate(job_of(manifest(tmp_path / "b", of_files(mirror)))).digests
    assert record.counts["read"] == 220 and 0 < len(whole) < 220
    for asked in server.warc_requests():
        name = asked.path.partition("/crawl-data/")[2]
        assert not [at for file, at in whole if file == name and (asked.start or 0) <= at < (asked.end or 0)]
    twice = {(of.path, of.start) for of in before} & {(of.path, of.start) for of in server.warc_requests()}
    assert len(twice) < len(before) / 2
