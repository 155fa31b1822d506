"""In which order runs are run, several at once, and what becomes of the others where one fails."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import RunError
from tests.training.experiments.small_experiments import manifest
from training.experiments import run
from training.experiments.chain import Shared, plan_chains
from training.experiments.run import run_all

Do = Callable[[str], None]


@pytest.fixture
def runs(tmp_path: Path) -> list[Shared]:
    """A mixture and a training for each of two arms and two seeds."""
    return plan_chains(manifest(tmp_path), str(tmp_path)).runs


@pytest.fixture
def doing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Do], list[str]]:
    """What a run does instead of its work; the folders in the order in which they began."""
    began, lock = list[str](), threading.Lock()

    def use(do: Do) -> list[str]:
        def run_step(_: Any, __: str, folder: Path, *___: Any) -> None:
            with lock:
                began.append(folder.name)
            do(folder.name)

        monkeypatch.setattr(run, "run_step", run_step)
        monkeypatch.setattr(run, "manifest_of", lambda one: None)
        monkeypatch.setattr(run, "stamp_of", lambda one: {})
        monkeypatch.setattr(run, "set_stamp", lambda one, stamp: None)
        return began

    return use


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_each_run_once_and_after_what_it_reads(
    runs: list[Shared], doing: Callable[[Do], list[str]], tmp_path: Path, n_jobs: int
) -> None:
    ended = set[str]()
    reads = {one.run.folder.name: {read.folder.name for read in one.run.reads.values()} for one in runs}

    def do(name: str) -> None:
        assert reads[name] <= ended
        time.sleep(0.01)
        ended.add(name)

    began = doing(do)
    ran = run_all(runs, tmp_path, n_jobs=n_jobs)
    assert not ran.failed and sorted(began) == sorted(one.run.folder.name for one in runs)


def test_several_run_at_once(runs: list[Shared], doing: Callable[[Do], list[str]], tmp_path: Path) -> None:
    together = threading.Barrier(2, timeout=20)

    def do(name: str) -> None:
        if name.startswith("mix"):
            together.wait()

    doing(do)
    assert not run_all(runs, tmp_path, n_jobs=2).failed, "four mixtures, two by two"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_reads_a_failed_run_is_left_out(
    runs: list[Shared], doing: Callable[[Do], list[str]], tmp_path: Path, n_jobs: int
) -> None:
    lost = runs[0].run.folder.name

    def do(name: str) -> None:
        if name == lost:
            raise RunError("no room")

    began = doing(do)
    ran = run_all(runs, tmp_path, n_jobs=n_jobs)
    assert [(one.step, one.why, one.is_left_out) for one in ran.failed.values()] == [
        ("mix", "no room", False),
        ("train", "was not run: it reads mix, which failed", True),
    ]
    assert len(began) == len(runs) - 1


class OwnError(Exception):
    """Of a library that derives it from nothing else, as polars and zstandard do."""


@pytest.mark.parametrize("error", [ValueError, KeyError, OwnError, MemoryError])
def test_an_error_of_a_library_is_the_failure_of_its_run(
    error: type[Exception], runs: list[Shared], doing: Callable[[Do], list[str]], tmp_path: Path
) -> None:
    def do(name: str) -> None:
        if name.startswith("train"):
            raise error("odd")

    doing(do)
    assert {one.why for one in run_all(runs, tmp_path).failed.values()} == {f"{error.__name__}: {error('odd')}"}


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_stop_stops(runs: list[Shared], doing: Callable[[Do], list[str]], tmp_path: Path, n_jobs: int) -> None:
    def do(_: str) -> None:
        raise KeyboardInterrupt

    began = doing(do)
    with pytest.raises(KeyboardInterrupt):
        run_all(runs, tmp_path, n_jobs=n_jobs)
    assert len(began) <= n_jobs


def test_progress_tells_arm_seed_and_step(
    runs: list[Shared], doing: Callable[[Do], list[str]], tmp_path: Path
) -> None:
    told = list[tuple[Any, ...]]()
    doing(lambda name: None)
    run_all(runs, tmp_path, lambda *said: told.append(said))
    assert ("run", 0, 1, "both, seed 1, train") in told and told[-1] == ("runs", 8, 8, "8 of 8")
