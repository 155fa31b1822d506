"""Processes that compare formulas, each question with a hard limit of time and memory."""

import contextlib
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Literal, Self

import orjson

from manifests.errors import RequestError, RunError
from manifests.house import child_environment

START_S = 120.0
"""For a process to import SymPy, on a machine that is busy."""
WALL_PER_CPU = 10
"""A process that sleeps, or waits for a busy machine, is killed after so many times its limit."""
JOBS_PER_PROCESS = 2_000
"""Then it is replaced, since SymPy remembers what it computed."""


@dataclass(frozen=True)
class Job:
    """A question: whether two formulas are equal, or a value fits a schema."""

    job: Literal["equal", "fits"]
    first: str
    """The gold answer, or the schema."""
    second: str


@dataclass(frozen=True)
class Reply:
    """What came of it."""

    is_so: bool | None
    """None where it could not be said."""
    why: str = ""


class MathWorkers:
    """So many processes, started when they are first needed."""

    def __init__(self, n_workers: int = 1, limit_s: float = 5.0, memory_bytes: int = 2 << 30) -> None:
        """Nothing is started yet.

        Args:
            n_workers: processes.
            limit_s: how long the processor may work on a question; then its process ends and another is started.
            memory_bytes: address space of each process.
        """
        self._threads = ThreadPoolExecutor(n_workers, thread_name_prefix="math")
        self._workers: SimpleQueue[_Worker] = SimpleQueue()
        for _ in range(n_workers):
            self._workers.put(_Worker(limit_s, memory_bytes))
        self._n_workers = n_workers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        for _ in range(self._n_workers):
            self._workers.get().end()

    def ask(self, jobs: Sequence[Job]) -> list[Reply]:
        """A reply for each question, in order.

        Raises:
            RequestError: Math-Verify is not installed.
            RunError: a process does not start.
        """
        return list(self._threads.map(self._ask, jobs))

    def _ask(self, job: Job) -> Reply:
        worker = self._workers.get()
        try:
            return worker.ask(job)
        finally:
            self._workers.put(worker)


class _Worker:
    """One process, or none: it is started for a question, and after it was killed."""

    def __init__(self, limit_s: float, memory_bytes: int) -> None:
        self._limit_s, self._limits = limit_s, (str(memory_bytes), str(limit_s))
        self._process: subprocess.Popen[bytes] | None = None
        self._n_jobs = 0

    def ask(self, job: Job) -> Reply:
        if self._n_jobs >= JOBS_PER_PROCESS:
            self.end()
        process = self._process or self._start()
        self._n_jobs += 1
        assert process.stdin
        try:
            process.stdin.write(orjson.dumps(job) + b"\n")
            process.stdin.flush()
            value = self._line(self._limit_s * WALL_PER_CPU)
        except (BrokenPipeError, EOFError):
            is_late = process.wait() == -signal.SIGXCPU
            self.end()
            return Reply(None, self._late if is_late else "ended the process that compares")
        except TimeoutError:
            self.end()
            return Reply(None, self._late)
        return Reply(value["is_so"], value["why"])

    @property
    def _late(self) -> str:
        return f"took longer than {self._limit_s:g} s"

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from synth.final_answers.math_worker import main; main()", *self._limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            start_new_session=True,  # Ctrl-C is for the one that asks
        )
        self._n_jobs = 0
        try:
            ready = self._line(START_S)
        except (EOFError, TimeoutError) as error:
            self.end()
            raise RunError(
                "the process that compares formulas does not start; see `python -m math_verify`"
            ) from error
        if "fatal" in ready:
            self.end()
            raise RequestError(f"formulas are compared by Math-Verify: pip install 'onggi[synth]' ({ready['fatal']})")
        return self._process

    def _line(self, limit_s: float) -> dict[str, Any]:
        """The next line; a process writes each at once, so that where something is there, all of it is.

        Raises:
            TimeoutError: there is none in time.
            EOFError: the process ended.
        """
        assert self._process and self._process.stdout
        if not select.select([self._process.stdout], [], [], limit_s)[0]:
            raise TimeoutError
        line = self._process.stdout.readline()
        if not line:
            raise EOFError
        value: dict[str, Any] = orjson.loads(line)
        return value

    def end(self) -> None:
        """Kill the process, if there is one."""
        process, self._process, self._n_jobs = self._process, None, 0
        if process:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()  # type: ignore[union-attr]
