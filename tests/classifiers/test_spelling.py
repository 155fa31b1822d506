"""Spellings that hide words, and ordinary text that the view leaves as it is."""

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from classifiers.spelling import hidden_words, plain_spelling, read_as, spell

HIDING = [
    "카.지.노", "카 지 노", "카-지-노", "카_지_노", "카·지·노", "카♥지♥노", "카🎰지🎰노", "카 . 지 . 노",
    "카\u200b지\u200b노",
    "ㅋㅏㅈㅣㄴㅗ", "카ㅈㅣ노", "ㅋㅏ지노", "카ㅈl노", "ㅋr지노", "ㅋㅏ.ㅈㅣ.ㄴㅗ", "카1지1노",
    "ﾻￂﾸￜﾤￌ", unicodedata.normalize("NFD", "카지노"),
]  # fmt: skip


@pytest.mark.parametrize("text", HIDING)
def test_a_hidden_word_is_read(text: str) -> None:
    assert spell(text) == "카지노"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("먹ㅌㅟ 없는 토-토사이트", "먹튀 없는 토토사이트"),
        ("ㅁㅓㄱㅌㅟ ㅊㅜㄹㅈㅏㅇ", "먹튀 출장"),
        ("시1발 씨.발 병@신", "시발 씨발 병신"),
        ("ｃａｓｉｎｏ сasino cásino c.a.s.i.n.o ⓒⓐⓢⓘⓝⓞ 🅒🅐🅢🅘🅝🅞", " ".join(["casino"] * 6)),
        ("p o r n P0RN 𝓹𝓸𝓻𝓷", "porn porn porn"),
        (
            "공일공-일이삼사-오육칠팔 o1o.9876.5432로 010 1234 5678이다",
            "010-0000-0000 010-0000-0000로 010-0000-0000이다",
        ),
        ("오 늘 밤 만 남", "오늘밤만남"),
    ],
)
def test_more_spellings(text: str, read: str) -> None:
    assert spell(text) == read


ORDINARY = [
    "정말 ㅋㅋㅋ 웃겨 ㅠㅠ ㅎㅎ ㅇㅅㅇ ㅋㅠㅠ ㅡㅡ;", "초·중·고 교사와 남/여 학생", "제1조, 제2항과 3-4쪽",
    "박○○ 씨, 이** 씨",
    "할 수 있는 그 때 그 사람", "네. 그리고 참! 말이다.", "서울-부산 간 열차", "1588-1234, 02-123-4567, 20230115",
    "e.g. i18n utf8 base64", "한 손 엔", "그는 지 노력했다", "привет, мир", "αβγ",
    "1. 가\n나\n다", "漢字와 かな", "5공 시절",
]  # fmt: skip


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays(text: str) -> None:
    assert spell(text) == text


PIECES = st.sampled_from(
    "카지노토먹튀시발공일이 .·-*1034lro$\n\tㅋㅏㅈㅣㄴㅗㅠㅎㅌㅟㅜㅡ♥🎰abcpornSEX\u200bＡаé①ﾻￂ\u1100\u1161"
)


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=24).map("".join))
@example("010-0000-00000")
@example("ㅋㅋㅏ")
def test_it_is_read_the_same_twice(text: str) -> None:
    once = spell(text)
    assert spell(once) == once


@given(st.text(max_size=60))
def test_any_text_stays_text(text: str) -> None:
    once = spell(text)
    assert spell(once) == once
    assert once.count("\n") == text.count("\n")


@given(st.lists(st.one_of(st.none(), st.lists(PIECES, max_size=8).map("".join)), max_size=6), st.integers(0, 3))
def test_a_text_is_read_by_itself(texts: list[str | None], start: int) -> None:
    whole = pa.array(texts, pa.large_string()).slice(start)
    found = plain_spelling(whole)
    assert found.to_pylist() == [None if text is None else spell(text) for text in texts[start:]]
    assert found.type == pa.large_string()


@pytest.mark.parametrize("sign", [".", "♥", "1"])
def test_every_hidden_word_is_found_across_a_sign(sign: str) -> None:
    for word in hidden_words():
        assert spell(sign.join(word)) == word


def test_a_view_has_a_name() -> None:
    texts = pa.array(["카.지.노"], pa.large_string())
    assert read_as(texts, None) is texts
    assert read_as(texts, "spelling-1").to_pylist() == ["카지노"]
