"""The gate `score`."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from manifests.errors import RequestError
from manifests.schema_synthesis import ScoreGate
from manifests.schema_teacher import Sampling
from synth.gates.gate import Passed
from synth.gates.score import AskedScore, ClassifierScore, judge_request, read_judge, read_reward, reward_request
from synth.prompts import Prompts
from synth.samples import Call, Message, Rejection, Role
from synth.teacher import Failure
from synth.teachers.answers import Answer, Request
from tests.synth.gates.judged import document, said, verdicts

LESSON = (
    "광합성은 식물이 빛 에너지를 이용하여 이산화탄소와 물로부터 포도당을 만드는 과정이다. 엽록체의 틸라코이드 막에서 "
    "명반응이 일어나고, 스트로마에서 캘빈 회로가 진행된다. 이 과정에서 산소가 방출된다. "
) * 4
SPAM = "지금 바로 클릭! 무료 쿠폰 증정!! 최저가 보장 카톡 문의 ㄱㄱ 이벤트 당첨 ㅋㅋㅋ 대박 할인 " * 4


@dataclass
class Scripted:
    """A panel that says what a function says, the last question first."""

    say: Callable[[Request], Answer | Failure]
    asked: list[tuple[Role, Request]] = field(default_factory=list)

    def ask(self, role: Role, pairs: Iterable[tuple[Any, Request]], /) -> Iterator[tuple[Any, Answer | Failure]]:
        for beside, request in reversed(list(pairs)):
            self.asked.append((role, request))
            yield beside, self.say(request)


def by_judge(panel: Scripted, least: float = 7, attempts: int = 2) -> AskedScore:
    ask = judge_request(Prompts(), Sampling())
    return AskedScore(least, panel, "judge", ask, read_judge, attempts)


def scored(request: Request) -> Answer:
    """A judge that thinks as the answer says: 점수 N."""
    number = request.messages[-1][1].rpartition("점수 ")[2].split()[0]
    return Answer(f'{{"reason": "그렇다.", "score": {number}}}', "stop")


def test_scores_come_back_in_the_order_of_samples() -> None:
    panel = Scripted(scored)
    found = verdicts(by_judge(panel), said("점수 9 ."), said("점수 3 ."), said("점수 7 ."))
    assert found == [Passed(9.0), Rejection("score", "low_score", 3.0, 7), Passed(7.0)]
    assert {role for role, _ in panel.asked} == {"judge"} and len(panel.asked) == 3


def test_thoughts_are_not_shown_to_the_judge() -> None:
    panel = Scripted(scored)
    verdicts(by_judge(panel), said("<think>비밀</think>\n점수 9 ."))
    assert all("비밀" not in content for _, content in panel.asked[0][1].messages)


def test_what_cannot_be_read_is_asked_again_with_another_seed() -> None:
    said_so: list[str] = []

    def say(request: Request) -> Answer:
        said_so.append(request.sampling)
        return Answer("몰라요", "stop") if len(said_so) == 1 else scored(request)

    panel = Scripted(say)
    assert verdicts(by_judge(panel), said("점수 8 .")) == [Passed(8.0)]
    assert len(said_so) == len(set(said_so)) == 2


def test_without_an_answer_a_sample_is_rejected() -> None:
    def say(request: Request) -> Answer | Failure:
        if "점수 1 " in request.messages[-1][1]:
            return Failure("the server is gone")
        if "점수 3 " in request.messages[-1][1]:
            return Failure("too long", is_rejected=True)
        if "점수 2 " in request.messages[-1][1]:
            return Answer('{"score": 11}', "stop")
        return scored(request)

    panel = Scripted(say)
    found = verdicts(by_judge(panel), said("점수 1 ."), said("점수 2 ."), said("점수 9 ."), said("점수 3 ."))
    assert isinstance(found[0], Rejection) and isinstance(found[1], Rejection) and isinstance(found[3], Rejection)
    assert (found[0].reason, found[0].detail) == ("no_answer", "the server is gone")
    assert found[1].reason == "no_score" and "schema" in found[1].detail
    assert found[2] == Passed(9.0)
    assert (found[3].reason, found[3].detail) == ("refused_request", "too long")
    assert len(panel.asked) == 5, "what failed is not paid for with another seed"


def test_a_reward_model_sees_the_conversation() -> None:
    panel = Scripted(lambda request: Answer("", "stop", score=1.5 if "좋은" in request.messages[-1][1] else -0.5))
    gate = AskedScore(0.0, panel, "reward", reward_request, read_reward, 1)
    found = verdicts(gate, said("좋은 답", "질문"), said("나쁜 답", "질문"))
    assert found == [Passed(1.5), Rejection("score", "low_score", -0.5, 0.0)]
    role, request = panel.asked[-1]
    assert role == "reward" and request.kind == "reward"
    assert request.messages == (("user", "질문"), ("assistant", "좋은 답"))
    call = Message("assistant", "", (Call("weather", '{"city":"서울"}'),))
    assert reward_request(replace(said("", "질문"), answer=(call,)), 0).messages[-1] == (
        "assistant",
        'weather {"city":"서울"}',
    ), "calls are scored, and not an empty turn"
    assert reward_request(document("글"), 0).messages == (("user", "글"),)


@pytest.mark.parametrize("score", [None, float("nan"), float("inf")])
def test_a_reward_model_that_gives_no_score(score: float | None) -> None:
    panel = Scripted(lambda request: Answer("", "stop", score=score))
    (found,) = verdicts(AskedScore(0.0, panel, "reward", reward_request, read_reward, 1), said("답"))
    assert isinstance(found, Rejection) and found.reason == "no_score"


def test_a_classifier_scores_what_is_taught() -> None:
    gate = ClassifierScore(ScoreGate(gate="score", by="classifier", model="edu", min=2.0), ".")
    found = verdicts(gate, document(LESSON), document(SPAM), said(f"<think>{SPAM}</think>{LESSON}"), said("..."))
    assert isinstance(found[0], Passed) and found[0].value is not None
    assert isinstance(found[1], Rejection) and found[1].reason == "low_score"
    assert found[1].value is not None and found[1].value < 2.0 <= found[0].value
    assert found[2] == found[0]
    assert isinstance(found[3], Rejection) and found[3].reason == "no_score"


def test_unknown_classifiers_are_refused() -> None:
    with pytest.raises(RequestError, match=r"gates\.score\.model: .*nope"):
        ClassifierScore(ScoreGate(gate="score", by="classifier", model="nope", min=2.0), ".")
