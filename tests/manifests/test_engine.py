"""The same results here and on a local cluster; bounded retries when a worker dies; clear words when it is over."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from manifests import cluster
from manifests.engine import Engine, PeakMemory, Stopwatch, Workers, map_shards, open_engine
from manifests.errors import RequestError, RunError
from manifests.store import Folder


def square(number: int) -> int:
    return number * number


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_once(marker: str) -> int:
    """Kills its process the first time."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 1


def fail_at_three(number: int) -> int:
    if number == 3:
        raise RunError("three is too much")
    return number


def hold(n_bytes: int) -> int:
    held = np.ones(n_bytes, np.uint8)
    time.sleep(5)
    return len(held)


def pid_of_worker(number: int) -> int:
    time.sleep(0.05)
    return os.getpid()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(Workers(2)) as opened:
        yield opened


@pytest.mark.parametrize("n_workers", [1, 2])
def test_every_item_comes_back_once(n_workers: int) -> None:
    assert sorted(map_shards(square, list(range(9)), n_workers)) == [(i, i * i) for i in range(9)]


def test_one_cluster_serves_many_maps(engine: Engine) -> None:
    pids = [{pid for _, pid in engine.map(pid_of_worker, range(8))} for _ in range(2)]
    assert pids[0] == pids[1]
    assert len(pids[0]) == 2
    assert os.getpid() not in pids[0]


def test_a_worker_that_dies_is_replaced(engine: Engine, tmp_path: Path) -> None:
    items = [str(tmp_path / str(number)) for number in range(3)]
    assert sorted(engine.map(die_once, items)) == [(item, 1) for item in items]


def test_an_item_that_kills_its_workers_ends_the_run(engine: Engine) -> None:
    with pytest.raises(RunError, match=r"3 workers died one after the other at [2-5], .* run the same command again"):
        list(engine.map(die_at_three, range(6)))
    assert sorted(engine.map(square, range(3))) == [(0, 0), (1, 1), (2, 4)]


def test_an_error_of_an_item_is_that_of_the_map(engine: Engine) -> None:
    with pytest.raises(RunError, match="three is too much"):
        list(engine.map(fail_at_three, range(6)))


def test_a_folder_that_workers_do_not_see(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"does not see memory://here as this machine does"):
        engine.share(Folder("memory://here"))
    with pytest.raises(RequestError, match="does not see /nowhere: inputs must be at the same path"):
        engine.share(Folder(str(tmp_path)), ["/nowhere"])


def test_a_worker_with_other_code_does_not_take_part() -> None:
    here = dict(cluster.environment())
    assert cluster._problem(cluster._Admission(tuple(here.items()))) is None
    wanted = tuple((here | {"polars": "0.1", "Onggi's sources": "other"}).items())
    problem = cluster._problem(cluster._Admission(wanted))
    assert problem is not None
    sources, polars = here["Onggi's sources"], here["polars"]
    assert f"it has Onggi's sources {sources}, not other; polars {polars}, not 0.1" in problem


def test_memory_of_a_worker_is_capped() -> None:
    with (
        open_engine(Workers(2, memory_bytes=400 << 20)) as capped,
        pytest.raises(RunError, match=r"3 workers died .* out of memory"),
    ):
        list(capped.map(hold, [500 << 20]))


def test_no_process_is_left() -> None:
    with open_engine(Workers(2)) as opened:
        pids = {pid for _, pid in opened.map(pid_of_worker, range(8))}
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.parametrize(
    ("asked", "message"),
    [({"n_workers": 2, "scheduler": "tcp://x:1"}, "give one"), ({"memory_bytes": 1 << 30}, "--workers of 2 or more")],
)
def test_what_cannot_be_asked(asked: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Workers(**asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x:1"])
def test_no_scheduler_at_the_address(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    with (
        pytest.raises(RequestError, match="no Dask scheduler answers there"),
        open_engine(Workers(scheduler=address)),
    ):
        pass


def test_peak_memory_sees_a_large_array() -> None:
    with PeakMemory(0.01) as memory:
        before = memory.peak_bytes
        block = b"x" * (64 << 20)
        assert len(block) == 64 << 20
    assert memory.peak_bytes > max(before, 64 << 20)


def test_stopwatch_adds_up(tmp_path: Path) -> None:
    watch = Stopwatch()
    for _ in range(2):
        with watch("a"):
            pass
    assert list(watch.seconds) == ["a"]


@pytest.mark.parametrize("address", ["nonsense", "tcp://head", "http://head/status"])
def test_an_address_without_a_port_is_refused_at_once(address: str) -> None:
    with pytest.raises(RequestError, match="no address with a port, such as tcp://head:8786"):
        Workers(scheduler=address)
