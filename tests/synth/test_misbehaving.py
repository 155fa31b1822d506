"""A server that does everything wrong that servers do: nothing is lost, paid twice, or taken for what it is not."""

import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
import xxhash

from manifests.errors import RequestError
from manifests.schema_teacher import Teacher as Settings
from synth.panel import Panel
from synth.tasks.task import UnfitError, json_of
from synth.teacher import Failure, Teacher, request_of
from synth.teachers import courier_process
from synth.teachers.answers import Answer, AnswerStore, Request
from tests.synth.chat_server import ChatServer
from tests.synth.scripted import manifest

N = 300
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


def right(body: dict[str, Any]) -> str:
    number = int(body["messages"][-1]["content"].split()[-1])
    return orjson.dumps({"n": number}).decode()


# What it does instead of answering; the handler's connection is closed after each.


def reset(handler: Any) -> None:
    """The connection is reset before anything was said."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def hang(handler: Any) -> None:
    """It says nothing for longer than the client waits."""
    end = time.monotonic() + 20
    while time.monotonic() < end and not handler.gone():
        time.sleep(0.01)
    handler.close_connection = True


def whole(text: str) -> bytes:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return orjson.dumps({"model": "judge-1", "choices": [choice], "usage": {"prompt_tokens": 9}})


def cut_off(text: str) -> Any:
    """The body is shorter than the header says."""

    def do(handler: Any) -> None:
        content = whole(text)
        handler.send_response(200)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2])
        handler.wfile.flush()
        handler.close_connection = True

    return do


def wrong(kind: int, body: dict[str, Any]) -> Any:
    text = right(body)
    return [
        (500, {"error": "internal"}),
        (429, {"error": "slow down"}),
        (429, {"error": "slow down"}, {"retry-after": "0.05"}),
        (503, b"", {"retry-after": "0"}),
        (502, b"<html>Bad Gateway</html>"),
        hang,
        reset,
        cut_off(text),
        (200, whole(text)[:-20]),  # JSON that breaks off, and a length that fits
        (200, b""),
        (200, {"error": {"message": "overloaded", "code": 529}}),
        "Certainly! Here is the JSON that you asked for.",  # the schema is ignored
        {"message": {"content": text[:3]}, "finish_reason": "length"},
    ][kind]


N_KINDS = 13
ACCEPTED = (11, 12)
"""Those are answers, though not such as a task takes: it asks again with another seed."""


class Chaos:
    """Says something wrong to most requests, once or twice, by a hash of what is asked."""

    def __init__(self) -> None:
        self.did: Counter[int] = Counter()

    def __call__(self, body: dict[str, Any], n_before: int) -> Any:
        key = orjson.dumps([body["messages"], body["seed"], n_before])
        chance = xxhash.xxh3_64_intdigest(key)
        if n_before >= 2 or chance % 3 == 0:
            return right(body)
        kind = chance // 3 % N_KINDS
        self.did[kind] += 1
        return wrong(kind, body)


def asked(number: int, attempt: int, settings: Settings) -> Request:
    return request_of([("user", f"question {number}")], settings.sampling, SCHEMA, attempt)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_process, "BACKOFF_S", 0.01)


def drive(panel: Panel, settings: Settings) -> dict[int, int]:
    """As a task does: an answer that cannot be read is asked for again."""
    found: dict[int, int] = {}
    open_ = dict.fromkeys(range(N), 0)
    waiting = list(open_)
    while len(found) < N:
        while waiting and panel.wants_more:
            number = waiting.pop()
            panel.submit(number, "teacher", asked(number, open_[number], settings))
        for ticket, answer in panel.receive():
            assert isinstance(answer, Answer), answer
            try:
                found[ticket] = json_of(answer, SCHEMA)["n"]
            except UnfitError:
                open_[ticket] += 1
                assert open_[ticket] < 8
                waiting.append(ticket)
    return found


def test_nothing_is_lost_paid_twice_or_taken_for_what_it_is_not(tmp_path: Path) -> None:
    chaos = Chaos()
    with ChatServer(chaos, 0.001) as server:
        teacher = {"model": "judge-1", "url": server.url, "timeout_s": 1.0, "concurrency": 16}
        found = manifest({"kind": "reasoning"}, teacher=teacher)
        for _ in range(2):
            with Panel(found, "/", str(tmp_path)) as panel:
                assert drive(panel, found.teacher) == {number: number for number in range(N)}
                usage = panel.usage["teacher"]
                n_asked = sum(server.asked.values())
    assert set(chaos.did) == set(range(N_KINDS)), "each thing was done"
    assert usage.n_paid == 0  # the second run found all
    with AnswerStore(tmp_path / "answers.sqlite") as store:
        lines = [orjson.loads(line) for line in store.lines()]
    assert sum(server.asked.values()) == n_asked
    n_accepted = sum(chaos.did[kind] for kind in ACCEPTED)
    assert len(lines) == N + n_accepted
    assert len({orjson.dumps(line["request"]) for line in lines}) == len(lines)
    good = [line for line in lines if line["answer"]["text"].endswith("}")]
    assert sorted(orjson.loads(line["answer"]["text"])["n"] for line in good) == list(range(N))
    for line in good:
        assert line["request"][0][-1][1] == f"question {orjson.loads(line['answer']['text'])['n']}"


def test_it_answers_in_the_name_of_another_model_now_and_then(tmp_path: Path) -> None:
    """That is no accident which passes: the run ends and names both, and what that model said is not kept."""

    def say(body: dict[str, Any], n_before: int) -> Any:
        is_other = body["messages"][-1]["content"] == "question 50"
        value = orjson.loads(whole(right(body)))
        return value | ({"model": "judge-2"} if is_other else {})

    with ChatServer(say) as server:
        settings = Settings(model="judge-1", url=server.url)
        with (
            Teacher(settings, "/", str(tmp_path)) as teacher,
            pytest.raises(RequestError, match="judge-1 was asked and judge-2 answered"),
        ):
            list(teacher.ask(asked(number, 0, settings) for number in range(N)))
    with AnswerStore(tmp_path / "answers.sqlite") as store:
        questions = [orjson.loads(line)["request"][0][-1][1] for line in store.lines()]
    assert len(questions) == len(set(questions))
    assert "question 50" not in questions


def test_it_dies_and_comes_back(tmp_path: Path) -> None:
    """For a second nobody listens at its port, and what it was working on is lost with it."""
    n, revived = 400, list[ChatServer]()

    def say(body: dict[str, Any], n_before: int) -> Any:
        return right(body)

    def die_and_come_back(first: ChatServer) -> None:
        while first.sold.total() < n // 4:
            time.sleep(0.002)
        port = int(first.url.split(":")[2].split("/")[0])
        first.die()
        time.sleep(1.0)
        revived.append(stack.enter_context(ChatServer(say, 0.005, port=port)))

    with contextlib.ExitStack() as stack:
        first = stack.enter_context(ChatServer(say, 0.005))
        settings = Settings(model="judge-1", url=first.url, retries=12, concurrency=16)
        killer = threading.Thread(target=die_and_come_back, args=(first,))
        killer.start()
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            answers = dict(teacher.ask(asked(i, 0, settings) for i in range(n)))
            assert teacher.usage.n_paid == n
            assert teacher.usage.n_retries > 0
        killer.join()
        second = revived[0]
        assert second.sold.total() > 0
        assert first.sold.total() + second.sold.total() <= n + settings.concurrency
    assert len(answers) == n
    for request, answer in answers.items():
        assert not isinstance(answer, Failure)
        assert answer.text == right({"messages": [{"content": request.messages[-1][1]}]})
    with AnswerStore(tmp_path / "answers.sqlite") as store:
        assert len(store) == n
