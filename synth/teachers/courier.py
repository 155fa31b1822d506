"""The process that asks a teacher for another: it outlives it, so that no answer on its way is lost or paid again.

It is started by `synth.teacher` and speaks lines of JSON: settings first and then requests come in, answers go out,
each when it is on disk. When whoever started it is gone, it takes what is on its way, and ends. It inherits the lock
on the answers, so that until then no other run asks for the same.
"""

import asyncio
import random
import sqlite3
import sys
from pathlib import Path
from typing import Any, Protocol

import orjson

from manifests.errors import OnggiError
from manifests.schema_teacher import Teacher as Settings
from synth.teachers.answers import Answer, AnswerStore, Request

BACKOFF_S, BACKOFF_MAX_S = 0.5, 60.0
LINE_BYTES_MAX = 1 << 30


class Busy(Exception):
    """The server may answer later."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s
        """How long it asks to wait."""


class Rejected(Exception):
    """The server will never answer this request; others it may."""


class Backend(Protocol):
    """Who is asked."""

    async def complete(self, request: Request) -> Answer:
        """The answer to one request.

        Raises:
            Busy: ask again later.
            Rejected: this request will have no answer.
            RequestError: no request will.
        """


class Courier:
    """Asks for every request that comes in, again where the server is busy, and keeps every answer."""

    def __init__(self, settings: Settings, store: AnswerStore, backend: Backend, backoff_s: float) -> None:
        self._settings, self._store, self._backend, self._backoff_s = settings, store, backend, backoff_s
        self._is_alone = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, requests: asyncio.StreamReader) -> None:
        """Until there are no more requests, and all have their answers."""
        while line := await requests.readline():
            value = orjson.loads(line)
            task = asyncio.create_task(self._serve(value["key"], Request.of(value["request"])))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._is_alone = True
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, key: str, request: Request) -> None:
        n_retries = 0
        while True:
            try:
                answer = await self._backend.complete(request)
            except Rejected as error:
                return _tell(key=key, failure=str(error), is_rejected=True, n_retries=n_retries)
            except OnggiError as error:
                return _tell(key=key, fatal=str(error), exit_code=error.exit_code)
            except Busy as error:
                if n_retries == self._settings.retries or self._is_alone:
                    message = f"{error} (asked {n_retries + 1} times)"
                    return _tell(key=key, failure=message, is_rejected=False, n_retries=n_retries)
                pause_s = min(self._backoff_s * 2**n_retries, BACKOFF_MAX_S) * random.uniform(0.5, 1)
                await asyncio.sleep(pause_s if error.after_s is None else error.after_s)
                n_retries += 1
                continue
            except Exception as error:
                return _tell(key=key, fatal=f"asking the teacher failed: {error!r}", exit_code=1)
            try:
                self._store.put(key, self._settings.model, self._settings.revision, request, answer)
            except sqlite3.Error as error:
                return _tell(key=key, fatal=f"{self._store.path}: cannot keep an answer: {error}", exit_code=1)
            return _tell(key=key, answer=answer, n_retries=n_retries)


def _tell(**message: Any) -> None:
    """Write a line for whoever started this, if anybody is there."""
    try:
        sys.stdout.buffer.write(orjson.dumps(message) + b"\n")
        sys.stdout.buffer.flush()
    except (BrokenPipeError, ValueError):
        pass


async def _main() -> None:
    from synth.teachers.backends import backend_of

    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    value = orjson.loads(await reader.readline())
    settings = Settings.model_validate(value["settings"])
    try:
        async with backend_of(settings, Path(value["log"])) as backend:
            with AnswerStore(value["answers"]) as store:
                await Courier(settings, store, backend, value["backoff_s"]).run(reader)
    except OnggiError as error:
        _tell(fatal=str(error), exit_code=error.exit_code)


def main() -> None:
    """The process."""
    asyncio.run(_main())
