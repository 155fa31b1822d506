"""Which instructions may be kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.tasks.instructions import copied_from, overlap, unfit_instruction


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [
        ("김치찌개 끓이는 법을 알려 줘.", "ko", None),
        ("다음 코드를 설명해 줘.\ndef add(a, b):\n    return a + b", "ko", None),
        ("다음 문장을 한국어로 옮겨 줘: The early bird catches the worm.", "ko", None),
        ("Explain how tides work.", "ko", "language"),
        ("请解释潮汐的原理，谢谢。", "ko", "language"),
        ("Explain how tides work.", "en", None),
        ("김치찌개 끓이는 법을 알려 줘.", "en", "language"),
        ("", "ko", "empty"),
        (" 네 ", "ko", "empty"),
        ("12345 + 3", "ko", "empty"),
        ("가" * 4001, "ko", "too_long"),
    ],
)
def test_unfit(text: str, language: str, reason: str | None) -> None:
    found = unfit_instruction(text, language)
    assert (found and found[0]) == reason


def test_copies() -> None:
    seed = "서울에서 부산까지 기차로 가는 방법을 설명해 줘."
    assert overlap(seed, seed) == 1
    assert copied_from("서울에서 대전까지 기차로 가는 방법을 설명해 줘.", ["다른 글입니다", seed]) == 1
    assert copied_from(seed.replace(" ", ""), [seed]) == 0
    assert copied_from("부산에서 먹을 만한 음식을 세 가지 골라 줘.", [seed]) is None


def test_by_hand() -> None:
    assert overlap("abcdef", "bcdxyz") == 0  # abcd bcde cdef to bcdx cdxy dxyz
    assert overlap("abcdef", "abcdxx") == pytest.approx(1 / 3)
    assert overlap("abcdef", "abcd") == 1  # of the shorter, all
    assert overlap("", "abc") == 0


@given(st.text(max_size=50), st.text(max_size=50))
def test_overlap_is_symmetric(left: str, right: str) -> None:
    assert overlap(left, right) == overlap(right, left)
    assert 0 <= overlap(left, right) <= 1
    assert not left.split() or overlap(left, left) == 1
