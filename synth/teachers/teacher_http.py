"""A teacher behind an OpenAI-compatible server, as vLLM's."""

import os
from typing import Any, Self

import httpx2 as httpx
import orjson

from manifests.errors import RequestError
from manifests.schema_teacher import Teacher as Settings
from synth.teachers.answers import Answer, Request
from synth.teachers.courier import Busy, Rejected

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which a later try may succeed."""

SHOWN_CHARS = 300


class Server:
    """Chat completions of one model of a server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = str(settings.url).rstrip("/")
        key = os.environ[settings.api_key] if settings.api_key else None
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        n = settings.concurrency
        limits = httpx.Limits(max_connections=n, max_keepalive_connections=n)
        self._client = httpx.AsyncClient(headers=headers, timeout=settings.timeout_s, limits=limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def complete(self, request: Request) -> Answer:
        """See `Backend`."""
        try:
            response = await self._client.post(f"{self._url}/chat/completions", json=self._body(request))
        except httpx.TimeoutException as error:
            raise Busy(f"{self._url}: no answer within {self._settings.timeout_s:g} s") from error
        except httpx.TransportError as error:
            raise Busy(f"{self._url}: {type(error).__name__}: {error}") from error
        if response.status_code in BUSY:
            raise Busy(self._told(response), _seconds(response.headers.get("retry-after")))
        if response.status_code in (401, 403):
            raise RequestError(f"{self._told(response)}: teacher.api_key names the variable with the key")
        if response.status_code == 404:
            raise RequestError(f"{self._told(response)}: {await self._served()}")
        if response.status_code != 200:
            raise Rejected(self._told(response))
        return _answer(response.content, self._url)

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self._settings.model, **orjson.loads(request.sampling)}
        body["messages"] = [{"role": role, "content": content} for role, content in request.messages]
        if request.schema:
            schema = {"name": "answer", "strict": True, "schema": orjson.loads(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def _told(self, response: httpx.Response) -> str:
        said = " ".join(response.text.split())
        return f"{self._url}: {response.status_code} {said[:SHOWN_CHARS]}"

    async def _served(self) -> str:
        """What models there are, for a message."""
        try:
            models = orjson.loads((await self._client.get(f"{self._url}/models")).content)["data"]
            return f"teacher.model is {self._settings.model}; the server has {', '.join(m['id'] for m in models)}"
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return "teacher.url must be where the API begins, as http://127.0.0.1:8000/v1"


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value or ""))
    except ValueError:  # none, or a date
        return None


def _answer(content: bytes, url: str) -> Answer:
    """An answer of the server.

    Raises:
        Busy: it has not the form of one.
    """
    try:
        value = orjson.loads(content)
        choice, usage = value["choices"][0], value.get("usage") or {}
        message = choice["message"]
        return Answer(
            text=message.get("content") or "",
            finish_reason=choice.get("finish_reason") or "",
            refusal=message.get("refusal") or None,
            reasoning=message.get("reasoning") or message.get("reasoning_content") or None,
            n_prompt_tokens=int(usage.get("prompt_tokens") or 0),
            n_output_tokens=int(usage.get("completion_tokens") or 0),
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise Busy(f"{url}: answered with something else than a chat completion ({error!r})") from error
