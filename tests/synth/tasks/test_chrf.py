"""chrF against values reckoned by hand."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.tasks.chrf import chrf


def by_hand(precisions: list[Fraction], recalls: list[Fraction]) -> float:
    p, r = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    return float(5 * p * r / (4 * p + r))


def test_by_hand_short() -> None:
    # "abc" to "abd": 1-grams 2 of 3, 2-grams 1 of 2, 3-grams 0 of 1; no longer ones. P = R = 7/18, and so is F.
    assert chrf("abc", "abd") == pytest.approx(7 / 18)


def test_by_hand_lengths_differ() -> None:
    # "ab" to "abcd": two orders. P = (2/2 + 1/1) / 2 = 1; R = (2/4 + 1/3) / 2 = 5/12; F = 5 R / (4 + R) = 25/53.
    assert chrf("ab", "abcd") == pytest.approx(25 / 53)
    # The other way round P = 5/12, R = 1: F = (25/12) / (5/3 + 1) = 25/32.
    assert chrf("abcd", "ab") == pytest.approx(25 / 32)


def test_by_hand_korean_and_repeats() -> None:
    # 가가나 to 가나나 나: spaces go, 3 characters and 4. 1-grams: 가 once, 나 once: 2;
    # 2-grams 가가 가나 to 가나 나나 나나: 1; 3-grams 가가나 to 가나나 나나나: 0.
    expected = by_hand([Fraction(2, 3), Fraction(1, 2), Fraction(0)], [Fraction(2, 4), Fraction(1, 3), Fraction(0)])
    assert chrf("가가나", "가나나 나") == pytest.approx(expected)


def test_six_orders_at_most() -> None:
    # Seven letters, the last of which differs: orders 1 to 6 share 6, 5, 4, 3, 2, 1 of 7, 6, 5, 4, 3, 2.
    shares = [Fraction(n, n + 1) for n in range(1, 7)]
    assert chrf("abcdefg", "abcdefh") == pytest.approx(float(sum(shares) / 6))


def test_ends_of_the_scale() -> None:
    assert chrf("", "abc") == chrf("abc", "") == chrf(" ", "\n") == chrf("abc", "xyz") == 0
    assert chrf("한 국어", "한국 어") == 1


@given(st.text(), st.text())
def test_between_nought_and_one(left: str, right: str) -> None:
    assert 0 <= chrf(left, right) <= 1 + 1e-12
    assert not "".join(left.split()) or chrf(left, left) == pytest.approx(1)
