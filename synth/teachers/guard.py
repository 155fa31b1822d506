"""The process between Onggi and an engine: when whoever started it is gone, however it ended, the engine ends too.

It is run by its path, and needs nothing but Python: `guard.py DESCRIPTOR COMMAND...`. The descriptor is the read end
of a pipe that nobody writes into; the system closes the other end with the process that has it, even after `kill -9`.
The command gets this one's standard streams, and a process group of its own, for engines start processes too.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

GRACE_S = 15.0
"""From being asked to end to being killed."""

POLL_S = 0.1
PR_SET_PDEATHSIG = 1


def guard(lifeline: int, command: list[str]) -> int:
    """Run the command until it ends or the lifeline does; its exit code, as a shell has it."""
    child = subprocess.Popen(command, start_new_session=True, preexec_fn=_end_with_parent)
    try:
        while child.poll() is None and not select.select([lifeline], [], [], POLL_S)[0]:
            pass
        _end(child)
    finally:
        _signal(child, signal.SIGKILL)
    code = child.wait()
    return code if code >= 0 else 128 - code


def _end_with_parent() -> None:
    """Be asked to end where the guard itself is killed; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Ask the child, which tells those that it started; give it time."""
    until = time.monotonic() + GRACE_S
    if child.poll() is None:
        child.terminate()
    while child.poll() is None and time.monotonic() < until:
        time.sleep(POLL_S)


def _signal(child: "subprocess.Popen[bytes]", number: int) -> None:
    """To all that is left of the group: where the child was killed, its own children live on."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


if __name__ == "__main__":
    sys.exit(guard(int(sys.argv[1]), sys.argv[2:]))
