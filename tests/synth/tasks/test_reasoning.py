"""Reasoning traces: what is kept of several samples of a question, and why the others are not."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.final_answers.math_workers import MathWorkers
from synth.samples import Item
from synth.sandboxes.sandbox import why_not
from synth.tasks.reasoning import Reasoning
from synth.teachers.answers import Answer
from tests.synth.scripted import Played, manifest, play, seed_of, setting

APPLES = Item("s1", "지우는 사과 3개를 샀고 민수는 4개를 샀습니다. 사과는 모두 몇 개입니까?", "ko", answer="7")
CLIPS = Item("s2", "Natalia sold 48 clips in April and 24 in May. How many in all?", "en", answer="72")


@pytest.fixture(scope="module")
def math() -> Iterator[MathWorkers]:
    with MathWorkers() as workers:
        yield workers


def played(math: MathWorkers, item: Item, said: Sequence[Answer | str], **task: Any) -> Played:
    """The task over one question, whose samples say this in order."""
    found = manifest({"kind": "reasoning", "samples": len(said), **task})
    seeds = sorted(number * 20 for number in range(len(said)))
    return play(Reasoning(setting(found, math)), item, lambda ask: said[seeds.index(seed_of(ask))])


def test_samples_are_asked_for_at_once_and_each_with_its_seed(math: MathWorkers) -> None:
    found = played(math, CLIPS, ["48 + 24 = 72\n\\boxed{72}"] * 4)
    assert sorted({seed_of(ask) for ask in found.asks}) == [0, 20, 40, 60]
    assert len(found.asks) == len(found.samples) == 4


def test_right_ones_are_kept_and_others_say_why_not(math: MathWorkers) -> None:
    said = [
        "48 + 24 = 72, so \\boxed{72}",
        "48 + 24 = 62, so \\boxed{62}",
        "48 + 24 is what she sold. Nothing more is known.\nOr is it?",
        Answer("48 + 24 = 72, and the answer is 7", "length"),
        "The answer is",
        Answer("", "stop", refusal="no"),
        Answer(" ", "stop"),
    ]
    found = played(math, CLIPS, said)
    (kept,) = found.kept
    assert (kept.answer_text, kept.prompt_text) == (said[0], CLIPS.text)
    assert kept.numbers == {"n_samples": 7, "n_right": 1, "pass_frac": 1 / 7}
    assert kept.tags == {"outcome": "right", "found": "72", "gold": "72", "difficulty": "hard"}
    assert found.reasons == [f"verify:{why}" for why in ("wrong", "form", "cut", "cut", "refused", "empty")]
    wrong = found.samples[1].rejection
    assert wrong and wrong.detail.startswith("62")


def test_the_shortest_stays_and_then_those_of_other_lengths(math: MathWorkers) -> None:
    short = "48 + 24 = 72.\n\\boxed{72}"
    middle = "In April 48 clips were sold, in May 24 of them, which makes 72.\n\\boxed{72}"
    long = "Let us go month by month. April: 48 clips. May: half of that, 24 clips. " * 2 + "72 it is.\n\\boxed{72}"
    said = [long, middle, short, short.replace(" ", "  ")]
    found = played(math, CLIPS, said, keep=2)
    assert sorted(sample.answer_text for sample in found.kept) == sorted([short, long])
    assert found.reasons == ["verify:surplus", "verify:duplicate"]
    assert len(played(math, CLIPS, said, keep=4).kept) == 3


@pytest.mark.parametrize(
    ("pass_frac", "n_right", "reason"),
    [([0, 0.75], 4, "too_easy"), ([0.5, 1], 1, "too_hard"), ([0.25, 0.75], 3, None), ([0.25, 0.75], 1, None)],
)
def test_questions_are_kept_by_pass_rate(
    math: MathWorkers, pass_frac: list[float], n_right: int, reason: str | None
) -> None:
    said = [f"{'Well. ' * number}It is \\boxed{{{72 if number < n_right else 1}}}" for number in range(4)]
    found = played(math, CLIPS, said, pass_frac=pass_frac)
    assert len(found.kept) == (reason is None)
    if reason:
        assert set(found.reasons) - {"verify:wrong"} == {f"verify:{reason}"}


def test_the_majority_decides_where_there_is_no_answer(math: MathWorkers) -> None:
    unknown = Item("s3", "How many?", "en")
    said = ["So: \\boxed{1/2}", "I find that the answer is 0.5.", "Hence \\boxed{3}", Answer("", "length")]
    found = played(math, unknown, said, keep=2)
    assert len(found.kept) == 2
    assert found.reasons == ["verify:wrong_majority", "verify:cut"]
    assert found.samples[0].numbers == {"n_samples": 4, "n_right": 2, "pass_frac": 0.5, "majority_share": 0.5}
    assert "gold" not in found.samples[0].tags
    split = played(math, unknown, said, majority=0.6)
    assert split.reasons == ["verify:no_majority"] * 3 + ["verify:cut"]
    tie = played(math, unknown, ["\\boxed{1}", "\\boxed{2}"], majority=0.0)
    assert tie.reasons == ["verify:no_majority"] * 2
    alone = played(math, unknown, ["\\boxed{1}", "I do not know."], majority=0.0)
    assert alone.reasons == ["verify:no_majority"] * 2


def test_the_majority_may_be_a_word_or_an_option(math: MathWorkers) -> None:
    city = Item("s4", "한국의 수도는 어디입니까?", "ko")
    found = played(math, city, ["따라서, 정답은: 서울", "수도이므로 정답은: 서울", "따라서, 정답은: 부산"], keep=2)
    assert (len(found.kept), found.reasons) == (2, ["verify:wrong_majority"])
    optional = Item("s5", "Which is a mammal?", "en", choices=("trout", "whale"))
    said = ["Trout are fish.\nThe answer is: A", "Whales suckle.\nThe answer is: B", "B is the answer."]
    found = played(math, optional, said, keep=3)
    assert (len(found.kept), found.reasons) == (2, ["verify:wrong_majority"])


def test_answers_that_are_given_are_forgotten_where_the_majority_is_to_decide(math: MathWorkers) -> None:
    found = played(math, CLIPS, ["\\boxed{5} it is", "Well, \\boxed{5}"], answer="none", keep=2)
    assert len(found.kept) == 2


def test_options_are_laid_out_for_teacher_and_student(math: MathWorkers) -> None:
    item = Item("s6", "포유류는 어느 것입니까?", "ko", answer="2", choices=("송어", "고래", "참새"))
    found = played(math, item, ["새끼에게 젖을 먹입니다.\n따라서, 정답은: 2", "따라서, 정답은: 1", "정답은: 고래"])
    assert "1. 송어\n2. 고래\n3. 참새" in found.kept[0].prompt_text
    assert "1. 송어\n2. 고래\n3. 참새" in found.asks[0].request.messages[-1][1]
    assert "정답은" not in found.kept[0].prompt_text
    assert found.reasons == ["verify:surplus", "verify:wrong"]


def test_a_gold_answer_that_is_none_costs_nothing(math: MathWorkers) -> None:
    item = Item("s7", "Which?", "en", answer="Z", choices=("trout", "whale"))
    found = played(math, item, ["The answer is: A"])
    assert (found.asks, found.reasons) == ([], ["verify:bad_gold"])


SAID = {"right": "\\boxed{72}", "wrong": "\\boxed{71}", "form": "No end.\nAt all.", "cut": "The answer is"}


@given(st.lists(st.tuples(st.sampled_from(sorted(SAID)), st.integers(0, 40)), min_size=1, max_size=8), st.data())
def test_every_sample_is_accounted_for(
    math: MathWorkers, outcomes: list[tuple[str, int]], data: st.DataObject
) -> None:
    keep = data.draw(st.integers(1, len(outcomes)))
    said = [f"{'가나다라 마바사 ' * n}.\n{SAID[outcome]}" for outcome, n in outcomes]
    found = played(math, CLIPS, said, keep=keep)
    n_right = sum(outcome == "right" for outcome, _ in outcomes)
    assert [sample.answer_text for sample in found.samples] == said
    assert [sample.tags["outcome"] for sample in found.samples] == [outcome for outcome, _ in outcomes]
    assert {sample.numbers["pass_frac"] for sample in found.samples} == {n_right / len(said)}
    assert min(1, n_right) <= len(found.kept) <= min(keep, n_right)
    assert all(sample.tags["outcome"] == "right" for sample in found.kept)


# Thoughts.


def test_thoughts_are_the_models_own_or_stand_in_tags(math: MathWorkers) -> None:
    own = Answer("48 + 24 = 72\n\\boxed{72}", "stop", reasoning="Two months. Maybe 70? No, 72.")
    tagged = "<think>\nLet me add 48 and 24 slowly.\n</think>\nThey are \\boxed{72} clips."
    said = [own, tagged, "No thoughts at all: \\boxed{72}", "<think>Not the end: \\boxed{72}"]
    found = played(math, CLIPS, said, think="tags", keep=2)
    assert [sample.answer_text for sample in found.kept] == [
        "<think>\nTwo months. Maybe 70? No, 72.\n</think>\n\n48 + 24 = 72\n\\boxed{72}",
        "<think>\nLet me add 48 and 24 slowly.\n</think>\n\nThey are \\boxed{72} clips.",
    ]
    assert found.reasons == ["verify:no_thoughts", "verify:cut"]
    plain = played(math, CLIPS, [tagged])
    assert plain.kept[0].answer_text == "They are \\boxed{72} clips."


def test_answers_count_and_thoughts_do_not(math: MathWorkers) -> None:
    said = [
        "<think>It is \\boxed{72}.</think>The answer is 71.",
        "<think>It is \\boxed{71}?</think>The answer is 72.",
    ]
    assert played(math, CLIPS, said, think="tags").reasons == ["verify:wrong"]


MIXED = "<think>The 사과 are counted: 지우 has 3, 민수 has 4, so the total is 7.</think>\n"


@pytest.mark.parametrize(
    ("said", "is_kept"),
    [
        (f"{MIXED}모두 더하면 7개입니다.\n따라서, 정답은: \\boxed{{7}}", True),
        (f"{MIXED}So there are seven apples.\nThe answer is \\boxed{{7}}.", False),
        (f"{MIXED}\\boxed{{7}}", False),
        ("<think>We add 3 and 4 and get 7.</think>\n따라서, 정답은: \\boxed{7}", False),
        ("<think>지우의 사과 3개와 민수의 사과 4개를 더한다. $x = \\frac{7}{1}$</think>\n따라서, 정답은: 7", False),
    ],
)
def test_mixed_thoughts_are_mixed_and_their_answer_is_korean(math: MathWorkers, said: str, is_kept: bool) -> None:
    found = played(math, APPLES, [said], think="mixed")
    assert found.reasons == ([] if is_kept else ["verify:not_mixed"])


@pytest.mark.parametrize("think", ["plain", "tags", "mixed"])
@pytest.mark.parametrize("kind", ["math", "choice", "yes_no", "text", "json", "code"])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_prompt_says_how_to_think_and_how_to_answer(kind: str, language: str, think: str) -> None:
    prompt = setting(manifest({"kind": "reasoning"})).prompts(
        f"reasoning/{kind}", language, question="Q?", think=think
    )
    system, user = (text for _, text in prompt.messages)
    assert user.startswith("Q?\n\n")
    assert ("<think>" in system) == (think == "tags" or (think == "mixed" and language == "ko"))
    marks = {"math": "\\boxed{", "json": "```json", "code": "```python"}
    assert marks.get(kind, "정답은: " if language == "ko" else "the answer is: ") in user


# Programs.


def test_programs_are_run(math: MathWorkers) -> None:
    if why_not("landlock") and why_not("bubblewrap"):
        pytest.skip("no sandbox works here")
    item = Item(
        "s8", "Write a function that doubles.", "en", tests=("assert double(3) == 6", "assert double(0) == 0")
    )
    said = [
        "Twice.\n```python\ndef double(x):\n    return 2 * x\n```",
        "Square.\n```python\ndef double(x):\n    return x * x\n```",
        "I would rather not.\nReally.",
    ]
    found = played(math, item, said)
    assert [sample.answer_text for sample in found.kept] == [said[0]]
    assert found.reasons == ["verify:wrong", "verify:form"]
    assert "assert double(3) == 6" in found.kept[0].prompt_text
    assert "double(0)" not in found.kept[0].prompt_text


def test_the_beginning_of_a_function_is_a_question_too(math: MathWorkers) -> None:
    if why_not("landlock") and why_not("bubblewrap"):
        pytest.skip("no sandbox works here")
    item = Item(
        "s9", "def twice(x):\n    # doubles", "en", tests=("def check(candidate):\n    assert candidate(2) == 4",)
    )
    said = ["```python\ndef twice(x):\n    return 2 * x\n```", "```python\ndef other(x):\n    return 2 * x\n```"]
    found = played(math, item, said)
    assert (len(found.kept), found.reasons) == (1, ["verify:form"])
    assert found.kept[0].prompt_text == item.text


@pytest.mark.parametrize(("tests", "why"), [((), "has none"), (("assert (",), "no Python")])
def test_tests_that_are_none_cost_nothing(math: MathWorkers, tests: tuple[str, ...], why: str) -> None:
    found = played(math, Item("s10", "Double.", "en", tests=tests), ["```python\nx = 1\n```"], answer="code")
    (only,) = found.samples
    assert only.rejection and only.rejection.reason == "bad_gold" and why in only.rejection.detail
    assert found.asks == []


def test_formulas_are_compared_by_value(math: MathWorkers) -> None:
    item = Item("s11", "Find $\\sin 60^\\circ \\cdot \\sqrt{x^2}$ for $x = 1$.", "en", answer="\\frac{\\sqrt{3}}{2}")
    said = [
        "Half of the root.\n$\\boxed{\\frac{\\sqrt 3}{2}}$",
        "It is one divided by another.\n\\boxed{\\sqrt{\\frac{3}{4}}}",
        "Rounded, \\boxed{0.87}.",
        "\\boxed{\\frac{\\sqrt{3}}{4}}",
    ]
    found = played(math, item, said, answer="math", keep=4, pass_frac=[0, 0.75])
    assert [sample.answer_text for sample in found.kept] == said[:2]
    assert set(found.reasons) <= {"verify:wrong", "verify:form"}
    assert found.kept[0].tags["difficulty"] == "medium"
