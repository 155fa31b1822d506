"""A real cluster of processes in which things go wrong: the corpus is that of an undisturbed run in one process."""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import distributed  # its settings come with it: none can be set before
import psutil
import pytest

from curation.pipeline import Job, curate, prepare
from manifests import cluster
from manifests.engine import HERE, Workers
from manifests.errors import RunError
from manifests.record import RunRecord, read_record
from manifests.store import Folder
from tests.conftest import REPOSITORY
from tests.scenarios import faults
from tests.scenarios.runs import LIGHT, document_files, job_of, lay_out

pytestmark = pytest.mark.usefixtures("without_pages")

SETTINGS = {
    f"{distributed.__name__}.worker.preload": ["tests.scenarios.faults"],
    "distributed.deploy.lost-worker-timeout": "100 ms",  # a worker on a busy machine takes longer to start again
}
COMMAND = "import tests.scenarios.faults, onggi; onggi.main()"
PATIENCE_S = 60
EXPECTED = {
    "full": "No space left on device while writing faulty://.* run the same command again",
    "kill": "3 workers died one after the other at .* run the same command again",
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    """A folder with a manifest and a finished run of it in one process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, curate(job_of(lay_out(folder, LIGHT)))


@pytest.fixture
def faulty(
    undisturbed: tuple[Path, RunRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Job]:
    """Makes the job of the same manifest on a filesystem with faults."""
    job = job_of(undisturbed[0] / "web.yaml")

    def make(kind: str, frac: float, seed: int, workers: Workers = HERE, n_max: int = 1_000_000) -> Job:
        monkeypatch.setenv(faults.PLAN, faults.plan(tmp_path / "faults", kind, frac, seed, n_max))
        return prepare(job.manifest, job.base, f"faulty://{tmp_path}/out", workers)

    return make


def until(happened: Callable[[], object], what: str) -> None:
    """Wait for something, and fail with its name where it does not come."""
    end = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE_S} s"
        time.sleep(0.02)


def run_until_done(job: Job, kind: str) -> tuple[RunRecord, int]:
    """The record of a job, started again as its errors say; and how often it had to be."""
    for n_stops in range(100):
        try:
            return curate(job), n_stops
        except RunError as error:
            assert re.match(EXPECTED[kind], str(error))
    raise AssertionError("stopped 100 times")


@pytest.mark.parametrize(
    "seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
def test_a_full_disk(
    undisturbed: tuple[Path, RunRecord], faulty: Callable[..., Job], tmp_path: Path, seed: int
) -> None:
    record, n_stops = run_until_done(faulty("full", 0.01, seed), "full")
    assert n_stops >= 3
    assert record.digests == undisturbed[1].digests
    assert document_files(tmp_path / "out") == document_files(undisturbed[0] / "out")


def test_a_write_that_was_torn_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(faults.PLAN, faults.plan(tmp_path / "faults", "full", 1.0, 1))
    folder = Folder(f"faulty://{tmp_path}/out")
    with pytest.raises(RunError, match=r"No space left on device while writing faulty://.*/out/whole.json"):
        folder.write_json("whole.json", {"a": 1})
    assert not folder.exists("whole.json")
    assert list((tmp_path / "out").iterdir()) == []
    folder.write_json("whole.json", {"a": 1})
    assert folder.read_json("whole.json") == {"a": 1}


@pytest.mark.slow
def test_a_full_disk_under_workers(
    undisturbed: tuple[Path, RunRecord], faulty: Callable[..., Job], tmp_path: Path
) -> None:
    with dask.config.set(SETTINGS):
        record, n_stops = run_until_done(faulty("full", 0.002, 4, Workers(2)), "full")
    assert n_stops >= 1
    assert record.digests == undisturbed[1].digests
    assert document_files(tmp_path / "out") == document_files(undisturbed[0] / "out")


@pytest.mark.parametrize(("seed", "n_max"), [(1, 3), pytest.param(2, 1_000_000, marks=pytest.mark.slow)])
def test_workers_killed_in_mid_shard(
    undisturbed: tuple[Path, RunRecord], faulty: Callable[..., Job], tmp_path: Path, seed: int, n_max: int
) -> None:
    """Each worker that dies is followed by one that takes seconds to start."""
    with dask.config.set(SETTINGS):
        record, _ = run_until_done(faulty("kill", 0.005, seed, Workers(2), n_max), "kill")
    assert len(list((tmp_path / "faults").iterdir())) >= 2
    assert record.digests == undisturbed[1].digests
    assert document_files(tmp_path / "out") == document_files(undisturbed[0] / "out")


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=os.environ | environment,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


class Cluster:
    """A scheduler and workers, each a process of its own that the test can end."""

    def __init__(self, plan: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._plan = plan
        self._processes: list[subprocess.Popen[str]] = []

    def start_scheduler(self) -> subprocess.Popen[str]:
        options = [
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--no-dashboard",
            "--dashboard-address",
            "127.0.0.1:0",
        ]
        return self._start("distributed.cli.dask_scheduler", *options)

    def start_worker(self) -> subprocess.Popen[str]:
        options = ["--nthreads", "1", "--no-dashboard", "--preload", "tests.scenarios.faults"]
        return self._start("distributed.cli.dask_worker", self.address, *options)

    def _start(self, module: str, *options: str) -> subprocess.Popen[str]:
        process = start("-m", module, *options, **{faults.PLAN: self._plan})
        self._processes.append(process)
        return process

    def stop(self) -> None:
        while self._processes:
            kill_group(self._processes.pop())


def kill_group(process: subprocess.Popen[str]) -> None:
    """End a process and its children, and read what they said."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture
def slow_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A scheduler and one worker, on a filesystem on which some writes take long."""
    plan = faults.plan(tmp_path / "faults", "slow", 0.05, 1)
    monkeypatch.setenv(faults.PLAN, plan)
    made = Cluster(plan)
    made.start_scheduler()
    made.start_worker()
    yield made
    made.stop()


def in_background(work: Callable[[], RunRecord]) -> tuple[threading.Thread, list[RunRecord | Exception]]:
    results: list[RunRecord | Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def writers(folder: Path) -> set[str]:
    """The processes in which writes were slow."""
    return {path.read_text() for path in folder.iterdir()} - {"", str(os.getpid())}


def job_on(made: Cluster, manifest: Path, output: Path) -> Job:
    job = job_of(manifest)
    return prepare(job.manifest, job.base, f"faulty://{output}", Workers(scheduler=made.address))


@pytest.mark.slow
def test_a_worker_that_joins_late_takes_part(
    undisturbed: tuple[Path, RunRecord], slow_cluster: Cluster, tmp_path: Path
) -> None:
    job = job_on(slow_cluster, undisturbed[0] / "web.yaml", tmp_path / "out")
    thread, results = in_background(lambda: curate(job))
    until(lambda: writers(tmp_path / "faults") or results, "the first shard")
    assert results == []
    slow_cluster.start_worker()
    thread.join(PATIENCE_S)
    assert isinstance(results[0], RunRecord), results
    assert results[0].digests == undisturbed[1].digests
    assert results[0].n_workers == 2
    assert len(writers(tmp_path / "faults")) == 2
    assert document_files(tmp_path / "out") == document_files(undisturbed[0] / "out")


@pytest.mark.slow
def test_a_scheduler_that_comes_back(
    undisturbed: tuple[Path, RunRecord], slow_cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = job_on(slow_cluster, undisturbed[0] / "web.yaml", tmp_path / "out")
    thread, results = in_background(lambda: curate(job))
    until(lambda: writers(tmp_path / "faults") or results, "the first shard")
    assert results == []
    slow_cluster.stop()
    slow_cluster.start_scheduler()
    slow_cluster.start_worker()
    thread.join(PATIENCE_S)
    assert isinstance(results[0], RunRecord), results
    assert "the scheduler was lost" in caplog.text
    assert results[0].digests == undisturbed[1].digests
    assert document_files(tmp_path / "out") == document_files(undisturbed[0] / "out")


@pytest.mark.slow
def test_a_scheduler_that_does_not_come_back(
    undisturbed: tuple[Path, RunRecord], slow_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "LOST_S", 2.0)
    job = job_on(slow_cluster, undisturbed[0] / "web.yaml", tmp_path / "out")
    thread, results = in_background(lambda: curate(job))
    until(lambda: writers(tmp_path / "faults") or results, "the first shard")
    assert results == []
    slow_cluster.stop()
    thread.join(PATIENCE_S)
    assert isinstance(results[0], RunError)
    assert re.search("did not come back within 2 s; .* run the same command again", str(results[0]))
    assert curate(prepare(job.manifest, job.base, job.output)).digests == undisturbed[1].digests


def start_command(undisturbed: tuple[Path, RunRecord], tmp_path: Path) -> subprocess.Popen[str]:
    """`onggi curate --workers 2` on slow files, once it is at work."""
    plan = faults.plan(tmp_path / "faults", "slow", 0.05, 1)
    arguments = ["curate", str(undisturbed[0] / "web.yaml"), "-o", f"faulty://{tmp_path}/out", "--workers", "2"]
    settings = {faults.PLAN: plan, "DASK_DISTRIBUTED__WORKER__PRELOAD": "['tests.scenarios.faults']"}
    process = start("-c", COMMAND, *arguments, **settings)
    until(lambda: writers(tmp_path / "faults") or process.poll() is not None, "the first shard")
    assert process.poll() is None, process.communicate()[0]
    return process


@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "Ctrl-C"])
def test_a_command_that_ends_early_leaves_no_worker(
    undisturbed: tuple[Path, RunRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    process = start_command(undisturbed, tmp_path)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    time.sleep(random.Random(how).random())
    if how == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the workers too
    else:
        process.send_signal(getattr(signal, how))
    said = process.communicate(timeout=PATIENCE_S)[0]
    until(
        lambda: not any(child.is_running() and child.status() != "zombie" for child in children), "the workers' end"
    )
    if how == "Ctrl-C":
        assert process.returncode == 1
        assert "onggi: stopped; the same command goes on from here" in said
        assert "Traceback" not in said
    monkeypatch.setenv(faults.PLAN, faults.plan(tmp_path / "faults", "slow", 0, 1))
    job = job_of(undisturbed[0] / "web.yaml")
    assert curate(prepare(job.manifest, job.base, f"faulty://{tmp_path}/out")).digests == undisturbed[1].digests
    assert read_record(Folder(f"{tmp_path}/out")).counts == undisturbed[1].counts
