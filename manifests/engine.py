"""Where shards execute: in this process, or in worker processes; and what that takes."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

import psutil

from manifests.errors import RunError

Item = TypeVar("Item")
Result = TypeVar("Result")

PER_WORKER_AHEAD = 2
"""Items handed to the pool per worker before one comes back: the queue stays short whatever the number of items."""


def map_shards(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    n_workers: int = 1,
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, result) as results come; in this process with one worker, in `n_workers` processes with more.

    `work`, `items` and results must pickle when there are several workers.

    Raises:
        RunError: a worker died; what the others finished is kept.
    """
    if n_workers <= 1 or len(items) <= 1:
        for item in items:
            yield item, work(item)
        return
    yield from _map_in_processes(work, items, n_workers)


def _map_in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], n_workers: int
) -> Iterator[tuple[Item, Result]]:
    pool = ProcessPoolExecutor(n_workers, mp_context=get_context("spawn"))
    waiting = iter(items)
    running: dict[Future[Result], Item] = {}
    try:
        while True:
            while len(running) < n_workers * PER_WORKER_AHEAD and (item := next(waiting, None)) is not None:
                running[pool.submit(work, item)] = item
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(done), done.result()
    except BrokenProcessPool as error:
        raise RunError(
            "a worker process died (killed, or out of memory); what was finished is kept: run the same command "
            "again to go on, with fewer --workers or a smaller limits.shard_bytes if memory was short"
        ) from error
    finally:
        processes = list((pool._processes or {}).values())  # shutdown forgets them
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


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
        while not self._stop.wait(self._every_s):
            self.peak_bytes = max(self.peak_bytes, resident_bytes())


def resident_bytes() -> int:
    """Resident memory of this process and its children, now."""
    me = psutil.Process()
    total = 0
    for process in [me, *me.children(recursive=True)]:
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
