"""Script shares against counting with `unicodedata`, character by character."""

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.scripts import script_shares

assigned = st.characters(exclude_categories=["Cs", "Cn"])
korean_or_any = st.text(
    st.one_of(assigned, st.sampled_from("가힣ㄱㅣᄀᆨﾡ한글 abcÀßａＺ漢々〆カナひｶー1２٣.,#\n\t\u3000😀")), max_size=40
)

SCRIPT_NAMES = {"HANGUL": "hangul", "LATIN": "latin", "FEMININE": "latin", "MASCULINE": "latin", "CJK ": "han"}
SCRIPT_NAMES |= {"HIRAGANA": "kana", "HENTAIGANA": "kana", "KATAKANA": "kana"}


def script_of(char: str) -> str:
    """By the Unicode name; empty for what is not a letter."""
    if not unicodedata.category(char).startswith("L"):
        return ""
    name = unicodedata.name(char, "").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
    for prefix, script in SCRIPT_NAMES.items():
        if name.startswith(prefix):
            return script
    return "other"


def share(part: int, whole: int) -> np.float32:
    return np.float32(part / whole) if whole else np.float32(0)


def test_every_letter_of_unicode_has_its_script() -> None:
    letters = [char for char in map(chr, range(0x32000)) if script_of(char)]
    shares = script_shares(pa.array(letters, pa.large_string()))
    for script in ("hangul", "latin", "han", "kana"):
        found = getattr(shares, f"{script}_frac")
        assert [c for c, f in zip(letters, found, strict=True) if f != (script_of(c) == script)] == []


@given(st.lists(korean_or_any, max_size=6))
def test_shares_equal_counting_character_by_character(texts: list[str]) -> None:
    shares = script_shares(pa.array(texts, pa.large_string()))
    for row, text in enumerate(texts):
        letters = [script_of(char) for char in text if script_of(char)]
        visible = [c for c in text if unicodedata.category(c)[0] != "Z" and c not in "\t\n\v\f\r\x85"]
        digits = [c for c in visible if unicodedata.category(c) == "Nd"]
        symbols = [c for c in visible if unicodedata.category(c)[0] in "SP"]
        assert shares.n_letters[row] == len(letters)
        assert shares.n_chars[row] == len(visible)
        assert shares.hangul_frac[row] == pytest.approx(share(letters.count("hangul"), len(letters)))
        assert shares.latin_frac[row] == pytest.approx(share(letters.count("latin"), len(letters)))
        assert shares.kana_frac[row] == pytest.approx(share(letters.count("kana"), len(letters)))
        assert shares.han_frac[row] == pytest.approx(share(letters.count("han"), len(letters)))
        assert shares.letter_frac[row] == pytest.approx(share(len(letters), len(visible)))
        assert shares.digit_frac[row] == pytest.approx(share(len(digits), len(visible)))
        assert shares.symbol_frac[row] == pytest.approx(share(len(symbols), len(visible)))


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("한글 abc", "hangul_frac", 2 / 5),
        ("ㅋㅋㅋ", "hangul_frac", 1.0),
        ("ﾡ", "hangul_frac", 1.0),
        ("漢字かなカナ", "kana_frac", 4 / 6),
        ("漢字かなカナ", "han_frac", 2 / 6),
        ("Ünïcode ａ", "latin_frac", 1.0),
        ("привет a", "latin_frac", 1 / 7),
        ("12 ab", "digit_frac", 0.5),
        ("a.b!", "symbol_frac", 0.5),
        ("", "hangul_frac", 0.0),
        ("123 !?", "latin_frac", 0.0),
        ("\U00020000", "han_frac", 1.0),
    ],
)
def test_known_shares(text: str, field: str, expected: float) -> None:
    assert getattr(script_shares(pa.array([text], pa.large_string())), field)[0] == pytest.approx(expected)


def test_slices_nulls_and_empty_arrays() -> None:
    texts = pa.array(["abc", "한글", None, "ab한"], pa.large_string())
    assert script_shares(texts.slice(1)).hangul_frac.tolist() == pytest.approx([1, 0, 1 / 3])
    assert script_shares(texts.slice(1, 1)).hangul_frac.tolist() == [1]
    assert len(script_shares(texts.slice(0, 0)).hangul_frac) == 0
    assert script_shares(pa.array([None], pa.large_string())).n_chars.tolist() == [0]
