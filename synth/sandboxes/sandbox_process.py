"""A process that may misbehave, seen from outside: it is read within bounds, and it ends when its time is up."""

import contextlib
import os
import select
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

START_S = 30.0
"""How long a sandbox may take until it is ready; its own time counts from then."""

LOOK_S = 0.1
"""How often it is looked at what a program wrote."""

DRAIN_S = 2.0
"""How long is waited for output after the end."""

CHUNK_BYTES = 1 << 16

GRACE_S = 1.0
"""How long a process has to take leave of its children, which are dead."""

Stop = Literal["timeout", "output", "files"]


@dataclass
class Ended:
    """How a process ended."""

    exit_code: int = 0
    """As `subprocess` has it: negative for a signal."""
    stop: Stop | None = None
    """Why it was killed by us."""
    streams: dict[str, bytes] = field(default_factory=dict)
    """`stdout`, `stderr` and `report`, each cut at its bound."""
    cpu_s: float = 0.0
    seconds: float = 0.0
    """Since it was ready."""

    @property
    def is_ready(self) -> bool:
        """Whether the sandbox was set up and the program began."""
        return self.streams["report"].startswith(b"ready\n")


@dataclass(frozen=True)
class Bounds:
    """What a process may take."""

    time_s: float
    output_bytes: int
    is_overfull: Callable[[], bool]


@contextlib.contextmanager
def handed(content: bytes) -> Iterator[int]:
    """A descriptor that brings `content` to a process, for reading only, and of a file that has no name."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        descriptor = os.open(file.name, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def pipe() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The end that we read and the end that a process gets; both are closed at the end."""
    reader, writer = os.pipe()
    with open(reader, "rb", 0) as read_end, open(writer, "wb", 0) as write_end:
        yield read_end, write_end


def run_bounded(
    command: Sequence[str],
    folder: str,
    stdin: int,
    passed: Sequence[int],
    report: tuple[IO[bytes], IO[bytes]],
    bounds: Bounds,
) -> Ended:
    """Run a process to its end or to its bounds; then it and its group are gone.

    Args:
        command: what to execute.
        folder: where.
        stdin: descriptor that it reads from.
        passed: more descriptors that it gets.
        report: a pipe that it says on when it is ready; its writing end is closed here.
        bounds: what it may take.
    """
    with subprocess.Popen(
        command, cwd=folder, env={}, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        pass_fds=[*passed, report[1].fileno()], start_new_session=True,
    ) as process:  # fmt: skip
        report[1].close()
        try:
            watch = _Watch(process, report[0].fileno(), bounds)
        except BaseException:
            process.kill()
            raise
        try:
            watch.until_the_end()
        finally:
            watch.kill()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            watch.drain()
        ended = watch.ended
        ended.exit_code, ended.cpu_s = process.returncode, used.ru_utime + used.ru_stime
        return ended


class _Watch:
    """Reads what a process says until it ends or has to."""

    def __init__(self, process: subprocess.Popen[bytes], report: int, bounds: Bounds) -> None:
        assert process.stdout and process.stderr
        self._process, self._bounds = process, bounds
        self.ended = Ended(streams={"stdout": b"", "stderr": b"", "report": b""})
        self._buffers = {name: bytearray() for name in self.ended.streams}
        self._selector = selectors.DefaultSelector()
        for name, end in (
            ("stdout", process.stdout.fileno()),
            ("stderr", process.stderr.fileno()),
            ("report", report),
        ):
            os.set_blocking(end, False)
            self._selector.register(end, selectors.EVENT_READ, name)
        self._pidfd = os.pidfd_open(process.pid)
        self._selector.register(self._pidfd, selectors.EVENT_READ, "end")
        self._started_s: float | None = None

    def until_the_end(self) -> None:
        began_s = looked_s = time.monotonic()
        while True:
            for key, _ in self._selector.select(LOOK_S):
                if key.data == "end":
                    return
                self._read(key.fd, key.data)
            now_s = time.monotonic()
            if self._started_s is None and self._buffers["report"]:
                self._started_s = now_s
            limit_s = START_S + began_s if self._started_s is None else self._bounds.time_s + self._started_s
            if sum(map(len, self._buffers.values())) > self._bounds.output_bytes:
                self.ended.stop = "output"
            elif now_s > limit_s:
                self.ended.stop = "timeout"
            elif now_s > looked_s + LOOK_S:
                looked_s = now_s
                self.ended.stop = "files" if self._bounds.is_overfull() else None
            if self.ended.stop:
                return

    def kill(self) -> None:
        """End the process and those in its group, which none of them can leave where a filter is at work.

        Its children go first, and it has a moment to see it: bubblewrap waits until all in its namespaces are gone,
        and the process of the tests takes leave of that of the program, so that no zombie is left to others.
        """
        if _kill_children(self._process.pid):
            select.select([self._pidfd], [], [], GRACE_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def drain(self) -> None:
        """Read what is left, up to the bounds."""
        now_s = time.monotonic()
        self.ended.seconds = now_s - self._started_s if self._started_s else 0.0
        self._selector.unregister(self._pidfd)
        os.close(self._pidfd)
        until_s = now_s + DRAIN_S
        while self._selector.get_map() and (left_s := until_s - time.monotonic()) > 0:
            for key, _ in self._selector.select(left_s):
                self._read(key.fd, key.data)
            if sum(map(len, self._buffers.values())) > self._bounds.output_bytes:
                self.ended.stop = self.ended.stop or "output"
                break
        self._selector.close()
        self.ended.streams = {name: bytes(some[: self._bounds.output_bytes]) for name, some in self._buffers.items()}

    def _read(self, end: int, name: str) -> None:
        try:
            some = os.read(end, CHUNK_BYTES)
        except BlockingIOError:
            return
        if some:
            self._buffers[name] += some
        else:
            self._selector.unregister(end)


def _kill_children(process: int) -> int:
    """Kill the children of a process that is not waited for yet; returns how many."""
    killed = 0
    for child in _children(process):
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(child)
            try:
                if child in _children(process):  # so that it is not another that has its number by now
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    killed += 1
            finally:
                os.close(descriptor)
    return killed


def _children(process: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []
