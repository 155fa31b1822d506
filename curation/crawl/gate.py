"""Politeness towards one host: how many requests at a time and in a second, and when to wait.

The rate holds over all threads, and over all processes of a user on this machine: the next turn stands in a small
file that they share. Where the host asks for less (429, 503, Retry-After), everyone waits, and the rate is halved; it
rises again as answers come.
"""

import fcntl
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Event, Lock

from xxhash import xxh3_64_hexdigest

WAIT_S_MAX = 300.0
"""The longest wait that is obeyed; a host that wants a longer one is left alone, and the run ends."""
STALE_S = 2 * WAIT_S_MAX
"""A turn so far ahead was left by a clock that was set back."""
SLOWEST_S = 2.0
"""Between two requests, however often the host asks for less."""
CUT_PAUSE_S = 1.0
"""Many answers of one moment that ask for less are one reason to go slower."""
SPEED_UP = 0.9
"""Each answer shortens the time between requests by so much, back to what was asked for."""

_CLOCK = struct.Struct("dd")  # when the next request may go out, and until when nobody may ask


class StoppedError(Exception):
    """What was to be fetched is not wanted any more."""


class Gate:
    """The way to one host. Threads share it; see `gate_of`."""

    def __init__(self, host: str, folder: Path) -> None:
        self.host = host
        self._clock = folder / xxh3_64_hexdigest(host.encode())
        self._lock, self._freed = Lock(), Condition()
        self._n_open, self._n_open_max = 0, 1 << 30
        self._interval_s = self._interval_s_min = 0.0
        self._cut_s = float("-inf")
        self.n_requests = self.n_bytes = 0
        """Since the process began, of all that was asked: retries count."""

    def limit(self, n_connections: int, requests_per_second: float) -> None:
        """Obey these limits too; of several the strictest counts."""
        with self._lock:
            self._n_open_max = min(self._n_open_max, n_connections)
            self._interval_s_min = max(self._interval_s_min, 1 / requests_per_second)
            self._interval_s = max(self._interval_s, self._interval_s_min)

    @contextmanager
    def turn(self, stopped: Event) -> Iterator[None]:
        """Wait until a request may go out; the connection is taken until the block ends.

        Raises:
            StoppedError: `stopped` was set meanwhile.
        """
        with self._freed:
            while self._n_open >= self._n_open_max:
                self._freed.wait(0.5)
                _check(stopped)
            self._n_open += 1
        try:
            has_turn = False
            while not has_turn:
                has_turn, wait_s = self._reserve()
                _wait(wait_s, stopped)
                has_turn = has_turn and self._paused_s() <= 0  # it may have been told to wait meanwhile
            with self._lock:
                self.n_requests += 1
            yield
        finally:
            with self._freed:
                self._n_open -= 1
                self._freed.notify()

    def answered(self, n_bytes: int) -> None:
        """Take note that the host gave what was asked for."""
        with self._lock:
            self.n_bytes += n_bytes
            self._interval_s = max(self._interval_s_min, self._interval_s * SPEED_UP)

    def slow_down(self, pause_s: float) -> None:
        """Nobody asks for so long, and less often from then on."""
        with self._lock:
            now = time.monotonic()
            if now - self._cut_s > CUT_PAUSE_S:
                self._cut_s = now
                self._interval_s = min(max(SLOWEST_S, self._interval_s_min), 2 * max(self._interval_s, 0.05))
            with self._shared() as (file, next_s, paused_s):
                os.pwrite(file, _CLOCK.pack(next_s, max(paused_s, time.time() + min(pause_s, WAIT_S_MAX))), 0)

    def _reserve(self) -> tuple[bool, float]:
        """Whether a turn was taken, and seconds until then; while nobody may ask none is taken."""
        with self._lock, self._shared() as (file, next_s, paused_s):
            now = time.time()
            if paused_s > now:
                return False, paused_s - now
            start_s = max(now, next_s)
            os.pwrite(file, _CLOCK.pack(start_s + self._interval_s, paused_s), 0)
            return True, start_s - now

    def _paused_s(self) -> float:
        with self._lock, self._shared() as (_, _, paused_s):
            return paused_s - time.time()

    @contextmanager
    def _shared(self) -> Iterator[tuple[int, float, float]]:
        """The file of the clock, locked, and both of its times."""
        file = os.open(self._clock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            stored = os.pread(file, _CLOCK.size, 0)
            times = _CLOCK.unpack(stored) if len(stored) == _CLOCK.size else (0.0, 0.0)
            latest = time.time() + STALE_S
            next_s, paused_s = (of if of < latest else 0.0 for of in times)
            yield file, next_s, paused_s
        finally:
            os.close(file)


def _wait(seconds: float, stopped: Event) -> None:
    if seconds > 0:
        stopped.wait(seconds)
    _check(stopped)


def _check(stopped: Event) -> None:
    if stopped.is_set():
        raise StoppedError


_gates: dict[str, Gate] = {}
_gates_lock = Lock()


def gate_of(host: str) -> Gate:
    """The one gate of this process to a host, given as `scheme://name:port`."""
    with _gates_lock:
        if host not in _gates:
            _gates[host] = Gate(host, _clocks())
        return _gates[host]


def _clocks() -> Path:
    """The folder of the shared clocks; where there can be none, one of this process alone."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "onggi", "hosts")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = os.open(folder / "probe", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(probe, fcntl.LOCK_SH)  # file systems without locks refuse
        os.close(probe)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="onggi-"))
    return folder
