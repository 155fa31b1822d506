"""The one client of a teacher: requests go in, answers come out, and none is paid twice.

An answer is looked up by what was asked (model, revision, messages, sampling, schema) before anybody is asked. Who
asks is a process of its own (synth/teachers/courier.py): what is on its way when this one is killed is still taken
and kept.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import orjson
import psutil

from manifests.errors import RequestError, RunError
from manifests.house import child_environment
from manifests.schema_teacher import Sampling
from manifests.schema_teacher import Teacher as Settings
from manifests.store import resolve
from synth.teachers.answers import Answer, AnswerStore, Request, read_recorded
from synth.teachers.courier import BACKOFF_S
from synth.teachers.engine import located

LOOKED_UP = 256
"""Requests that are looked up at once."""

HOPELESS = 20
"""Requests that may fail in a row until the run ends: the server is gone, or nothing is as the manifest says."""

POLL_S = 0.1


@dataclass(frozen=True)
class Failure:
    """A request without an answer. It is not kept: another run asks again."""

    message: str
    is_rejected: bool = False
    """Whether the server is there and will not have this request, as one that is too long."""


Reply = tuple[str, Answer | Failure]
"""The key of a request, and what came of it."""


@dataclass
class Usage:
    """What was asked and what it took."""

    n_requests: int = 0
    n_kept: int = 0
    """Answers that were there already, or were recorded."""
    n_paid: int = 0
    n_failed: int = 0
    n_retries: int = 0
    n_prompt_tokens: int = 0
    n_output_tokens: int = 0
    """Of what was paid."""

    def cost(self, settings: Settings) -> float:
        """In the currency of the prices."""
        return (self.n_prompt_tokens * settings.price_input + self.n_output_tokens * settings.price_output) / 1e6


def request_of(
    messages: Iterable[tuple[Literal["system", "user", "assistant"], str]],
    sampling: Sampling,
    schema: dict[str, Any] | None = None,
    attempt: int = 0,
) -> Request:
    """A request; `attempt` counts tries at the same thing, which must differ to bring another answer."""
    fields: dict[str, Any] = {**sampling.model_dump(exclude={"extra"}), **sampling.extra}
    if attempt:
        fields |= {"seed": sampling.seed + attempt, "temperature": max(sampling.temperature, 0.5)}
    return Request(tuple(messages), _canonical(fields), _canonical(schema) if schema else None)


def _canonical(value: dict[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


class _Asker(Protocol):
    """Who takes requests and brings replies."""

    def submit(self, key: str, request: Request) -> None:
        """Ask."""

    def receive(self) -> tuple[Reply, int]:
        """The next reply, and how often it was asked for in vain; waits for it."""


class Teacher:
    """A teacher with its answers: `for request, answer in teacher.ask(requests)`."""

    def __init__(self, settings: Settings, base: str, folder: str) -> None:
        """Open the answers.

        Args:
            settings: of the manifest.
            base: where its relative paths start.
            folder: of the run, on local disk; answers lie there unless the settings say where.

        Raises:
            RequestError: another process has the answers open, a file is not what it should be, or there is no key.
        """
        if settings.api_key and not os.environ.get(settings.api_key):
            raise RequestError(f"teacher.api_key: the environment has no {settings.api_key}")
        self.settings = settings
        self.usage = Usage()
        self._n_failed_in_row = 0
        path = resolve(settings.answers, base) if settings.answers else f"{folder}/answers.sqlite"
        if "://" in path:
            raise RequestError(f"{path}: answers are kept on local disk; name a path in teacher.answers")
        with ExitStack() as unless_it_fails:
            lock = unless_it_fails.enter_context(_locked(Path(path), settings.timeout_s))
            self._store = unless_it_fails.enter_context(AnswerStore(path))
            self._asker: _Asker = (
                _Recorded(resolve(settings.replay, base), settings)
                if settings.replay
                else unless_it_fails.enter_context(_Courier(located(settings, base), self._store.path, folder, lock))
            )
            self._stack = unless_it_fails.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    @property
    def kept(self) -> AnswerStore:
        """All answers."""
        return self._store

    def ask(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Answer | Failure]]:
        """Every request with its answer or why it has none, as answers come; equal requests are asked once.

        Raises:
            RequestError: the server does not know the model or the key.
            RunError: many requests in a row failed, or the process that asks ended.
        """
        asked: dict[str, list[Request]] = {}
        queue: deque[str] = deque()
        source, n_running, exhausted = iter(requests), 0, False
        while queue or n_running or not exhausted:
            if len(queue) < self.settings.concurrency and not exhausted:
                some = list(islice(source, LOOKED_UP))
                exhausted = len(some) < LOOKED_UP
                for request, key, kept in self._looked_up(some):
                    if kept:
                        yield request, kept
                    elif key in asked:
                        asked[key].append(request)
                    else:
                        asked[key] = [request]
                        queue.append(key)
            while queue and n_running < self.settings.concurrency:
                key = queue.popleft()
                self._asker.submit(key, asked[key][0])
                n_running += 1
            if n_running:
                key, answer = self._received()
                n_running -= 1
                for request in asked.pop(key):
                    yield request, answer

    def _looked_up(self, requests: Sequence[Request]) -> Iterator[tuple[Request, str, Answer | None]]:
        """(request, its key, its answer where there is one)."""
        keys = [request.key(self.settings.model, self.settings.revision) for request in requests]
        there = self._store.get(keys)
        self.usage.n_requests += len(requests)
        self.usage.n_kept += sum(key in there for key in keys)
        return ((request, key, there.get(key)) for request, key in zip(requests, keys, strict=True))

    def _received(self) -> Reply:
        (key, answer), n_retries = self._asker.receive()
        self.usage.n_retries += n_retries
        if self.settings.replay:
            self.usage.n_kept += 1
            return key, answer
        if isinstance(answer, Answer):
            self._n_failed_in_row = 0
            self.usage.n_paid += 1
            self.usage.n_prompt_tokens += answer.n_prompt_tokens
            self.usage.n_output_tokens += answer.n_output_tokens
            return key, answer
        self.usage.n_failed += 1
        self._give_up_if_hopeless(answer)
        return key, answer

    def _give_up_if_hopeless(self, failure: Failure) -> None:
        """End the run rather than let all that is left fail one by one: what counts as failed is not asked again."""
        is_alone = failure.is_rejected and (self.usage.n_paid or self.usage.n_kept)  # others are answered
        self._n_failed_in_row = 0 if is_alone else self._n_failed_in_row + 1
        if self._n_failed_in_row >= HOPELESS:
            raise RunError(
                f"{self.settings.url}: {HOPELESS} requests in a row failed; the last one: {failure.message}; what "
                "was answered is kept: run the same command again to go on"
            )


@contextlib.contextmanager
def _locked(path: Path, patience_s: float) -> Iterator[int]:
    """The descriptor of a lock on the answers, which goes when all processes that have it end.

    A run that was killed may have a courier on its way, which has the lock: it is waited for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    until = time.monotonic() + patience_s
    try:
        while not _try_lock(descriptor):
            holder = os.pread(descriptor, 20, 0).decode()
            is_alive = holder.isdigit() and int(holder) != os.getpid() and psutil.pid_exists(int(holder))
            if is_alive or time.monotonic() > until:
                raise RequestError(
                    f"{path}: the process {holder} is asking a teacher with these answers; wait for it, or name "
                    "another file in teacher.answers"
                )
            time.sleep(POLL_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Courier:
    """The process that asks: started here, in a session of its own, so that what ends this process spares it."""

    def __init__(self, settings: Settings, answers: Path, folder: str, lock: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from synth.teachers.courier import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(),
            pass_fds=[lock],
            start_new_session=True,
        )
        self._requests, self._replies = self._process.stdin, self._process.stdout
        paths = {"answers": str(answers), "log": f"{folder}/server.log"}
        self._send({"settings": settings.model_dump(), "backoff_s": BACKOFF_S, **paths})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Send no more, and wait for what is on its way; after Ctrl-C, let the courier take it alone."""
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()  # type: ignore[union-attr]
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            self._replies.read()  # type: ignore[union-attr]
            self._process.wait()
        self._replies.close()  # type: ignore[union-attr]

    def _send(self, value: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # it ended: `receive` says so
            self._requests.write(orjson.dumps(value) + b"\n")  # type: ignore[union-attr]
            self._requests.flush()  # type: ignore[union-attr]

    def submit(self, key: str, request: Request) -> None:
        """See `_Asker`."""
        self._send({"key": key, "request": request.parts})

    def receive(self) -> tuple[Reply, int]:
        """See `_Asker`."""
        line = self._replies.readline()  # type: ignore[union-attr]
        if not line:
            raise RunError(
                f"the process that asks the teacher ended ({self._process.wait()}); what was answered is kept: run "
                "the same command again to go on"
            )
        value = orjson.loads(line)
        if "fatal" in value:
            raise (RequestError if value["exit_code"] == RequestError.exit_code else RunError)(value["fatal"])
        answer = Answer(**value["answer"]) if "answer" in value else Failure(value["failure"], value["is_rejected"])
        return (value["key"], answer), value["n_retries"]


class _Recorded:
    """Answers of a file; a request that is not among them is an error, since nobody is asked."""

    def __init__(self, path: str, settings: Settings) -> None:
        self._path, self._settings = path, settings
        self._answers = read_recorded(path)
        self._asked: deque[tuple[str, Request]] = deque()

    def submit(self, key: str, request: Request) -> None:
        """See `_Asker`."""
        self._asked.append((key, request))

    def receive(self) -> tuple[Reply, int]:
        """See `_Asker`."""
        key, request = self._asked.popleft()
        if key not in self._answers:
            start = " ".join(request.messages[-1][1].split())[:80]
            raise RequestError(
                f"{self._path}: holds no answer of {self._settings.model} to the request {key} (`{start}...`): "
                "model, revision, prompts, sampling and schema must be as recorded; or ask a server, with teacher.url"
            )
        return (key, self._answers[key]), 0
