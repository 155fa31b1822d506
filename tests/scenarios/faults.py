"""A filesystem on which writes go wrong: `faulty:///folder` is the local `/folder` under a plan of faults.

The plan is in the environment, so that processes of a cluster share it. Which writes go wrong follows from a seed and
what is written, not from which process does it or when. Each of them goes wrong once.
"""

import errno
import io
import json
import os
import random
import signal
import time
import zlib
from pathlib import Path
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

PLAN = "ONGGI_FAULTS"


def plan(folder: Path, kind: str, frac: float, seed: int, n_max: int = 1_000_000) -> str:
    """A plan for the environment: `frac` of all writes go wrong, until `n_max` did. Kinds are full, kill and slow.

    `folder` takes a file per fault that happened, whose content is the process in which it did.
    """
    folder.mkdir(exist_ok=True)
    plan = {"folder": str(folder), "kind": kind, "frac": frac, "seed": seed, "n_max": n_max, "spared": os.getpid()}
    return json.dumps(plan)


class FaultyFileSystem(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Local files, written to with faults."""

    protocol = "faulty"
    cachable = False
    local = LocalFileSystem()

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if mode == "rb":
            return io.BytesIO(Path(path).read_bytes())
        return FaultyFile(open(path, mode), Path(path).name)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        return self.local.ls(path, detail=detail)

    def info(self, path: str, **kwargs: Any) -> Any:
        return self.local.info(path)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self.local.makedirs(path, exist_ok=exist_ok)

    def rm(self, path: str, recursive: bool = False, maxdepth: int | None = None) -> None:
        self.local.rm(path, recursive=recursive)

    def mv(self, path1: str, path2: str, recursive: bool = False, **kwargs: Any) -> None:
        self.local.mv(path1, path2, recursive=recursive)


class FaultyFile:
    """A file of which some writes stop half way."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name.removeprefix(".").rpartition(".")[0]  # the name that it is to have
        self._n_writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "FaultyFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, content: Any) -> int:
        self._n_writes += 1
        plan = json.loads(os.environ[PLAN])
        if self._chosen(plan, content):
            view = memoryview(content).cast("B")
            self._file.write(view[: len(view) // 2])
            self._file.flush()
            go_wrong(plan["kind"])
            self._file.write(view[len(view) // 2 :])
            return len(view)
        return self._file.write(content)

    def _chosen(self, plan: dict[str, Any], content: Any) -> bool:
        seed = f"{plan['seed']} {self._n_writes} {zlib.crc32(content)}"
        if random.Random(seed).random() >= plan["frac"]:
            return False
        if plan["kind"] == "kill" and os.getpid() == plan["spared"]:
            return False
        if len(list(Path(plan["folder"]).iterdir())) >= plan["n_max"]:
            return False
        try:
            with (Path(plan["folder"]) / f"{self._name}-{self._n_writes}").open("x") as note:
                note.write(str(os.getpid()))
        except FileExistsError:
            return False
        return True


def go_wrong(kind: str) -> None:
    """The fault itself."""
    if kind == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.3)


fsspec.register_implementation("faulty", FaultyFileSystem, clobber=True)
