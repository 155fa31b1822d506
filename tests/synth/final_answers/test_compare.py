"""Values with units: what converts, what does not, and that no other number is ever right."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RequestError
from synth.final_answers.answer_values import value_of
from synth.final_answers.compare import compare
from synth.final_answers.expected import Expected
from synth.final_answers.quantities import Quantity
from synth.final_answers.units import COUNT, UNITS
from synth.verify import Case, asks_for_percent, expected_of, verify_all
from tests.synth.final_answers.test_numerals import in_english, in_mixed, in_sino

RESPONSES = [
    "The answer is {}.",
    "\\boxed{{{}}}",
    "#### {}",
    "**Final Answer:** {} apples",
    "The answer is ${}.",
    "The answer is that there are {} left.",
    "The answer is x = {}.",
    "{} is the correct answer.",
    "정답은 {}입니다.",
    "정답: {}개",
    "답은 {}원이에요.",
    "정답은 사과 {}개입니다.",
    "{}이 정답입니다.",
    "따라서, 정답은: 약 {}",
    "정답은 {}시간입니다.",
]


@given(st.integers(0, 10**9), st.sampled_from(RESPONSES), st.booleans())
def test_the_number_is_right_and_every_other_is_wrong(value: int, response: str, has_commas: bool) -> None:
    said = response.format(f"{value:,}" if has_commas else value)
    others = {value + 1, abs(value - 1), value * 10, value // 10, -value, value + 10**4} - {value}
    golds = [value, *sorted(others)]
    outcomes = [verdict.outcome for verdict in verify_all(Case(said, Expected("math", str(gold))) for gold in golds)]
    assert outcomes[0] == "right", said
    assert "right" not in outcomes[1:], said


@given(st.integers(1, 10**8), st.integers(1, 10**8))
def test_words_are_equal_only_where_numbers_are(one: int, other: int) -> None:
    for said in (
        f"정답은 {in_sino(one)} 원입니다.",
        f"정답은 {in_mixed(one, ' ', True)} 원입니다.",
        f"The answer is {in_english(one)}.",
    ):
        for gold in (one, other):
            (verdict,) = verify_all([Case(said, Expected("math", str(gold)))])
            assert (verdict.outcome == "right") == (gold == one), (said, gold)


@given(st.integers(1, 10**6), st.sampled_from(sorted(UNITS)), st.sampled_from(sorted(UNITS)))
def test_units_convert_within_their_dimension(number: int, one: str, other: str) -> None:
    gold = Quantity(Fraction(number), UNITS[one])
    said = Quantity(Fraction(number) * UNITS[one].factor / UNITS[other].factor, UNITS[other])
    is_right = compare(gold, said).outcome == "right"
    dimensions = (UNITS[one].dimension, UNITS[other].dimension)
    assert is_right == (dimensions[0] == dimensions[1] or dimensions == (COUNT, "dozen"))


@pytest.mark.parametrize("name", [name for name in UNITS if name not in ("%p", "%P", "$", "₩", "€", "¥")])
def test_every_unit_is_read_behind_a_number(name: str) -> None:
    value = value_of(f"12 {name}")
    assert isinstance(value, Quantity)
    assert (value.number, value.unit) == (12, UNITS[name])


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("What percentage of flowers are not roses?", True),
        ("What percent of the class is absent?", True),
        ("이 세제의 할인율은 몇 %입니까?", True),
        ("키위의 판매 가격은 원래 가격의 몇 퍼센트일까요?", True),
        ("If the water is 20% salt, how many ml of salt will Jack get?", False),
        ("10% 인상된 사탕의 가격은 얼마입니까?", False),
    ],
)
def test_questions_that_ask_for_percent(question: str, asks: bool) -> None:
    assert asks_for_percent(question) is asks


def test_expected_of_a_gold_answer() -> None:
    assert expected_of("12,000").kind == "math"
    assert expected_of("\\frac{1}{2}x").kind == "math"
    assert expected_of("세종대왕").kind == "text"
    assert expected_of("25", "What percent is it?").unit == "%"


@pytest.mark.parametrize(
    ("kind", "gold", "more"),
    [
        ("math", "?", {}),
        ("math", "", {}),
        ("math", "3~5", {}),
        ("math", "12", {"unit": "furlong"}),
        ("math", "12", {"tolerance": "-1"}),
        ("choice", "Seoul", {}),
        ("yes_no", "maybe", {}),
        ("text", " ", {}),
        ("poem", "12", {}),
    ],
)
def test_what_cannot_be_expected(kind: str, gold: str, more: dict[str, str]) -> None:
    with pytest.raises(RequestError):
        Expected(kind, gold, **more)  # type: ignore[arg-type]


def test_gold_answers_stand_in_worked_answers(shared_data: Path) -> None:
    """Of real questions: each is right for its own gold answer, and for no other."""
    text = (
        zstandard.ZstdDecompressor().stream_reader((shared_data / "seeds/gsm8k_train.jsonl.zst").read_bytes()).read()
    )
    worked = [json.loads(line)["output"] for line in text.splitlines()[:1_000]]
    golds = [answer.rsplit("####", 1)[1].strip() for answer in worked]
    golds = [gold.replace(",", "") for gold in golds]
    for end, outcome in (("", "right"), ("1", "wrong")):
        cases = [Case(answer, Expected("math", gold + end)) for answer, gold in zip(worked, golds, strict=True)]
        assert {verdict.outcome for verdict in verify_all(cases)} == {outcome}
