"""Checkpoints that are whole or not there, and the curve beside them.

A checkpoint counts from when its marker is written, which is the last that is written. What a kill left unfinished is
removed by the next run; lines of the curve beyond the checkpoint are cut, so that each step has one.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from manifests.errors import OnggiError, RunError
from manifests.store import FULL
from training.jobs import Cell

MARKER = "whole.json"


def last_whole(folder: Path, is_mine: bool = True) -> Path | None:
    """The last whole checkpoint in a folder; the others are removed by the process to which the folder belongs."""
    if not folder.is_dir():
        return None
    found = sorted(folder.glob("checkpoint-*"), key=_step)
    whole = [path for path in found if (path / MARKER).is_file()]
    if is_mine:
        for path in set(found) - set(whole):
            shutil.rmtree(path, ignore_errors=True)
    return whole[-1] if whole else None


def _step(path: Path) -> int:
    return int(path.name.rsplit("-", 1)[1])


def finish(folder: Path, n_kept: int, step: int) -> None:
    """Declare a checkpoint whole, once its files are on the disk, and remove those before the last n."""
    for path in folder.rglob("*"):
        if path.is_file():
            _sync(path)
    partial = folder / f"{MARKER}.partial"
    partial.write_bytes(orjson.dumps({"step": step}))
    _sync(partial)
    partial.rename(folder / MARKER)
    for old in sorted(folder.parent.glob("checkpoint-*"), key=_step)[:-n_kept]:
        (old / MARKER).unlink(missing_ok=True)
        shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def save_extra(folder: Path, rank: int, state: Mapping[str, Any]) -> None:
    """What a stage keeps of its own, of one process: tensors in safetensors, the rest in JSON."""
    if not state:
        return
    import torch
    from safetensors.torch import save_file

    tensors = {name: value.contiguous() for name, value in state.items() if isinstance(value, torch.Tensor)}
    save_file(tensors, folder / f"extra-{rank}.safetensors")
    rest = {name: value for name, value in state.items() if name not in tensors}
    (folder / f"extra-{rank}.json").write_bytes(orjson.dumps(rest))


def load_extra(folder: Path, rank: int) -> dict[str, Any]:
    """What `save_extra` wrote; nothing where it wrote nothing."""
    path = folder / f"extra-{rank}.json"
    if not path.is_file():
        return {}
    from safetensors.torch import load_file

    return {**orjson.loads(path.read_bytes()), **load_file(folder / f"extra-{rank}.safetensors")}


class Curve:
    """The lines of a training, one per logged step, in a file that grows."""

    def __init__(self, path: Path, step: int, is_mine: bool = True) -> None:
        """Open the curve of a training that begins after a step: later lines are cut.

        Args:
            path: of the file.
            step: of the checkpoint that the training goes on from; 0 begins.
            is_mine: whether this process writes it.
        """
        self.path, self._is_mine, self._file = path, is_mine, None
        if is_mine:
            kept = [line for line in read_curve(path) if int(line["step"] or 0) <= step]
            partial = path.with_suffix(".partial")
            partial.write_bytes(b"".join(_line(line) for line in kept))
            partial.rename(path)

    def __enter__(self) -> "Curve":
        if self._is_mine:
            self._file = self.path.open("ab", buffering=0)  # type: ignore[assignment]
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def add(self, line: Mapping[str, Cell]) -> None:
        """Write a line."""
        if self._file:
            self._file.write(_line(line))

    def lines(self) -> list[dict[str, Cell]]:
        """All lines."""
        return read_curve(self.path)


def read_curve(path: Path) -> list[dict[str, Cell]]:
    """The lines of a curve; the last one is left out where a kill cut it."""
    lines = []
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else []:
        with contextlib.suppress(orjson.JSONDecodeError):
            lines.append(orjson.loads(line))
    return lines


def _line(line: Mapping[str, Cell]) -> bytes:
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)


@contextlib.contextmanager
def full_disk(folder: Path, stage: str, unfinished: Path | None = None) -> Iterator[None]:
    """Turn what libraries raise on a full disk into an error that says so.

    Args:
        folder: on the disk.
        stage: what is told of.
        unfinished: a folder of no worth if it is not whole: it makes room, for one for the message.
    """
    try:
        yield
    except Exception as error:  # that of safetensors has no base of its own
        if isinstance(error, OnggiError) or not is_full(error):
            raise
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)
        raise RunError(disk_is_full(folder, stage)) from error


def disk_is_full(folder: Path, stage: str) -> str:
    """What is said where it is."""
    return (
        f"{stage}: the disk of {folder} is full. Make room, or keep fewer checkpoints (`checkpoints.keep`), and run "
        "the same command again: it goes on from the last whole checkpoint, and finished stages are kept"
    )


def is_full(error: BaseException) -> bool:
    """Whether an error is that of a full disk, as the system, safetensors or torch tell it."""
    said = str(error)
    return getattr(error, "errno", None) in FULL or "No space left" in said or "unexpected pos" in said
