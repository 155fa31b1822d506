"""A model behind a server of vLLM, which is started for it and stopped after it.

lm-eval's own client for such servers asks for packages that it does not bring, takes a request that fails for one
without an answer, and does not tell whether an answer ended. So requests go out from here: ids in, and the
log-likelihoods of the prompt's tokens or an answer out.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import httpx2 as httpx
import xxhash
from pydantic import ValidationError
from transformers import GenerationConfig

from manifests.errors import RequestError, RunError
from manifests.schema_evaluation import VllmServer
from manifests.schema_teacher import OwnServer
from manifests.schema_teacher import Teacher as Settings
from synth.teachers.engine import Running, located
from synth.teachers.serve import HOST, free_port, start_server
from training.evaluating.decoding import before, said_of
from training.evaluating.engine import Engine, Said, Told
from training.evaluating.harness_models import ServerModel
from training.evaluating.jobs import EvaluateJob
from training.evaluating.reading import Reader, ReadingEngine
from training.trainers import load_tokenizer

SERVED_AS = "evaluated"
AT = "engine"
TRIES, WAIT_S, ANSWER_S = 4, 1.0, 3600.0
"""How often a request is sent where the server is busy, how long is waited at first, and how long one may take."""
SEEDS = 1 << 31
SCORED = {"max_tokens": 1, "temperature": 0.0}
IDS_AT_ONCE = 20
"""Ids that are asked for after a prompt: vLLM's `max_logprobs`, where nobody sets another."""
TOKEN_ID = "token_id:"
AS_IDS = {"return_tokens_as_token_ids": True}
Found = TypeVar("Found")


@contextmanager
def vllm_engine(job: EvaluateJob, settings: VllmServer) -> Iterator[Engine]:
    """The model of a job behind a server, which ends with this context, and with this process.

    Raises:
        RequestError: there is no such interpreter or no vLLM in it, or a flag is wrong.
        RunError: the server did not start in time; its log says why.
    """
    own, port = _own_server(job, settings), free_port()
    tokenizer, log = load_tokenizer(job.folder), Path(job.logs or job.cache) / f"vllm-{job.name}.log"
    with asyncio.Runner() as runner:
        running = runner.run(start_server(own, SERVED_AS, port, log, AT))
        try:
            server = Server(runner, running, port, settings.concurrency)
            reader = Reader(tokenizer, server.window(), _generation_config(job.folder), job.folder)
            yield VllmEngine(server, reader)
        finally:
            runner.run(running.stop())


def _own_server(job: EvaluateJob, settings: VllmServer) -> OwnServer:
    """What `teacher.serve` would be told; sampling settings of the model's folder change no answer."""
    args: dict[str, Any] = {"generation_config": "vllm"}
    if job.precision != "auto":
        args["dtype"] = job.precision
    try:
        own = OwnServer(
            weights=job.folder,
            python=settings.python,
            args=args | settings.args,
            env=settings.env,
            startup_s=settings.startup_s,
        )
    except ValidationError as error:
        raise RequestError("; ".join(map(_told, error.errors()))) from error
    serve = located(Settings(model=SERVED_AS, serve=own), job.manifest_base).serve
    assert serve is not None
    return serve


def _told(error: Any) -> str:
    """What is wrong with a setting; its place is in the error itself where only the whole can tell."""
    at = getattr(error.get("ctx", {}).get("error"), "at", ())
    return ": ".join([".".join(map(str, (AT, *error["loc"], *at))), error["msg"].removeprefix("Value error, ")])


def _generation_config(folder: str) -> Any:
    """The model's own, for the tokens that end answers; None where it has none."""
    if not Path(folder, "generation_config.json").is_file():
        return None
    return GenerationConfig.from_pretrained(folder, local_files_only=True)


class Server:
    """A server that is up."""

    def __init__(self, runner: asyncio.Runner, running: Running, port: int, concurrency: int) -> None:
        self._runner, self._running, self._concurrency = runner, running, concurrency
        self._url = f"http://{HOST}:{port}/v1"

    def window(self) -> int:
        """Tokens that prompt and answer may have together."""
        return int(self._run(self._models())["data"][0]["max_model_len"])

    async def _models(self) -> Any:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            return (await client.get(f"{self._url}/models")).raise_for_status().json()

    def completions(
        self, bodies: Sequence[dict[str, Any]], read: Callable[[int, Any], Found], done: Callable[[int], None]
    ) -> list[Found]:
        """What is read of the answer to each request, in their order.

        Args:
            bodies: of the requests, without `model`.
            read: takes the place of a request and the first choice of its answer, with `usage` in it.
            done: is told of each answer.

        Raises:
            RequestError: the server refuses a request.
            RunError: the server ended, or keeps failing.
        """
        return self._run(self._all(bodies, read, done))

    def _run(self, work: Coroutine[Any, Any, Found]) -> Found:
        return self._runner.run(work)

    async def _all(
        self, bodies: Sequence[dict[str, Any]], read: Callable[[int, Any], Found], done: Callable[[int], None]
    ) -> list[Found]:
        found, places = dict[int, Found](), iter(range(len(bodies)))
        limits = httpx.Limits(max_connections=self._concurrency)
        async with httpx.AsyncClient(timeout=ANSWER_S, trust_env=False, limits=limits) as client:

            async def work() -> None:
                for place in places:
                    found[place] = read(place, await self._answer(client, bodies[place]))
                    done(1)

            tasks = [asyncio.create_task(work()) for _ in range(min(self._concurrency, len(bodies)))]
            try:
                await asyncio.gather(*tasks)
            finally:  # the first that fails ends all
                for task in tasks:
                    task.cancel()
        return [found[place] for place in range(len(bodies))]

    async def _answer(self, client: httpx.AsyncClient, body: dict[str, Any]) -> Any:
        said = ""
        for number in range(TRIES):
            try:
                answer = await client.post(f"{self._url}/completions", json=body | {"model": SERVED_AS})
            except httpx.TransportError as error:
                said = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code == 200:
                    content = answer.json()
                    return content["choices"][0] | {"usage": content["usage"]}
                said = answer.text[:1000]
                if answer.status_code < 500 and answer.status_code != 429:
                    raise RequestError(f"{AT}: the server refuses a request: {said}")
            await asyncio.sleep(WAIT_S * 2**number)
            if self._running.has_ended:
                raise self._running.failed(f"{AT}: the server ended")
        raise self._running.failed(f"{AT}: the server fails: {said}")


class VllmEngine(ReadingEngine):
    """See `Engine`; the model runs behind a server."""

    def __init__(self, server: Server, reader: Reader) -> None:
        self._server, self._reader = server, reader
        self._lm = ServerModel(reader, self.scores)
        self._lm.engaged(self.write)

    def scores(
        self, rows: Sequence[tuple[Sequence[int], int]], done: Callable[[int], None]
    ) -> list[tuple[float, bool]]:
        """The log-likelihood of the last ids of each row, and whether each of them is the likeliest.

        Args:
            rows: ids, and how many of the last are counted.
            done: is told of each row.

        Raises:
            RunError: the server ended, or keeps failing.
        """
        found = self._last_scores(rows, done)
        rest = [place for place in range(len(rows)) if place not in found]
        bodies = [{"prompt": list(rows[place][0]), **SCORED, "prompt_logprobs": 0} for place in rest]
        others = self._server.completions(bodies, lambda k, choice: _counted(*rows[rest[k]], choice), done)
        found |= dict(zip(rest, others, strict=True))
        return [found[place] for place in range(len(rows))]

    def _last_scores(
        self, rows: Sequence[tuple[Sequence[int], int]], done: Callable[[int], None]
    ) -> dict[int, tuple[float, bool]]:
        """Of rows whose last id alone is counted, by their places: those that begin alike in one request.

        So a question with letters for choices is read once, and nothing is computed for its other tokens. A server
        that knows no `logprob_token_ids` ignores it; then there are none.
        """
        alike = dict[tuple[int, ...], list[int]]()
        for place, (ids, n_counted) in enumerate(rows):
            if n_counted == 1 and len(ids) > 1:
                alike.setdefault(tuple(ids[:-1]), []).append(place)
        asked = [
            (context, places[start : start + IDS_AT_ONCE])
            for context, places in alike.items()
            for start in range(0, len(places), IDS_AT_ONCE)
        ]
        wanted = [sorted({rows[place][0][-1] for place in places}) for _, places in asked]
        bodies = [
            {"prompt": list(context), **SCORED, "logprobs": len(ids), "logprob_token_ids": ids, **AS_IDS}
            for (context, _), ids in zip(asked, wanted, strict=True)
        ]

        def read(number: int, choice: Any) -> dict[int, tuple[float, bool]]:
            places = asked[number][1]
            said = choice.get("logprobs") or {}
            values, likeliest = (said.get("top_logprobs") or [{}])[0] or {}, (said.get("tokens") or [""])[0]
            keys = {place: f"{TOKEN_ID}{rows[place][0][-1]}" for place in places}
            if not all(key in values for key in keys.values()):
                return {}
            done(len(places))
            return {place: (float(values[key]), key == likeliest) for place, key in keys.items()}

        found = self._server.completions(bodies, read, lambda n: None)
        return {place: score for of in found for place, score in of.items()}

    def write(
        self,
        prompts: Sequence[str],
        max_new_tokens: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int = 0,
        told: Told | None = None,
    ) -> list[Said]:
        """See `Engine`.

        Raises:
            RequestError: the window has no room for such answers.
            RunError: the server ended, or keeps failing.
        """
        texts, n_done = [text for text in stop if text], 0
        body = {
            "max_tokens": max_new_tokens,
            "temperature": temperature,
            "stop": texts,
            "stop_token_ids": self._reader.ends,
            "skip_special_tokens": True,
            "return_token_ids": True,
        }
        bodies = [
            body | {"prompt": self._reader.before_answer(prompt, max_new_tokens)} | _seed(temperature, seed, place)
            for place, prompt in enumerate(prompts)
        ]

        def done(n: int) -> None:
            nonlocal n_done
            n_done += n
            if told is not None:
                told(n_done, len(prompts))

        return self._server.completions(bodies, lambda _, choice: _said(choice, self._reader, texts), done)


def _seed(temperature: float, seed: int, place: int) -> dict[str, int]:
    """Of a request; without temperature there is nothing to draw."""
    if not temperature:
        return {}
    return {"seed": xxhash.xxh3_64_intdigest(f"{seed} {place}".encode()) % SEEDS}


def _said(choice: Any, reader: Reader, stop: Sequence[str]) -> Said:
    """An answer, from its ids where the server tells them: halves of characters look different in streamed text."""
    is_ended, ids = choice["finish_reason"] == "stop", choice.get("token_ids")
    if ids is None:
        n_tokens = int(choice["usage"]["completion_tokens"])
        return Said(text=before(choice["text"], stop), n_tokens=n_tokens, ended=is_ended)
    said = said_of(reader.tokenizer, ids, reader.ends, stop)
    return replace(said, ended=said.ended or is_ended)


def _counted(ids: Sequence[int], n_counted: int, choice: Any) -> tuple[float, bool]:
    """Sum over the last tokens of a prompt; nothing stands before the first of all, so it is never counted.

    A continuation that fills the window thus loses its first token, as transformers cuts one that is too long.

    Raises:
        RunError: the server does not tell.
    """
    told = choice.get("prompt_logprobs")
    if not isinstance(told, list) or len(told) != len(ids):
        raise RunError(f"{AT}: the server tells no log-likelihoods of a prompt's tokens; a vLLM that does is needed")
    start = max(len(ids) - n_counted, 1)
    of = [told[place][str(ids[place])] for place in range(start, len(ids))]
    return sum(float(one["logprob"]) for one in of), all(one["rank"] == 1 for one in of)
