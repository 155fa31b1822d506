"""Onggi starts real vLLM, as a server and as an engine, on this machine's processors, with two small models.

`make judge` builds what is started; ONGGI_JUDGE_PYTHON says where it is.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
from tokenizers import Tokenizer

from manifests.errors import RunError
from manifests.house import child_environment
from manifests.schema_teacher import Teacher as Settings
from synth.teacher import Failure, Teacher, request_of
from synth.teachers.answers import Answer, Request
from synth.teachers.throttle import Queue, queue_of
from synth.teachers.token_arrays import unpack
from tests.conftest import REPOSITORY
from tests.scenarios.real_server import MODEL, PYTHON
from tests.synth.teachers.fake_engine import all_end

pytestmark = pytest.mark.slow

WEIGHTS = PYTHON.parent.parent / MODEL
ARGS = {"max_model_len": 1024, "dtype": "float32", "enforce_eager": True, "gpu_memory_utilization": 0.2}
TOP = 4


@pytest.fixture(autouse=True, scope="module")
def _vllm() -> None:
    if not PYTHON.exists():
        pytest.skip(
            f"no vLLM is installed at {PYTHON}: `make judge` builds it, or ONGGI_JUDGE_PYTHON says where it is"
        )


def settings(backend: str, *, args: dict[str, Any] | None = None, engine: Any = None, **more: Any) -> Settings:
    fields = {"weights": str(WEIGHTS), "python": str(PYTHON), "args": {**ARGS, **(args or {})}}
    fields |= {"env": {"VLLM_CPU_KVCACHE_SPACE": "1"}, **(engine or {})}
    return Settings.model_validate({"model": MODEL, backend: fields, "timeout_s": 900, **more})


SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "green", "blue"]}, "n": {"type": "integer", "maximum": 99}},
    "required": ["colour", "n"],
    "additionalProperties": False,
}


def requests_of(settings: Settings) -> dict[str, Request]:
    """One of each kind, by what it shows."""
    greedy = settings.sampling
    drawn = [greedy.model_copy(update={"temperature": 1.0, "top_p": 0.9, "seed": seed}) for seed in (1, 2)]
    stopped = greedy.model_copy(update={"extra": {"stop": ["4"]}})
    say = [("user", "Write about the sea.")]
    return {
        "english": request_of([("user", "What is the capital of France?")], greedy),
        "korean": request_of([("system", "한국어로 답하세요."), ("user", "봄에 피는 꽃 🌸 이름은?")], greedy),
        "cut": request_of([("user", "Write a story about a dragon.")], greedy),
        "stopped": request_of([("user", "Say: 1 2 3 4 5 6")], stopped),
        "json": request_of([("user", "Name a colour and a number.")], greedy, SCHEMA),
        "raw": replace(request_of([("user", "The capital of France is")], greedy), kind="text"),
        "drawn 1": request_of(say, drawn[0]),
        "drawn 2": request_of(say, drawn[1]),
    }


@dataclass(frozen=True)
class Asked:
    """What a backend said to each request, and the processes that it had."""

    answers: dict[str, Answer]
    processes: list[psutil.Process]
    log: Path


def descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def asked(backend: str, folder: Path) -> Asked:
    logprobs = {"top": TOP, "tokenizer": str(WEIGHTS)}
    given = settings(backend, sampling={"max_tokens": 48}, logprobs=logprobs)
    names = {request: name for name, request in requests_of(given).items()}
    with Teacher(given, "/", str(folder)) as teacher:
        found = {names[request]: answer for request, answer in teacher.ask(names)}
        processes = descendants()
    failed = {name: answer for name, answer in found.items() if isinstance(answer, Failure)}
    assert not failed
    answers = {name: answer for name, answer in found.items() if isinstance(answer, Answer)}
    return Asked(answers, processes, folder / "server.log")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    return asked("serve", tmp_path_factory.mktemp("serve"))


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    return asked("offline", tmp_path_factory.mktemp("offline"))


@pytest.fixture(params=["serve", "offline"])
def either(request: pytest.FixtureRequest) -> Asked:
    found: Asked = request.getfixturevalue({"serve": "served", "offline": "offline"}[request.param])
    return found


def test_server_and_engine_say_the_same(served: Asked, offline: Asked) -> None:
    assert served.answers.keys() == offline.answers.keys()
    for name, one in served.answers.items():
        other = offline.answers[name]
        assert replace(one, tokens=None) == replace(other, tokens=None), name
        assert one.tokens and other.tokens
        a, b = unpack(one.tokens), unpack(other.tokens)
        assert a.prompt_ids.tolist() == b.prompt_ids.tolist(), name
        assert a.output_ids.tolist() == b.output_ids.tolist(), name
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-3), name


def test_answers_are_as_they_were_asked_for(either: Asked) -> None:
    answers = either.answers
    assert "Paris" in answers["english"].text
    assert {name: answer.finish_reason for name, answer in answers.items() if name in ("english", "json", "cut")} == {
        "english": "stop",
        "json": "stop",
        "cut": "length",
    }
    assert answers["cut"].n_output_tokens == 48
    jsonschema.validate(json.loads(answers["json"].text), SCHEMA)
    assert " " not in answers["json"].text, "blanks between the tokens of JSON"
    assert "4" not in answers["stopped"].text
    assert answers["raw"].text.startswith(" Paris")
    assert answers["drawn 1"].text != answers["drawn 2"].text


def test_logprobs_are_of_the_tokens_of_the_text(either: Asked) -> None:
    tokenizer = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
    for name, answer in either.answers.items():
        assert answer.tokens
        tokens = unpack(answer.tokens)
        assert (len(tokens.prompt_ids), len(tokens.output_ids)) == (answer.n_prompt_tokens, answer.n_output_tokens)
        decoded = tokenizer.decode(tokens.output_ids.tolist(), skip_special_tokens=True)
        assert decoded.startswith(answer.text), name  # a stop string is cut off, and what came with it
        assert tokens.top_ids.shape == (answer.n_output_tokens, TOP)
        assert (tokens.logprobs <= 0).all()
        if not name.startswith("drawn") and name != "json":  # greedy, and nothing was forbidden
            assert (tokens.top_ids[:, 0] == tokens.output_ids).all(), name
    prompt = either.answers["raw"].tokens
    assert prompt
    assert tokenizer.decode(unpack(prompt).prompt_ids.tolist()) == "The capital of France is"


def test_nothing_is_left_of_it(either: Asked) -> None:
    assert len(either.processes) >= 4, "the courier, the guard, vLLM and its engine"
    assert all_end(either.processes)


# Kills.

RUN = """
import sys
from manifests.schema_teacher import Teacher as Settings
from synth.teacher import Teacher, request_of
settings = Settings.model_validate_json(sys.argv[1])
with Teacher(settings, "/", sys.argv[2]) as teacher:
    for i in range(100_000):
        request = request_of([("user", f"Tell me about the number {i}.")], settings.sampling)
        for _, answer in teacher.ask([request]):
            print(answer.text, flush=True)
"""


def test_nothing_is_left_when_the_run_is_killed(tmp_path: Path) -> None:
    given = settings("serve", sampling={"max_tokens": 16}, concurrency=4)
    command = [sys.executable, "-c", RUN, given.model_dump_json(), str(tmp_path)]
    with subprocess.Popen(command, env=child_environment(), stdout=subprocess.PIPE) as run:
        assert run.stdout
        for _ in range(3):
            assert run.stdout.readline()
        started = psutil.Process(run.pid).children(recursive=True)
        assert len(started) >= 4
        run.kill()
    assert all_end(started)
    requests = [request_of([("user", f"Tell me about the number {i}.")], given.sampling) for i in range(3)]
    with Teacher(given, "/", str(tmp_path)) as teacher:
        assert len(list(teacher.ask(requests))) == 3
        assert (teacher.usage.n_kept, teacher.usage.n_paid) == (3, 0)


def questions(n: int, given: Settings) -> Iterator[Request]:
    for i in range(n):
        yield request_of([("user", f"Write a story about {i} ducks.")], given.sampling)


class Watch:
    """The server's queue from time to time, as a thread sees it."""

    def __init__(self, log: Path) -> None:
        self.queues: list[Queue] = []
        self._log, self._over = log, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.5):
            found = re.search(r"http://127\.0\.0\.1:(\d+)", self._log.read_text()) if self._log.exists() else None
            if not found:
                continue
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/metrics", timeout=10) as response:
                    queue = queue_of(response.read().decode())
            except OSError:
                continue
            if queue and queue.n_running:
                self.queues.append(queue)


def test_requests_follow_the_queue_and_a_run_goes_on_when_its_server_was_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = settings("serve", args={"max_num_seqs": 4}, sampling={"max_tokens": 16}, concurrency=32)
    n_requests = 70
    with pytest.raises(RunError) as error, Teacher(given, "/", str(tmp_path)) as teacher:
        with Watch(tmp_path / "server.log") as watch:
            assert len(list(teacher.ask(questions(n_requests, given)))) == n_requests
        for process in descendants():
            if "vllm.entrypoints" in " ".join(process.cmdline()) and "guard.py" not in " ".join(process.cmdline()):
                os.kill(process.pid, signal.SIGKILL)
        list(teacher.ask(questions(n_requests + 5, given)))
    assert "teacher.serve: the server ended (exit code 137); what was answered is kept" in str(error.value)
    assert "server.log ends with" in str(error.value)
    assert all_end(descendants())
    waiting = [int(queue.n_waiting) for queue in watch.queues]
    with capsys.disabled():
        print(f"\nwaiting at the server: {waiting}")
    first = waiting.index(max(waiting))
    assert waiting[first] > 20
    # When those are through that were sent before the first look, only as many wait as may.
    settled = watch.queues[next(i for i in range(first, len(waiting)) if waiting[i] <= 2) :]
    assert max(queue.n_waiting for queue in settled) <= 3
    early = settled[: len(settled) // 2]  # at the end there are fewer requests than slots
    assert sum(queue.n_running for queue in early) / len(early) > 3, "no slot is idle for long"
    with Teacher(given, "/", str(tmp_path)) as teacher:
        list(teacher.ask(questions(n_requests + 5, given)))
        assert (teacher.usage.n_kept, teacher.usage.n_paid) == (n_requests, 5)


# Rewards.

CHATS = [
    [("user", "대한민국의 수도는 어디인가요?"), ("assistant", "서울입니다.")],
    [("user", "대한민국의 수도는 어디인가요?"), ("assistant", "부산입니다. ㅋㅋ 🙂")],
    [("user", "What is 2 + 2?"), ("assistant", "4"), ("user", "And 3 + 3?"), ("assistant", "It is 6.")],
]


def test_a_reward_model_scores_as_transformers_does(tmp_path: Path) -> None:
    script, folder = str(REPOSITORY / "tests/scenarios/reward_model.py"), tmp_path / "reward"
    subprocess.run([PYTHON, script, "write", WEIGHTS, folder], check=True)
    chats = json.dumps([[{"role": role, "content": content} for role, content in chat] for chat in CHATS])
    told = subprocess.run([PYTHON, script, "score", folder], input=chats, check=True, capture_output=True, text=True)
    expected = [float(line) for line in told.stdout.split()]
    given = settings("serve", args={"max_model_len": 512}, engine={"weights": str(folder), "runner": "pooling"})
    requests = [replace(request_of(chat, given.sampling), kind="reward") for chat in CHATS]
    with Teacher(given, "/", str(tmp_path)) as teacher:
        found = dict(teacher.ask(requests))
    answers = [found[request] for request in requests]
    scores = [answer.score for answer in answers if isinstance(answer, Answer)]
    assert scores == pytest.approx(expected, abs=1e-3)
    assert len({round(score, 2) for score in expected}) == len(CHATS), "the scores differ"
