"""A process of vLLM: what it is started with, how it is known to have ended, and what it said last."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from manifests.errors import OnggiError, RequestError, RunError
from manifests.house import HOME
from manifests.schema import Argument, Scalar
from manifests.schema_teacher import OfflineEngine
from manifests.schema_teacher import Teacher as Settings
from manifests.store import resolve
from synth.teachers import guard
from synth.teachers.courier import Busy

SHOWN_LINES, SHOWN_BYTES = 12, 3000
LINE_BYTES_MAX = 1 << 30
ARGPARSE_EXIT_CODE = 2
TO_GO_ON = "what was answered is kept: run the same command again to go on"

# vLLM lets models write any blanks between the tokens of JSON, and weak ones write nothing else; only this setting of
# the engine forbids it, that of a request is ignored.
STRUCTURED: dict[str, Scalar] = {"backend": "xgrammar", "disable_any_whitespace": True}

PROBE = """
import importlib.util, json, pathlib, sys
spec = importlib.util.find_spec("vllm")
folder = pathlib.Path(spec.origin).parent if spec and spec.origin else None
about = folder / "config" / "structured_outputs.py" if folder else None
is_there = bool(about and about.exists() and "disable_any_whitespace" in about.read_text())
print(json.dumps({"has_vllm": bool(folder), "has_structured": is_there}))
"""
"""What an interpreter has, found without importing vLLM, which takes seconds."""

REMEDIES = {
    "unrecognized arguments": "this vLLM has no such flag: they change between versions",
    "expected one argument": "a flag needs a value, or another one",
    "invalid choice": "a flag has a value that this vLLM does not know",
    "gpu_memory_utilization": "give it less memory with args: {gpu_memory_utilization: 0.5}, which on CPUs is of the "
    "machine's memory",
    "out of memory": "give it less memory with args: {gpu_memory_utilization: 0.5}, or a shorter max_model_len",
    "CPU attention configuration": "vLLM's kernels for CPUs lack this model's head size",
    "address already in use": "another program took the port meanwhile: run the same command again",
}
"""What to do, by what stands in the log."""


def located(settings: Settings, base: str) -> Settings:
    """The settings with the paths of their engine absolute, from where `base` is; other settings as they are."""
    for name in ("serve", "offline"):
        if engine := getattr(settings, name):
            return settings.model_copy(update={name: _located(engine, base)})
    return settings


def _located(engine: OfflineEngine, base: str) -> OfflineEngine:
    folder = resolve(engine.weights, base)
    weights = folder if Path(folder).is_dir() or engine.weights[0] in "./~" else engine.weights
    python = resolve(engine.python, base) if engine.python and "/" in engine.python else engine.python
    return engine.model_copy(update={"weights": weights, "python": python or sys.executable})


def flags(args: dict[str, Argument]) -> list[str]:
    """As vLLM's command line has them."""
    said: list[str] = []
    for name, value in args.items():
        flag = name.replace("_", "-")
        if value is True:
            said.append(f"--{flag}")
        elif value is False:
            said.append(f"--no-{flag}")
        elif isinstance(value, dict):
            said += [f"--{flag}", json.dumps(value)]
        elif isinstance(value, list):
            said += [f"--{flag}", *map(str, value)]
        elif value is not None:
            said += [f"--{flag}", str(value)]
    return said


def environment(engine: OfflineEngine) -> dict[str, str]:
    """Of the process: this one's, less the path to Onggi's packages, which has no place in another interpreter."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    more = {"PYTHONPATH": os.pathsep.join(path for path in paths if path and path != str(HOME))}
    more |= {"PYTHONSAFEPATH": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if Path(engine.weights).is_dir():
        more["HF_HUB_OFFLINE"] = "1"  # all is there: nobody is asked
    return {**os.environ, **more, **engine.env}


def arguments(engine: OfflineEngine, where: str) -> dict[str, Argument]:
    """What the manifest says, with what every teacher needs.

    Args:
        engine: as `located` has it.
        where: its field, for messages.

    Raises:
        RequestError: there is no such interpreter, it has no vLLM, or there are no such weights.
    """
    if engine.weights[0] in "./~" and not Path(engine.weights).is_dir():
        raise RequestError(f"{where}.weights: {engine.weights} is no folder; expected that of a checkpoint")
    has = _probed(engine, where)
    if not has["has_vllm"]:
        raise RequestError(
            f"{where}.python: {engine.python} has no vLLM; name the interpreter of an environment that has it, as "
            ".venv-vllm/bin/python"
        )
    structured: dict[str, Argument] = {"structured_outputs_config": STRUCTURED} if has["has_structured"] else {}
    return structured | engine.args


def _probed(engine: OfflineEngine, where: str) -> dict[str, bool]:
    command = [str(engine.python), "-c", PROBE]
    try:
        done = subprocess.run(command, env=environment(engine), capture_output=True, timeout=60, check=True, cwd="/")
        found: dict[str, bool] = orjson.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise RequestError(f"{where}.python: {engine.python} is no Python that runs: {error}") from error
    return found


class Start:
    """The start of an engine: once, when it is wanted first, for all who wait for it."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, "Running"]]) -> None:
        self._start = start
        self._task: asyncio.Task[Running] | None = None

    async def running(self) -> "Running":
        """The engine when it is up.

        Raises:
            Busy: its start was given up.
            OnggiError: it failed.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._start())
        await asyncio.wait({self._task})
        if self._task.cancelled():
            raise Busy("the engine was not up when the run ended")
        return self._task.result()

    def give_up(self) -> None:
        """See `courier.Startable`."""
        if self._task:
            self._task.cancel()  # nothing to one that is over


@dataclass(frozen=True)
class Running:
    """A process with its guard."""

    process: asyncio.subprocess.Process
    lifeline: int
    """Descriptor; closing it ends the process."""
    log: Path
    log_start: int
    """Size of the log when it was started."""

    @property
    def has_ended(self) -> bool:
        """Whether it has."""
        return self.process.returncode is not None

    async def stop(self) -> None:
        """End it, and wait until it is gone."""
        os.close(self.lifeline)
        await self.process.wait()

    def last_lines(self) -> str:
        """What it said last."""
        with self.log.open("rb") as file:
            file.seek(max(self.log_start, file.seek(0, os.SEEK_END) - SHOWN_BYTES))
            lines = [line.rstrip() for line in file.read().decode(errors="replace").splitlines()]
        return "\n".join([line for line in lines if line][-SHOWN_LINES:])

    def failed(self, what: str, then: str | None = None) -> OnggiError:
        """An error that says what happened, what to do and what the log says; a wrong flag is the manifest's."""
        said = self.last_lines()
        remedy = next((remedy for sign, remedy in REMEDIES.items() if sign in said), None)
        code = self.process.returncode
        how = f" (exit code {code})" if code is not None else ""
        message = "; ".join(filter(None, [what + how, remedy, then]))
        error = RequestError if code == ARGPARSE_EXIT_CODE else RunError
        return error(f"{message}. {self.log} ends with:\n{said or '(nothing)'}")


async def start(command: Sequence[str], env: dict[str, str], log: Path, *, speaks: bool) -> Running:
    """Start a process that ends with this one; what it prints goes to the log.

    Args:
        command: an interpreter and its arguments.
        env: its whole environment.
        log: is gone on with.
        speaks: whether it reads lines from its standard input and answers with lines on its standard output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    read_end, write_end = os.pipe()
    pipe = asyncio.subprocess.PIPE if speaks else None
    with log.open("ab") as out:
        size = out.seek(0, os.SEEK_END)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",  # the environment is meant for the command
            str(guard.__file__),
            str(read_end),
            *command,
            stdin=pipe or asyncio.subprocess.DEVNULL,
            stdout=pipe or out,
            stderr=out,
            env=env,
            pass_fds=[read_end],
            start_new_session=True,
            limit=LINE_BYTES_MAX,
        )
    os.close(read_end)
    return Running(process, write_end, log, size)
