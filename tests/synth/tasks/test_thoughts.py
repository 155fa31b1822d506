"""Thoughts in tags, and thoughts that mix languages."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.tasks.task import UnfitError
from synth.tasks.thoughts import Trace, trace_of, why_not_mixed
from synth.teachers.answers import Answer

WORDS = st.text(st.sampled_from("ab 12가각\u1100\u1161ㅋ👍\u0301漢\n"), min_size=1).filter(lambda text: text.strip())


@given(WORDS, WORDS)
def test_what_is_in_tags_comes_back(thoughts: str, said: str) -> None:
    found = trace_of(Answer(f"<think>{thoughts}</think>{said}", "stop"), with_thoughts=True)
    thoughts, said = (unicodedata.normalize("NFC", text.strip()) for text in (thoughts, said))
    assert found == Trace(thoughts, said)
    assert trace_of(Answer(found.text, "stop"), with_thoughts=True) == found
    assert trace_of(Answer(found.text, "stop"), with_thoughts=False) == Trace("", said)


def test_a_chat_template_may_have_opened_the_tag() -> None:
    assert trace_of(Answer("Hm, 7.\n</think>\n\n7", "stop"), with_thoughts=True) == Trace("Hm, 7.", "7")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("7", "no_thoughts"),
        ("<think> </think>7", "no_thoughts"),
        ("<think>Hm", "cut"),
        ("<think>Hm</think>", "cut"),
        ("<think>a</think>7<think>b</think>8", "form"),
        ("First <think>a</think>7", "form"),
        ("<think>a</think>7<think>", "cut"),
    ],
)
def test_tags_that_are_not_one_pair_at_the_beginning(text: str, reason: str) -> None:
    with pytest.raises(UnfitError) as found:
        trace_of(Answer(text, "stop"), with_thoughts=True)
    assert found.value.reason == reason


def test_the_models_own_thoughts_hold_no_tags() -> None:
    with pytest.raises(UnfitError, match="form"):
        trace_of(Answer("7", "stop", reasoning="Hm </think> 7"), with_thoughts=True)


SAID = "모두 더하면 7개입니다."


@pytest.mark.parametrize(
    ("thoughts", "said", "is_mixed"),
    [
        ("So the 거스름돈 is 1800 won, since 지우 paid too much.", SAID, True),
        ("사과 and 배 make seven in all", SAID, True),
        ("사과 and 사과 make seven in all", SAID, False),
        ("We count them and find seven.", SAID, False),
        ("사과가 3개, 배가 4개이므로 모두 일곱 개 ok", SAID, False),
        ("사과와 배: $\\text{apples and pears} = 7$ `print(apples)` \\frac{1}{2}", SAID, False),
        ("ㅋㅋㅋ the answer is seven ㅠㅠ", SAID, False),
        ("So the 거스름돈 is 1800, since 지우 paid.", "The change is 1800.", False),
        ("So the 거스름돈 is 1800, since 지우 paid.", "\\boxed{1800}", False),
        ("So the 거스름돈 is 1800, since 지우 paid.", "따라서, 정답은: \\boxed{1800}", True),
    ],
)
def test_mixed_is_english_that_keeps_korean_words(thoughts: str, said: str, is_mixed: bool) -> None:
    assert (why_not_mixed(Trace(thoughts, said)) is None) == is_mixed


def test_decomposed_hangul_is_hangul() -> None:
    text = f"<think>So the 거스름돈 is 1800, since 지우 paid.</think>{SAID}"
    trace = trace_of(Answer(unicodedata.normalize("NFD", text), "stop"), with_thoughts=True)
    assert why_not_mixed(trace) is None
    assert trace.said == SAID
