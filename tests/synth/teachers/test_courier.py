"""The process that asks, where keeping an answer fails."""

import asyncio
import json
from pathlib import Path
from typing import Any

from manifests.schema_teacher import Teacher as Settings
from synth.teachers.answers import Answer, AnswerStore, Request
from synth.teachers.courier import Courier


class Echo:
    """A backend that answers at length."""

    async def complete(self, request: Request) -> Answer:
        return Answer(request.messages[0][1] * 100_000, "stop")


async def carry(store: AnswerStore, requests: dict[str, Request]) -> list[Any]:
    reader, told = asyncio.StreamReader(), bytearray()
    for key, request in requests.items():
        reader.feed_data(json.dumps({"key": key, "request": request.parts}).encode() + b"\n")
    settings = Settings(model="judge-1", url="http://x/v1")
    courier = Courier(settings, store, Echo(), 0.001, told.extend)
    running = asyncio.create_task(courier.run(reader))
    while told.count(b"\n") < len(requests):
        await asyncio.sleep(0.001)
    reader.feed_eof()
    await running
    return [json.loads(line) for line in told.splitlines()]


def test_a_full_disk_ends_the_run_and_does_not_let_it_wait(tmp_path: Path) -> None:
    requests = {name: Request((("user", name),), "{}", None) for name in "ab"}
    with AnswerStore(tmp_path / "a.sqlite") as store:
        store._db.execute("PRAGMA max_page_count = 40")  # room for one of the answers
        first, second = asyncio.run(carry(store, requests))
        assert len(store) == 1
    assert len(first["answer"]["text"]) == 100_000
    assert "a.sqlite: cannot keep an answer: database or disk is full" in second["fatal"]
    assert second["exit_code"] == 1
