"""The one client of a teacher: requests go in, answers come out, and none is paid twice.

An answer is looked up by what was asked (model, revision, messages, sampling, schema) before anybody is asked. Who
asks is a process of its own (synth/teachers/courier.py): what is on its way when this one is killed is still taken
and kept.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeVar, cast

import orjson

from manifests.errors import RequestError, RunError
from manifests.schema_teacher import Sampling
from manifests.schema_teacher import Teacher as Settings
from manifests.store import resolve
from synth.teachers.answers import Answer, AnswerStore, Request, read_recorded
from synth.teachers.answers import Failure as Failure
from synth.teachers.answers_lock import locked
from synth.teachers.courier_process import CourierProcess, Told
from synth.teachers.engine import located
from synth.teachers.tokens import tokenizer_digest

LOOKED_UP = 256
"""Requests that are looked up at once."""

AHEAD = 3
"""Tickets that may be open, in multiples of the concurrency: the courier always has something to ask next, and no
more than that is in memory."""

HOPELESS = 20
"""Requests that may fail in a row until the run ends: the server is gone, or nothing is as the manifest says."""

T = TypeVar("T")
Reply = tuple[int, Answer | Failure]
"""A ticket, and what came of its request."""


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


def with_tokens(request: Request, top: int) -> Request:
    """The request that asks for its answer's tokens, too, in the fields of vLLM's server."""
    fields: dict[str, Any] = orjson.loads(request.sampling)
    fields |= {"logprobs": top} if request.kind == "text" else {"logprobs": True, "top_logprobs": top}
    # Else tokens come as text, which is not one to one: parts of Hangul syllables all read as the same \ufffd.
    fields |= {"return_token_ids": True, "return_tokens_as_token_ids": True}
    return replace(request, sampling=_canonical(fields))


def as_asked(request: Request, settings: Settings) -> Request:
    """A request as it is sent and kept: with its tokens, where the settings want them."""
    logprobs = settings.logprobs
    return with_tokens(request, logprobs.top) if logprobs and request.kind != "reward" else request


def _canonical(value: dict[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def checked(settings: Settings, base: str) -> Settings:
    """The settings with the tokenizer's folder absolute, when what they need on this machine is there.

    Raises:
        RequestError: there is no key, or no tokenizer.
    """
    if settings.api_key and not os.environ.get(settings.api_key):
        raise RequestError(f"teacher.api_key: the environment has no {settings.api_key}")
    if not settings.logprobs:
        return settings
    tokenizer = resolve(settings.logprobs.tokenizer, base)
    tokenizer_digest(tokenizer)  # so that it fails here and not at the first request
    return settings.model_copy(update={"logprobs": settings.logprobs.model_copy(update={"tokenizer": tokenizer})})


def answers_path(settings: Settings, base: str, folder: str) -> str:
    """The file of a teacher's answers; in this folder, unless the settings say where.

    Raises:
        RequestError: it is not on this machine.
    """
    path = resolve(settings.answers, base) if settings.answers else f"{folder}/answers.sqlite"
    if "://" in path:
        raise RequestError(f"{path}: answers are kept on local disk; name a path in teacher.answers")
    return path


class Teacher:
    """A teacher with its answers: `for request, answer in teacher.ask(requests)`, or `submit` and `receive`."""

    def __init__(self, settings: Settings, base: str, folder: str) -> None:
        """Open the answers.

        Args:
            settings: of the manifest.
            base: where its relative paths start.
            folder: of the run, on local disk; answers lie there unless the settings say where.

        Raises:
            RequestError: another process has the answers open, a file is not what it should be, or there is no key.
        """
        settings = checked(settings, base)
        self.settings = settings
        self.usage = Usage()
        self.n_open = 0
        """Tickets without a reply."""
        self._new: list[tuple[int, Request]] = []
        self._asked: dict[str, list[int]] = {}
        self._replies: list[Reply] = []
        self._n_failed_in_row = 0
        path = answers_path(settings, base, folder)
        with ExitStack() as unless_it_fails:
            lock = unless_it_fails.enter_context(locked(Path(path), settings.timeout_s))
            self._store = unless_it_fails.enter_context(AnswerStore(path))
            self._asker: CourierProcess | _Recorded = (
                _Recorded(resolve(settings.replay, base), settings.model)
                if settings.replay
                else unless_it_fails.enter_context(
                    CourierProcess(located(settings, base), self._store.path, folder, lock)
                )
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

    def answers(self, keys: Sequence[str]) -> dict[str, Answer]:
        """What there is of these answers, kept or recorded, by key."""
        recorded = self._asker.answers if isinstance(self._asker, _Recorded) else {}
        return self._store.get(keys) | {key: recorded[key] for key in keys if key in recorded}

    @property
    def wants_more(self) -> bool:
        """Whether there is room for more."""
        return self.n_open < AHEAD * self.settings.concurrency

    def submit(self, ticket: int, request: Request) -> None:
        """Have a request answered; `receive` brings what came of it. Equal requests on their way are asked once.

        Raises:
            RequestError: there are recorded answers, and none to this.
        """
        self.n_open += 1
        self._new.append((ticket, request))
        if len(self._new) >= LOOKED_UP:
            self.look_up()

    def receive(self) -> list[Reply]:
        """Wait until at least one ticket has its reply; nothing where no ticket is open.

        Raises:
            RequestError: the server does not know the model or the key, or as in `submit`.
            RunError: many requests in a row failed, or the process that asks ended.
        """
        return received([self])

    def ask(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Answer | Failure]]:
        """Every request with its answer or why it has none, as answers come; raises as `receive` does."""
        return streamed(self, self.submit, ((request, request) for request in requests))

    # What `received` waits with.

    def look_up(self) -> None:
        """Look for the answers to what was submitted, and ask for those that are not there."""
        new, self._new = [(ticket, as_asked(request, self.settings)) for ticket, request in self._new], []
        keys = [request.key(self.settings.model, self.settings.revision) for _, request in new]
        there, to_ask = self._store.get(keys), list[tuple[str, Request]]()
        self.usage.n_requests += len(new)
        for (ticket, request), key in zip(new, keys, strict=True):
            if key in there:
                self.usage.n_kept += 1
                self._replies.append((ticket, there[key]))
            elif key in self._asked:
                self._asked[key].append(ticket)
            else:
                self._asked[key] = [ticket]
                to_ask.append((key, request))
        if isinstance(self._asker, _Recorded):
            for key, request in to_ask:
                self._take(self._asker.told(key, request))
        elif to_ask:
            self._asker.send(to_ask)

    @property
    def pipe(self) -> int | None:
        """What is readable when the courier comes back, where it was sent for something."""
        return self._asker.fileno() if self._asked and isinstance(self._asker, CourierProcess) else None

    def fetch(self) -> None:
        """Take what the courier brings; waits for it."""
        assert isinstance(self._asker, CourierProcess)
        for told in self._asker.receive():
            self._take(told)

    def replies(self) -> list[Reply]:
        """What came since the last time."""
        replies, self._replies = self._replies, []
        self.n_open -= len(replies)
        return replies

    def _take(self, told: Told) -> None:
        self._replies += [(ticket, told.answer) for ticket in self._asked.pop(told.key)]
        self.usage.n_retries += told.n_retries
        if self.settings.replay:
            self.usage.n_kept += 1
        elif isinstance(told.answer, Failure):
            self.usage.n_failed += 1
            self._give_up_if_hopeless(told.answer)
        else:
            self._n_failed_in_row = 0
            self.usage.n_paid += 1
            self.usage.n_prompt_tokens += told.answer.n_prompt_tokens
            self.usage.n_output_tokens += told.answer.n_output_tokens

    def _give_up_if_hopeless(self, failure: Failure) -> None:
        """End the run rather than let all that is left fail one by one: what counts as failed is not asked again."""
        is_alone = failure.is_rejected and (self.usage.n_paid or self.usage.n_kept)  # others are answered
        self._n_failed_in_row = 0 if is_alone else self._n_failed_in_row + 1
        if self._n_failed_in_row >= HOPELESS:
            raise RunError(
                f"{self.settings.url or self.settings.model}: {HOPELESS} requests in a row failed; the last one: "
                f"{failure.message}; what was answered is kept: run the same command again to go on"
            )


def received(teachers: Sequence[Teacher]) -> list[Reply]:
    """Wait until at least one ticket of these teachers has its reply; nothing where none is open.

    Raises:
        RequestError, RunError: see `Teacher.receive`.
    """
    for teacher in teachers:
        teacher.look_up()
    replies = [reply for teacher in teachers for reply in teacher.replies()]
    while pipes := {teacher.pipe: teacher for teacher in teachers if teacher.pipe is not None}:
        for pipe in wait(list(pipes), 0 if replies else None):
            teacher = pipes[cast(int, pipe)]
            teacher.fetch()
            replies += teacher.replies()
        if replies:
            break
    return replies


class Desk(Protocol):
    """Where tickets are handed in: a teacher, or a panel of them."""

    @property
    def wants_more(self) -> bool:
        """Whether there is room."""

    def receive(self) -> list[Reply]:
        """What came of tickets; waits for it."""


def streamed(
    desk: Desk, submit: Callable[[int, Request], None], pairs: Iterable[tuple[T, Request]]
) -> Iterator[tuple[T, Answer | Failure]]:
    """Every request with its answer or why it has none, as answers come, and no more requests read than there is
    room for; what a request is paired with comes back with its answer."""
    open_: dict[int, T] = {}
    source, is_over = enumerate(pairs), False
    while open_ or not is_over:
        while desk.wants_more and not is_over:
            number, pair = next(source, (0, None))
            if pair is None:
                is_over = True
            else:
                open_[number] = pair[0]
                submit(number, pair[1])
        for number, answer in desk.receive():
            yield open_.pop(number), answer


class _Recorded:
    """Answers of a file; a request that is not among them is an error, since nobody is asked."""

    def __init__(self, path: str, model: str) -> None:
        self._path, self._model = path, model
        self.answers = read_recorded(path)

    def told(self, key: str, request: Request) -> Told:
        """What was said to a request.

        Raises:
            RequestError: nothing was.
        """
        if key not in self.answers:
            start = " ".join(request.messages[-1][1].split())[:80]
            raise RequestError(
                f"{self._path}: holds no answer of {self._model} to the request {key} (`{start}...`): "
                "model, revision, prompts, sampling and schema must be as recorded; or ask a server, with teacher.url"
            )
        return Told(key, self.answers[key], 0)
