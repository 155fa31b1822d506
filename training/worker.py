"""The process that a stage trains in: `python -m training.worker JOB.json`; several of them through accelerate.

It has the memory of the stage only, and ends with the command that started it. What came of it is a file, written
last; so is what went wrong.
"""

import contextlib
import os
import sys
import threading
import time
import traceback
from pathlib import Path

import orjson
import psutil
from pydantic import BaseModel

from manifests.errors import RequestError, RunError
from training.checkpoints import full_disk
from training.environment import n_cores
from training.jobs import Job
from training.stage_kinds import runner

RESULT, FAILURE, PROGRESS = "made.json", "failure.json", "progress.jsonl"
PARENT = "ONGGI_TRAIN_PARENT"
"""Process id of the command, and when it was started: another process may get its number."""
PROGRESS_EVERY_S = 0.1


class Failure(BaseModel):
    """What went wrong in a process of a stage."""

    is_request: bool
    """The request is wrong; else the run failed."""
    message: str


def main(path: str) -> int:
    """Do what a job file says; the exit code."""
    job_file = Path(path)
    folder = job_file.parent
    _end_with_parent()
    try:
        with full_disk(folder, _name(job_file)):
            result = _run(job_file, folder)
            if _rank() == 0:
                _write(folder / RESULT, result)
    except (RequestError, RunError) as error:
        return _failed(folder, isinstance(error, RequestError), str(error))
    except MemoryError:
        return _failed(folder, False, _memory(job_file))
    except Exception as error:
        traceback.print_exc()
        if "out of memory" in str(error).lower():
            return _failed(folder, False, _memory(job_file))
        return _failed(folder, False, f"{type(error).__name__}: {error}")
    return 0


def _run(job_file: Path, folder: Path) -> BaseModel:
    task = orjson.loads(job_file.read_bytes())
    say = _Said(folder / PROGRESS)
    if task.get("kind") == "evaluate":
        from training.evaluating.evaluate import evaluate
        from training.evaluating.jobs import EvaluateJob

        asked = EvaluateJob.model_validate(task)
        _settle(asked.threads, asked.seed)
        return evaluate(asked, say)
    if "stage" not in task:
        from training.measuring.jobs import MeasureJob
        from training.measuring.measures import measure

        measured = MeasureJob.model_validate(task)
        _settle(measured.threads, measured.seed)
        return measure(measured, say)
    job = Job.model_validate(task)
    _settle(job.threads, job.seed)
    return runner(job.stage.kind)(job, say)


def _settle(n_threads: int | None, seed: int) -> None:
    """What makes results the same to the last bit."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch
    import transformers

    torch.set_num_threads(n_threads or n_cores())
    if torch.cuda.is_available():  # on CPUs the same number of threads is enough, and this takes twice the time
        torch.use_deterministic_algorithms(True, warn_only=True)
    transformers.set_seed(seed)


class _Said:
    """Progress, as lines of a file that the command reads."""

    def __init__(self, path: Path) -> None:
        self._path, self._last_s = path, 0.0

    def __call__(self, step: str, done: float, total: float, note: str = "") -> None:
        now = time.monotonic()
        if _rank() or (now - self._last_s < PROGRESS_EVERY_S and done < total):
            return
        self._last_s = now
        with self._path.open("ab") as file:
            file.write(orjson.dumps([step, done, total, note]) + b"\n")


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))


def _failed(folder: Path, is_request: bool, message: str) -> int:
    print(message, file=sys.stderr)
    name = FAILURE if _rank() == 0 else f"{_rank()}.{FAILURE}"
    with contextlib.suppress(OSError):  # on a full disk the command finds out by itself
        _write(folder / name, Failure(is_request=is_request, message=message))
    return 2 if is_request else 1


def _memory(job_file: Path) -> str:
    if orjson.loads(job_file.read_bytes()).get("kind") == "evaluate":
        return (
            f"{_name(job_file)}: memory ran out. Take a smaller `batch` or `max_model_len` of vLLM, or shorter "
            "`needle.lengths`; results that were finished are kept"
        )
    return (
        f"{_name(job_file)}: memory ran out. Take a smaller `micro_batch`, `recompute: true`, shorter sequences, or "
        "`lora`; finished stages are kept"
    )


def _name(job_file: Path) -> str:
    """Of the stage, or what else is done."""
    task = orjson.loads(job_file.read_bytes())
    return str(task.get("stage", {}).get("name") or task.get("name", "measuring"))


def _write(path: Path, value: BaseModel) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(value.model_dump_json().encode())
    partial.rename(path)


def _end_with_parent() -> None:
    """End when the command has ended, however it did: a run that is started again must not meet this one."""
    if PARENT not in os.environ:
        return
    pid, created = os.environ[PARENT].split(":")

    def watch() -> None:
        while _runs(int(pid), float(created)):
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _runs(pid: int, created_s: float) -> bool:
    """Whether a process is there, and no other one of its number, and does not only wait to be taken note of."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created_s) <= 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
