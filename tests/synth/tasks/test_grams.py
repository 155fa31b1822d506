"""What texts have in common."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from synth.tasks.grams import grams, jaccard, squeezed, unspaced


def test_grams() -> None:
    assert grams("옹기장이", 3) == {"옹기장", "기장이"}
    assert grams("옹", 3) == {"옹"}
    assert grams("", 3) == frozenset()


def test_jaccard() -> None:
    assert jaccard({"a", "b"}, {"b", "c"}) == 1 / 3
    assert jaccard(frozenset(), frozenset()) == 1
    assert jaccard(frozenset(), {"a"}) == 0


def test_what_counts_of_a_text() -> None:
    assert squeezed("  항아리, 3개! (Jar)") == "항아리3개jar"
    assert unspaced("항 아리,\t3개 ㅋㅋ") == "항아리,3개ㅋㅋ"


@given(st.text(max_size=60), st.integers(1, 7))
def test_any_text(text: str, n: int) -> None:
    for plain in (squeezed(text), unspaced(text)):
        assert plain in (squeezed(unicodedata.normalize("NFD", text)), unspaced(unicodedata.normalize("NFD", text)))
        found = grams(plain, n)
        assert all(one in plain and 0 < len(one) <= n for one in found)
        assert jaccard(found, found) == 1
