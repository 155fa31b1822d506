"""What a server is asked and what is taken from it."""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from manifests.errors import RequestError
from manifests.schema_teacher import Sampling
from manifests.schema_teacher import Teacher as Settings
from synth.teacher import Teacher, request_of
from synth.teachers import courier_process
from synth.teachers.answers import Answer, Request
from synth.teachers.courier import Busy
from synth.teachers.courier_process import PROGRAM
from synth.teachers.responses import parsed
from synth.teachers.teacher_http import Server
from synth.teachers.tokens import probe_ids, tokenizer_digest
from tests.conftest import REPOSITORY
from tests.synth.chat_server import ChatServer
from tests.synth.teachers.test_responses import chat, check, with_tokens

CHAT = request_of([("user", "u")], Sampling(seed=5, extra={"top_k": 20}))


def ask(server: ChatServer, *requests: Request, **more: Any) -> list[Answer]:
    async def run() -> list[Answer]:
        async with Server(Settings(model="judge-1", url=server.url, **more)) as asked:
            return [await asked.complete(request) for request in requests]

    return asyncio.run(run())


def test_a_raw_prompt() -> None:
    request = replace(CHAT, messages=(("user", "<|user|>\n"),), kind="text")
    value = {"choices": [{"text": "왜?", "finish_reason": "length"}], "usage": {"completion_tokens": 3}}
    with ChatServer(lambda *_: value) as server:
        assert ask(server, request) == [Answer("왜?", "length", n_output_tokens=3)]
    assert server.paths == ["/v1/completions"]
    sampling = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 512, "seed": 5, "top_k": 20}
    assert server.bodies == [{"model": "judge-1", "prompt": "<|user|>\n", **sampling}]


def test_a_score() -> None:
    """vLLM has /classify beside /v1; the score is the raw one, and nothing is said of drawing."""
    messages = (("user", "질문"), ("assistant", "대답"))
    request = replace(CHAT, messages=messages, kind="reward")
    value = {"model": "judge-1", "data": [{"index": 0, "label": "L", "probs": [-2.5], "num_classes": 1}]}
    with ChatServer(lambda *_: value) as server:
        assert ask(server, request) == [Answer("", "stop", score=-2.5)]
    assert server.paths == ["/classify"]
    said = [{"role": "user", "content": "질문"}, {"role": "assistant", "content": "대답"}]
    assert server.bodies == [{"model": "judge-1", "messages": said, "top_k": 20, "use_activation": False}]


@pytest.mark.parametrize("answered", ["judge-1", "judge-1-2026-01-31", "org/judge", "j", None])
def test_names_of_the_model_that_was_asked(answered: str | None) -> None:
    with ChatServer(lambda *_: chat() | {"model": answered}) as server:
        assert ask(server, CHAT)[0].text == "말"


@pytest.mark.parametrize("answered", ["judge-2", "judge-10", "judge-1-mini", ""])
def test_another_model_answers(answered: str) -> None:
    with (
        ChatServer(lambda *_: chat() | {"model": answered}) as server,
        pytest.raises(RequestError, match=rf"judge-1 was asked and {answered} answered: .* has judge-1, judge-2"),
    ):
        ask(server, CHAT)


def test_an_answer_that_trickles_in_for_ever() -> None:
    def trickle(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)

    with ChatServer(lambda *_: trickle) as server, pytest.raises(Busy, match=r"no answer within 0\.3 s"):
        ask(server, CHAT, timeout_s=0.3)


def test_a_server_that_sends_on() -> None:
    """Nobody follows, as the key would go along; nor is it a request that was refused."""
    said = (308, {}, {"location": "https://x/v1/chat/completions"})
    with (
        ChatServer(lambda *_: said) as server,
        pytest.raises(RequestError, match=r"308 .*sends on to https://x/v1/chat/completions; teacher.url must be"),
    ):
        ask(server, CHAT)


@pytest.mark.parametrize(
    ("said", "after_s", "asks_for_less"),
    [
        ((429, {}, {"retry-after": "7"}), 7, True),
        ((429, {}), None, True),
        ((503, {}, {"retry-after": "1.5"}), 1.5, True),
        ((503, {}, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), None, False),
        ((503, {}), None, False),
        ((500, {}), None, False),
    ],
)
def test_how_long_to_wait(said: Any, after_s: float | None, asks_for_less: bool) -> None:
    with ChatServer(lambda *_: said) as server, pytest.raises(Busy) as caught:
        ask(server, CHAT)
    assert (caught.value.after_s, caught.value.asks_for_less) == (after_s, asks_for_less)


# Tokens.


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of bytes."""
    folder = tmp_path_factory.mktemp("tokenizer")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.save(str(folder / "tokenizer.json"))
    return folder


def test_tokens_are_asked_for_and_kept(tmp_path: Path, tokenizer: Path) -> None:
    with ChatServer(lambda *_: with_tokens(), ids=probe_ids(str(tokenizer))) as server:
        more = {"model": "judge-1", "url": server.url}
        with Teacher(Settings(**more), "/", str(tmp_path)) as teacher:  # type: ignore[arg-type]
            ((_, without),) = teacher.ask([CHAT])
        logprobs = {"top": 2, "tokenizer": os.path.relpath(tokenizer, tmp_path)}
        found = []
        for _ in range(2):
            with Teacher(Settings(**more, logprobs=logprobs), str(tmp_path), str(tmp_path)) as teacher:  # type: ignore[arg-type]
                ((request, answer),) = teacher.ask([CHAT])
                assert request == CHAT
                assert isinstance(answer, Answer)
                found.append(answer)
                lines = list(teacher.kept.lines())
    assert isinstance(without, Answer)
    assert without.tokens is None
    assert found[0].tokens
    assert found[0] == found[1]
    assert found[0].tokens.tokenizer == tokenizer_digest(str(tokenizer))
    check(replace(found[0].tokens, tokenizer="digest"))
    assert len(lines) == 2
    assert {parsed(line)["answer"]["tokens"] is None for line in lines} == {True, False}
    assert len(server.bodies) == 2
    assert {name: value for name, value in server.bodies[1].items() if name not in server.bodies[0]} == {
        "logprobs": True,
        "top_logprobs": 2,
        "return_token_ids": True,
        "return_tokens_as_token_ids": True,
    }


def test_another_tokenizer_than_the_servers(tmp_path: Path, tokenizer: Path) -> None:
    ids = probe_ids(str(tokenizer))
    logprobs = {"top": 2, "tokenizer": str(tokenizer)}
    for wrong in ([*ids[:20], 999, *ids[21:]], ids[:20]):
        with (
            ChatServer(lambda *_: with_tokens(), ids=wrong) as server,
            pytest.raises(RequestError, match=r"is not the teacher's tokenizer: of a probe, token 20 is \d+ here"),
        ):
            ask(server, CHAT, logprobs=logprobs)
        assert server.bodies == []
    with ChatServer(lambda *_: with_tokens()) as server:  # it has no /tokenize
        assert ask(server, CHAT, CHAT, logprobs=logprobs)[0].tokens
    assert server.paths.count("/tokenize") == 1


def test_a_tokenizer_that_is_not_there(tmp_path: Path) -> None:
    settings = Settings(model="m", url="http://127.0.0.1:1/v1", logprobs={"tokenizer": "none"})  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"teacher\.logprobs\.tokenizer: .*none/tokenizer\.json cannot be read"):
        Teacher(settings, str(tmp_path), str(tmp_path))


# What is in flight.


def test_no_more_is_in_flight_than_the_server_works_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_process, "PROGRAM", f"import synth.teachers.courier as c; c.WATCH_S = .1; {PROGRAM}")
    n, n_slots = 240, 8
    with ChatServer(lambda *_: "a", pause_s=0.15, n_slots=n_slots) as server:
        settings = Settings(model="judge-1", url=server.url)
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            asked = [request_of([("user", f"question {i}")], settings.sampling) for i in range(n)]
            assert len(list(teacher.ask(asked))) == n
    looks = server.n_in_flight
    assert looks[0] > 3 * n_slots
    settled = looks[len(looks) // 2 :]
    assert len(settled) >= 5
    assert n_slots - 3 <= statistics.median(settled) <= n_slots + 3
    assert max(settled) <= 2 * n_slots


def test_a_server_that_tells_of_no_queue_gets_what_the_manifest_says(tmp_path: Path) -> None:
    with ChatServer(lambda *_: "a", pause_s=0.05) as server:
        settings = Settings(model="judge-1", url=server.url, concurrency=20)
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            assert len(list(teacher.ask(replace(CHAT, sampling=f'{{"seed":{i}}}') for i in range(100)))) == 100
        assert server.most_at_once == 20


def test_a_courier_that_is_alone_finishes_what_is_in_flight_and_asks_for_nothing_else(tmp_path: Path) -> None:
    """Of those that were to be asked again, too: they are not in flight while it waits."""

    def say(body: dict[str, Any], n_before: int) -> Any:
        is_busy = int(body["messages"][-1]["content"]) % 2
        return (429, {}, {"retry-after": "30"}) if is_busy else "a"

    with ChatServer(say, pause_s=0.5) as server:
        process = subprocess.Popen([sys.executable, "-c", SUBMIT, server.url, str(tmp_path)], cwd=REPOSITORY)
        while len(server.bodies) < 8:
            assert process.poll() is None
            time.sleep(0.002)
        process.kill()
        process.wait()
        started_s = time.monotonic()
        with Teacher(Settings(model="judge-1", url=server.url), "/", str(tmp_path)) as teacher:
            assert len(teacher.kept) == server.sold.total() == 4
        assert time.monotonic() - started_s < 10
        assert server.asked.total() == 8


SUBMIT = """
import sys, time
from manifests.schema_teacher import Teacher as Settings
from synth.teacher import Teacher, request_of
settings = Settings(model="judge-1", url=sys.argv[1], concurrency=8)
teacher = Teacher(settings, "/", sys.argv[2])
for i in range(24):
    teacher.submit(i, request_of([("user", str(i))], settings.sampling))
teacher.look_up()
time.sleep(60)
"""
