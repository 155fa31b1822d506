"""Preference pairs are the best and the worst of the answers, far enough apart."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.samples import Ask, Item
from synth.tasks.preferences import Preferences, Scored, best_and_worst
from synth.teachers.answers import Answer
from tests.synth.scripted import Played, manifest, play, seed_of, setting

ITEM = Item("1", "파이썬이 뭔가요?", "ko", input="짧게 답해 주세요.")
ANSWERS = {0: "프로그래밍 언어입니다.", 20: "뱀입니다.", 40: "모릅니다.", 60: "널리 쓰이는 프로그래밍 언어입니다."}
SCORES = {"프로그래밍 언어입니다.": 9, "뱀입니다.": 2, "모릅니다.": 3, "널리 쓰이는 프로그래밍 언어입니다.": 9}
MODEL = {"model": "m", "url": "http://127.0.0.1:1/v1"}


def played(
    answers: dict[int, Any] = ANSWERS, scores: dict[str, Any] = SCORES, item: Item = ITEM, **options: Any
) -> Played:
    def say(ask: Ask) -> Any:
        if ask.role == "teacher":
            return answers[seed_of(ask)]
        text = ask.request.messages[-1][1]
        if ask.role == "reward":
            assert (ask.request.kind, ask.request.sampling) == ("reward", "{}")
            assert [role for role, _ in ask.request.messages] == ["user", "assistant"]
            return Answer("", "", score=scores[text])
        shown = next(answer for answer in scores if text.endswith(f"채점할 답변:\n<<<\n{answer}\n>>>"))
        found = scores[shown]
        return found if isinstance(found, str) else {"reason": "그렇다", "score": found}

    return play(Preferences(setting(manifest({"kind": "preferences", **options}, reward=MODEL))), item, say)


@pytest.mark.parametrize("by", ["judge", "reward"])
def test_best_and_worst_become_a_pair(by: str) -> None:
    (sample,) = played(by=by).samples
    assert sample.rejection is None
    assert (sample.form, sample.language, sample.variety) == ("preference", "ko", by)
    assert [message.content for message in sample.prompt] == ["파이썬이 뭔가요?\n\n짧게 답해 주세요."]
    assert sample.answer[0].content == "프로그래밍 언어입니다."  # the shorter one of the two best
    assert sample.worse[0].content == "뱀입니다."
    assert sample.numbers == {"chosen_score": 9, "rejected_score": 2, "margin": 7, "length_ratio": 12 / 5}
    assert [ask.role for ask in sample.made_by] == ["teacher", by, "teacher", by]


@pytest.mark.parametrize(
    ("options", "reason", "value", "threshold"),
    [
        ({"min_margin": 7.5}, "no_margin", 7, 7.5),
        ({"min_chosen": 9.5}, "low_score", 9, 9.5),
        ({"max_length_ratio": 2}, "length_ratio", 2.4, 2),
    ],
)
def test_what_is_rejected_says_by_how_much(
    options: dict[str, Any], reason: str, value: float, threshold: float
) -> None:
    (sample,) = played(**options).samples
    assert sample.rejection is not None
    assert (sample.rejection.stage, sample.rejection.reason) == ("preferences", reason)
    assert (sample.rejection.value, sample.rejection.threshold) == (value, threshold)
    assert sample.answer and sample.worse


def test_ties_make_no_pair_even_without_a_margin() -> None:
    assert played(scores=dict.fromkeys(SCORES, 5), min_margin=0).reasons == ["preferences:no_margin"]


def test_equal_answers_are_scored_once_and_make_no_pair() -> None:
    found = played(dict.fromkeys(ANSWERS, " 같은 말입니다. "))
    assert found.reasons == ["preferences:same"]
    assert all(ask.role == "teacher" for ask in found.asks)
    twice = played(ANSWERS | {20: "모릅니다."})
    assert sum(ask.role == "judge" for ask in twice.asks) == 3
    assert twice.kept[0].worse[0].content == "모릅니다."


def test_answers_that_were_cut_never_count() -> None:
    cut = Answer("뱀입니다.", "length")
    found = played(ANSWERS | {20: cut}, attempts=1)
    assert found.kept[0].worse[0].content == "모릅니다."
    assert played({0: "하나", 20: cut, 40: cut, 60: cut}, attempts=1).reasons == ["preferences:few_answers"]


def test_an_answer_without_a_score_does_not_count() -> None:
    found = played(scores=SCORES | {"뱀입니다.": "2점"}, attempts=1)
    assert found.kept[0].worse[0].content == "모릅니다."
    assert played(scores=dict.fromkeys(SCORES, "?"), attempts=1).reasons == ["preferences:few_scores"]
    nothing: dict[str, Any] = dict.fromkeys(SCORES, None)
    assert played(scores=nothing, by="reward").reasons == ["preferences:few_scores"]
    assert played(scores=dict.fromkeys(SCORES, float("nan")), by="reward").reasons == ["preferences:few_scores"]


def test_samples_differ_and_judging_is_greedy() -> None:
    found = played()
    answered = [ask for ask in found.asks if ask.role == "teacher"]
    assert [seed_of(ask) for ask in answered] == [0, 20, 40, 60]
    assert all('"temperature":0.0' in ask.request.sampling for ask in found.asks if ask.role == "judge")
    assert "한국어" in answered[0].request.messages[0][1]


SCORED = st.builds(Scored, st.text(min_size=1, max_size=9), st.integers(1, 10).map(float), st.just(()))


@given(st.lists(SCORED, min_size=2, max_size=8))
def test_nothing_is_better_than_the_best_or_worse_than_the_worst(scored: list[Scored]) -> None:
    best, worst = best_and_worst(scored)
    assert best.score == max(one.score for one in scored)
    assert worst.score == min(one.score for one in scored)
    assert len(best.text) == min(len(one.text) for one in scored if one.score == best.score)
    assert len(worst.text) == max(len(one.text) for one in scored if one.score == worst.score)
