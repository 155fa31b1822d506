"""Numbers in words and digits: every integer that is written in a form is read back."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.final_answers.numerals import CHARS_MAX, number

DIGITS = "영일이삼사오육칠팔구"
NATIVE_ONES = ["", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉"]
NATIVE_BEFORE_COUNTERS = ["", "한", "두", "세", "네", *NATIVE_ONES[5:]]
NATIVE_TENS = ["", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔"]
ENGLISH_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
ENGLISH_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety"


def sections(value: int) -> list[tuple[int, str]]:
    """(below 10,000, its unit), the largest first."""
    found = [(value // 10**power % 10**4, unit) for power, unit in ((12, "조"), (8, "억"), (4, "만"), (0, ""))]
    return [(part, unit) for part, unit in found if part]


def sino_section(value: int, is_one_written: bool) -> str:
    """삼백이십; 일백 or 백."""
    words = ""
    for power, unit in ((3, "천"), (2, "백"), (1, "십"), (0, "")):
        digit = value // 10**power % 10
        if digit:
            words += ("" if digit == 1 and unit and not is_one_written else DIGITS[digit]) + unit
    return words


def in_sino(value: int, gap: str = "", is_one_written: bool = False) -> str:
    words = [sino_section(part, is_one_written) + unit for part, unit in sections(value)]
    return gap.join(words) or "영"


def in_mixed(value: int, gap: str, has_commas: bool) -> str:
    """1억 2,000만 5000."""
    return gap.join(f"{part:,}{unit}" if has_commas else f"{part}{unit}" for part, unit in sections(value)) or "0"


def in_native(value: int, ones: list[str]) -> str:
    return "스무" if value == 20 and ones is NATIVE_BEFORE_COUNTERS else NATIVE_TENS[value // 10] + ones[value % 10]


def in_english(value: int, joint: str = " ") -> str:
    words: list[str] = []
    for scale, name in ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"), (1, "")):
        part = value // scale % 1000
        if not part:
            continue
        if part >= 100:
            words += [ENGLISH_ONES.split()[part // 100], "hundred"]
        if below := part % 100:
            tens, ones = divmod(below, 10)
            small = ENGLISH_ONES.split()
            words.append(
                small[below] if below < 20 else ENGLISH_TENS.split()[tens] + (f"-{small[ones]}" if ones else "")
            )
        words += [name] if name else []
    return joint.join(words) or "zero"


integers = st.integers(0, 10**16 - 1) | st.integers(0, 10**5)


@given(integers, st.sampled_from(["", " "]), st.booleans())
def test_sino(value: int, gap: str, is_one_written: bool) -> None:
    assert number(in_sino(value, gap, is_one_written)) == value


@given(integers, st.sampled_from(["", " "]), st.booleans())
def test_mixed(value: int, gap: str, has_commas: bool) -> None:
    assert number(in_mixed(value, gap, has_commas)) == value


@given(st.integers(1, 99))
def test_native(value: int) -> None:
    assert number(in_native(value, NATIVE_ONES)) == value
    assert number(in_native(value, NATIVE_BEFORE_COUNTERS)) == value
    assert number("백" + in_native(value, NATIVE_ONES)) == 100 + value


@given(st.integers(0, 10**12 - 1) | st.integers(0, 2000))
def test_english(value: int) -> None:
    assert number(in_english(value)) == value


@given(st.integers(-(10**18), 10**18))
def test_digits(value: int) -> None:
    assert number(str(value)) == number(f"{value:,}") == value


@given(st.integers(-999, 999), st.integers(1, 999))
def test_fractions(above: int, below: int) -> None:
    value = Fraction(above, below)
    assert number(f"{above}/{below}") == value
    sign, above = ("-" if above < 0 else ""), abs(above)
    assert number(rf"{sign}\frac{{{above}}}{{{below}}}") == value
    assert number(f"{sign}{below}분의 {above}") == value
    whole, rest = divmod(above, below)
    if whole and rest:
        mixed = (f"{whole} {rest}/{below}", f"{whole}과 {below}분의 {rest}", rf"{whole}\frac{{{rest}}}{{{below}}}")
        assert {number(sign + one) for one in mixed} == {value}


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=3))
def test_decimals(value: object) -> None:
    assert number(f"{value:f}") == Fraction(str(value))


@given(st.integers(1, 999), st.integers(-12, 12))
def test_powers_of_ten(factor: int, exponent: int) -> None:
    value = factor * Fraction(10) ** exponent
    forms = (f"{factor}e{exponent}", rf"{factor} \times 10^{{{exponent}}}", f"{factor}×10^{exponent}")
    assert {number(form) for form in forms} == {value}


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "12,5", "1,23", "1,2345", "일이삼", "3만이", "35백", "3만 12000", "백백", "만만", "1.2.3", "3/0"),
        *(
            "2 3",
            "two three",
            "and",
            "one and",
            "열스물",
            "스무하나",
            "한두",
            "0.(3)",
            "1e999",
            "9" * 80,
            "사과",
            "5%",
        ),
    ],
)
def test_no_number(text: str) -> None:
    assert number(text) is None


@given(st.text(alphabet="0123456789,./-−()만억천백십일이삼한두 분의과\\frac{}e^×", max_size=2 * CHARS_MAX))
def test_anything_is_read_or_not(text: str) -> None:
    value = number(text)
    assert value is None or isinstance(value, Fraction)
