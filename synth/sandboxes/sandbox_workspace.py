"""The folder that a sandboxed program may write to: how much is in it, and how it goes away whatever is in it."""

import contextlib
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from synth.sandboxes.sandbox_inside import FIRST_ID

FILES_MAX = 2_000
DEPTH_MAX = 32
"""Files and folders, and folders in one another, that a program may leave at any time it is looked at."""

BLOCK_BYTES = 512
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
PREFIX = "onggi-sandbox-"
STALE_S = 60.0
REMOVE_TRIES = 10


@dataclass(frozen=True)
class Workspace:
    """An open folder."""

    path: str
    descriptor: int

    def is_overfull(self, size_bytes: int) -> bool:
        """Whether more than `size_bytes` lie in it, or more files or folders in one another than anybody needs.

        The program may be at work meanwhile, so nothing is followed and nothing is changed.
        """
        try:
            _measure(self.descriptor, size_bytes, 0)
        except _Overfull:
            return True
        return False


class _Overfull(Exception):
    """There is more than may be; looking on would take long."""


def _measure(folder: int, room_bytes: int, depth: int, n_files: int = 0) -> tuple[int, int]:
    """Room that is left after what is in a folder, and how many files were seen."""
    with os.scandir(folder) as entries:
        for entry in entries:
            n_files += 1
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                found = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
                room_bytes -= found.st_blocks * BLOCK_BYTES
                if room_bytes < 0 or n_files > FILES_MAX or depth > DEPTH_MAX:
                    raise _Overfull
                if stat.S_ISDIR(found.st_mode):
                    with _opened(entry.name, folder) as inner:
                        room_bytes, n_files = _measure(inner, room_bytes, depth + 1, n_files)
    return room_bytes, n_files


@contextlib.contextmanager
def _opened(name: str, at: int) -> Iterator[int]:
    try:
        descriptor = os.open(name, FOLDER, dir_fd=at)
    except PermissionError:
        raise _Overfull from None  # what it hides from us cannot be measured
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def workspace(parent: str | None = None) -> Iterator[Workspace]:
    """A new folder, gone at the end. The programs in it must have ended by then.

    Args:
        parent: where it is made; None for the system's place for such folders.
    """
    path = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
    descriptor = os.open(path, FOLDER)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield Workspace(os.path.realpath(path), descriptor)
    finally:
        try:
            _remove(path, descriptor)
        finally:
            os.close(descriptor)


def sweep(parent: str | None = None) -> int:
    """Remove folders whose process was killed before it could; returns how many."""
    n_removed = 0
    for path in Path(parent or tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, FOLDER)
            try:
                found = os.fstat(descriptor)
                is_ours = found.st_uid == os.geteuid() or (os.geteuid() == 0 and found.st_uid >= FIRST_ID)
                if is_ours and found.st_mtime < time.time() - STALE_S:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held as long as its process lives
                    _remove(str(path), descriptor)
                    n_removed += 1
            finally:
                os.close(descriptor)
    return n_removed


def _remove(path: str, descriptor: int) -> None:
    for n_left in reversed(range(REMOVE_TRIES)):
        try:
            os.fchmod(descriptor, 0o700)
            _empty(descriptor)
            Path(path).rmdir()
        except OSError:
            if not n_left:
                raise
            time.sleep(0.05)  # a process that was killed may be in the middle of its last call
        else:
            return


def _empty(top: int) -> None:
    """Remove all that is in a folder, however deep and whatever its modes. Nothing is at work in it any more.

    What is in a folder is moved up to the top before it is removed, so neither depth nor length of paths matter.
    """
    names = (f"moved-up-{number}" for number in count())
    while entries := _names(top):
        for entry in entries:
            if not stat.S_ISDIR(os.stat(entry, dir_fd=top, follow_symlinks=False).st_mode):
                os.unlink(entry, dir_fd=top)
                continue
            os.chmod(entry, 0o700, dir_fd=top)
            _move_up(entry, top, names)
            os.rmdir(entry, dir_fd=top)


def _move_up(entry: str, top: int, names: Iterator[str]) -> None:
    inner = os.open(entry, FOLDER, dir_fd=top)
    try:
        for name in _names(inner):
            if not stat.S_ISDIR(os.stat(name, dir_fd=inner, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=inner)
                continue
            os.chmod(name, 0o700, dir_fd=inner)
            os.rename(name, _free_name(top, names), src_dir_fd=inner, dst_dir_fd=top)
    finally:
        os.close(inner)


def _free_name(top: int, names: Iterator[str]) -> str:
    for name in names:
        try:
            os.stat(name, dir_fd=top, follow_symlinks=False)
        except FileNotFoundError:
            return name
    raise AssertionError("names never end")


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]
