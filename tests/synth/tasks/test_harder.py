"""Harder variants of questions, decided by the majority."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from synth.final_answers.math_workers import MathWorkers
from synth.samples import Ask, Item
from synth.tasks.harder import WAYS
from synth.tasks.reasoning import Reasoning
from synth.teachers.answers import Answer
from tests.synth.scripted import Played, manifest, play, seed_of, setting

SEED = Item("s1", "지우는 사과 3개를 샀고 민수는 4개를 샀습니다. 사과는 모두 몇 개입니까?", "ko", answer="7")
HARDER = "지우와 민수가 산 사과는 모두 7개이고 지우가 3개를 샀습니다. 민수가 산 사과는 몇 개입니까?"


@pytest.fixture(scope="module")
def math() -> Iterator[MathWorkers]:
    with MathWorkers() as workers:
        yield workers


def played(math: MathWorkers, variant: Any, answers: list[str | Answer], item: Item = SEED, **task: Any) -> Played:
    """The task where the teacher always makes this variant, and its samples say these answers."""

    def say(ask: Ask) -> Answer | str | dict[str, Any]:
        if ask.template.startswith("reasoning/harder"):
            return variant(ask) if callable(variant) else variant
        if item.text in ask.request.messages[-1][1]:
            return f"{seed_of(ask)}번째 풀이입니다. 따라서, 정답은: 7"
        return answers[seed_of(ask) // 20]

    found = manifest({"kind": "reasoning", "samples": len(answers), "evolve": 1, **task})
    return play(Reasoning(setting(found, math)), item, say)


def test_the_majority_decides_on_variants(math: MathWorkers) -> None:
    found = played(math, {"question": HARDER}, ["빼면 됩니다. 정답: 4", "4개입니다. 정답은 4개입니다.", "정답: 5"])
    own, variant = found.kept
    assert (own.item, variant.item.id, variant.item.parents) == (SEED, "s1/harder-0", ("s1",))
    assert (variant.prompt_text, variant.tags["outcome"]) == (HARDER, "right")
    assert "gold" not in variant.tags
    assert variant.numbers["majority_share"] == 2 / 3
    assert found.reasons.count("verify:wrong_majority") == 1


def test_variants_that_nobody_can_answer_go(math: MathWorkers) -> None:
    said: list[str | Answer] = ["조건이 모자랍니다. 정답: 알 수 없음", "정답: 알 수 없음", Answer("", "length")]
    found = played(math, {"question": HARDER}, said)
    assert len(found.kept) == 1
    assert found.reasons.count("verify:no_majority") == 2


@pytest.mark.parametrize(
    ("variant", "reason"),
    [("No JSON.", "not_json"), ({"question": "?"}, "schema"), ({"question": f" {SEED.text} "}, "same")],
)
def test_what_is_no_variant_says_why(math: MathWorkers, variant: Any, reason: str) -> None:
    found = played(math, variant, ["정답: 4"])
    assert len(found.kept) == 1
    assert found.reasons == [f"harder:{reason}"]


def test_variants_go_different_ways_and_equal_ones_count_once(math: MathWorkers) -> None:
    found = played(math, {"question": HARDER}, ["정답: 4", "정답: 4"], evolve=4)
    asked = [ask for ask in found.asks if ask.template == "reasoning/harder_ko"]
    assert len({ask.request.messages for ask in asked}) == len(WAYS)
    assert [reason for reason in found.reasons if reason.startswith("harder")] == ["harder:same"] * 3
    assert all(orjson.loads(ask.request.schema or "")["required"] == ["question"] for ask in asked)


def test_questions_with_options_have_none(math: MathWorkers) -> None:
    found = played(math, {"question": HARDER}, ["정답: B"], Item("s2", "3 + 4는?", "ko", choices=("6", "7")))
    assert len(found.asks) == 1


def test_only_numbers_are_known_by_majority() -> None:
    with pytest.raises(ValueError, match="evolve: variants are answered by a number"):
        manifest({"kind": "reasoning", "evolve": 1, "answer": "yes_no"})


@pytest.mark.parametrize("language", ["ko", "en"])
def test_each_way_is_said_in_its_own_words(language: str) -> None:
    prompts = setting(manifest({"kind": "reasoning"})).prompts
    texts = {prompts("reasoning/harder", language, question="Q?", way=way).messages[-1][1] for way in WAYS}
    assert len(texts) == len(WAYS)
    assert all("Q?" in text and '"question"' in text for text in texts)
