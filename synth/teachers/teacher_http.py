"""A teacher behind an OpenAI-compatible server, as vLLM's."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx2 as httpx
import orjson

from manifests.errors import RequestError
from manifests.schema_teacher import Teacher as Settings
from synth.teachers.answers import Answer, Request
from synth.teachers.courier import Busy, Rejected
from synth.teachers.responses import MalformedError, aliases, answer_of, is_of_model, parsed
from synth.teachers.throttle import Queue, queue_of
from synth.teachers.tokens import PROBE, check_ids, probe_ids, tokenizer_digest

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which a later try may succeed."""

SHOWN_CHARS = 300
QUEUE_TIMEOUT_S = 5.0

PATHS = {"chat": "/v1/chat/completions", "text": "/v1/completions", "reward": "/classify"}
"""Where a request goes, from the root; what begins with /v1 is where the manifest's url says that it begins."""


class _Clients:
    """HTTP clients with one connection each, as many as there are requests at a time.

    One client with as many connections looks at each of them for every request, which at 64 takes half of its time.
    """

    def __init__(self, settings: Settings) -> None:
        key = os.environ[settings.api_key] if settings.api_key else None
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout_s = settings.timeout_s
        self._certificates = httpx.create_ssl_context()
        self._idle: list[httpx.AsyncClient] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client for one request, that which was used last where there is a choice: its connection is open."""
        client = self._idle.pop() if self._idle else self._new()
        try:
            yield client
        finally:
            self._idle.append(client)

    def _new(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=1)
        return httpx.AsyncClient(
            headers=self._headers, timeout=self._timeout_s, limits=limits, verify=self._certificates
        )

    async def close(self) -> None:
        """All connections, when no request is on its way."""
        for client in self._idle:
            await client.aclose()


class Server:
    """One model of a server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = str(settings.url).rstrip("/")
        self._root = self._url.removesuffix("/v1")
        """vLLM has what is not OpenAI's beside /v1, not below it."""
        self._clients = _Clients(settings)
        self._has_queue = True
        self._aliases: set[str] | None = None
        self._logprobs = settings.logprobs
        self._tokenizer = tokenizer_digest(self._logprobs.tokenizer) if self._logprobs else None
        self._same_tokens: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._clients.close()

    async def complete(self, request: Request) -> Answer:
        """See `Backend`."""
        if self._logprobs and self._same_tokens is None:
            self._same_tokens = asyncio.create_task(self._check_tokenizer(self._logprobs.tokenizer))
        if self._same_tokens:
            await asyncio.shield(self._same_tokens)
        path = PATHS[request.kind]
        url = f"{self._url}{path.removeprefix('/v1')}" if path.startswith("/v1") else f"{self._root}{path}"
        response = await self._post(url, self._body(request))
        top = self._logprobs.top if self._logprobs else 0
        try:
            value = parsed(response.content)
            await self._check_model(value)
            return answer_of(request, value, self._tokenizer if request.kind != "reward" else None, top)
        except MalformedError as error:
            raise Busy(f"{self._url}: the answer {error}") from error

    async def queue(self) -> Queue | None:
        """See `Queued`: by /metrics, as long as the server has them."""
        if not self._has_queue:
            return None
        try:
            async with self._clients.one() as client:
                response = await client.get(f"{self._root}/metrics", timeout=QUEUE_TIMEOUT_S)
        except httpx.HTTPError:
            return None  # it may be busy, or starting again
        found = queue_of(response.text) if response.status_code == 200 else None
        self._has_queue = found is not None or response.status_code in BUSY
        return found

    async def _post(self, url: str, body: dict[str, Any]) -> httpx.Response:
        content = orjson.dumps(body)
        try:
            # The time limit is on all of it: that of the client is on each piece, and pieces may trickle in for ever.
            async with self._clients.one() as client, asyncio.timeout(self._settings.timeout_s):
                response = await client.post(url, content=content, headers={"content-type": "application/json"})
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Busy(f"{self._url}: no answer within {self._settings.timeout_s:g} s") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Busy(f"{self._url}: {type(error).__name__}: {error}") from error
        after_s, status = _seconds(response.headers.get("retry-after")), response.status_code
        if status in BUSY:
            raise Busy(self._told(response), after_s, asks_for_less=status == 429 or after_s is not None)
        if status in (401, 403):
            raise RequestError(f"{self._told(response)}: teacher.api_key names the variable with the key")
        if status == 404:
            raise RequestError(f"{self._told(response)}: {await self._served()}")
        if 300 <= status < 400:
            to = response.headers.get("location") or "elsewhere"
            raise RequestError(f"{self._told(response)}: it sends on to {to}; teacher.url must be where the API is")
        if status != 200:
            raise Rejected(self._told(response))
        return response

    def _body(self, request: Request) -> dict[str, Any]:
        fields, messages = orjson.loads(request.sampling), [{"role": r, "content": c} for r, c in request.messages]
        body: dict[str, Any] = {"model": self._settings.model, **fields}
        if request.kind == "reward":
            # Nothing is drawn. The raw score is asked for: after a sigmoid good answers differ by nearly nothing.
            drawing = ("temperature", "top_p", "max_tokens", "seed")
            more = {name: value for name, value in body.items() if name not in drawing}
            return {**more, "messages": messages, "use_activation": False}
        if request.kind == "text":
            body["prompt"] = request.messages[0][1]
        else:
            body["messages"] = messages
        if request.schema:
            schema = {"name": "answer", "strict": True, "schema": orjson.loads(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    async def _check_model(self, value: dict[str, Any]) -> None:
        """Check that the model that was asked answered.

        Raises:
            RequestError: another one did.
        """
        asked, answered = self._settings.model, value.get("model")
        if is_of_model(answered, asked):
            return
        if self._aliases is None:
            models = await self._models()
            self._aliases = aliases(models, asked) if models else None
        if answered not in (self._aliases or ()):
            raise RequestError(
                f"{self._url}: {asked} was asked and {answered} answered: teacher.model must be the name of the "
                f"model that answers; {await self._served()}"
            )

    async def _check_tokenizer(self, folder: str) -> None:
        """Check that the local tokenizer is the server's, where the server says.

        Raises:
            RequestError: it is not.
            Busy: it cannot be known now.
        """
        own = await asyncio.to_thread(probe_ids, folder)
        body = {"model": self._settings.model, "prompt": PROBE, "add_special_tokens": False}
        try:
            async with self._clients.one() as client:
                response = await client.post(f"{self._root}/tokenize", json=body)
            there = orjson.loads(response.content).get("tokens") if response.status_code == 200 else None
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            self._same_tokens = None
            raise Busy(f"{self._root}/tokenize: {error!r}") from error
        if response.status_code in BUSY:
            self._same_tokens = None
            raise Busy(self._told(response), _seconds(response.headers.get("retry-after")))
        if there is not None:
            check_ids(own, there, folder)

    def _told(self, response: httpx.Response) -> str:
        said = " ".join(response.text.split())
        return f"{self._url}: {response.status_code} {said[:SHOWN_CHARS]}"

    async def _models(self) -> dict[str, Any] | None:
        try:
            async with self._clients.one() as client:
                return parsed((await client.get(f"{self._url}/models")).content)
        except (httpx.HTTPError, MalformedError):
            return None

    async def _served(self) -> str:
        """What models there are, for a message."""
        models = await self._models() or {}
        try:
            names = ", ".join(model["id"] for model in models["data"])
            return f"teacher.model is {self._settings.model}; the server has {names}"
        except (KeyError, TypeError):
            return "teacher.url must be where the API begins, as http://127.0.0.1:8000/v1"


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value or ""))
    except ValueError:  # none, or a date
        return None
