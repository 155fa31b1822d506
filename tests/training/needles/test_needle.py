"""Needles: right particles, nothing that can be guessed, and answers are read as people read them."""

import random
import re
import unicodedata
from string import Formatter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from manifests.errors import RunError
from training.needles.haystack import Language, read_haystack
from training.needles.needle import FORMS, draw, has_final, is_said, with_particle

CODES = st.integers(10**6, 10**7 - 1).map(str)
LANGUAGES: tuple[Language, ...] = ("ko", "en")


@given(st.integers(0xAC00, 0xD7A3).map(chr))
def test_final_consonants_are_those_of_the_decomposition(syllable: str) -> None:
    assert has_final(f"가{syllable}") == (len(unicodedata.normalize("NFD", syllable)) == 3)


@pytest.mark.parametrize(
    ("word", "expected"),
    [("솔", "솔이"), ("나무", "나무가"), ("1230", "1230이"), ("1239", "1239가"), ("77", "77이"), ("12", "12가")],
)
def test_particles_follow_the_last_sound(word: str, expected: str) -> None:
    assert with_particle(word, "이", "가") == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_needles_are_well_worded_and_all_different(language: Language) -> None:
    rng, drawn, kinds = random.Random(0), set[str](), set[str]()
    for _ in range(400):
        hidden = draw(language, rng, drawn.__contains__)
        assert hidden.code not in drawn and hidden.name not in drawn
        drawn |= {hidden.code, hidden.name}
        kinds.add(hidden.kind)
        assert hidden.sentence.startswith(hidden.begun + " " + hidden.code) and hidden.sentence[-1] == "."
        assert hidden.code not in hidden.question and hidden.name in hidden.question and hidden.name in hidden.begun
        assert hidden.begun not in hidden.question
        assert (re.fullmatch(r"[1-9][0-9]{6}", hidden.code) is not None) == (hidden.kind == "number")
        for said, consonant, vowel in ((hidden.begun, "은", "는"), (hidden.begun, "이", "가")):
            for particle in re.findall(rf"{hidden.name}([{consonant}{vowel}])\b", said):
                assert particle == (consonant if has_final(hidden.name) else vowel)
    assert kinds == {"number", "word"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_forms_name_what_they_hide_once_and_the_question_does_not_end_as_the_answer_begins(
    language: Language,
) -> None:
    for form in FORMS[language]:
        fields = [field for _, field, _, _ in Formatter().parse(form.sentence) if field]
        assert len([field for field in fields if field.startswith("code")]) == 1
        assert form.sentence.startswith(form.begun)
        assert " ".join(form.begun.split()[-3:]) + " " not in form.question


@pytest.mark.parametrize("language", LANGUAGES)
def test_needles_do_not_stand_in_the_text(language: Language) -> None:
    haystack, rng = read_haystack(language, None, "."), random.Random(1)
    text = "".join(haystack.sentences)
    for _ in range(20):
        hidden = draw(language, rng, haystack.holds)
        assert hidden.name.lower() not in text.lower() and hidden.code not in text
        assert not is_said(hidden.code, text)


def test_what_is_known_is_not_drawn() -> None:
    rng = random.Random(2)
    first = draw("ko", random.Random(2), lambda word: False)
    second = draw("ko", rng, lambda word: word in {first.name, first.code})
    assert {first.name, first.code}.isdisjoint({second.name, second.code})
    with pytest.raises(RunError, match=r"1000 draws gave no name or code .*lower `needle.n`"):
        draw("en", rng, lambda word: True)


@pytest.mark.parametrize(
    "answer",
    [
        "1234567",
        "비밀 번호는 1234567입니다.",
        "It is 1,234,567.",
        "1 234 567",
        "1-2-3-4-5-6-7",
        "123 45 67",
        "**1234567**",
        "１２３４５６７",
        "１，２３４，５６７",
        "x1234567y",
        "7654321? No, 1234567",
    ],
)
def test_numbers_are_found_however_they_are_written(answer: str) -> None:
    assert is_said("1234567", answer)


@pytest.mark.parametrize(
    "answer", ["", "123456", "12345678", "01234567", "1234576", "1234 and 567", "12.34.56", "칠"]
)
def test_other_numbers_are_not(answer: str) -> None:
    assert not is_said("1234567", answer)


@pytest.mark.parametrize(
    ("code", "answer", "expected"),
    [
        ("거별조현", "거별조현입니다.", True),
        ("거별조현", unicodedata.normalize("NFD", "암호는 '거별조현'을 씁니다"), True),
        ("거별조현", "거별 조현", False),
        ("거별조현", "거별조한", False),
        ("krevutul", "The word is “Krevutul”.", True),
        ("krevutul", "ＫＲＥＶＵＴＵＬ", True),
        ("krevutul", "krevutul's", True),
        ("krevutul", "krevutulin", False),
        ("krevutul", "akrevutul", False),
    ],
)
def test_words_are_found_with_what_may_follow_them(code: str, answer: str, expected: bool) -> None:
    assert is_said(code, answer) == expected


@given(CODES, CODES, st.text("ㅋ가힣 a.,!?\u0301\u1100\u1161👍🏽\n", max_size=12))
@example("1000000", "1000001", "")
def test_a_code_is_found_in_any_text_around_it_and_no_other_is(code: str, other: str, around: str) -> None:
    assert is_said(code, f"{around} {code} {around}")
    assert is_said(other, f"{around} {code} {around}") == (code == other)
