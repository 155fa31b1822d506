"""What all tasks share: how answers are read, and asked for again."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.tasks.task import UnfitError, json_of, text_of
from synth.teachers.answers import Answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("글", "length"), "cut"),
        (Answer("글", ""), "cut"),
        (Answer("글", "content_filter"), "refused"),
        (Answer("글", "stop", refusal="아니요"), "refused"),
        (Answer(" \n", "stop"), "empty"),
    ],
)
def test_what_is_no_answer_is_not_read(answer: Answer, reason: str) -> None:
    with pytest.raises(UnfitError) as error:
        text_of(answer)
    assert error.value.reason == reason


@given(st.text("각가ᄒ\u1161\u11ab ㅋㅠe\u0301🙂漢", min_size=1).filter(str.strip))
def test_texts_are_read_as_syllables(text: str) -> None:
    read = text_of(Answer(unicodedata.normalize("NFD", text), "stop"))
    assert read == unicodedata.normalize("NFC", text.strip()) and unicodedata.is_normalized("NFC", read)
    assert "ㅋ" not in text or "ㅋ" in read, "jamo that stand alone stay"


def test_json_is_read_as_syllables() -> None:
    schema = {"type": "object", "properties": {"말": {"type": "string"}}, "required": ["말"]}
    said = unicodedata.normalize("NFD", '{"말": "옹기"}')
    assert json_of(Answer(said, "stop"), schema) == {"말": "옹기"}
    with pytest.raises(UnfitError, match="schema"):
        json_of(Answer('{"말": 3}', "stop"), schema)
