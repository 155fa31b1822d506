"""Teachers whose vLLM is the stand-in beside this file."""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import psutil

from manifests.house import child_environment
from manifests.schema_teacher import Teacher as Settings
from synth.teacher import Failure, Teacher, request_of
from synth.teachers.answers import Answer

FAKE = Path(__file__).with_name("fake_vllm")
Backend = Literal["serve", "offline"]
PATIENCE_S = 60


def settings(backend: Backend, folder: Path, *, fake: str = "", more: Any = None, **engine: Any) -> Settings:
    """Of a teacher whose engine is as told; its checkpoint is a folder without one."""
    (folder / "weights").mkdir(exist_ok=True)
    fields = {"weights": "weights", "env": {"PYTHONPATH": str(FAKE), "FAKE_VLLM": fake}, **engine}
    return Settings.model_validate({"model": "judge-1", backend: fields, "retries": 3, **(more or {})})


def ask(teacher: Teacher, questions: Iterable[str]) -> dict[str, Answer | Failure]:
    requests = [request_of([("user", question)], teacher.settings.sampling) for question in questions]
    return {request.messages[-1][1]: answer for request, answer in teacher.ask(requests)}


RUN = """
import signal, sys
from manifests.schema_teacher import Teacher as Settings
from synth.teacher import Teacher
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background of a shell ignores it
from tests.synth.teachers.fake_engine import ask
with Teacher(Settings.model_validate_json(sys.argv[1]), sys.argv[2], sys.argv[2]) as teacher:
    ask(teacher, ["first"])
    print("up", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def run_of(settings: Settings, folder: Path, *, until: str = "up") -> Iterator["subprocess.Popen[bytes]"]:
    """A run that has an answer and goes on until its input ends; or one whose engine has said a word."""
    command = [sys.executable, "-c", RUN, settings.model_dump_json(), str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=child_environment(), stdin=pipe, stdout=pipe, start_new_session=True) as run:
        assert run.stdout
        try:
            if until == "up":
                assert run.stdout.readline() == b"up\n"
            else:
                wait_for(folder / "server.log", until)
            yield run
        finally:
            run.kill()


def wait_for(log: Path, word: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not log.exists() or word not in log.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)


def started(folder: Path) -> list[psutil.Process]:
    """The engine's two processes that still run, by its log."""
    found = re.findall(r"^core (\d+) of (\d+)", (folder / "server.log").read_text(), re.M)
    return [psutil.Process(int(pid)) for pids in found for pid in pids if psutil.pid_exists(int(pid))]


def all_end(processes: Iterable[psutil.Process]) -> bool:
    """Whether they do, in time; those that nobody waited for count as ended."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if not [process for process in processes if _runs(process)]:
            return True
        time.sleep(0.05)
    return False


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
