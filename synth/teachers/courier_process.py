"""The process that asks a teacher, as whoever started it sees it: requests go in, and comes what became of them."""

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from manifests.errors import RequestError, RunError
from manifests.house import child_environment
from manifests.schema_teacher import Teacher as Settings
from synth.teachers.answers import Answer, Failure, Request
from synth.teachers.courier import BACKOFF_S

PROGRAM = "from synth.teachers.courier import main; main()"
READ_BYTES = 1 << 20
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """What became of a request."""

    key: str
    answer: Answer | Failure
    n_retries: int
    """How often it was asked in vain."""


class CourierProcess:
    """Started here, in a session of its own, so that what ends this process spares it."""

    def __init__(self, settings: Settings, answers: Path, folder: str, lock: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(),
            pass_fds=[lock],
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout
        self._requests, self._replies, self._rest = self._process.stdin, self._process.stdout, b""
        paths = {"answers": str(answers), "log": f"{folder}/server.log"}
        self._write([{"settings": settings.model_dump(), "backoff_s": BACKOFF_S, **paths}])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Send no more, and wait for what is on its way; after Ctrl-C, let the courier take it alone."""
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            self._replies.read()
            self._process.wait()
        self._replies.close()

    def fileno(self) -> int:
        """Of the pipe that replies come by: who waits for several couriers waits on these."""
        return self._replies.fileno()

    def send(self, requests: Iterable[tuple[str, Request]]) -> None:
        """Ask for all of these, by key."""
        self._write([{"key": key, "request": request.parts} for key, request in requests])

    def _write(self, values: Iterable[Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # it ended: `receive` says so
            self._requests.write(b"".join(orjson.dumps(value) + b"\n" for value in values))
            self._requests.flush()

    def receive(self) -> list[Told]:
        """What there is to be told, which may be part of a line and therefore nothing; waits where there is nothing.

        Raises:
            RequestError: no request will have an answer, as the server does not know the model or the key.
            RunError: the process ended.
        """
        # Past the buffer of the file object, in which a line would lie that nothing wakes for.
        chunk = os.read(self._replies.fileno(), READ_BYTES)
        if not chunk:
            raise RunError(
                f"the process that asks the teacher ended ({self._process.wait()}); what was answered is kept: run "
                "the same command again to go on"
            )
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        values = [orjson.loads(line) for line in lines]
        for value in values:
            if "notice" in value:
                LOG.warning("onggi: %s", value["notice"])
        return [_told(value) for value in values if "notice" not in value]


def _told(value: dict[str, Any]) -> Told:
    if "fatal" in value:
        raise (RequestError if value["exit_code"] == RequestError.exit_code else RunError)(value["fatal"])
    answer = Answer.of(value["answer"]) if "answer" in value else Failure(value["failure"], value["is_rejected"])
    return Told(value["key"], answer, value["n_retries"])
