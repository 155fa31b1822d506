"""Words, sentences and letters in Korean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.benchmarks.ifeval_korean import (
    count_characters,
    count_letter,
    count_sentences,
    count_words,
    holds_word,
    starts_with_word,
)


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("", 0),
        ("안녕하세요. 저는 학생입니다.", 2),
        ("2024. 5. 3. 오후 3.5시에 만났다. 좋았다!", 2),
        ("했다.그리고 갔다", 2),  # the space is missing, as it often is
        ("그런데... 나는 갔다.", 1),
        ("끝났다…\n그래서 갔다…", 2),
        ('"가자."라고 말했다.', 1),
        ('"가자." 그가 말했다.', 2),
        ("# 개요\n\n첫 문장입니다\n둘째 문장이에요 😊\n", 2),
        ("개요\n목차", 1),  # nouns that end like sentences
        ("1. 사과를 먹습니다.\n2. 배를 먹습니다.\n가. 끝", 3),
        ("Dr. Kim이 왔다. 정말요?!", 2),
        ("네. 좋아요ㅋㅋ\n그럼요", 3),
        ("- 하나\n- 둘", 1),
        ("왜 그럴까\n그렇습니까\n그러니까 그렇다", 3),
        ("가격은 1,000원입니다。정말입니다！", 2),
        ("온점．둘째", 2),
    ],
)
def test_sentences(text: str, n: int) -> None:
    assert count_sentences(text) == n


@given(st.lists(st.sampled_from(["새가 노래한다.", "왜 안 돼요?", "멈춰!", "그는 왔고, 보았습니다."]), max_size=30))
def test_sentences_add_up(sentences: list[str]) -> None:
    assert count_sentences(" ".join(sentences)) == count_sentences("\n\n".join(sentences)) == len(sentences)


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("나는 학교에 간다.", 3),
        ("* 사과 - 배 😊", 2),
        ("ㅋㅋ 좋아", 2),
        ("", 0),
        ("하나\n\n둘\t셋", 3),
        ("3.5 km", 2),
    ],
)
def test_words_are_told_by_spaces(text: str, n: int) -> None:
    assert count_words(text) == n


@pytest.mark.parametrize(
    ("text", "word", "holds"),
    [
        ("사과를 먹었다", "사과", True),  # `\b` would not see it
        ("나는 사랑합니다", "사랑", True),
        ("대통령실에서", "대통령", True),
        ("이발바리", "바리", False),
        ("예정입니다", "예", False),
        ("예는 없다", "예", True),
        ("답은 '예'입니다", "예", True),
        ("예들에게는", "예", True),
        ("AI는 좋다", "ai", True),
        ("AIM은 좋다", "ai", False),
        ("C++를 배운다", "C++", True),
        ("", "예", False),
    ],
)
def test_forbidden_words(text: str, word: str, holds: bool) -> None:
    assert holds_word(text, word) is holds


@pytest.mark.parametrize(
    ("text", "word", "starts"),
    [
        ("기업은 오늘도", "기업", True),
        ('"기업"이란', "기업", True),
        ("오늘 기업은", "기업", False),
        ("", "기업", False),
    ],
)
def test_first_words_may_have_particles(text: str, word: str, starts: bool) -> None:
    assert starts_with_word(text, word) is starts


@pytest.mark.parametrize(
    ("text", "letter", "n"),
    [
        ("국밥", "ㄱ", 2),
        ("국밥", "ㅂ", 2),
        ("국밥", "국", 1),
        ("ㅋㅋ 크다", "ㅋ", 3),
        ("넋", "ㄳ", 1),
        ("넋", "ㄱ", 0),
        ("Apple 사과", "p", 2),
        ("가각", "ㅏ", 2),
    ],
)
def test_letters(text: str, letter: str, n: int) -> None:
    assert count_letter(text, letter) == n


def test_characters() -> None:
    assert count_characters("나는 간다.\n끝", with_spaces=True) == 7
    assert count_characters("나는 간다.\n끝", with_spaces=False) == 6
