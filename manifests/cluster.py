"""Shards on a cluster of processes: one that this command starts, or one that exists (dask.distributed)."""

import contextlib
import logging
import re
import signal
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from queue import Empty, SimpleQueue
from typing import Any

import fsspec

from manifests.code import code_digest
from manifests.engine import Engine, Item, Result, Workers
from manifests.errors import RequestError, RunError
from manifests.house import PACKAGES
from manifests.store import Folder

MAX_DEATHS = 3
"""Workers that may die at the same item before the run ends."""

CONNECT_S = 15.0
"""How long the first answer of a scheduler may take."""

LOST_S = 120.0
"""How long a scheduler may be gone, or a cluster without any worker, before the run ends."""

POLL_S = 1.0
"""How often the number of workers is asked for, and how soon a lost scheduler is noticed."""

MARK = ".cluster"
"""A file in a run's folder: a worker that reads what the command wrote there sees the same folder."""

SEEN_S = 3.0
"""How long a network filesystem may take to show it to other machines."""

SOURCE_KINDS = ("py", "yaml", "json", "tsv", "ftz", "safetensors")
"""Endings of the files that Onggi consists of."""

LOCAL = {
    "distributed.scheduler.allowed-failures": MAX_DEATHS - 1,
    "distributed.worker.memory.target": 0.6,
    "distributed.worker.memory.spill": 0.7,
    "distributed.worker.memory.pause": False,  # paused workers that hold memory for good would wait for ever
    "distributed.worker.memory.terminate": 0.95,
    "distributed.deploy.lost-worker-timeout": "1 day",  # else a worker that takes 15 s to start again is given up
    "distributed.worker.profile.enabled": False,
    "distributed.diagnostics.nvml": False,
}
"""Dask's settings for a cluster of our own; shares are of a worker's memory."""

log = logging.getLogger("onggi.cluster")


@dataclass(frozen=True)
class _Admission:
    """What a worker must have and see to take part."""

    environment: tuple[tuple[str, str], ...] = ()
    folder: str = ""
    token: bytes = b""
    reads: tuple[str, ...] = ()


class ClusterEngine(Engine):
    """Shards as tasks on a cluster, one per worker process at a time, with few in flight."""

    def __init__(self, workers: Workers) -> None:
        self._asked = workers
        self._stack = contextlib.ExitStack()
        self._admission = _Admission(environment() if workers.scheduler else ())
        self._counted_at = self._worked_at = 0.0

    def __enter__(self) -> "ClusterEngine":
        with contextlib.ExitStack() as unless_it_fails:
            unless_it_fails.callback(self._stack.close)
            self._open()
            unless_it_fails.pop_all()
        return self

    def _open(self) -> None:
        import dask
        from distributed import LocalCluster

        for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters, this file says
        self._address = self._asked.scheduler
        if not self._address:
            self._stack.enter_context(dask.config.set(LOCAL))
            cluster = LocalCluster(**_local_settings(self._asked))  # type: ignore[no-untyped-call]
            self._address = self._stack.enter_context(cluster).scheduler_address
        try:
            self._client = self._connect(CONNECT_S)
        except (OSError, ValueError) as error:
            raise RequestError(
                f"--scheduler {self._address}: no Dask scheduler answers there ({error}); `dask scheduler` starts "
                "one and prints its address"
            ) from error
        self._stack.callback(lambda: self._client.close(timeout=POLL_S))

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _connect(self, timeout_s: float) -> Any:
        from distributed import Client

        return Client(  # type: ignore[no-untyped-call]
            self._address, timeout=timeout_s, set_as_default=False
        )

    def share(self, folder: Folder, reads: Sequence[str] = ()) -> None:
        """See `Engine.share`. Workers that join later are checked when they get their first item."""
        token = uuid.uuid4().hex.encode()
        folder.write_bytes(MARK, token)
        self._stack.callback(folder.remove, MARK)
        self._admission = _Admission(self._admission.environment, folder.path, token, tuple(reads))
        try:
            problems: dict[str, str | None] = self._client.run(_problem, self._admission)
        except Exception as error:
            raise RequestError(f"{self._address}: its workers cannot run Onggi: {error!r}") from error
        found = [f"{worker}: {problem}" for worker, problem in problems.items() if problem]
        if found:
            raise RequestError(f"{self._address}: {len(found)} of {len(problems)} workers do not fit; {found[0]}")

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[tuple[Item, Result]]:
        """See `Engine.map`. Where the scheduler is lost, what was in flight is handed out again when it is back."""
        from distributed.client import FutureCancelledError

        waiting, running = deque(items), dict[Any, Item]()
        done: SimpleQueue[Any] = SimpleQueue()
        self._worked_at = time.monotonic()
        try:
            while waiting or running:
                try:
                    self._check_alive()
                    while waiting and len(running) < self._room():
                        future = self._client.submit(_run, work, waiting[0], self._admission, pure=False)
                        running[future] = waiting.popleft()
                        future.add_done_callback(done.put)
                    with contextlib.suppress(Empty):
                        future = done.get(timeout=POLL_S)
                        if future in running:
                            result = _result(future, running[future], self._asked)
                            yield running.pop(future), result
                except FutureCancelledError:
                    waiting.extend(running.values())
                    running.clear()
                    self._reconnect()
        finally:
            with contextlib.suppress(Exception):  # the cluster may be gone
                self._client.cancel(list(running), force=True)

    def _check_alive(self) -> None:
        """Raise what a lost future raises where the scheduler is gone, so that one place deals with both."""
        from distributed.client import FutureCancelledError

        if self._client.status != "running":
            raise FutureCancelledError("", "scheduler-connection-lost")

    def _room(self) -> int:
        """How many items may be in flight: one per worker, so that one that dies takes no other with it."""
        now = time.monotonic()
        if now - self._counted_at > POLL_S:
            with contextlib.suppress(OSError):
                self.n_workers = len(self._client.nthreads())
            self._counted_at = now
            if self.n_workers:
                self._worked_at = now
        if now - self._worked_at > LOST_S:
            raise RunError(
                f"{self._address}: the cluster has had no worker for {LOST_S:.0f} s; what was finished is kept: "
                "start workers and run the same command again to go on"
            )
        return max(self.n_workers, 1)

    def _reconnect(self) -> None:
        log.warning("%s: the scheduler was lost; waiting for it for %.0f s", self._address, LOST_S)
        with contextlib.suppress(Exception):
            self._client.close(timeout=POLL_S)
        try:
            self._client = self._connect(LOST_S)
        except OSError as error:
            raise RunError(
                f"{self._address}: the scheduler was lost and did not come back within {LOST_S:.0f} s; what was "
                "finished is kept: start it and run the same command again to go on"
            ) from error
        self._counted_at, self._worked_at = 0.0, time.monotonic()


def _local_settings(workers: Workers) -> dict[str, Any]:
    import dask
    from dask.system import CPU_COUNT  # both are those of this process's cgroup
    from distributed.system import MEMORY_LIMIT

    n_threads = max(1, CPU_COUNT // workers.n_workers)
    return {
        "n_workers": workers.n_workers,
        "threads_per_worker": 1,
        "memory_limit": workers.memory_bytes or MEMORY_LIMIT // workers.n_workers,
        "dashboard_address": "127.0.0.1:0",  # the scheduler's HTTP server wants a port, where others may have theirs
        "scheduler_kwargs": {"dashboard": False},
        "silence_logs": logging.CRITICAL,
        "preload": [*dask.config.get("distributed.worker.preload"), __name__],
        "env": {"POLARS_MAX_THREADS": str(n_threads)},
    }


def dask_setup(_: object) -> None:
    """Called by Dask in each local worker: Ctrl-C in a terminal reaches workers too, but ends the command alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _result(future: Any, item: object, workers: Workers) -> Any:
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise RunError(
            f"{error.allowed_failures + 1} workers died one after the other at {item}, or at what waited beside it: "
            "killed, or out of memory; what was finished is kept: run the same command again to go on, with fewer "
            "--workers, a larger --memory-limit or a smaller limits.shard_bytes if memory was short"
        ) from error


_one_at_a_time = threading.Lock()
"""Measuring holds its models once per process, so a worker with several threads still works on one item."""


def _run(work: Callable[[Item], Result], item: Item, admission: _Admission) -> Result:
    """What a task does on its worker."""
    with _one_at_a_time:
        if problem := _problem(admission):
            raise RunError(f"worker {_worker_address()} does not fit: {problem}")
        return work(item)


@lru_cache(64)
def _problem(admission: _Admission) -> str | None:
    """Why this process cannot take part; None where it can."""
    here = dict(environment()) if admission.environment else {}
    differs = [
        f"{name} {here.get(name)}, not {wanted}" for name, wanted in admission.environment if here.get(name) != wanted
    ]
    if differs:
        return f"it has {'; '.join(differs)}: results would depend on who made them; install the same there"
    if admission.folder and not _sees(admission):
        return f"it does not see {admission.folder} as this machine does: the run's folder must be shared by all"
    for path in admission.reads:
        filesystem, inner = fsspec.core.url_to_fs(path)
        if not filesystem.exists(inner):
            return f"it does not see {path}: inputs must be at the same path everywhere"
    return None


def _sees(admission: _Admission) -> bool:
    until = time.monotonic() + SEEN_S
    while True:
        with contextlib.suppress(OSError):
            if Folder(admission.folder).read_bytes(MARK) == admission.token:
                return True
        if time.monotonic() > until:
            return False
        time.sleep(0.2)


def _worker_address() -> str:
    from distributed import get_worker

    return str(get_worker().address)


def environment() -> tuple[tuple[str, str], ...]:
    """What results depend on beside the data: Python, Onggi's sources, and the versions of its libraries, by name."""
    requirements = [text for text in metadata.requires("onggi") or [] if "extra ==" not in text]
    names = sorted(match[0] for text in requirements if (match := re.match(r"[\w.-]+", text)))
    sources = code_digest("onggi.py", *(f"{package}/**/*.{kind}" for package in PACKAGES for kind in SOURCE_KINDS))
    versions = [(name, metadata.version(name)) for name in names]
    return ("Python", f"{sys.version_info[0]}.{sys.version_info[1]}"), ("Onggi's sources", sources[:12]), *versions
