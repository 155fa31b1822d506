"""What was said, and what was made up."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.tasks.grounding import days_said, new_numbers, numbers_in, ungrounded

TODAY = date(2025, 11, 3)  # a Monday
DATE = {"type": "string", "format": "date"}


@pytest.mark.parametrize(
    ("value", "rule", "said", "is_so"),
    [
        ("강남역", {}, "강남역 가는 법 알려줘", True),
        ("강남역", {}, "강남 역에서 만나", True),
        ("서울역", {}, "강남역 가는 법 알려줘", False),
        ("Gangnam", {}, "take me to gangnam station", True),
        ("12-3456-78", {}, "번호는 12 3456 78이야", True),
        ("12-3456-79", {}, "번호는 12 3456 78이야", False),
        ("celsius", {"enum": ["celsius"]}, "", True),
        ("courier", {"default": "courier"}, "", True),
        ("visit", {"default": "courier"}, "", False),
        (True, {"type": "boolean"}, "", True),
        (4, {"type": "integer"}, "네 명이요", True),
        (4, {"type": "integer"}, "4명이요", True),
        (4, {"type": "integer"}, "사람이 많아요", False),
        (35000, {"type": "integer"}, "3만 5천 원 보내줘", True),
        (35000, {"type": "integer"}, "3만 원 보내줘", False),
        (2.5, {"type": "number"}, "연 2.5%로", True),
        (3, {"type": "integer"}, "for three nights", True),
        ("2025-11-04", DATE, "내일 어때", True),
        ("2025-11-05", DATE, "내일 어때", False),
        ("2025-11-05", DATE, "the day after tomorrow", True),
        ("2025-11-07", DATE, "이번 주 금요일", True),
        ("2025-11-14", DATE, "next Friday", True),
        ("2025-11-06", DATE, "이번 주 금요일", False),
        ("2025-12-25", DATE, "12월 25일에", True),
        ("2025-12-25", DATE, "크리스마스에", False),
        ("2025-11-13", DATE, "10일 뒤에", True),
        ("내일", DATE, "내일", True),
        ("2025-13-25", DATE, "12월에", False),
        ("15:30", {}, "오후 3시 반", True),
        ("15:30", {}, "오후 3시 30분", True),
        ("15:20", {}, "오후 3시 반", False),
        ("19:00", {}, "저녁 일곱 시에", True),
        ("12:00", {}, "정오에", True),
        ("09:00", {}, "at 9 a.m.", True),
        ("10:00", {}, "아침에", False),
    ],
)
def test_one_argument(value: Any, rule: dict[str, Any], said: str, is_so: bool) -> None:
    schema = {"type": "object", "properties": {"x": rule}}
    assert (ungrounded({"x": value}, schema, said, TODAY) is None) == is_so


def test_inside_of_objects_and_lists() -> None:
    schema = {"properties": {"to": {"properties": {"names": {"type": "array", "items": {"type": "string"}}}}}}
    assert ungrounded({"to": {"names": ["민지", "철수"]}}, schema, "민지랑 철수한테", TODAY) is None
    assert ungrounded({"to": {"names": ["민지", "영희"]}}, schema, "민지랑 철수한테", TODAY) == "to.names[] is '영희'"


def test_days() -> None:
    assert days_said("모레나 글피", TODAY) == {date(2025, 11, 5), date(2025, 11, 6)}
    assert date(2025, 11, 8) in days_said("주말에", TODAY)
    assert days_said("언젠가", TODAY) == set()


@pytest.mark.parametrize(
    ("answer", "sources", "n_listed", "new"),
    [
        ("지금 기온은 3.5도입니다.", '{"temp": 3.5}', 0, set()),
        ("지금 기온은 4도입니다.", '{"temp": 3.5}', 0, {4}),
        ("오후 3시 30분입니다.", '{"at": "15:30"}', 0, set()),
        ("모두 12,000원입니다.", '{"fee": 12000}', 0, set()),
        ("모두 1만 2천 원입니다.", '{"fee": 12000}', 0, set()),
        ("모두 1만 3천 원입니다.", '{"fee": 12000}', 0, {1, 3}),
        ("1. 가\n2. 나", '["가", "나"]', 2, set()),
        ("1. 가\n2. 나\n3. 다", '["가", "나"]', 2, {3}),
        ("11월 3일", '{"date": "2025-11-03T10:20"}', 0, set()),
        ("영하 5도", '{"t": -5}', 0, set()),
    ],
)
def test_numbers_of_answers(answer: str, sources: str, n_listed: int, new: set[int]) -> None:
    assert new_numbers(answer, sources, n_listed) == new


@given(st.text(alphabet="0123456789.,:-만천 시반일가👍\u1100", max_size=30))
def test_any_text_is_read(text: str) -> None:
    assert new_numbers(text, text, 0) == set()
    ungrounded({"a": text, "b": 3}, {}, text, TODAY)


@pytest.mark.parametrize("n_digits", [299, 400, 4400, 20_000])
@pytest.mark.parametrize("unit", ["", ".5", "만", " million"])
def test_digits_for_ever(n_digits: int, unit: str) -> None:
    """As weak models write them: new, a number that can be shown, and as fast as others."""
    text = f"값은 {'7' * n_digits}{unit}입니다."
    assert all(float(one) >= 0 for one in new_numbers(text, "값은 3입니다.", 0)) and new_numbers(text, "3", 0)
    assert not new_numbers(text, text, 0)
    assert numbers_in(text)
