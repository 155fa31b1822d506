"""Texts are parted where they pause, and no character is lost."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.tasks.passages import SENTENCES, chunks, cut, parts

TEXTS = st.lists(
    st.sampled_from(
        [
            "그는 집에 갔다.",
            "비가 왔다.그래서 쉬었다.",
            "Dr. Kim left.",
            "정말?",
            "말했다.”",
            "ㅋㅋㅋ",
            "👨‍👩‍👧",
            "각",
            "\n",
            "\n\n",
            " ",
            "。",
            "…",
        ]
    )
    | st.text(max_size=12),
    max_size=40,
).map("".join)


def squeezed(text: str) -> str:
    return "".join(text.split())


@given(TEXTS, st.integers(1, 12))
def test_chunks_hold_every_character_in_order_and_fit(text: str, max_words: int) -> None:
    found = chunks(text, max_words)
    assert squeezed("".join(found)) == squeezed(text)
    assert all(1 <= len(chunk.split()) <= max_words for chunk in found)
    assert all(chunk == chunk.strip() and chunk in text for chunk in found)


@given(TEXTS, st.integers(1, 60))
def test_a_cut_text_is_its_beginning_and_fits(text: str, max_chars: int) -> None:
    found = cut(text, max_chars)
    assert text.strip().startswith(found)
    assert len(found) <= max_chars
    assert bool(found) == bool(text.strip())


@given(TEXTS, st.integers(1, 12))
def test_no_two_neighbours_would_fit_in_one_chunk_of_words(text: str, max_words: int) -> None:
    """Where there is only one kind of break, chunks are as full as can be."""
    words = text.split()
    found = chunks(
        " ".join(word.translate(dict.fromkeys(map(ord, ".!?…。！？"))) or "x" for word in words), max_words
    )
    assert len(found) == -(-len(words) // max_words)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("그는 집에 갔다. 비가 왔다.", ["그는 집에 갔다.", "비가 왔다."]),
        ("비가 왔다.그래서 쉬었다.", ["비가 왔다.", "그래서 쉬었다."]),
        ("“가자.” 그가 말했다.", ["“가자.”", "그가 말했다."]),
        ("정말요? 네! 그렇군요… 알겠습니다.", ["정말요?", "네!", "그렇군요…", "알겠습니다."]),
        ("값은 3.5다. 끝.", ["값은 3.5다.", "끝."]),
        ("Dr. Kim met J. Park at 3 p.m. today. They left.", ["Dr. Kim met J. Park at 3 p.m. today.", "They left."]),
        (
            "Fruit, e.g. Apples, is good (see Fig. 3). Eat it.",
            ["Fruit, e.g. Apples, is good (see Fig. 3).", "Eat it."],
        ),
        ("So did I. Then it rained.", ["So did I.", "Then it rained."]),
        ("1. 물을 끓인다. 2. 면을 넣는다.", ["1. 물을 끓인다.", "2.", "면을 넣는다."]),
        ("これは本です。次です。", ["これは本です。", "次です。"]),
        ('He said "No." She left.', ['He said "No."', "She left."]),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in parts(text, 0, len(text), SENTENCES)] == sentences
    assert cut(text + " " + "가" * 200, len(text) + 3) == text


def test_paragraphs_go_before_sentences() -> None:
    text = "하나 둘 셋. 넷 다섯.\n\n여섯 일곱 여덟. 아홉.\n\n열."
    assert chunks(text, 5) == ["하나 둘 셋. 넷 다섯.", "여섯 일곱 여덟. 아홉.\n\n열."]
    assert chunks(text, 3) == ["하나 둘 셋.", "넷 다섯.", "여섯 일곱 여덟.", "아홉.", "열."]


def test_lines_without_stops_are_kept_whole() -> None:
    assert chunks("사과 세 개\n배 두 개\n감 한 개", 6) == ["사과 세 개\n배 두 개", "감 한 개"]


def test_a_character_is_not_cut_in_two() -> None:
    decomposed = unicodedata.normalize("NFD", "각" * 10)
    assert cut(decomposed, 8) == decomposed[:6]
    assert cut("e\u0301" * 9, 5) == "e\u0301" * 2
    assert cut("\u0301" * 9, 4) == "\u0301" * 4


def test_an_early_break_is_not_worth_the_rest() -> None:
    assert cut("짧다.\n\n" + "긴 말이 " * 20, 50).count("긴") > 5
