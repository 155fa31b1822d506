"""Where shards execute: in this process, or on a cluster (manifests/cluster.py); and what that takes."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import psutil

from manifests.errors import RequestError
from manifests.store import Folder

Item = TypeVar("Item")
Result = TypeVar("Result")


class Progress(Protocol):
    """Is told how far a step is; amounts are bytes of input, tokens, or ranges of ids."""

    def __call__(self, step: str, done: float, total: float, note: str = "") -> None:
        """Take note of it."""


def silent(step: str, done: float, total: float, note: str = "") -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Workers:
    """Where a command's shards are to execute, as asked for; `open_engine` starts it. By default in this process."""

    n_workers: int = 1
    """Processes of a local cluster; 1 is this process itself."""
    scheduler: str | None = None
    """Address of a cluster that exists, instead of a local one."""
    memory_bytes: int | None = None
    """Memory of each local worker; None shares this machine's."""

    def __post_init__(self) -> None:
        if self.scheduler and self.n_workers > 1:
            raise RequestError("--workers and --scheduler: give one; a cluster that exists has its own workers")
        if self.scheduler and not re.search(r":\d+/?$", self.scheduler):
            raise RequestError(f"--scheduler {self.scheduler}: no address with a port, such as tcp://head:8786")
        if self.memory_bytes and self.n_workers == 1:
            raise RequestError("--memory-limit is for --workers of 2 or more; limits.shard_bytes bounds one process")


HERE = Workers()
"""This process."""


class Engine:
    """Where shards execute: this process."""

    n_workers = 1

    def share(self, folder: Folder, reads: Sequence[str] = ()) -> None:
        """Check that every worker sees the folder that it writes to, and the paths that it reads.

        Raises:
            RequestError: one does not, or runs other code; names it.
        """

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[tuple[Item, Result]]:
        """Yield (item, result) as results come, each item once.

        On a cluster `work`, items and results are pickled, so results are small: what is large goes to the run's
        folder. An item may be worked on again after a worker died, so `work` goes on from what is whole there.

        Raises:
            RunError: workers died again and again, or the cluster was lost; what was finished is kept.
        """
        for item in items:
            yield item, work(item)


@contextmanager
def open_engine(workers: Workers) -> Iterator[Engine]:
    """The engine that was asked for, until the block ends: one for the whole of a command.

    Raises:
        RequestError: no scheduler answers at the address.
    """
    if workers.n_workers == 1 and not workers.scheduler:
        yield Engine()
        return
    from manifests.cluster import ClusterEngine

    with ClusterEngine(workers) as engine:
        yield engine


def map_shards(
    work: Callable[[Item], Result], items: Sequence[Item], engine: Engine | int = 1
) -> Iterator[tuple[Item, Result]]:
    """`Engine.map`, on an engine that is open, or on one with so many processes that is started for these items."""
    if isinstance(engine, Engine):
        yield from engine.map(work, items)
        return
    with open_engine(Workers(engine if len(items) > 1 else 1)) as opened:
        yield from opened.map(work, items)


LISTING_SAMPLES = 20
"""Samples of memory from one listing of children to the next: that goes through all processes of the machine."""


def run_step(
    engine: Engine | int,
    progress: Callable[[str, int, int], None],
    step: str,
    work: Callable[[Item], Result],
    items: Sequence[Item],
) -> list[Result]:
    """The results of all items, in their order; `progress` is called with (step, items done, items in all)."""
    progress(step, 0, len(items))
    results: dict[Item, Result] = {}
    for item, result in map_shards(work, items, engine):
        results[item] = result
        progress(step, len(results), len(items))
    return [results[item] for item in items]


class PeakMemory:
    """Watches the resident memory of this process and its children: `.peak_bytes`, sampled."""

    def __init__(self, every_s: float = 0.05) -> None:
        self.peak_bytes = 0
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.peak_bytes = max(self.peak_bytes, resident_bytes())

    def _watch(self) -> None:
        processes, n_samples = [psutil.Process()], 0
        while not self._stop.wait(self._every_s):
            n_samples += 1
            if n_samples % LISTING_SAMPLES == 0:
                processes = _family()
            self.peak_bytes = max(self.peak_bytes, _resident_bytes(processes))


def resident_bytes() -> int:
    """Resident memory of this process and its children, now."""
    return _resident_bytes(_family())


def _family() -> list[psutil.Process]:
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def _resident_bytes(processes: list[psutil.Process]) -> int:
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


class Stopwatch:
    """Seconds per named step: `with watch("extract"): ...`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._name = ""
        self._since = 0.0

    def __call__(self, name: str) -> "Stopwatch":
        """Time the block that follows under this name."""
        self._name = name
        return self

    def __enter__(self) -> None:
        self._since = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds[self._name] = self.seconds.get(self._name, 0.0) + time.perf_counter() - self._since


def add_seconds(total: dict[str, float], more: dict[str, float]) -> None:
    """Add one set of timings to another."""
    for name, seconds in more.items():
        total[name] = total.get(name, 0.0) + seconds
