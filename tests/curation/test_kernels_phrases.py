"""Automata against Python's `in` and `endswith`."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.kernels.phrases import compile_endings, compile_phrases, find_endings, find_phrases

alphabet = st.text("abK\u212a 가나다", max_size=12)
spellings = st.text("abk가나", min_size=1, max_size=4)


@given(phrases=st.lists(st.lists(spellings, min_size=1, max_size=3), min_size=1, max_size=6), text=alphabet)
@settings(max_examples=200, deadline=None)
def test_phrases_are_found_in_either_case(phrases: list[list[str]], text: str) -> None:
    utf8 = np.frombuffer(text.encode(), np.uint8)
    found = find_phrases(utf8, 0, len(utf8), compile_phrases(phrases))
    expected = [any(spelling in text.lower() for spelling in item) for item in phrases]
    assert [bool(found >> i & 1) for i in range(len(phrases))] == expected


def test_more_phrases_than_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="64 phrases; one automaton holds at most 63"):
        compile_phrases([[str(i)] for i in range(64)])


@given(
    suffixes=st.sets(spellings, min_size=1, max_size=5).map(sorted),
    words=st.sets(spellings, min_size=1, max_size=5).map(sorted),
    word=st.text("abk가나", min_size=1, max_size=6),
)
@settings(max_examples=200, deadline=None)
def test_endings(suffixes: list[str], words: list[str], word: str) -> None:
    utf8 = np.frombuffer(word.encode(), np.uint8)
    is_closed, number = find_endings(utf8, 0, len(utf8), 0, compile_endings(suffixes, words))
    assert is_closed == any(word.endswith(suffix) and word != suffix for suffix in suffixes)
    closing = max((item for item in words if word.endswith(item)), key=len, default=None)
    assert (words[number] if number >= 0 else None) == closing
