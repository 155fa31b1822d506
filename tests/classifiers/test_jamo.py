"""Korean parted into jamo, against Python's own normalisation."""

import unicodedata
from collections.abc import Sequence

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from classifiers.jamo import KEYBOARD, LAST_KEYBOARD, part_syllables
from classifiers.spelling import plain_spelling, read_as

HANGUL = st.one_of(
    st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3),
    st.characters(min_codepoint=KEYBOARD, max_codepoint=LAST_KEYBOARD),
)
TEXT = st.text(st.one_of(HANGUL, st.characters(exclude_categories=["Cs"])), max_size=40)


def large(texts: Sequence[str | None]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def as_python_parts(text: str) -> str:
    """Hangul by NFKD, every other character as it is."""
    return "".join(
        unicodedata.normalize("NFKD", c) if "가" <= c <= "힣" or KEYBOARD <= ord(c) <= LAST_KEYBOARD else c
        for c in text
    )


@given(st.lists(TEXT, max_size=4))
def test_it_parts_as_unicode_does_and_leaves_the_rest(texts: list[str]) -> None:
    assert part_syllables(large(texts)).to_pylist() == [as_python_parts(text) for text in texts]


@given(TEXT)
def test_twice_is_once(text: str) -> None:
    once = part_syllables(large([text]))
    assert part_syllables(once).equals(once)


def test_nulls_slices_and_nothing() -> None:
    texts = large(["값", None, "", "a가"])
    assert part_syllables(texts.slice(1)).to_pylist() == [None, "", "a\u1100\u1161"]
    assert part_syllables(large([])).to_pylist() == []


def test_the_view_undoes_spellings_first() -> None:
    hidden, plain = large(["시1발 ㅅㅣㅂㅏㄹ 씨.발"]), large(["시발 시발 씨발"])
    assert read_as(hidden, "jamo-1").equals(read_as(plain, "jamo-1"))
    assert read_as(hidden, "jamo-1").equals(part_syllables(plain_spelling(hidden)))
    assert read_as(hidden, None).equals(hidden)
