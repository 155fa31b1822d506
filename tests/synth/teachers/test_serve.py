"""A server that the run starts itself; vLLM is played by a stand-in."""

import json
from pathlib import Path

import pytest

from manifests.errors import RunError
from synth.teacher import Teacher
from synth.teachers.answers import Answer
from tests.synth.teachers.fake_engine import all_end, ask, settings, started


def test_it_answers_and_is_gone_with_the_run(tmp_path: Path) -> None:
    given = settings("serve", tmp_path, args={"max_model_len": 128, "enforce_eager": True})
    with Teacher(given, str(tmp_path), str(tmp_path)) as teacher:
        assert not (tmp_path / "server.log").exists(), "nothing was asked yet"
        found = ask(teacher, ["가나 one", "two"])
        assert {question: isinstance(answer, Answer) and answer.text for question, answer in found.items()} == {
            "가나 one": "가나 ONE",
            "two": "TWO",
        }
        engine = started(tmp_path)
        assert len(engine) == 2
    assert all_end(engine)
    said = (tmp_path / "server.log").read_text()
    for part in ("'--max-model-len', '128'", "'--enforce-eager'", "'--host', '127.0.0.1'", "'--runner', 'generate'"):
        assert part in said
    assert f"'--model', '{tmp_path}/weights'" in said
    assert "'--served-model-name', 'judge-1'" in said
    assert json.dumps({"backend": "xgrammar", "disable_any_whitespace": True}) in said


def test_a_server_that_is_never_up(tmp_path: Path) -> None:
    given = settings("serve", tmp_path, fake="deaf", startup_s=1.5)
    with pytest.raises(RunError) as error, Teacher(given, str(tmp_path), str(tmp_path)) as teacher:
        ask(teacher, ["a"])
    assert "teacher.serve: the server does not answer after 1.5 s (startup_s)" in str(error.value)
    assert all_end(started(tmp_path))


def test_a_server_that_dies_ends_the_run_which_goes_on_later(tmp_path: Path) -> None:
    with (
        pytest.raises(RunError) as error,
        Teacher(settings("serve", tmp_path), str(tmp_path), str(tmp_path)) as teacher,
    ):
        ask(teacher, ["a", "b"])
        ask(teacher, ["die"])
    message = str(error.value)
    assert (
        "teacher.serve: the server ended (exit code 137); what was answered is kept: run the same command" in message
    )
    assert f"{tmp_path}/server.log ends with:\n" in message
    assert '"POST /v1/chat/completions' in message, "what it said last"
    assert all_end(started(tmp_path))
    with Teacher(settings("serve", tmp_path), str(tmp_path), str(tmp_path)) as teacher:
        ask(teacher, ["a", "b", "c"])
        assert (teacher.usage.n_kept, teacher.usage.n_paid) == (2, 1)
