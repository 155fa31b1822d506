"""The lock on a file of answers: one run asks with them at a time."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from manifests.errors import RequestError

POLL_S = 0.1


@contextlib.contextmanager
def locked(path: Path, patience_s: float) -> Iterator[int]:
    """The descriptor of a lock on the answers, which goes when all processes that have it end.

    A run that was killed may have a courier on its way, which has the lock: it is waited for.

    Raises:
        RequestError: another run asks with these answers.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    until = time.monotonic() + patience_s
    try:
        while not _try_lock(descriptor):
            holder = os.pread(descriptor, 20, 0).decode()
            is_alive = holder.isdigit() and int(holder) != os.getpid() and psutil.pid_exists(int(holder))
            if is_alive or time.monotonic() > until:
                raise RequestError(
                    f"{path}: the process {holder} is asking a teacher with these answers; wait for it, or name "
                    "another file in teacher.answers"
                )
            time.sleep(POLL_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
