"""The process that asks, where keeping an answer fails."""

import asyncio
import json
from pathlib import Path

import pytest

from manifests.schema_teacher import Teacher as Settings
from synth.teachers.answers import Answer, AnswerStore, Request
from synth.teachers.courier import Courier


class Echo:
    """A backend that answers at length."""

    async def complete(self, request: Request) -> Answer:
        return Answer(request.messages[0][1] * 100_000, "stop")


async def carry(store: AnswerStore, requests: dict[str, Request]) -> None:
    reader = asyncio.StreamReader()
    for key, request in requests.items():
        reader.feed_data(json.dumps({"key": key, "request": request.parts}).encode() + b"\n")
    reader.feed_eof()
    await Courier(Settings(model="judge-1", url="http://x/v1"), store, Echo(), 0.001).run(reader)


def test_a_full_disk_ends_the_run_and_does_not_let_it_wait(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    requests = {name: Request((("user", name),), "{}", None) for name in "ab"}
    with AnswerStore(tmp_path / "a.sqlite") as store:
        store._db.execute("PRAGMA max_page_count = 40")  # room for one of the answers
        asyncio.run(carry(store, requests))
        assert len(store) == 1
    first, second = (json.loads(line) for line in capfdbinary.readouterr().out.splitlines())
    assert len(first["answer"]["text"]) == 100_000
    assert "a.sqlite: cannot keep an answer: database or disk is full" in second["fatal"]
    assert second["exit_code"] == 1
