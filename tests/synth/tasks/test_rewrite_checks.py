"""A frame is taken off, copies are seen, and numbers from nowhere are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.tasks.rewrite_checks import RUN_CHARS, copied_frac, new_numbers, without_frame

FRAME = "다음은 다시 쓴 글이다:"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"{FRAME}\n\n글이다.", "글이다."),
        (f"**{FRAME}**\n글이다.", "글이다."),
        ("다음은 다시 쓴 글이다：\n글이다.", "글이다."),
        (f"{FRAME} 글이다.", f"{FRAME} 글이다."),  # not on a line of its own
        (f"글이다.\n{FRAME}\n또 글이다.", f"글이다.\n{FRAME}\n또 글이다."),
        ("글이다.\n\n끝.", "글이다.\n\n끝."),
        (FRAME, ""),
    ],
)
def test_frames(text: str, left: str) -> None:
    assert without_frame(text, FRAME) == left


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("35,000명", "3만 5천 명이 왔다"),
        ("3만 5천 명", "35,000명"),
        ("3만5천", "3만 5,000"),
        ("2.5 million people", "2,500,000 people"),
        ("3 causes", "three causes"),
        ("3가지", "세 가지"),
        ("25마리", "스물다섯 마리"),
        ("0.5", "½ 컵"),
        ("12개", "１２개"),
        ("2020년 1월 5일", "2020.01.05."),
        ("2020. 12. 25.에", "2020년 12월 25일"),
        ("10:30", "10시 30분"),
        ("5조각", "다섯 조각"),
        ("5경기에 나왔다", "다섯 경기"),
        ("1. 사과\n 2) 배\n- 3. 감", "사과, 배, 감"),
        ("COVID-19", "COVID-19"),
        ("㋀ ② ½", ""),  # no digits
    ],
)
def test_numbers_of_the_source_are_not_new(text: str, source: str) -> None:
    assert new_numbers(text, source) == []


@pytest.mark.parametrize(
    ("text", "source", "new"),
    [
        ("2021년에 3명", "2020년에 세 명", ["2021"]),
        ("3억 원", "3만 원", ["3억"]),
        ("3조 원", "3 원", ["3조"]),
        ("2.5 billion", "2.5 million", ["2.5 billion"]),
        ("0.5%와 7%", "5%", ["0.5", "7"]),
        ("값은 2.\n1,000", "일", ["2", "1,000"]),
        ("1. 사과 5개", "사과", ["5"]),
    ],
)
def test_other_numbers_are(text: str, source: str, new: list[str]) -> None:
    assert new_numbers(text, source) == new


WORDS = st.sampled_from(
    ["12", "3만 5천", "1,200", "0.5", "3.5 million", "사과", "ㅋㅋ", "e\u0301", "년", "개,", "-", "\n", "."]
)


@given(st.lists(WORDS, max_size=15).map(" ".join))
def test_a_text_has_no_numbers_that_are_new_to_itself(text: str) -> None:
    assert new_numbers(text, text) == []


@given(st.text(max_size=80), st.text(max_size=80), st.sampled_from(["ko", "en"]))
def test_shares_are_shares(text: str, source: str, language: str) -> None:
    assert 0 <= copied_frac(text, source, language) <= 1
    n_letters = sum(char.isalnum() for char in text.casefold())
    assert copied_frac(text, f"{source} {text} {source}", language) == (n_letters >= RUN_CHARS[language])


def test_a_light_edit_is_a_copy_and_a_new_text_is_none() -> None:
    source = (
        "김치는 배추나 무 같은 채소를 소금에 절여 양념에 버무린 뒤 발효시킨 한국의 전통 음식이다. 고춧가루, 마늘, "
        "생강, 파로 맛을 내며 예전에는 큰 항아리에 담아 땅에 묻어 보관했다."
    )
    anew = (
        "한국의 전통 음식인 김치는 소금에 절인 채소를 양념과 섞어 발효시켜 만든다. 주로 배추와 무를 쓰고 마늘과 "
        "생강, 파, 고춧가루로 양념한다. 과거에는 땅속에 묻은 항아리에 저장했다."
    )
    assert copied_frac(source.replace("예전에는", "옛날에는").replace(", ", " "), source, "ko") > 0.7
    assert copied_frac(anew, source, "ko") < 0.1
