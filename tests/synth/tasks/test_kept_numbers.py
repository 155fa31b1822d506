"""Numbers of the original in the translation."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.tasks.kept_numbers import changed_number, korean_numbers


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        ("It costs 1,000 won.", "값은 1000원입니다."),
        ("It costs $1.5 million.", "150만 달러입니다."),
        ("35,000 won", "3만 5천 원"),
        ("12,345 people", "1만 2,345명"),
        ("2 billion", "20억"),
        ("There are 5 people.", "다섯 명이 있습니다."),
        ("There are 3 cups.", "세 잔이 있습니다."),
        ("100 people", "백 명"),
        ("Three cats and twenty-five dogs", "고양이 3마리와 개 25마리"),
        ("On January 5, the first day", "1월 5일, 1일째"),
        ("two hundred and six bones", "206개의 뼈"),
        ("3/4 of it", "4분의 3"),
        ("5 pieces", "5조각"),
        ("3 comics", "3만화"),
        ("It was -5 outside.", "바깥은 영하 5도였다."),
        ("minus 5", "-5"),
        ("Pages 10-20, GPT-4, the 1990s, 21st", "10-20쪽, GPT-4, 1990년대, 21세기"),
        ("No number", "없음"),
        ("two dollars per egg", "1개당 2달러"),
        ("three-quarters of it, one-fourth of that", "그것의 3/4, 그것의 1/4"),
        ("¾ of it", "3/4"),
        ("a 4 by 400 meter relay", "4x400미터 계주"),
        ("$25k a year", "1년에 2만 5천 달러"),
        ("$25k a year", "1년에 $25k"),
        ("from 1:00 PM to 6:30 PM", "오후 1시부터 6시 30분까지"),
        ("It doubles every day.", "날마다 2배가 된다."),
        ("He said it 3 times: 3, 3", "3번 말했다. 3, 3"),
    ],
)
def test_the_same(english: str, korean: str) -> None:
    assert changed_number(english, korean) is None


@pytest.mark.parametrize(
    ("english", "korean", "why"),
    [
        ("It costs 1,000 won.", "만 원입니다.", "1000 is not there"),
        ("It costs 1,000 won.", "값은 1,500원입니다.", "1000 is not there"),
        ("$1.5 million", "1.5만 달러", "1500000 is not there"),
        ("5 won", "5만원", "5 is not there"),
        ("2 and 2", "2", "2 is not there"),
        ("Many people", "300명", "300 is new"),
        ("It was 5 outside.", "바깥은 영하 5도였다.", "5 is not there"),
        ("3.5 points", "3점 5", "3.5 is not there"),
        ("$25k a year", "1년에 25달러", "25000 is not there"),
        ("at 6:30", "6시에", "30 is not there"),
    ],
)
def test_changed(english: str, korean: str, why: str) -> None:
    found = changed_number(english, korean)
    assert found is not None
    assert found.startswith(why.split()[0])


@given(st.lists(st.integers(0, 10**7), max_size=5))
def test_any_number_with_and_without_commas(values: list[int]) -> None:
    english, korean = (" x, ".join(f"{value:{form}}" for value in values) for form in (",", ""))
    assert changed_number(english, korean) is None
    if values:
        assert changed_number(f"{english} and 99999999", korean) is not None


@given(st.text(alphabet="0123456789,.-만억천백십조 가영하\u1100\u1161👍", max_size=30))
def test_any_text_is_read(text: str) -> None:
    changed_number(text, text)


def test_all_readings() -> None:
    assert {Fraction(2), Fraction(35000)} <= korean_numbers("두 명이 3만 5천 원씩")
