"""What is prose, and what is not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.gates.prose import parted, prose, spoken, without_tables
from synth.samples import Call, Item, Message, Sample
from tests.synth.gates.judged import document, said


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("앞\n```python\nprint('中')\n```\n뒤", "앞 뒤"),
        ("앞\n```\nopen to the end", "앞"),
        ("~~~js\nlet a = 1\n~~~\n뒤", "뒤"),
        ("````md\n```\ninner\n```\n````\n뒤", "뒤"),
        ("값은 `var_name`입니다.", "값은 입니다."),
        ("식 $x^2 + y$ 끝", "식 끝"),
        ("식 $$\\int_0^1 f$$ 끝", "식 끝"),
        (r"식 \(a+b\) 와 \[c\] 끝", "식 와 끝"),
        (r"\begin{align*}a&=b\end{align*} 끝", "끝"),
        (r"답은 \boxed{3}입니다.", "답은 {3}입니다."),
        ("It costs $5 and I have $10 left.", "It costs $5 and I have $10 left."),
        ("보세요: https://example.com/길?a=b 그리고", "보세요: 길?a=b 그리고"),
        ("www.example.com에서", "에서"),
        ('<tool_call>{"name": "f"}</tool_call> 끝', "끝"),
        ("a < b이면 참", "a < b이면 참"),
    ],
)
def test_what_is_no_prose_is_taken_off(text: str, left: str) -> None:
    assert " ".join(prose(text).split()) == left


@given(st.text(alphabet=st.sampled_from("가나 다.\nabc1,?!")))
def test_plain_text_is_left_alone(text: str) -> None:
    assert prose(text) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200) | st.text("`$\\[]()~<>\n a", max_size=200))
def test_nothing_is_added(text: str) -> None:
    assert len(prose(text)) <= len(text)
    assert len(without_tables(text)) <= len(text)


def test_time_does_not_explode() -> None:
    for piece in ("\\[", "$$", "`", "$a", "```\n", "\\begin{a}", "<tool_call>", "<think>"):
        assert len(prose(piece * 5000)) <= 5000 * len(piece)


def test_thoughts_are_parted_from_the_answer() -> None:
    assert parted("<think>Let me see.\n\n3</think>\n답은 3") == ("Let me see.\n\n3", "\n\n답은 3")
    assert parted("답은 3") == ("", "답은 3")
    assert parted("<think>no end") == ("", "<think>no end")


def test_what_is_spoken() -> None:
    decomposed = "\u1112\u1161\u11ab"
    assert spoken(said(decomposed)) == "한"
    assert spoken(document("글")) == "글"
    answer = (
        Message("assistant", "찾아볼게요.", (Call("f", '{"中": 1}'),)),
        Message("tool", "中文", name="f"),
        Message("user", "中"),
        Message("assistant", "맑습니다."),
    )
    assert spoken(Sample(Item("0", ""), "messages", "ko", answer=answer)) == "찾아볼게요.\n맑습니다."


def test_tables_and_rules() -> None:
    text = "앞\n| a | b |\n|---|---|\n| 1 | 2 |\n-----\n=== \n뒤 - 끝\n" + "-" * 300
    assert without_tables(text) == "앞\n뒤 - 끝\n" + "-" * 300


def test_thoughts_that_never_end_take_no_time() -> None:
    started = time.monotonic()
    assert parted("<think>" * 20_000) == ("", "<think>" * 20_000)
    assert time.monotonic() - started < 5
