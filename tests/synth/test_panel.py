"""Several teachers at once."""

from pathlib import Path
from typing import Any

import pytest

from manifests.errors import RequestError
from manifests.schema_synthesis import SynthesisManifest
from manifests.schema_teacher import Sampling
from synth.panel import Panel
from synth.samples import Role
from synth.teacher import AHEAD, Failure, request_of
from synth.teachers.answers import Answer, Request
from tests.synth.chat_server import ChatServer
from tests.synth.children import remember, started
from tests.synth.scripted import manifest


def made(**fields: Any) -> SynthesisManifest:
    return manifest({"kind": "reasoning"}, **fields)


def named(server: ChatServer, **more: Any) -> dict[str, Any]:
    return {"model": "judge-1", "url": server.url, "concurrency": 4, **more}


def question(n: int) -> Request:
    return request_of([("user", f"question {n}")], Sampling())


def says(name: str) -> Any:
    return lambda body, n_before: f"{name}: {body['messages'][-1]['content']}"


def test_roles_are_asked_at_once_and_each_reply_finds_its_ticket(tmp_path: Path) -> None:
    """As the driver does it: what the teacher said goes to the judge, under a ticket of its own."""
    n = 200
    with ChatServer(says("teacher"), 0.002) as teacher, ChatServer(says("judge"), 0.004) as judge:
        for n_paid in (n, 0):
            with Panel(made(teacher=named(teacher), judge=named(judge)), "/", str(tmp_path)) as panel:
                next_, open_, judged = 0, set[int](), dict[int, str]()
                while next_ < n or open_:
                    while panel.wants_more and next_ < n:
                        panel.submit(next_, "teacher", question(next_))
                        open_.add(next_)
                        next_ += 1
                    assert panel.n_open == len(open_)
                    for ticket, answer in panel.receive():
                        open_.remove(ticket)
                        assert isinstance(answer, Answer), answer
                        if ticket < n:
                            assert answer.text == f"teacher: question {ticket}"
                            panel.submit(n + ticket, "judge", request_of([("user", answer.text)], Sampling()))
                            open_.add(n + ticket)
                        else:
                            judged[ticket - n] = answer.text
                assert judged == {i: f"judge: teacher: question {i}" for i in range(n)}
                assert panel.receive() == []
                assert {role: usage.n_paid for role, usage in panel.usage.items()} == {
                    "teacher": n_paid,
                    "judge": n_paid,
                }
        assert set(teacher.asked.values()) == set(judge.asked.values()) == {1}
    assert (tmp_path / "answers.sqlite").exists()
    assert (tmp_path / "judge" / "answers.sqlite").exists()


def test_a_judge_that_is_not_named_is_the_teacher(tmp_path: Path) -> None:
    with ChatServer(says("teacher")) as server, Panel(made(teacher=named(server)), "/", str(tmp_path)) as panel:
        panel.submit(0, "teacher", question(1))
        panel.submit(1, "judge", question(1))
        replies = dict(panel.receive())
        while panel.n_open:
            replies |= dict(panel.receive())
        assert replies[0] == replies[1]
        assert server.sold.total() == 1
        assert list(panel.usage) == ["teacher"]
        assert not (tmp_path / "judge").exists()


def test_nobody_is_opened_who_is_not_asked(tmp_path: Path) -> None:
    remember()
    with Panel(made(judge={"model": "j", "url": "http://127.0.0.1:1/v1"}), "/", str(tmp_path)) as panel:
        assert panel.wants_more
        assert panel.receive() == []
        with pytest.raises(RequestError, match="reward: the manifest names no reward model"):
            panel.submit(0, "reward", question(1))
        assert started() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("role", ["teacher", "judge"])
def test_a_stream_holds_no_more_than_there_is_room_for(tmp_path: Path, role: Role) -> None:
    n_read = n_done = 0

    def pairs() -> Any:
        nonlocal n_read
        for i in range(300):
            n_read += 1
            assert n_read - n_done <= AHEAD * 4
            yield i, question(i % 100)

    with ChatServer(says("a")) as server, Panel(made(teacher=named(server)), "/", str(tmp_path)) as panel:
        found: dict[int, Answer | Failure] = {}
        for i, answer in panel.ask(role, pairs()):
            n_done += 1
            found[i] = answer
        assert {i: answer.text for i, answer in found.items() if isinstance(answer, Answer)} == {
            i: f"a: question {i % 100}" for i in range(300)
        }
        assert set(server.asked.values()) == {1}
