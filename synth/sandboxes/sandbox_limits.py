"""What a sandboxed program may take, and how it ended when it is over."""

import math
import os
import re
import resource
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from manifests.errors import RequestError
from synth.sandboxes.sandbox_process import Ended

Outcome = Literal["passed", "failed", "timeout", "memory", "killed", "output"]

THREADS_PER_PROCESS = 64

THREADS_OF_OTHERS = 1024
"""How many more threads than there are a user who is not root may have: limits count all that are this user's."""

OPEN_FILES = 64

MEMORY_BYTES_MIN = 64 << 20


@dataclass(frozen=True)
class Limits:
    """What a program may take."""

    time_s: float = 10.0
    """By the clock, from when the program begins; and of CPU time of each process."""
    memory_bytes: int = 1 << 30
    """Address space of each process, Python's own included (about 30 MB)."""
    n_processes: int = 1
    """More than one only under bubblewrap."""
    output_bytes: int = 1 << 20
    """Of stdout and stderr together."""
    file_bytes: int = 16 << 20
    """Of each file, and of all in the folder whenever it is looked at."""

    def __post_init__(self) -> None:
        wrong = {name: value for name, value in vars(self).items() if not 0 < value < math.inf}
        if wrong:
            raise RequestError(f"limits of a sandbox must be above 0 and finite: {wrong}")
        if self.memory_bytes < MEMORY_BYTES_MIN:
            raise RequestError(
                f"limits.memory_bytes: {self.memory_bytes} is less than Python takes: {MEMORY_BYTES_MIN}"
            )


@dataclass(frozen=True)
class Ran:
    """What came of a program."""

    outcome: Outcome
    exit_code: int
    """Negative for a signal."""
    stdout: bytes
    stderr: bytes
    """Both cut at `output_bytes`."""
    seconds: float
    """By the clock, from when the program began."""


def resource_limits(limits: Limits, is_confined: bool) -> list[tuple[int, int]]:
    """Limits by the number of `resource.RLIMIT_...`; `is_confined` says whether root becomes another user inside."""
    found = [
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, math.ceil(limits.time_s) + 2),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ]
    n_threads = (limits.n_processes + 1) * THREADS_PER_PROCESS
    if os.geteuid() == 0:  # inside it is a user of its own; without confinement root has no such limit
        return [*found, (resource.RLIMIT_NPROC, n_threads)] if is_confined else found
    return [*found, (resource.RLIMIT_NPROC, _n_threads_of_user() + THREADS_OF_OTHERS + n_threads)]


def _n_threads_of_user() -> int:
    n_threads = 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and entry.stat().st_uid == os.getuid():
                n_threads += int((entry / "stat").read_bytes().rpartition(b")")[2].split()[17])
        except (OSError, IndexError, ValueError):
            continue  # it has ended
    return n_threads


def outcome(ended: Ended, limits: Limits) -> Outcome:
    """In words; only a program that ended by itself with exit code 0 passed."""
    if ended.stop in ("timeout", "output"):
        return ended.stop
    if ended.stop:
        return "failed"
    if ended.exit_code == 0:
        return "passed"
    number = -ended.exit_code if ended.exit_code < 0 else ended.exit_code - 128  # bubblewrap reports as shells do
    if number == signal.SIGXCPU or (number == signal.SIGKILL and ended.cpu_s >= limits.time_s):
        return "timeout"
    if re.search(rb"^MemoryError\b[^\n]*\n?\Z", ended.streams["stderr"], re.MULTILINE):
        return "memory"
    return "killed" if 0 < number < signal.NSIG else "failed"
