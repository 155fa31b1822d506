"""The engine without a server; vLLM is played by a stand-in, which says what it was asked."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from manifests.errors import RequestError, RunError
from synth.teacher import Failure, Teacher, request_of
from synth.teachers.answers import Answer, Request
from synth.teachers.token_arrays import unpack
from synth.teachers.tokens import PROBE, tokenizer_digest
from tests.synth.teachers.fake_engine import all_end, ask, settings, started


def one(teacher: Teacher, request: Request) -> Answer | Failure:
    ((_, answer),) = teacher.ask([request])
    return answer


def said(answer: Answer | Failure) -> dict[str, Any]:
    assert isinstance(answer, Answer), answer
    value: dict[str, Any] = json.loads(answer.text)
    return value


def test_the_engine_gets_what_the_request_says(tmp_path: Path) -> None:
    sampling = {"temperature": 0.7, "top_p": 0.9, "seed": 5, "max_tokens": 50}
    given = settings("offline", tmp_path, more={"sampling": {**sampling, "extra": {"stop": "끝", "top_k": 20}}})
    schema = {"type": "object", "properties": {"답": {"type": "integer"}}}
    with Teacher(given, str(tmp_path), str(tmp_path)) as teacher:
        request = request_of([("user", "가나🙂")], given.sampling, schema)
        answer = one(teacher, request)
        assert said(answer) == {
            "prompt": "<user|가나🙂|>",
            **sampling,
            "stop": "끝",
            "top_k": 20,
            "logprobs": None,
            "structured_outputs": {"json": schema},
            "repetition_penalty": 1.1,  # the model's own, as in the server
        }
        assert isinstance(answer, Answer)
        assert (answer.finish_reason, answer.n_prompt_tokens, answer.n_output_tokens) == ("stop", 11, 1)
        engine = started(tmp_path)
    assert all_end(engine)
    assert "engines print where they like" in (tmp_path / "server.log").read_text()


def test_prompts_are_as_the_server_makes_them(tmp_path: Path) -> None:
    given = settings("offline", tmp_path)
    extra = {"chat_template_kwargs": {"enable_thinking": False}, "add_generation_prompt": False}
    opened = given.sampling.model_copy(update={"extra": extra})
    with Teacher(given, str(tmp_path), str(tmp_path)) as teacher:
        raw = replace(request_of([("user", "Once")], given.sampling), kind="text")
        assert said(one(teacher, raw))["prompt"] == "\x00Once"
        bare = given.sampling.model_copy(update={"extra": {"add_special_tokens": False}})
        assert said(one(teacher, replace(request_of([("user", "Once")], bare), kind="text")))["prompt"] == "Once"
        chat = request_of([("user", "a"), ("assistant", "b")], opened)
        assert said(one(teacher, chat))["prompt"] == "<user|a<assistant|b{'enable_thinking': False}"


def write_tokenizer(folder: Path, *, shift: int = 0) -> dict[str, Any]:
    """The stand-in's, whose tokens are characters and whose ids are code points; shifted, another one."""
    made = Tokenizer(models.WordLevel({character: ord(character) + shift for character in PROBE}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("[\\s\\S]"), "isolated")
    made.save(str(folder / "tokenizer.json"))
    return {"logprobs": {"top": 2, "tokenizer": "."}}


def test_tokens_are_kept_with_the_answer(tmp_path: Path) -> None:
    given = settings("offline", tmp_path, more=write_tokenizer(tmp_path))
    for _ in range(2):
        with Teacher(given, str(tmp_path), str(tmp_path)) as teacher:
            answer = one(teacher, request_of([("user", "가")], given.sampling))
            assert said(answer)["logprobs"] == 2
            assert isinstance(answer, Answer) and answer.tokens
            assert answer.tokens.tokenizer == tokenizer_digest(str(tmp_path))
            arrays = unpack(answer.tokens)
            assert "".join(map(chr, arrays.prompt_ids)) == "<user|가|>"
            assert (arrays.output_ids.tolist(), arrays.logprobs.tolist()) == ([97], [-0.5])
            assert (arrays.top_ids.tolist(), arrays.top_logprobs.tolist()) == ([[97, 98]], [[-0.5, -1.0]])
    with Teacher(given, str(tmp_path), str(tmp_path)) as teacher:
        raw = replace(request_of([("user", "Once")], given.sampling), kind="text")
        assert said(one(teacher, raw))["logprobs"] == 2


def test_another_tokenizer_than_the_engines(tmp_path: Path) -> None:
    given = settings("offline", tmp_path, more=write_tokenizer(tmp_path, shift=1))
    with (
        pytest.raises(
            RequestError, match=r"is not the teacher's tokenizer: of a probe, token 0 is \d+ here and \d+ at"
        ),
        Teacher(given, str(tmp_path), str(tmp_path)) as teacher,
    ):
        ask(teacher, ["a"])
    assert all_end(started(tmp_path))


def test_answers_come_as_they_are_ready(tmp_path: Path) -> None:
    with Teacher(settings("offline", tmp_path), str(tmp_path), str(tmp_path)) as teacher:
        questions = ["slow", *(f"question {i}" for i in range(200))]
        found = ask(teacher, questions)
        assert {question: said(answer)["prompt"] for question, answer in found.items()} == {
            question: f"<user|{question}|>" for question in questions
        }
        assert next(iter(found)) != "slow"


def test_what_the_engine_will_not_do_fails_alone(tmp_path: Path) -> None:
    given = settings("offline", tmp_path, args={"max_model_len": 30})
    unknown = given.sampling.model_copy(update={"extra": {"guided_json": "x"}})
    requests = {
        "the prompt has 40 tokens and the engine room for 30": request_of([("user", "x" * 32)], given.sampling),
        "this engine knows no guided_json": request_of([("user", "a")], unknown),
        "this model has no system message": request_of([("system", "a")], given.sampling),
        "writes and does not score": replace(request_of([("user", "a")], given.sampling), kind="reward"),
    }
    with Teacher(given, str(tmp_path), str(tmp_path)) as teacher:
        for message, request in requests.items():
            answer = one(teacher, request)
            assert isinstance(answer, Failure) and answer.is_rejected
            assert message in answer.message
        cut = one(teacher, request_of([("user", "a")], given.sampling))
        assert said(cut)["max_tokens"] == 30 - len("<user|a|>")


def test_an_engine_that_is_never_ready(tmp_path: Path) -> None:
    given = settings("offline", tmp_path, fake="deaf", startup_s=1.5)
    with pytest.raises(RunError) as error, Teacher(given, str(tmp_path), str(tmp_path)) as teacher:
        ask(teacher, ["a"])
    assert "teacher.offline: the engine is not ready after 1.5 s (startup_s)" in str(error.value)
    assert all_end(started(tmp_path))


@pytest.mark.parametrize(
    ("word", "code", "last"), [("die", 137, ""), ("break", 1, "RuntimeError: the engine is dead")]
)
def test_an_engine_that_dies_ends_the_run_which_goes_on_later(
    word: str, code: int, last: str, tmp_path: Path
) -> None:
    given = settings("offline", tmp_path)
    with pytest.raises(RunError) as error, Teacher(given, str(tmp_path), str(tmp_path)) as teacher:
        ask(teacher, ["a", "b"])
        ask(teacher, [f"slow {word}", word])
    assert f"teacher.offline: the engine ended (exit code {code}); what was answered is kept" in str(error.value)
    assert last in str(error.value)
    assert all_end(started(tmp_path))
    with Teacher(given, str(tmp_path), str(tmp_path)) as teacher:
        ask(teacher, ["a", "b", "c"])
        assert (teacher.usage.n_kept, teacher.usage.n_paid) == (2, 1)
