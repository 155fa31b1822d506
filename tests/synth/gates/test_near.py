"""The gate `near`."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.schema_synthesis import NearGate
from synth.gates.near import Near
from synth.samples import Item, Message, Rejection, Sample
from tests.synth.gates.judged import document, reasons, said, verdicts
from tests.synth.gates.test_similar import story

TRACES = [
    "먼저 산 사과는 3개입니다. 여기에 2개를 더하면 5개이므로 답은 5입니다.",
    "3 + 2 = 5이므로 모두 5개입니다. 답은 5입니다.",
    "처음에 가진 개수와 나중에 받은 개수를 합하면 됩니다. 그러면 5입니다.",
]
QUESTION = (
    "철수는 시장에서 사과를 3개 샀습니다. 그 뒤에 영희가 사과를 2개 더 주었습니다. 철수의 사과는 모두 몇 개입니까?"
)


FEW, MORE = (0, 24, 48, 72, 96), (12, 36, 60, 84, 108)
"""Places of words: texts are nearly the same with few of them changed, or with few more, but not with both."""


def near(*seeds: Item, answers_are_seeds: bool = False, **fields: Any) -> Near:
    def each() -> Iterator[Item]:
        return iter(seeds)

    return Near(NearGate(gate="near", **fields), each, answers_are_seeds)


def long(seed: int, *changed: int) -> str:
    words = story(seed)
    for place in changed:
        words[place] = "바뀐말"
    return " ".join(words)


def test_traces_of_a_question_are_no_duplicates_for_their_prompt() -> None:
    samples = [said(trace, long(1) + QUESTION) for trace in TRACES]
    assert reasons(near(), *samples) == ["", "", ""]
    assert reasons(near(), *samples, samples[1]) == ["", "", "", "near_duplicate"]
    assert reasons(near(of="prompt"), *samples) == ["", "near_duplicate", "near_duplicate"]


@pytest.mark.parametrize("of", ["prompt", "answer", "both"])
def test_a_preference_pair_is_no_duplicate_of_the_sample_whose_answer_it_has(of: str) -> None:
    sample = said(long(1), "질문")
    pair = replace(sample, form="preference", worse=(Message("assistant", "나쁜 답"),))
    assert reasons(near(of=of), sample, pair, pair) == ["", "", "near_duplicate"]


def test_short_equal_answers_of_different_questions_stay() -> None:
    samples = [said("5", long(1)), said("5", long(2))]
    assert reasons(near(), *samples) == ["", ""]
    assert reasons(near(of="answer"), *samples) == ["", "near_duplicate"]


def test_the_first_stays_and_is_named_with_the_similarity() -> None:
    samples = [said(long(1), "가", id="7"), said(long(2), "나", id="8"), said(long(1, 50), "다른 질문", id="9")]
    found = verdicts(near(), *samples)
    assert [isinstance(verdict, Rejection) for verdict in found] == [False, False, True]
    assert isinstance(found[2], Rejection)
    assert found[2].detail == "7/7" and found[2].threshold == 0.8
    assert found[2].value is not None and 0.8 <= found[2].value < 1


def test_who_is_only_like_a_rejected_one_stays() -> None:
    chain = [long(1), long(1, *FEW), long(1, *FEW, *MORE)]
    assert reasons(near(of="answer"), *(said(text) for text in chain)) == ["", "near_duplicate", ""]
    again = [chain[0], chain[1], chain[1]]
    found = verdicts(near(of="answer"), *(said(text, id=str(number)) for number, text in enumerate(again)))
    assert [verdict.detail for verdict in found if isinstance(verdict, Rejection)] == ["0/0", "0/0"]


def test_texts_and_pairs() -> None:
    assert reasons(near(), document(long(1)), document(long(2)), document(long(1, 3))) == ["", "", "near_duplicate"]
    worse = [(Message("assistant", text),) for text in ("나쁜 답", "더 나쁜 답")]
    pairs = [
        Sample(Item(str(n), "질문"), "preference", "ko", (Message("user", long(1)),), said(long(2)).answer, worse[n])
        for n in range(2)
    ]
    assert reasons(near(), *pairs) == ["", "near_duplicate"]


def test_seeds_do_not_come_back() -> None:
    seeds = [Item("a", long(1)), Item("b", long(2), input=long(3)), Item("c", long(4)), Item("d", long(5))]
    samples = [
        said("답", long(1, 4), seed="다른 씨앗"),  # written, and a seed
        said("답", long(4), seed=long(4)),  # the seed itself is asked
        said(f"{long(2)}\n{long(3)} 끝", "질문"),
        said(long(9), long(8), seed=""),
        document(long(5, 2)),
    ]
    assert reasons(near(*seeds), *samples) == ["seed_copy", "", "seed_copy", "", "seed_copy"]
    found = verdicts(near(*seeds), *samples)
    assert [verdict.detail for verdict in found if isinstance(verdict, Rejection)] == ["a", "b", "d"]
    assert reasons(near(*seeds, seeds=False), *samples) == [""] * 5
    assert reasons(near(*seeds, answers_are_seeds=True), *samples) == ["seed_copy", "", "", "", ""]
    assert reasons(near(*seeds, of="prompt"), *samples) == ["seed_copy", "", "", "", ""]
    assert reasons(near(*seeds, of="answer"), *samples[2:]) == ["seed_copy", "", "seed_copy"]


def test_copies_of_seeds_stand_for_nobody() -> None:
    seed = Item("a", long(1))
    samples = [said(long(1, *FEW), "하나"), said(long(1, *FEW, *MORE), "둘")]
    found = reasons(near(seed), *samples)
    assert found == ["seed_copy", ""]


def test_empty_answers_are_nothing_to_compare() -> None:
    assert reasons(near(), *(document("") for _ in range(3))) == ["", "", ""]


@settings(max_examples=20)
@given(st.lists(st.integers(0, 5), max_size=12))
def test_one_of_each_stays(numbers: list[int]) -> None:
    found = reasons(near(of="answer"), *(said(long(number)) for number in numbers))
    assert [number for number, reason in zip(numbers, found, strict=True) if not reason] == list(
        dict.fromkeys(numbers)
    )


def test_planted_duplicates_are_found() -> None:
    drawn = random.Random(5)
    samples, planted = [], 0
    for number in range(200):
        samples.append(said(long(number), f"질문 {number}", id=str(number)))
        if number % 2:
            places = drawn.sample(range(120), 2)
            samples.append(said(long(drawn.randrange(number + 1), *places), f"또 {number}", id=f"또{number}"))
            planted += 1
    found = reasons(near(), *samples)
    is_planted = [sample.item.id.startswith("또") for sample in samples]
    assert [bool(reason) for reason in found] == is_planted and planted == 100
