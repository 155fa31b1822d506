"""How much of what a server gives reaches us: the teacher's client beside a bare asynchronous one.

A server on the loopback, in a process of its own, answers chat completions after 0.1 to 0.3 s (drawn by a hash of the
request), or at once. Both clients send the same 2,000 requests with 64 in flight: the bare one with httpx2 and a
semaphore, which keeps nothing; ours with its process that asks, its queue, and every answer on disk before it is
told. Ours is measured twice: with the start of that process, and from the first answer asked for on.

Processor time is that of the client's processes, with the start of ours: other load on the machine hardly changes it,
as it does the seconds.

    python benchmarks/teacher.py            # writes benchmarks/results/teacher.md
"""

import argparse
import asyncio
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from manifests.schema_teacher import Sampling
from manifests.schema_teacher import Teacher as Settings
from synth.teacher import Teacher, request_of
from synth.teachers.answers import Answer, Request

RESULTS = Path(__file__).parent / "results" / "teacher.md"
MODEL = "loopback"
PROMPT = "다음 문제를 단계별로 풀고 마지막 줄에 정답을 쓰십시오. Solve step by step. " * 8
SAID = "먼저 주어진 조건을 정리하면 다음과 같습니다. Therefore the answer is 42. " * 25


# The server.


async def answer_one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause_s: tuple[float, float]
) -> None:
    """Requests of one connection, until it closes."""
    value = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 500, "total_tokens": 800},
    }
    body = orjson.dumps(value)
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    try:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            if not request.startswith(b"POST"):
                writer.write(head % (b"404 Not Found", 2) + b"{}")
                continue
            length = next(line for line in request.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            content = await reader.readexactly(int(length.split(b":")[1]))
            share = hashlib.blake2b(content, digest_size=2).digest()[0] / 255
            if pause_s[1]:
                await asyncio.sleep(pause_s[0] + share * (pause_s[1] - pause_s[0]))
            writer.write(head % (b"200 OK", len(body)) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def serve(pause_s: tuple[float, float]) -> None:
    server = await asyncio.start_server(lambda r, w: answer_one(r, w, pause_s), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def server(pause_s: tuple[float, float]) -> Iterator[str]:
    """A server in a process of its own; its address."""
    command = [sys.executable, __file__, "--serve", *map(str, pause_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.kill()


# The clients.


def processor_s() -> float:
    """Of this process and those that it started and that ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@dataclass(frozen=True)
class Measured:
    """One client, once."""

    seconds: float
    with_start_s: float
    processor_s: float


def bare(url: str, requests: list[Request], concurrency: int) -> Measured:
    """httpx2 with a semaphore."""
    import httpx2 as httpx

    async def run() -> Measured:
        gate = asyncio.Semaphore(concurrency)
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        async with httpx.AsyncClient(timeout=300, limits=limits) as client:

            async def ask(request: Request) -> str:
                body = {"model": MODEL, **orjson.loads(request.sampling)}
                body["messages"] = [{"role": role, "content": content} for role, content in request.messages]
                async with gate:
                    response = await client.post(f"{url}/chat/completions", json=body)
                return response.json()["choices"][0]["message"]["content"]

            started, processor_before_s = time.monotonic(), processor_s()
            found = await asyncio.gather(*map(ask, requests))
            assert found == [SAID] * len(requests)
            seconds = time.monotonic() - started
            return Measured(seconds, seconds, processor_s() - processor_before_s)

    return asyncio.run(run())


def ours(url: str, requests: list[Request], concurrency: int) -> Measured:
    """The teacher."""
    processor_before_s = processor_s()
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        with Teacher(Settings(model=MODEL, url=url, concurrency=concurrency), "/", folder) as teacher:
            list(teacher.ask([request_of([("user", "warm")], Sampling())]))
            is_up = time.monotonic()
            found = [answer for _, answer in teacher.ask(requests)]
            ended = time.monotonic()
        assert all(isinstance(answer, Answer) and answer.text == SAID for answer in found)
        assert len(found) == len(requests)
        return Measured(ended - is_up, ended - started, processor_s() - processor_before_s)


def compare(name: str, pause_s: tuple[float, float], n: int, concurrency: int, n_pairs: int) -> list[str]:
    """Rows of the table."""
    requests = [request_of([("user", f"{PROMPT} {i}")], Sampling(seed=i)) for i in range(n)]
    rows, ratios = [], []
    with server(pause_s) as url:
        for pair in range(n_pairs):
            # In turns, so that what else the machine does hits both.
            clients = (ours, bare) if pair % 2 else (bare, ours)
            found = {client: client(url, requests, concurrency) for client in clients}
            other, own = found[bare], found[ours]
            ratios.append(other.seconds / own.seconds)
            rows.append(
                f"| {name} | {n / other.seconds:,.0f} | {n / own.seconds:,.0f} | {n / own.with_start_s:,.0f} "
                f"| {ratios[-1]:.3f} | {other.seconds / own.with_start_s:.3f} "
                f"| {other.processor_s:.2f} | {own.processor_s:.2f} |"
            )
            print(rows[-1], flush=True)
    return [*rows, f"| **{name}, median** | | | | **{statistics.median(ratios):.3f}** | | | |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", nargs=2, type=float)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(tuple(options.serve)))
    rows = []
    for name, pause_s in (("0.1 to 0.3 s", (0.1, 0.3)), ("at once", (0.0, 0.0))):
        rows += compare(name, pause_s, options.requests, options.concurrency, options.pairs)
    head = [
        f"{options.requests:,} requests, {options.concurrency} in flight; requests per second. Ratio: ours to the "
        "bare client's.",
        "",
        "| server answers | bare client | ours | with its start | ratio | with its start "
        "| processor s: bare | ours |",
        "|---|---|---|---|---|---|---|---|",
    ]
    RESULTS.write_text("\n".join([*head, *rows]) + "\n")


if __name__ == "__main__":
    main()
