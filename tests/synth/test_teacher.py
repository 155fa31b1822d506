"""The client of a teacher, against a server that answers, fails and goes away."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from manifests.errors import RequestError, RunError
from manifests.schema_teacher import Teacher as Settings
from synth.teacher import HOPELESS, Failure, Teacher, Usage, request_of
from synth.teachers import courier_process
from synth.teachers.answers import Answer, AnswerStore
from tests.conftest import REPOSITORY
from tests.synth.chat_server import ChatServer


def settings_for(server: ChatServer, **more: Any) -> Settings:
    return Settings(model="judge-1", url=server.url, **more)


def questions(n: int, settings: Settings) -> list[Any]:
    return [request_of([("user", f"question {i}")], settings.sampling) for i in range(n)]


def echo(body: dict[str, Any], n_before: int) -> str:
    return f"answer to {body['messages'][-1]['content']}"


def texts(teacher: Teacher, requests: list[Any]) -> dict[str, str]:
    answers = {}
    for request, answer in teacher.ask(requests):
        assert isinstance(answer, Answer), answer
        answers[request.messages[-1][1]] = answer.text
    return answers


def test_every_request_gets_its_own_answer_and_is_paid_once(tmp_path: Path) -> None:
    with ChatServer(echo, 0.01) as server:
        settings = settings_for(server, concurrency=7, price_input=2.0, price_output=10.0)
        requests = questions(300, settings)
        for n_paid in (300, 0):
            with Teacher(settings, "/", str(tmp_path)) as teacher:
                found = texts(teacher, requests + requests[:50])
                assert found == {f"question {i}": f"answer to question {i}" for i in range(300)}
                assert teacher.usage.n_requests == 350
                assert teacher.usage.n_paid == n_paid
                assert teacher.usage.cost(settings) == pytest.approx(n_paid * (100 * 2 + 10 * 10) / 1e6)
        assert set(server.asked.values()) == {1}
        assert server.most_at_once <= 7


def test_the_request_is_what_servers_expect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "s3cret")
    with ChatServer(echo) as server:
        settings = settings_for(server, api_key="JUDGE_KEY", sampling={"seed": 5, "extra": {"top_k": 20}})
        schema = {"type": "object"}
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            asked = [request_of([("system", "s"), ("user", "u")], settings.sampling, schema, n) for n in (0, 1)]
            assert len(list(teacher.ask(asked))) == 2
    first, second = sorted(server.bodies, key=lambda body: int(body["seed"]))
    assert first == {
        "model": "judge-1",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 512,
        "seed": 5,
        "top_k": 20,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": schema},
        },
    }
    assert (second["seed"], second["temperature"]) == (6, 0.5)
    assert server.headers[0]["authorization"] == "Bearer s3cret"
    assert b"s3cret" not in (tmp_path / "answers.sqlite").read_bytes()


@pytest.mark.parametrize(
    "trouble",
    [(429, {}, {"retry-after": "0"}), (500, {}), (503, b""), (200, b"<html>"), (200, {"choices": []}), (200, [1])],
)
def test_trouble_that_passes_is_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: tuple[Any, ...]
) -> None:
    monkeypatch.setattr(courier_process, "BACKOFF_S", 0.001)
    with ChatServer(lambda body, n_before: trouble if n_before < 2 else echo(body, n_before)) as server:
        settings = settings_for(server)
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            assert len(texts(teacher, questions(5, settings))) == 5
            assert teacher.usage.n_retries == 10


def test_a_server_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_process, "BACKOFF_S", 0.001)
    with ChatServer(echo) as server:
        settings = settings_for(server, retries=2)
    with Teacher(settings, "/", str(tmp_path)) as teacher:
        ((_, answer),) = teacher.ask(questions(1, settings))
        assert isinstance(answer, Failure)
        assert "ConnectError" in answer.message
        assert "asked 3 times" in answer.message
        with pytest.raises(RunError, match=r"20 requests in a row failed; the last one: .*ConnectError"):
            list(teacher.ask(questions(100, settings)))


def test_why_nothing_comes_is_said_at_once_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(courier_process, "BACKOFF_S", 0.001)
    with ChatServer(lambda body, n_before: (503, b"loading") if n_before < 3 else echo(body, n_before)) as server:
        settings = settings_for(server, concurrency=1)
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            for number in (1, 2):
                texts(teacher, questions(number, settings)[number - 1 :])
                assert caplog.messages == [f"onggi: {server.url}: 503 loading; asking up to 6 times more"] * number


def test_a_server_that_asks_for_less_is_no_trouble(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    busy = (429, {}, {"retry-after": "0"})
    with ChatServer(lambda body, n_before: busy if n_before < 2 else echo(body, n_before)) as server:
        settings = settings_for(server)
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            assert len(texts(teacher, questions(3, settings))) == 3
    assert caplog.messages == []


def test_an_answer_that_takes_too_long(tmp_path: Path) -> None:
    with ChatServer(echo, pause_s=1.0) as server:
        settings = settings_for(server, retries=0, timeout_s=0.1)
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            ((_, answer),) = teacher.ask(questions(1, settings))
    assert isinstance(answer, Failure)
    assert "no answer within 0.1 s" in answer.message


def test_a_request_that_is_too_long_fails_alone(tmp_path: Path) -> None:
    def say(body: dict[str, Any], n_before: int) -> Any:
        too_long = body["messages"][-1]["content"] == "question 3"
        return (400, {"message": "the prompt has 9000 tokens, at most 8192"}) if too_long else echo(body, n_before)

    with ChatServer(say) as server:
        settings = settings_for(server)
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            answers = {request.messages[-1][1]: answer for request, answer in teacher.ask(questions(6, settings))}
    failed = answers.pop("question 3")
    assert isinstance(failed, Failure)
    assert "400" in failed.message
    assert "at most 8192" in failed.message
    assert all(isinstance(answer, Answer) for answer in answers.values())
    assert server.asked["question 3"] == 1


def test_a_server_that_breaks_in_the_middle_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The documents that are left are not failures for good: the next run asks for them, and only for them."""
    monkeypatch.setattr(courier_process, "BACKOFF_S", 0.001)
    is_broken = False

    def say(body: dict[str, Any], n_before: int) -> Any:
        nonlocal is_broken
        is_broken = is_broken or server.sold.total() >= 30
        return (503, b"") if is_broken else echo(body, n_before)

    with ChatServer(say) as server:
        settings = settings_for(server, retries=1)
        with (
            Teacher(settings, "/", str(tmp_path)) as teacher,
            pytest.raises(RunError, match=r"in a row .* 503 .* kept"),
        ):
            list(teacher.ask(questions(100, settings)))
        n_sold, server.say = server.sold.total(), echo
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            assert len(texts(teacher, questions(100, settings))) == 100
            assert teacher.usage.n_paid == 100 - n_sold
        assert set(server.sold.values()) == {1}


def test_requests_that_are_rejected_in_every_run_end_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all others were answered by an earlier run; a server that is gone ends the run all the same."""
    monkeypatch.setattr(courier_process, "BACKOFF_S", 0.001)

    def say(body: dict[str, Any], n_before: int) -> Any:
        n = int(body["messages"][-1]["content"].split()[1])
        return (400, {"message": "too long"}) if n < HOPELESS + 5 else echo(body, n_before)

    with ChatServer(say) as server:
        settings = settings_for(server, retries=1)
        for _ in range(2):
            with Teacher(settings, "/", str(tmp_path)) as teacher:
                answers = [answer for _, answer in teacher.ask(reversed(questions(100, settings)))]
            assert teacher.usage.n_failed == sum(isinstance(answer, Failure) for answer in answers) == 25
        assert server.sold.total() == 75
    with Teacher(settings, "/", str(tmp_path)) as teacher, pytest.raises(RunError, match="20 requests in a row"):
        list(teacher.ask(questions(100, settings)))


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, r"401 .*teacher\.api_key"), (404, r"teacher\.model is judge-1; the server has judge-1, judge-2")],
)
def test_what_no_try_will_change_ends_the_run(tmp_path: Path, status: int, message: str) -> None:
    with ChatServer(lambda *_: (status, {"error": "no"})) as server:
        settings = settings_for(server)
        with Teacher(settings, "/", str(tmp_path)) as teacher, pytest.raises(RequestError, match=message):
            list(teacher.ask(questions(3, settings)))


def test_a_key_that_is_not_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_KEY", raising=False)
    settings = Settings(model="m", url="http://127.0.0.1:1/v1", api_key="NO_KEY")
    with pytest.raises(RequestError, match=r"teacher\.api_key: the environment has no NO_KEY"):
        Teacher(settings, "/", str(tmp_path))
    with AnswerStore(tmp_path / "answers.sqlite"):
        pass  # nothing holds it


def test_recorded_answers_are_replayed_and_nothing_is_asked(tmp_path: Path) -> None:
    with ChatServer(echo) as server:
        settings = settings_for(server)
        with Teacher(settings, "/", str(tmp_path / "live")) as teacher:
            live = texts(teacher, questions(4, settings))
            (tmp_path / "recorded.jsonl").write_bytes(b"".join(teacher.kept.lines()))
    replay = Settings(model="judge-1", replay="recorded.jsonl", price_output=10.0)
    with Teacher(replay, str(tmp_path), str(tmp_path / "replayed")) as teacher:
        assert texts(teacher, questions(4, replay)) == live
        assert teacher.usage == Usage(n_requests=4, n_kept=4)
        assert teacher.usage.cost(replay) == 0
        with pytest.raises(RequestError, match=r"recorded\.jsonl: holds no answer of judge-1 .*`question 4"):
            list(teacher.ask(questions(5, replay)))


ASK = """
import sys
from manifests.schema_teacher import Teacher as Settings
from synth.teacher import Teacher, request_of
url, folder, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
settings = Settings(model="judge-1", url=url, concurrency=8)
with Teacher(settings, "/", folder) as teacher:
    for request, answer in teacher.ask(request_of([("user", f"question {i}")], settings.sampling) for i in range(n)):
        print(request.messages[-1][1], "=", answer.text, flush=True)
"""


def test_two_runs_at_once(tmp_path: Path) -> None:
    with ChatServer(echo) as server:
        settings = settings_for(server)
        command = [sys.executable, "-c", ASK, server.url, str(tmp_path), "1"]
        with Teacher(settings, "/", str(tmp_path)):
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
            assert f"answers.sqlite: the process {os.getpid()} is asking a teacher" in done.stderr
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            assert len(texts(teacher, questions(2, settings))) == 2


def children_that_ask() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.ZombieProcess):  # of another test
            found += [child] if "synth.teachers.courier" in " ".join(child.cmdline()) else []
    return found


def test_a_courier_that_dies_ends_the_run(tmp_path: Path) -> None:
    with ChatServer(echo, pause_s=5.0) as server:
        settings = settings_for(server)
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            while not (couriers := children_that_ask()):  # it is called that when it has begun
                time.sleep(0.01)
            for courier in couriers:
                courier.kill()
            with pytest.raises(RunError, match=r"the process that asks the teacher ended \(-9\); .* run the same"):
                list(teacher.ask(questions(3, settings)))


def test_killed_five_times_and_nothing_is_paid_twice_or_lost(tmp_path: Path) -> None:
    n, rng = 500, random.Random(4)
    with ChatServer(echo, pause_s=0.03) as server:
        command = [sys.executable, "-c", ASK, server.url, str(tmp_path), str(n)]
        for _ in range(5):
            sold_before = server.sold.total()
            process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
            while server.sold.total() < sold_before + 10:
                assert process.poll() is None
                time.sleep(0.002)
            time.sleep(0.2 * rng.random())
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        assert 50 <= server.sold.total() < n
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
        time.sleep(0.1)
    assert sorted(done.stdout.splitlines()) == sorted(f"question {i} = answer to question {i}" for i in range(n))
    assert set(server.sold.values()) == {1}
    with AnswerStore(tmp_path / "answers.sqlite") as store:
        assert len(store) == n
