"""What all tasks share: how answers are read, and asked for again."""

import unicodedata

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.samples import Ask, Item
from synth.tasks.multi_turn import MultiTurn
from synth.tasks.preferences import Preferences
from synth.tasks.task import REFUSED_REQUEST, UnfitError, json_of, text_of
from synth.teachers.answers import Answer
from tests.synth.scripted import manifest, play, seed_of, setting


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


def test_a_refused_request_is_one_answer_less() -> None:
    """An answer that was cut off is asked for with more room than the model has; the others do without it."""
    rooms: list[int] = []

    def say(ask: Ask) -> Answer:
        if ask.role == "judge":
            return Answer(f'{{"reason": "그렇다.", "score": {4 + len(ask.request.messages[-1][1]) % 5}}}', "stop")
        number, room = seed_of(ask) // 20, orjson.loads(ask.request.sampling)["max_tokens"]
        if number == 2:
            rooms.append(room)
            return Answer("", REFUSED_REQUEST, refusal="max_tokens") if room > 512 else Answer("옹", "length")
        return Answer(f"옹기는 {'아주 ' * number}좋은 그릇입니다.", "stop")

    task = Preferences(setting(manifest({"kind": "preferences", "samples": 4})))
    played = play(task, Item("a", "옹기가 뭔가요?", "ko"), say)
    assert rooms == [512, 1024], "what is refused is not asked for again"
    (pair,) = played.kept
    assert pair.numbers["margin"] >= 1


def test_what_was_cut_off_is_the_reason_and_not_the_lack_of_room() -> None:
    def say(ask: Ask) -> Answer:
        room = orjson.loads(ask.request.sampling)["max_tokens"]
        return Answer("", REFUSED_REQUEST, refusal="max_tokens") if room > 512 else Answer("옹", "length")

    task = MultiTurn(setting(manifest({"kind": "multi_turn"})))
    (sample,) = play(task, Item("a", "옹기가 뭔가요?", "ko"), say).samples
    assert sample.rejection and sample.rejection.reason == "cut"


@pytest.mark.parametrize(
    "inner",
    ['"\\ud800"', "1e400", "123456789012345678901234567890", '{"b":' * 300 + "1" + "}" * 300, "[" * 900 + "]" * 900],
)
def test_json_that_nobody_else_reads(inner: str) -> None:
    """One answer must not end a run: what is made of it goes into prompts, keys and tables."""
    with pytest.raises(UnfitError) as error:
        json_of(Answer(f'{{"a": {inner}}}', "stop"), {"type": "object"})
    assert error.value.reason == "not_json"
    assert json_of(Answer('{"a": [1, -2.5, null, true, "ㅋ🙂"]}', "stop"), {"type": "object"})
