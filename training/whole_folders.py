"""Folders of checkpoints that are whole or not there."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manifests.errors import RequestError, RunError
from manifests.store import FULL


@contextmanager
def new_folder(output: Path, n_bytes: int, what: str, replaces: bool = False) -> Iterator[Path]:
    """A folder to write to, which becomes the output when all is written; what a killed run left there is removed.

    Args:
        output: the new folder.
        n_bytes: about what is written.
        what: is written, for messages: `merge`.
        replaces: whether an output that exists makes way for the new one.

    Raises:
        RequestError: there is something already, or the place cannot be written to.
        RunError: the disk is full; nothing is left.
    """
    check_free(output, replaces)
    aside = output.parent / f".{output.name}.partial"
    try:
        _make(aside, n_bytes, what)
        yield aside
        if output.exists():
            shutil.rmtree(output)
        aside.rename(output)
    except OSError as error:
        if error.errno in FULL:
            raise RunError(
                f"{os.strerror(error.errno)} while writing {output}; nothing is left of it: free space (the {what} "
                f"takes {_gigabytes(n_bytes)}) and run the same command again"
            ) from error
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def check_free(output: Path, replaces: bool = False) -> None:
    """That nothing would be overwritten.

    Raises:
        RequestError: there is something already.
    """
    if output.exists() and not replaces and (not output.is_dir() or any(output.iterdir())):
        raise RequestError(f"{output}: there is something already; name another folder")


def _make(folder: Path, n_bytes: int, what: str) -> None:
    """An empty folder on a disk that has room."""
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
    except OSError as error:
        if error.errno in FULL:
            raise
        raise RequestError(f"{folder.parent}: cannot be written to: {error.strerror}; name another output") from error
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise RunError(
            f"{folder.parent}: the {what} takes {_gigabytes(n_bytes)}, and {_gigabytes(free)} are free; free space "
            "or name another output"
        )


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.2f} GB"
