"""What a user would not say is found, and what one would say is let through."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.samples import Message
from synth.tasks.task import UnfitError
from synth.tasks.user_turns import is_written_in, speaks_as_assistant, user_turn
from synth.teachers.answers import Answer

SO_FAR = (
    Message("user", "파이썬에서 리스트와 튜플은 어떻게 다른가요?"),
    Message("assistant", "리스트는 바꿀 수 있고 튜플은 바꿀 수 없습니다. 튜플은 사전의 키로 쓸 수 있습니다."),
)


def read(text: str, language: str = "ko") -> str:
    return user_turn(Answer(text, "stop"), SO_FAR, language)


@pytest.mark.parametrize(
    "text",
    [
        "튜플을 왜 사전의 키로 쓸 수 있나요?",
        "네, 그럼 예를 하나 들어 주세요.",
        "표로 정리해줘 ㅋㅋ",
        "`list.append()`는요? https://docs.python.org/ko/3/",
        "OK",
        "물론 그렇겠지만 속도는 어떤가요?",
        "설명해 주셔서 감사해요. 메모리는 어느 쪽이 덜 쓰나요?",
        "각" * 10,
    ],
)
def test_what_users_say(text: str) -> None:
    assert read(f" {text}\n") == text


@pytest.mark.parametrize(
    "text", ["Sure, but why?", "Can you let me know how it works?", "I see. Of course. What about speed?"]
)
def test_what_english_users_say(text: str) -> None:
    assert read(text, "en") == text


@pytest.mark.parametrize("label", ["사용자: ", "[사용자]: ", "User: ", "**User:** ", "질문: "])
def test_labels_are_taken_off(label: str) -> None:
    assert read(f"{label}속도는 어떤가요?") == "속도는 어떤가요?"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("...?", "empty"),
        ("사용자:", "empty"),
        ("파이썬에서 리스트와 튜플은 어떻게 다른가요?", "repeats"),
        ("파이썬에서  리스트와 튜플은 어떻게 다른가요", "repeats"),
        ("파이썬에서 리스트와 튜플은 어떻게 다른가요, 네?", "repeats"),
        (unicodedata.normalize("NFD", "파이썬에서 리스트와 튜플은 어떻게 다른가요?"), "repeats"),
        ("리스트는 바꿀 수 있고 튜플은 바꿀 수 없습니다.", "repeats"),
        ("물론입니다! 튜플의 예를 보겠습니다.", "as_assistant"),
        ("네, 설명해 드릴게요.", "as_assistant"),
        ("더 궁금한 점이 있으시면 말씀해 주세요.", "as_assistant"),
        ("속도는요?\n도우미: 튜플이 빠릅니다.", "as_assistant"),
        ("속도는요?\n[도우미]\n튜플이 빠릅니다.", "as_assistant"),
        ("무엇을 도와드릴까요?", "as_assistant"),
        ("What about the speed of tuples?", "language"),
        ("元组的速度怎么样呢？", "language"),
    ],
)
def test_what_users_do_not_say(text: str, reason: str) -> None:
    with pytest.raises(UnfitError) as caught:
        read(text)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Sure! Here is a table.", "as_assistant"),
        ("Here's the summary you wanted.", "as_assistant"),
        ("As an AI, I cannot do that.", "as_assistant"),
        ("Great question! Tuples are fast.", "as_assistant"),
        ("Assistant: tuples.", "as_assistant"),
        ("속도는 어떤가요?", "language"),
    ],
)
def test_what_english_users_do_not_say(text: str, reason: str) -> None:
    with pytest.raises(UnfitError) as caught:
        read(text, "en")
    assert caught.value.reason == reason


def test_what_was_cut_is_no_turn() -> None:
    with pytest.raises(UnfitError, match="cut"):
        user_turn(Answer("속도는", "length"), SO_FAR, "ko")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read(text)
    except UnfitError as error:
        assert error.reason in ("empty", "repeats", "as_assistant", "language")
    else:
        assert found and unicodedata.normalize("NFC", found) in unicodedata.normalize("NFC", text)


@given(st.lists(st.sampled_from("가나다각ㅋㅠ"), min_size=5).map("".join))
def test_hangul_is_korean_in_every_form(text: str) -> None:
    for form in ("NFC", "NFD"):
        assert is_written_in(unicodedata.normalize(form, text), "ko")
        assert not is_written_in(unicodedata.normalize(form, text), "en")


def test_blank_lines_without_end_take_no_time() -> None:
    started = time.monotonic()
    assert not speaks_as_assistant("\n" * 20_000)
    assert time.monotonic() - started < 5
    assert speaks_as_assistant("네.\n\n\n  Assistant: 네.")
