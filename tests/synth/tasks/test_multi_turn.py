"""Conversations have as many turns as were drawn, or end before a turn that is no good."""

from collections.abc import Callable
from typing import Any

import pytest

from synth.samples import Ask, Item
from synth.tasks.multi_turn import FOLLOW_UPS, MultiTurn
from synth.teachers.answers import Answer
from tests.synth.scripted import Played, manifest, play, setting

ITEM = Item("1", "옹기가 뭔가요?", "ko", input="짧게요.")
QUESTIONS = ["왜 숨을 쉬나요?", "예를 하나 들어 주세요.", "표로 바꿔 주실 수 있나요?", "도자기와는 어떻게 다르죠?"]


def n_turn(ask: Ask) -> int:
    """Which turn of the user it is for, from 0."""
    if ask.template.startswith("multi_turn/user"):
        return ask.request.messages[-1][1].count("[사용자]")
    return sum(role == "user" for role, _ in ask.request.messages) - 1


def say(ask: Ask) -> Any:
    if ask.template.startswith("multi_turn/user"):
        return QUESTIONS[n_turn(ask) - 1]
    return f"{n_turn(ask)}번째 답입니다."


def played(item: Item = ITEM, say: Callable[[Ask], Any] = say, **options: Any) -> Played:
    return play(MultiTurn(setting(manifest({"kind": "multi_turn", **options}))), item, say)


def when(kind: str, turn: int, answer: Any) -> Callable[[Ask], Any]:
    return lambda ask: answer if ask.template.startswith(kind) and n_turn(ask) == turn else say(ask)


def test_a_conversation_is_played_to_its_end() -> None:
    (sample,) = played(turns=[3, 3]).kept
    said = [(message.role, message.content) for message in (*sample.prompt, *sample.answer)]
    assert said == [
        ("user", "옹기가 뭔가요?\n\n짧게요."),
        ("assistant", "0번째 답입니다."),
        ("user", QUESTIONS[0]),
        ("assistant", "1번째 답입니다."),
        ("user", QUESTIONS[1]),
        ("assistant", "2번째 답입니다."),
    ]
    assert [message.role for message in sample.answer] == ["assistant"]
    assert (sample.form, sample.variety, sample.numbers) == ("messages", "3_turns", {"n_turns": 3})
    assert sample.tags["ended"] == "as_drawn"
    assert len(set(sample.tags["follow_ups"].split(","))) == 2
    templates = ["chat/answer_ko", "multi_turn/user_ko"] * 2 + ["chat/answer_ko"]
    assert [ask.template for ask in sample.made_by] == templates
    assert sample.made_by[0].request.messages[1:] == tuple(said[:-1])


def test_the_user_sees_the_conversation_and_the_assistant_no_prompt_of_the_user() -> None:
    asks = played(turns=[2, 2]).asks
    user = asks[1].request.messages
    assert "0번째 답입니다." in user[1][1] and "옹기가 뭔가요?" in user[1][1]
    assert [role for role, _ in asks[2].request.messages] == ["system", "user", "assistant", "user"]


def test_turns_and_kinds_are_drawn_over_the_whole_range() -> None:
    found = [played(Item(str(n), "옹기가 뭔가요?", "ko"), turns=[2, 4]).kept[0] for n in range(60)]
    counts = [sample.numbers["n_turns"] for sample in found]
    assert {2, 3, 4} == set(counts)
    assert min(counts.count(n) for n in (2, 3, 4)) >= 10
    kinds = [kind for sample in found for kind in sample.tags["follow_ups"].split(",")]
    assert set(kinds) == set(FOLLOW_UPS)
    again = [played(Item(str(n), "옹기가 뭔가요?", "ko"), turns=[2, 4]).kept[0] for n in range(60)]
    assert found == again


@pytest.mark.parametrize(
    ("kind", "answer", "reason"),
    [
        ("multi_turn/user", "옹기가 뭔가요? 짧게요.", "repeats"),
        ("multi_turn/user", "물론입니다! 옹기는 그릇입니다.", "as_assistant"),
        ("multi_turn/user", "What about porcelain?", "language"),
        ("multi_turn/user", " ", "empty"),
        ("multi_turn/user", Answer("왜", "length"), "cut"),
        ("chat/answer", "0번째  답입니다", "repeats"),
        ("chat/answer", Answer("왜냐하면", "length"), "cut"),
    ],
)
def test_a_bad_turn_ends_a_conversation(kind: str, answer: Any, reason: str) -> None:
    short = played(say=when(kind, 1, answer), turns=[2, 2])
    assert short.reasons == [f"{'user_turn' if 'user' in kind else 'answer'}:{reason}"]
    rejection = short.samples[0].rejection
    assert rejection is not None and (rejection.value, rejection.threshold) == (1, 2)
    assert len(short.asks) == (1 + 3 if "user" in kind else 2 + 3)


def test_one_that_is_long_enough_is_kept_without_its_bad_turn() -> None:
    (sample,) = played(
        Item("7", "옹기가 뭔가요?", "ko"), when("multi_turn/user", 2, "왜 숨을 쉬나요"), turns=[2, 20]
    ).kept
    assert (sample.numbers["n_turns"], sample.tags["ended"]) == (2, "repeats")
    assert [message.content for message in sample.prompt[-1:]] == [QUESTIONS[0]]
    assert [message.content for message in sample.answer] == ["1번째 답입니다."]


def test_without_a_first_answer_there_is_nothing() -> None:
    found = played(say=lambda ask: Answer("", "stop", refusal="no"))
    assert found.reasons == ["answer:refused"]
    assert [message.role for message in found.samples[0].prompt] == ["user"]
    assert found.samples[0].answer == ()
