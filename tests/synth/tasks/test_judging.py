"""The judge is shown all and only what is judged, and its score is read whatever it says."""

import unicodedata
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.schema_teacher import Sampling
from synth.prompts import Prompts
from synth.samples import Call, Message
from synth.tasks.judging import SCHEMA, Score, judge_ask, read_score
from synth.tasks.task import UnfitError
from synth.teachers.answers import Answer


def said(value: Any) -> Answer:
    return Answer(value if isinstance(value, str) else orjson.dumps(value).decode(), "stop")


@given(st.integers(1, 10), st.text(max_size=50))
def test_scores_are_read(score: int, reason: str) -> None:
    assert read_score(said({"reason": reason, "score": score})) == Score(
        score, unicodedata.normalize("NFC", reason).strip()
    )


def test_a_score_may_stand_in_a_fence_or_be_a_whole_float() -> None:
    assert read_score(said('```json\n{"reason": "좋다", "score": 9}\n```')) == Score(9, "좋다")
    found = read_score(said('{"reason": "ok", "score": 7.0}'))
    assert (found.value, type(found.value)) == (7, int)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (said({"reason": "", "score": 0}), "schema"),
        (said({"reason": "", "score": 11}), "schema"),
        (said({"reason": "", "score": 7.5}), "schema"),
        (said({"reason": "", "score": True}), "schema"),
        (said({"reason": "", "score": "7"}), "schema"),
        (said({"score": 7}), "schema"),
        (said({"reason": "x" * 601, "score": 7}), "schema"),
        (said({"reason": "", "score": 7, "final": 10}), "schema"),
        (said("7점입니다."), "not_json"),
        (said('{"reason": "a", "score": 3, "score": 9}'), "not_json"),
        (said(" "), "empty"),
        (Answer('{"reason": "", "score": 7}', "length"), "cut"),
        (Answer("", "stop", refusal="no"), "refused"),
    ],
)
def test_what_is_no_score_is_none(answer: Answer, reason: str) -> None:
    with pytest.raises(UnfitError) as caught:
        read_score(answer)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("language", "user"), [("ko", "[사용자]"), ("en", "[user]")])
def test_a_conversation_is_shown_whole(language: str, user: str) -> None:
    messages = (
        Message("system", "SYS"),
        Message("user", "첫 질문 {{ 7 * 7 }}"),
        Message("assistant", "", (Call("find", '{"q": 1}'),)),
        Message("tool", "RESULT", name="find"),
        Message("user", "둘째 질문"),
    )
    ask = judge_ask(Prompts(), Sampling(), language, messages, "ANSWER", ('{"name": "find"}',))
    (system, rubric), (role, shown) = ask.request.messages
    assert (ask.role, system, role) == ("judge", "system", "user")
    assert "JSON" in rubric
    order = [shown.index(part) for part in ("SYS", "{{ 7 * 7 }}", 'find {"q": 1}', "RESULT", "둘째 질문", "ANSWER")]
    assert order == sorted(order)
    assert shown.count(user) == 2
    assert '{"name": "find"}' in shown[: order[0]]
    assert ask.template == f"judging/answer_{language}"
    assert ask.request.schema == orjson.dumps(SCHEMA, option=orjson.OPT_SORT_KEYS).decode()


def test_a_text_alone_is_judged_too() -> None:
    ask = judge_ask(Prompts(), Sampling(), "ko", (), "글 하나")
    assert ask.request.messages[1][1] == "채점할 글:\n<<<\n글 하나\n>>>"


def test_each_attempt_differs_and_the_first_is_greedy() -> None:
    first, second = (judge_ask(Prompts(), Sampling(), "en", (), "x", attempt=n).request for n in (0, 1))
    assert orjson.loads(first.sampling)["temperature"] == 0
    assert first.key("m", "") != second.key("m", "")
