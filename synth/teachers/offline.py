"""vLLM's engine without a server, in a process of its own with an interpreter of its own."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import orjson

from manifests.errors import OnggiError
from manifests.schema_teacher import Teacher as Settings
from synth.teachers import engine
from synth.teachers.answers import Answer, Request
from synth.teachers.courier import Rejected
from synth.teachers.engine import TO_GO_ON
from synth.teachers.guard import GRACE_S
from synth.teachers.responses import answer_of
from synth.teachers.tokens import PROBE, check_ids, probe_ids, tokenizer_digest

PROGRAM = Path(__file__).with_name("offline_engine.py")


class Offline:
    """A backend that starts the engine when the first request comes; it ends with the process that asks."""

    def __init__(self, settings: Settings, log: Path) -> None:
        """Start nothing.

        Args:
            settings: with `offline`, as `engine.located` has it.
            log: where the engine's output goes.
        """
        assert settings.offline
        self._own, self._log, self._logprobs = settings.offline, log, settings.logprobs
        self._tokenizer = tokenizer_digest(settings.logprobs.tokenizer) if settings.logprobs else None
        self._start = engine.Start(self._started)
        self._running: engine.Running | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ended: OnggiError | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._n_asked = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running:
            self._running.process.stdin.close()  # type: ignore[union-attr]
            with contextlib.suppress(TimeoutError):  # it ends by itself where it is up
                await asyncio.wait_for(self._running.process.wait(), GRACE_S if self._listening else 0)
            await self._running.stop()
        if self._listening:
            await self._listening

    def give_up(self) -> None:
        """See `Startable`."""
        self._start.give_up()

    async def complete(self, request: Request) -> Answer:
        """See `Backend`.

        Raises:
            RequestError: the engine cannot be started as the manifest says.
            RunError: it did not start in time, or ended.
        """
        running = await self._start.running()
        if self._ended:
            raise self._ended
        said = {"messages": request.messages, "sampling": orjson.Fragment(request.sampling), "kind": request.kind}
        schema = orjson.Fragment(request.schema) if request.schema else None
        reply = await self._asked(running, {**said, "schema": schema})
        if "rejected" in reply:
            raise Rejected(reply["rejected"])
        top = self._logprobs.top if self._logprobs else 0
        return answer_of(replace(request, kind="chat"), reply["answer"], self._tokenizer, top)

    async def _asked(self, running: engine.Running, value: dict[str, Any]) -> dict[str, Any]:
        """The reply to a line."""
        self._n_asked += 1
        number = self._n_asked
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        line = orjson.dumps({"id": number, **value})
        with contextlib.suppress(ConnectionError):  # it ended: the future says so
            running.process.stdin.write(line + b"\n")  # type: ignore[union-attr]
            await running.process.stdin.drain()  # type: ignore[union-attr]
        return await future

    async def _started(self) -> engine.Running:
        """The engine, once it is ready."""
        args = await asyncio.to_thread(engine.arguments, self._own, "teacher.offline")
        command = [str(self._own.python), str(PROGRAM), "--model", self._own.weights, *engine.flags(args)]
        env = engine.environment(self._own)
        running = self._running = await engine.start(command, env, self._log, speaks=True)
        try:
            async with asyncio.timeout(self._own.startup_s):
                line = await running.process.stdout.readline()  # type: ignore[union-attr]
        except TimeoutError:
            raise running.failed(
                f"teacher.offline: the engine is not ready after {self._own.startup_s:g} s (startup_s)"
            ) from None
        if not line:
            await running.process.wait()
            raise running.failed("teacher.offline: the engine did not start")
        self._listening = asyncio.create_task(self._listen(running))
        if self._logprobs:
            folder = self._logprobs.tokenizer
            own = await asyncio.to_thread(probe_ids, folder)
            check_ids(own, (await self._asked(running, {"kind": "tokenize", "text": PROBE}))["ids"], folder)
        return running

    async def _listen(self, running: engine.Running) -> None:
        """Hand out the replies until there are no more; who still waits then waits in vain."""
        while line := await running.process.stdout.readline():  # type: ignore[union-attr]
            reply = orjson.loads(line)
            self._waiting.pop(reply["id"]).set_result(reply)
        await running.process.wait()
        self._ended = running.failed("teacher.offline: the engine ended", TO_GO_ON)
        for future in self._waiting.values():
            future.set_exception(self._ended)
