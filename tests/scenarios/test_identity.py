"""The same records under the same manifest give the same result, whatever the files, shards, workers and kills."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from curation.pipeline import curate
from manifests.record import RunRecord, read_record
from manifests.store import Folder
from tests.scenarios.runs import document_files, job_of, lay_out

pytestmark = pytest.mark.usefixtures("without_pages")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    """A folder with a finished run of the small manifest, and its record."""
    folder = tmp_path_factory.mktemp("reference")
    return folder, curate(job_of(lay_out(folder)))


def test_nothing_vanishes(reference: tuple[Path, RunRecord]) -> None:
    folder, record = reference
    counts = record.counts
    assert counts["read"] == counts["kept"] + counts["dropped"] + counts["failed"] > 400
    assert min(counts["kept"], counts["dropped"], counts["failed"]) > 0
    ledger = pl.read_parquet(folder / "out/ledger/*.parquet")
    documents = pl.read_parquet(folder / "out/documents/*.parquet")
    assert ledger.height == counts["read"] == sum(shard["read"] for shard in record.shards.values())
    assert ledger.select("id", "copy").is_unique().all()
    kept = ledger.filter(pl.col("verdict") == "kept").select("id", "copy").sort("id", "copy")
    assert kept.equals(documents.select("id", "copy").sort("id", "copy"))
    assert ledger.filter(pl.col("verdict") != "kept")["reason"].null_count() == 0
    survivors = ledger.filter(pl.col("reason") == "exact_duplicate").join(
        documents, left_on=["duplicate_of", "duplicate_of_copy"], right_on=["id", "copy"], how="left"
    )
    assert survivors.height > 0
    assert survivors["text"].null_count() == 0


def test_documents_are_in_order_and_several_files(reference: tuple[Path, RunRecord]) -> None:
    folder, _ = reference
    paths = sorted((folder / "out/documents").glob("*.parquet"))
    ids = [row for path in paths for row in pl.read_parquet(path).select("id", "copy").rows()]
    assert len(paths) > 1
    assert ids == sorted(ids)


@pytest.mark.parametrize("shard_bytes", [50_000, 10_000_000])
def test_another_shard_size(reference: tuple[Path, RunRecord], tmp_path: Path, shard_bytes: int) -> None:
    folder, record = reference
    again = curate(job_of(folder / "web.yaml", tmp_path / "out", 1, f"limits.shard_bytes={shard_bytes}"))
    assert again.digests == record.digests
    assert document_files(tmp_path / "out") == document_files(folder / "out")
    assert len(again.shards) != len(record.shards)


def test_two_workers(reference: tuple[Path, RunRecord], tmp_path: Path) -> None:
    folder, record = reference
    again = curate(job_of(folder / "web.yaml", tmp_path / "out", 2))
    assert again.digests == record.digests
    assert document_files(tmp_path / "out") == document_files(folder / "out")


def test_files_renamed_into_another_order(reference: tuple[Path, RunRecord], tmp_path: Path) -> None:
    """Files of records keep their contents under other names, cut and put together otherwise."""
    _, record = reference
    manifest = lay_out(tmp_path)
    data = tmp_path / "data"
    (data / "apache.warc.gz").rename(data / "z.warc.gz")
    (data / "ko_docs.jsonl.zst").rename(data / "a.jsonl.zst")
    table = pq.read_table(data / "en_docs.parquet")
    (data / "en_docs.parquet").unlink()
    pq.write_table(table.slice(100), data / "0.parquet", row_group_size=7)
    pq.write_table(table.slice(0, 100), data / "1.parquet")
    again = curate(job_of(manifest))
    assert again.digests == record.digests


def test_a_finished_run_is_not_done_again(reference: tuple[Path, RunRecord]) -> None:
    folder, record = reference
    before = (folder / "out/run.json").stat().st_mtime_ns
    assert curate(job_of(folder / "web.yaml")) == record
    assert (folder / "out/run.json").stat().st_mtime_ns == before


def test_only_what_changed_is_measured_again(reference: tuple[Path, RunRecord], tmp_path: Path) -> None:
    _, record = reference
    manifest = lay_out(tmp_path)
    curate(job_of(manifest))
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out/measured").iterdir()}
    lines = (tmp_path / "data/notes/en").glob("*.md")
    (tmp_path / "data/notes/en/new.md").write_text(
        next(lines).read_text() + "\nOne more line of plain English text.\n"
    )
    again = curate(job_of(manifest))
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out/measured").iterdir()}
    kept = {name for name in before if after.get(name) == before[name]}
    assert 0 < len(before) - len(kept) < len(before) / 2
    assert again.counts["read"] == record.counts["read"] + 1


def kill_and_resume(manifest: Path, moments: list[Callable[[], object]], *arguments: str) -> RunRecord:
    """Run the command, kill it with SIGKILL when each wait is over, and let it end at last."""
    command = [sys.executable, "-m", "onggi", "curate", str(manifest), *arguments]
    for wait in moments:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, capture_output=True)
    return read_record(Folder(str(manifest.parent / "out")))


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_at_random_moments_and_resumed(
    reference: tuple[Path, RunRecord], tmp_path: Path, workers: str
) -> None:
    folder, record = reference
    manifest = lay_out(tmp_path)
    rng = random.Random(int(workers))
    moments = [partial(time.sleep, rng.uniform(1.5, 8)) for _ in range(5)]
    again = kill_and_resume(manifest, moments, "--workers", workers)
    assert again.digests == record.digests
    assert document_files(tmp_path / "out") == document_files(folder / "out")


def test_killed_once_and_resumed(reference: tuple[Path, RunRecord], tmp_path: Path) -> None:
    """Once some parts are there and others are not."""
    _, record = reference
    manifest, measured = lay_out(tmp_path), tmp_path / "out/measured"

    def some_parts() -> None:
        until = time.monotonic() + 60
        while not any(measured.glob("*.parquet")) and time.monotonic() < until:
            time.sleep(0.01)
        parts.extend(measured.iterdir())

    parts: list[Path] = []
    assert kill_and_resume(manifest, [some_parts]).digests == record.digests
    assert 0 < len(parts) < len(record.shards)
