"""Killed at the worst moments, moved away, put where it should not be: the result is right, or a clear error."""

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curation import pipeline
from curation.diff import diff
from curation.pipeline import changed_manifest, curate, decide_again
from manifests.errors import RequestError
from manifests.record import RunRecord, read_record
from manifests.store import Folder
from tests.scenarios.runs import LIGHT, document_files, job_of, lay_out

pytestmark = pytest.mark.usefixtures("without_pages")


class KilledError(BaseException):
    """Stands for a kill at one place in the code."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, curate(job_of(lay_out(folder, LIGHT)))


@pytest.fixture
def copied(finished: tuple[Path, RunRecord], tmp_path: Path) -> tuple[Path, RunRecord]:
    """A copy of it, to do things to; its inputs stay where they were."""
    shutil.copytree(finished[0] / "out", tmp_path / "out")
    return tmp_path, finished[1]


def die_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int) -> None:
    """Let the `call`-th call of a function, counted from 1, be a kill just before it."""
    real, calls = getattr(owner, name), []

    def killed(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            raise KilledError
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, killed)


@pytest.mark.parametrize(
    "where", [(Folder, "move_in", 1), (Folder, "move_in", 2), (pipeline, "_finish", 1), (pipeline, "write_record", 1)]
)
def test_killed_while_results_are_put_in_place(
    finished: tuple[Path, RunRecord], tmp_path: Path, where: tuple[Any, str, int]
) -> None:
    folder, record = finished
    job = job_of(folder / "web.yaml", tmp_path / "out")
    with pytest.MonkeyPatch.context() as patch:
        die_at(patch, *where)
        with pytest.raises(KilledError):
            curate(job)
    assert curate(job).digests == record.digests
    assert document_files(tmp_path / "out") == document_files(folder / "out")


def test_killed_while_the_staging_folder_is_removed(finished: tuple[Path, RunRecord], tmp_path: Path) -> None:
    folder, record = finished
    job = job_of(folder / "web.yaml", tmp_path / "out")
    real = Folder.remove

    def half(self: Folder, name: str) -> None:
        if name.startswith("staging-"):
            next((tmp_path / "out" / name / "notes").iterdir()).unlink()
            raise KilledError
        real(self, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Folder, "remove", half)
        with pytest.raises(KilledError):
            curate(job)
    assert curate(job).digests == record.digests
    assert document_files(tmp_path / "out") == document_files(folder / "out")


@pytest.mark.parametrize("call", [1, 2])
def test_a_decision_in_place_that_was_killed_goes_on(copied: tuple[Path, RunRecord], call: int) -> None:
    folder, record = copied
    run = Folder(str(folder / "out"))
    stricter = changed_manifest(run, None, "", ["language.language_score=0.95"])
    expected = decide_again(run, stricter, str(folder / "aside"))
    with pytest.MonkeyPatch.context() as patch:
        die_at(patch, Folder, "move_in", call)
        with pytest.raises(KilledError):
            decide_again(run, stricter, run.path)
    with pytest.raises(RequestError, match="is not complete"):
        read_record(run)
    assert decide_again(run, stricter, run.path).digests == expected.digests != record.digests
    assert document_files(folder / "out") == document_files(folder / "aside")


def test_a_kill_while_texts_are_dropped(tmp_path: Path) -> None:
    job = job_of(lay_out(tmp_path, LIGHT.replace("output:", "store: columns\noutput:")))
    with pytest.MonkeyPatch.context() as patch:
        real = Folder.table_writer
        seen: list[str] = []

        def writer(self: Folder, name: str, *args: Any, **kwargs: Any) -> Any:
            if self.path.endswith("measured") and name in seen and len(seen) > 1:
                raise KilledError
            seen.extend([name] if self.path.endswith("measured") else [])
            return real(self, name, *args, **kwargs)

        patch.setattr(Folder, "table_writer", writer)
        with pytest.raises(KilledError):
            curate(job)
    record = curate(job)
    assert "text" not in pl.scan_parquet(tmp_path / "out/measured/*.parquet").collect_schema().names()
    run = Folder(str(tmp_path / "out"))
    assert decide_again(run, changed_manifest(run, None, "", []), str(tmp_path / "again")).digests == record.digests


def test_keys_that_a_kill_left_behind_do_not_count(
    finished: tuple[Path, RunRecord], copied: tuple[Path, RunRecord]
) -> None:
    folder, record = copied
    keys = next((folder / "out/keys").glob("*.parquet"))
    shutil.copy(keys, keys.with_name("0000000000000000-00000.parquet"))
    (folder / "out/run.json").unlink()
    again = curate(job_of(finished[0] / "web.yaml", folder / "out"))
    assert again.digests == record.digests


def test_a_moved_run_decides_from_its_own_parts(copied: tuple[Path, RunRecord]) -> None:
    folder, record = copied
    (folder / "out").rename(folder / "moved")
    run = Folder(str(folder / "moved"))
    manifest = changed_manifest(run, None, "", [])
    assert decide_again(run, manifest, str(folder / "aside")).digests == record.digests
    shutil.rmtree(folder / "moved/measured")
    with pytest.raises(RequestError, match="what it was decided from is no longer in"):
        decide_again(Folder(str(folder / "aside")), manifest, str(folder / "aside"))


def test_an_output_inside_the_input_is_not_read_back(tmp_path: Path) -> None:
    manifest = lay_out(tmp_path, LIGHT.replace("path: data/notes", 'path: ".", format: text'))
    first = curate(job_of(manifest))
    (tmp_path / "out/run.json").unlink()
    assert curate(job_of(manifest)).digests == first.digests


def test_an_input_that_is_listed_twice(tmp_path: Path) -> None:
    line = "  - {source: notes, path: data/notes}\n"
    manifest = lay_out(tmp_path, LIGHT.replace(line, line * 2))
    with pytest.raises(RequestError, match="source 'notes', path 'data/notes' is listed twice"):
        job_of(manifest)


def test_a_run_on_a_filesystem_of_fsspec(finished: tuple[Path, RunRecord]) -> None:
    folder, record = finished
    job = job_of(folder / "web.yaml")
    remote = pipeline.prepare(job.manifest, job.base, "memory://kills/out")
    assert curate(remote).digests == record.digests
    run = Folder("memory://kills/out")
    looser = changed_manifest(run, None, "", ["language.language_score=0.3"])
    again = decide_again(run, looser, "memory://kills/looser")
    counts, samples = diff(run, Folder("memory://kills/looser"))
    assert (
        counts.filter(pl.col("change") == "gained")["n_docs"].sum()
        >= again.counts["kept"] - record.counts["kept"]
        > 0
    )
    assert samples.height > 0
