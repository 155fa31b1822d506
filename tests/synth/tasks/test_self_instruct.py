"""New instructions from a few that are shown."""

from typing import Any

import pytest

from manifests.errors import RequestError
from synth.samples import Ask, Item
from synth.tasks.self_instruct import SelfInstruct
from synth.teachers.answers import Answer
from tests.synth.scripted import Played, manifest, play, setting

SUBJECTS = ["고래", "바다", "우주", "김치", "한글", "지진", "나무", "시장", "은행", "구름"]
SEEDS = tuple(
    Item(f"k{number}", f"{subject}에 관하여 아는 대로 적어 보세요. {subject * 3}", "ko", "mine", "MIT")
    for number, subject in enumerate(SUBJECTS)
) + tuple(Item(f"e{number}", f"Say something on topic {number * 1111}.", "en") for number in range(6))
NEW = ["설날에 할 만한 놀이를 다섯 가지 추천해 줘.", "다음 문장의 맞춤법을 고쳐 줘: 나는 어의가 없다."]


def task(seeds: tuple[Item, ...] = SEEDS, **fields: Any) -> SelfInstruct:
    value = {"kind": "self_instruct", "count": 20, "shown": 3, "per_request": 4, "attempts": 2}
    return SelfInstruct(setting(manifest(value | fields), seeds=seeds))


def played(instructions: Any, answer: Any = "답입니다.", **fields: Any) -> Played:
    made = task(SEEDS[:10], **fields)

    def say(ask: Ask) -> Any:
        is_first = ask.template.startswith("self_instruct")
        return {"instructions": instructions} if is_first else answer

    return play(made, next(iter(made.items([]))), say)


def test_each_new_one_is_answered() -> None:
    found = played(NEW)
    assert [sample.prompt[0].content for sample in found.kept] == NEW
    for sample in found.kept:
        assert sample.answer[0].content == "답입니다."
        assert [ask.template for ask in sample.made_by] == ["chat/answer_ko", "self_instruct/propose_ko"]
        assert len(set(sample.parents)) == 3
        assert sample.item.license == "MIT"
    shown = found.asks[0].request.messages[-1][1]
    assert all(seed.text in shown for seed in SEEDS if seed.id in found.kept[0].parents)
    assert found.asks[1].request.messages[-1] == ("user", NEW[0])


def test_copies_and_duplicates() -> None:
    made = task(SEEDS[:10])
    item = next(iter(made.items([])))
    seed = next(seed for seed in SEEDS if seed.id == item.parents[1])
    proposed = [seed.text.replace("적어", "써"), NEW[0], NEW[0].replace("다섯", "여섯"), "What is a tide?"]
    found = play(made, item, lambda ask: {"instructions": proposed} if "propose" in ask.template else "답")
    assert found.reasons == ["task:copied", "task:duplicate", "task:language"]
    assert len(found.kept) == 1
    assert seed.id in (found.samples[0].rejection or pytest.fail()).detail
    assert len(found.asks) == 2


@pytest.mark.parametrize(
    ("instructions", "reason"), [("no list", "schema"), ([], "schema"), (NEW * 3, "schema"), ([3], "schema")]
)
def test_no_instructions(instructions: Any, reason: str) -> None:
    found = played(instructions)
    assert (found.reasons, len(found.asks)) == ([f"task:{reason}"], 2)


def test_an_answer_that_was_cut_costs_its_sample_alone() -> None:
    made = task(SEEDS[:10])

    def say(ask: Ask) -> Any:
        if "propose" in ask.template:
            return {"instructions": NEW}
        return Answer("…", "length") if ask.request.messages[-1][1] == NEW[0] else "답"

    found = play(made, next(iter(made.items([]))), say)
    assert found.reasons == ["task:cut"]
    assert [sample.prompt[0].content for sample in found.kept] == NEW[1:]


def test_items_are_drawn_and_of_one_language() -> None:
    items = list(task().items([]))
    assert len({item.id for item in items}) == len(items) == 20
    assert {item.language for item in items} == {"ko", "en"}
    assert all({name[0] for name in item.parents} == {(item.language or "")[0]} for item in items)
    assert len({item.parents for item in items}) > 10
    assert all(len(set(item.parents)) == 3 for item in items)
    assert items == list(task().items([]))


def test_licences_that_differ_are_none() -> None:
    seeds = (*SEEDS[:2], Item("o", "다른 것", "ko", license="CC-BY-4.0"))
    assert [item.license for item in task(seeds, count=1).items([])] == [None]


def test_too_few_seeds() -> None:
    with pytest.raises(RequestError, match="there are 2 seeds"):
        task(SEEDS[:2])
