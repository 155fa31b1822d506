"""Labels by a teacher: what is no label is counted by its kind and kept out."""

import json
from pathlib import Path
from typing import Any

import pytest

from manifests.schema_teacher import Teacher as Settings
from synth.annotations.annotate import SCHEMA, Document, annotate, prompt, read_label
from synth.teacher import Failure, Teacher
from synth.teachers.answers import Answer
from tests.synth.chat_server import ChatServer


def said(content: str, finish_reason: str = "stop", **more: Any) -> dict[str, Any]:
    return {"message": {"content": content, **more}, "finish_reason": finish_reason}


def label(score: Any, **more: Any) -> str:
    return json.dumps({"reason": "왜냐하면", "score": score, **more})


WRONG = [
    ("unparsable", said("The score is 3.")),
    ("unparsable", said('{"reason": "cut", "score": 3')),
    ("unparsable", said(label(6))),
    ("unparsable", said(label(-1))),
    ("unparsable", said(label(2.5))),
    ("unparsable", said(label(True))),
    ("unparsable", said(label("five"))),
    ("unparsable", said(label(None))),
    ("unparsable", said(label(3, more="keys"))),
    ("unparsable", said('{"score": 3}')),
    ("unparsable", said("[3]")),
    ("unparsable", said("")),
    ("truncated", said(label(3), "length")),
    ("refused", said("", refusal="I cannot judge this.")),
    ("refused", said(label(3), "content_filter")),
]


@pytest.mark.parametrize(("outcome", "answer"), WRONG)
def test_what_is_no_label(outcome: str, answer: dict[str, Any], tmp_path: Path) -> None:
    with ChatServer(lambda *_: answer) as server:
        settings = Settings(model="judge-1", url=server.url)
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            found = annotate([Document("a", "text")], teacher)
    assert found.outcomes == {outcome: 1}
    assert found.scores == {}
    assert found.labels[0].n_attempts == (1 if outcome == "refused" else 3)
    room = [body["max_tokens"] for body in server.bodies]
    assert room == ([512, 1024, 2048] if outcome == "truncated" else [512] * len(room))


def test_another_try_may_bring_a_label(tmp_path: Path) -> None:
    bad = [said("no"), said(label(9))]
    with ChatServer(lambda body, n_before: bad[n_before] if n_before < 2 else label(4)) as server:
        settings = Settings(model="judge-1", url=server.url)
        documents = [Document(str(i), f"text {i}") for i in range(3)] + [Document("same", "text 0")]
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            found = annotate(documents, teacher)
            assert teacher.usage.n_paid == 9
    assert found.scores == {"0": 4, "1": 4, "2": 4, "same": 4}
    assert {label.n_attempts for label in found.labels} == {3}
    assert sorted(body["seed"] for body in server.bodies) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_labels_are_read(tmp_path: Path) -> None:
    def say(body: dict[str, Any], n_before: int) -> str:
        return label(int(body["messages"][-1]["content"].split("text ")[1][0]))

    with ChatServer(say) as server:
        settings = Settings(model="judge-1", url=server.url)
        documents = [Document(str(i), f"text {i}", "ko" if i % 2 else "en") for i in range(6)]
        with Teacher(settings, "/", str(tmp_path)) as teacher:
            found = annotate(documents, teacher)
    assert found.scores == {str(i): i for i in range(6)}
    assert [label.id for label in found.labels] == [str(i) for i in range(6)]
    assert {label.reason for label in found.labels} == {"왜냐하면"}


def test_the_prompt_is_in_the_language_of_the_document() -> None:
    settings = Settings(model="m", url="http://x")
    korean = prompt(Document("a", "가나다라" * 1000, "ko"), 1200, settings.sampling)
    english = prompt(Document("a", "text", "en"), 1200, settings.sampling)
    other = prompt(Document("a", "text", None), 1200, settings.sampling)
    assert "판정한다" in korean.messages[0][1]
    assert "extract" in english.messages[0][1]
    assert english == other
    assert len(korean.messages[1][1]) < 1300
    assert json.loads(korean.schema or "") == SCHEMA


def test_a_failure_is_no_label() -> None:
    assert read_label("a", Failure("gone")).outcome == "failed"
    assert read_label("a", Answer(label(3), "stop")).score == 3
