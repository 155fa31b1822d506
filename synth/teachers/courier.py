"""The process that asks a teacher for another: it outlives it, so that no answer on its way is lost or paid again.

It is started by `synth.teacher` and speaks lines of JSON: settings first and then requests come in, answers go out,
each when it is on disk. When whoever started it is gone, it takes what is on its way, and ends. It inherits the lock
on the answers, so that until then no other run asks for the same.
"""

import asyncio
import contextlib
import random
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import orjson

from manifests.errors import OnggiError
from manifests.schema_teacher import Teacher as Settings
from synth.teachers.answers import Answer, AnswerStore, Entry, Request
from synth.teachers.throttle import Queue, Throttle

BACKOFF_S, BACKOFF_MAX_S = 0.5, 60.0
LINE_BYTES_MAX = 1 << 30
WATCH_S = 1.0
"""Between two looks at the server's queue."""

GROUP_S = 0.02
"""How long answers are gathered that go to disk at once: a commit waits for the disk, however little it writes."""


class Busy(Exception):
    """The server may answer later."""

    def __init__(self, message: str, after_s: float | None = None, *, asks_for_less: bool = False) -> None:
        super().__init__(message)
        self.after_s = after_s
        """How long it asks to wait."""
        self.asks_for_less = asks_for_less
        """Whether it says that it is asked for too much."""


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


@runtime_checkable
class Queued(Protocol):
    """A backend that tells how many requests there are."""

    async def queue(self) -> Queue | None:
        """The requests that it has; None where it does not know."""


@runtime_checkable
class Startable(Protocol):
    """A backend that takes a while until it answers the first request."""

    def give_up(self) -> None:
        """Nobody waits any more: what has not started need not."""


@dataclass(frozen=True)
class Outcome:
    """What became of a request."""

    message: dict[str, Any]
    """What is told."""
    entry: Entry | None = None
    """What has to be on disk before."""


class Courier:
    """Asks for every request that comes in, again where the server is busy, and keeps every answer."""

    def __init__(
        self,
        settings: Settings,
        store: AnswerStore,
        backend: Backend,
        backoff_s: float,
        tell: Callable[[bytes], None],
    ) -> None:
        self._settings, self._store, self._backend, self._backoff_s = settings, store, backend, backoff_s
        self._tell = tell
        self._throttle, self._n_in_flight = Throttle(settings.concurrency), 0
        self._has_complained = False
        self._queue: deque[tuple[str, Request]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_alone = asyncio.Event()
        self._outbox: asyncio.Queue[Outcome] = asyncio.Queue()

    async def run(self, requests: asyncio.StreamReader) -> None:
        """Until there are no more requests, and those that are on their way have their answers.

        Requests end when nobody is there to read answers, so what waits for its turn is dropped.
        """
        with ThreadPoolExecutor(1) as disk:
            keeping, watching = asyncio.create_task(self._keep(disk)), asyncio.create_task(self._watch())
            while line := await requests.readline():
                value = orjson.loads(line)
                self._queue.append((value["key"], Request.of(value["request"])))
                self._ask_next()
            self._queue.clear()
            self._is_alone.set()
            if isinstance(self._backend, Startable):
                self._backend.give_up()
            await asyncio.gather(*self._tasks)
            await self._outbox.join()
            keeping.cancel()
            watching.cancel()

    def _ask_next(self) -> None:
        while self._queue and len(self._tasks) < self._throttle.limit:
            task = asyncio.create_task(self._serve(*self._queue.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._ask_next()

    async def _serve(self, key: str, request: Request) -> None:
        self._outbox.put_nowait(await self._outcome(key, request))

    async def _outcome(self, key: str, request: Request) -> Outcome:
        n_retries = 0
        while True:
            try:
                answer = await self._complete(request)
                return Outcome({"key": key, "answer": answer, "n_retries": n_retries}, Entry(key, request, answer))
            except Rejected as error:
                return Outcome({"key": key, "failure": str(error), "is_rejected": True, "n_retries": n_retries})
            except OnggiError as error:
                return Outcome({"key": key, "fatal": str(error), "exit_code": error.exit_code})
            except Busy as error:
                if error.asks_for_less:
                    self._throttle.pushed_back()
                else:
                    self._complain(error)
                if n_retries < self._settings.retries:
                    await self._pause(n_retries, error.after_s)
                if n_retries == self._settings.retries or self._is_alone.is_set():
                    failure = f"{error} (asked {n_retries + 1} times)"
                    return Outcome({"key": key, "failure": failure, "is_rejected": False, "n_retries": n_retries})
                n_retries += 1
            except Exception as error:
                return Outcome({"key": key, "fatal": f"asking the teacher failed: {error!r}", "exit_code": 1})

    async def _complete(self, request: Request) -> Answer:
        self._n_in_flight += 1
        try:
            answer = await self._backend.complete(request)
        finally:
            self._n_in_flight -= 1
        self._throttle.answered()
        self._has_complained = False
        return answer

    def _complain(self, error: Busy) -> None:
        """Say at once why nothing comes, and not again until something did: tries and pauses may take minutes."""
        if not self._has_complained and self._settings.retries:
            self._has_complained = True
            self._tell(orjson.dumps({"notice": f"{error}; asking up to {self._settings.retries} times more"}) + b"\n")

    async def _watch(self) -> None:
        """Follow the queue of a server that tells of it."""
        while isinstance(self._backend, Queued):
            await asyncio.sleep(WATCH_S)
            n_before = self._n_in_flight
            if self._n_in_flight and (queue := await self._backend.queue()):
                # What was in flight at the time that the server speaks of: between asking and being told.
                self._throttle.see(queue, max(n_before, self._n_in_flight))
                self._ask_next()

    async def _pause(self, n_retries: int, after_s: float | None) -> None:
        """Before the next try; over at once when nobody is there any more to read its answer."""
        backoff_s = min(self._backoff_s * 2**n_retries, BACKOFF_MAX_S) * random.uniform(0.5, 1)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_alone.wait(), backoff_s if after_s is None else after_s)

    async def _keep(self, disk: ThreadPoolExecutor) -> None:
        """Put answers on disk, and tell of them then: those that came while the disk was busy, all at once."""
        while True:
            outcomes = [await self._outbox.get()]
            await asyncio.sleep(GROUP_S)
            while not self._outbox.empty():
                outcomes.append(self._outbox.get_nowait())
            self._tell(await asyncio.get_running_loop().run_in_executor(disk, self._kept, outcomes))
            for _ in outcomes:
                self._outbox.task_done()

    def _kept(self, outcomes: list[Outcome]) -> bytes:
        """What is to be told, when all that has to be on disk is."""
        try:
            entries = [outcome.entry for outcome in outcomes if outcome.entry]
            self._store.put(entries, self._settings.model, self._settings.revision)
            return b"".join(orjson.dumps(outcome.message) + b"\n" for outcome in outcomes)
        except Exception as error:
            if len(outcomes) > 1:  # as many as there is room for
                return b"".join(self._kept([outcome]) for outcome in outcomes)
            message = {"fatal": f"{self._store.path}: cannot keep an answer: {error}", "exit_code": 1}
            return orjson.dumps({"key": outcomes[0].message["key"], **message}) + b"\n"


class _Pipe(asyncio.BaseProtocol):
    """Writes to whoever started this, and never waits for them; if nobody is there any more, to nobody."""

    def __init__(self) -> None:
        self.is_closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio."""
        self.is_closed.set()

    def write(self, content: bytes) -> None:
        """All of it, at some time."""
        if not self._transport.is_closing():
            self._transport.write(content)

    async def close(self) -> None:
        """When all is written."""
        self._transport.close()
        await self.is_closed.wait()


async def _main() -> None:
    from synth.teachers.backends import backend_of

    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    _, pipe = await loop.connect_write_pipe(_Pipe, sys.stdout)
    value = orjson.loads(await reader.readline())
    settings = Settings.model_validate(value["settings"])
    try:
        async with backend_of(settings, Path(value["log"])) as backend:
            with AnswerStore(value["answers"]) as store:
                await Courier(settings, store, backend, value["backoff_s"], pipe.write).run(reader)
    except OnggiError as error:
        pipe.write(orjson.dumps({"fatal": str(error), "exit_code": error.exit_code}) + b"\n")
    await pipe.close()


def main() -> None:
    """The process."""
    asyncio.run(_main())
