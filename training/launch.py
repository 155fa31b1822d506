"""Processes that train: one, or several through accelerate; this one only watches them."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import orjson
import psutil
from pydantic import BaseModel

from manifests.engine import Progress, silent
from manifests.errors import RequestError, RunError
from training.checkpoints import disk_is_full
from training.environment import GPUS
from training.worker import FAILURE, PARENT, PROGRESS, RESULT, Failure

POLL_S = 0.1
LOG = "log.txt"
"""What the libraries say."""
LOG_TAIL_CHARS = 2000
MESSAGE_BYTES = 1 << 16
"""Room on a disk below which a process may have found none for what it had to say."""


def n_gpus() -> int:
    """GPUs that processes may use, without loading torch."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return len([item for item in visible.split(",") if item.strip() not in ("", "-1")])
    return len(list(GPUS.iterdir())) if GPUS.is_dir() else 0


def run(job: BaseModel, folder: Path, n_processes: int, progress: Progress) -> bytes:
    """Run a job in processes of its own; its result as JSON.

    Args:
        job: a `Job`, a `MeasureJob`, or an `EvaluateJob`.
        folder: where job, log, progress and result lie.
        n_processes: that train together; 1 is one without accelerate.
        progress: is told what they tell.

    Raises:
        RequestError, RunError: what the job raised, or that it ended without saying anything.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (RESULT, FAILURE, PROGRESS, *(path.name for path in folder.glob(f"*.{FAILURE}"))):
        (folder / stale).unlink(missing_ok=True)
    job_file = folder / "job.json"
    job_file.write_bytes(job.model_dump_json(indent=2).encode())
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            command(job_file, n_processes, is_sharded=not _has_lora(job)),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=_environment(n_processes, may_load=getattr(job, "kind", "") == "evaluate"),
        )
        try:
            code = _watch(process, folder / PROGRESS, progress)
        finally:
            _end(process)
    (folder / PROGRESS).unlink(missing_ok=True)
    if code or not (folder / RESULT).is_file():
        raise _error(folder, code)
    return (folder / RESULT).read_bytes()


def command(job_file: Path, n_processes: int, is_sharded: bool = True) -> list[str]:
    """What starts the processes of a job.

    Args:
        job_file: what they are told.
        n_processes: how many.
        is_sharded: whether GPUs share out the weights; else each has them all.
    """
    worker = ["-m", "training.worker", str(job_file)]
    if n_processes == 1:
        return [sys.executable, *worker]
    kind = ["--multi_gpu", *FSDP] if is_sharded and n_gpus() >= n_processes else ["--multi_gpu"]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(n_processes)]
    options = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    return [*launcher, *options, *kind, *worker]


def _has_lora(job: BaseModel) -> bool:
    """Whether a stage trains low-rank updates: little room, and merged into whole weights in the end."""
    return getattr(getattr(job, "stage", None), "lora", None) is not None


FSDP = [
    "--use_fsdp",
    "--fsdp_version",
    "2",
    "--fsdp_auto_wrap_policy",
    "TRANSFORMER_BASED_WRAP",
    "--fsdp_state_dict_type",
    "FULL_STATE_DICT",
]
"""Weights, gradients and the optimiser's state are shared out among GPUs (FSDP2)."""


def _environment(n_processes: int, may_load: bool = False) -> dict[str, str]:
    """The environment of a job; only that of an evaluation may load data sets from the hub."""
    here = str(Path(__file__).resolve().parent.parent)
    me = psutil.Process()
    # `accelerate launch --cpu --num_processes 2` starts one process; with this, `--multi_gpu` starts two without GPUs
    on_cpus = {"ACCELERATE_USE_CPU": "true"} if n_gpus() < n_processes else {}
    return {
        **os.environ,
        **on_cpus,
        PARENT: f"{me.pid}:{me.create_time()}",
        "PYTHONPATH": os.pathsep.join(item for item in (here, os.environ.get("PYTHONPATH", "")) if item),
        "PYTHONSAFEPATH": "1",  # `python -m` would import what lies in the user's folder before what is installed
        **({} if may_load else {"HF_HUB_OFFLINE": "1"}),
        "TOKENIZERS_PARALLELISM": "false",
        "TRL_EXPERIMENTAL_SILENCE": "1",
    }


def _watch(process: "subprocess.Popen[bytes]", told: Path, progress: Progress) -> int:
    """Pass on what the processes tell, until they end; the exit code."""
    place = 0
    while True:
        ended = process.poll()
        place = _pass_on(told, place, progress)
        if ended is not None:
            return ended
        time.sleep(POLL_S)


def _pass_on(told: Path, place: int, progress: Progress) -> int:
    if not told.is_file():
        return place
    with told.open("rb") as file:
        file.seek(place)
        lines = file.read()
    whole = lines[: lines.rfind(b"\n") + 1]
    for line in whole.splitlines():
        progress(*orjson.loads(line))
    return place + len(whole)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _error(folder: Path, code: int) -> Exception:
    for path in (folder / FAILURE, *sorted(folder.glob(f"*.{FAILURE}"))):
        if path.is_file():
            failure = Failure.model_validate_json(path.read_bytes())
            kind = RequestError if failure.is_request else RunError
            return kind(f"{failure.message}\n(what the libraries said: {folder / LOG})")
    if code in (-9, 137):
        return RunError(
            f"{folder.name}: its process was killed, as happens where memory runs out: take a smaller `micro_batch`, "
            "`recompute: true` or `lora`; of an evaluation a smaller `batch`. Run the same command again to go on "
            "from what is there"
        )
    if shutil.disk_usage(folder).free < MESSAGE_BYTES:
        return RunError(disk_is_full(folder, folder.name))
    tail = (folder / LOG).read_text("utf-8", "replace")[-LOG_TAIL_CHARS:]
    return RunError(
        f"{folder.name}: its process ended with {code} and said nothing; the end of {folder / LOG}:\n{tail}"
    )


@contextmanager
def alone(folder: Path, command: str = "onggi train") -> Iterator[None]:
    """Hold a run's folder while the block runs, so that no second command works in it.

    Args:
        folder: of the run.
        command: that works in it.

    Raises:
        RequestError: another one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        _lock(lock, folder, command)
        yield


@contextmanager
def waiting(folder: Path, progress: Progress = silent) -> Iterator[None]:
    """Hold the folder of a stage while the block runs; wait where another training works in it, and tell of that."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(folder.name, 0, 1, f"waits for another training in {folder}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lock(lock: IO[str], folder: Path, command: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RequestError(f"{folder}: another `{command}` works in it; wait for it, or give another -o") from None
