"""Numbers as people write them: digits, fractions, powers of ten, Korean and English words. All are exact."""

import re
from fractions import Fraction

CHARS_MAX, DIGITS_MAX, EXPONENT_MAX = 150, 60, 60
"""Longer numbers are not read: no answer of a person has them, and their powers fill the memory."""

SINO = {"영": 0, "일": 1, "이": 2, "삼": 3, "사": 4, "오": 5, "육": 6, "륙": 6, "칠": 7, "팔": 8, "구": 9}
SMALL = {"십": 10, "백": 100, "천": 1000}
BIG = {"경": 10**16, "조": 10**12, "억": 10**8, "만": 10**4}
NATIVE_ONES = {"하나": 1, "한": 1, "둘": 2, "두": 2, "셋": 3, "세": 3, "석": 3, "넷": 4, "네": 4, "넉": 4} | {
    "다섯": 5,
    "여섯": 6,
    "일곱": 7,
    "여덟": 8,
    "아홉": 9,
}
NATIVE_TENS = {"열": 10, "스물": 20, "스무": 20, "서른": 30, "마흔": 40, "쉰": 50} | {
    "예순": 60,
    "일흔": 70,
    "여든": 80,
    "아흔": 90,
}

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
ENGLISH = {word: value for value, word in enumerate(_ONES.split())}
TENS = {word: value for value, word in zip(range(20, 100, 10), _TENS.split(), strict=True)}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
PARTS = (
    {"half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4}
    | {"fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "seventh": 7, "sevenths": 7, "eighth": 8, "eighths": 8}
    | {"ninth": 9, "ninths": 9, "tenth": 10, "tenths": 10, "hundredth": 100, "hundredths": 100}
)
_RARE_PARTS = (
    "eleventh elevenths twelfth twelfths thirteenth thirteenths fourteenth fourteenths fifteenth fifteenths "
    "sixteenth sixteenths twentieth twentieths thousandth thousandths millionth millionths"
)
NUMBER_WORDS = frozenset([*ENGLISH, *TENS, *SCALES, *PARTS, *_RARE_PARTS.split(), "hundred", "dozen", "dozens"])
VULGAR = {
    "½": "1/2",
    "⅓": "1/3",
    "⅔": "2/3",
    "¼": "1/4",
    "¾": "3/4",
    "⅕": "1/5",
    "⅖": "2/5",
    "⅗": "3/5",
    "⅘": "4/5",
} | {"⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8"}

DECIMAL = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
"""Commas stand before every third digit, or nowhere: `12,5` may be two numbers, or a decimal of another country."""
_DECIMAL = re.compile(DECIMAL)
_FRACTION = re.compile(rf"({DECIMAL})\s*/\s*({DECIMAL})")
_REPEATING = re.compile(r"(\d*)\.(\d*)\\overline\{(\d+)\}")
_LATEX_FRACTION = re.compile(r"\\frac\s*(?:\{([^{}]*)\}\s*\{([^{}]*)\}|(\d)\s*(\d))")
_PART_OF = re.compile(r"(.+?)\s*분의\s*(.+)")
_MIXED = re.compile(rf"({DECIMAL})\s*(?:과|와|and|\s|(?=\\frac))\s*(\S.*)")
_SCIENTIFIC = re.compile(
    rf"(?:({DECIMAL})\s*(?:[x×*·]|\\times|\\cdot)\s*)?10\s*(?:\^|\*\*)\s*\{{?\s*([-−–]?\d{{1,3}})\s*\}}?"
    rf"|({DECIMAL})[eE]([-+−]?\d{{1,3}})"
)
_KOREAN, _SINO, _DIGIT = re.compile("[가-힣]"), re.compile(f"[{''.join(SINO)}]"), re.compile(r"\d")
_SECTIONS = re.compile("".join(rf"(?:([^만억조경]+){unit}\s*)?" for unit in BIG) + "([^만억조경]+)?")
_DECIMAL_UNIT = re.compile(rf"({DECIMAL})\s*([천백십])")
_SECTION = re.compile(
    "".join(rf"(?:([1-9일이삼사오육륙칠팔구]?\s*){unit}\s*)?" for unit in "천백십")
    + r"([1-9]\d{0,2}|[일이삼사오육륙칠팔구])?"
)
_NATIVE = re.compile(rf"({'|'.join(NATIVE_TENS)})?\s?({'|'.join(NATIVE_ONES)})?")
_MINUS = re.compile(r"(?:[-−–﹣]|(?:minus|negative)\s|마이너스|음수)\s*")


def number(text: str) -> Fraction | None:
    """The number that is written, and nothing beside it; None where there is another reading, or none.

    >>> [str(number(text)) for text in ("1,234", "12만 5,000", "스물다섯", "1과 2분의 1", "two thirds", "12,5")]
    ['1234', '125000', '25', '3/2', '2/3', 'None']
    """
    text = text.strip()
    if not text or len(text) > CHARS_MAX:
        return None
    if minus := _MINUS.match(text):
        value = number(text[minus.end() :]) if minus.end() < len(text) else None
        return None if value is None or value < 0 else -value
    if text.startswith("(") and text.endswith(")") and "(" not in text[1:]:
        return number(text[1:-1])
    return _unsigned(text.removeprefix("+"))


def _unsigned(text: str) -> Fraction | None:
    if _DECIMAL.fullmatch(text):
        return _decimal(text)
    for reading in (_fraction, _scientific, _korean, _english, _mixed):
        if (value := reading(text)) is not None:
            return value
    return None


def _decimal(text: str) -> Fraction | None:
    return None if len(text) > DIGITS_MAX else Fraction(text.replace(",", ""))


def _quotient(above: Fraction | None, below: Fraction | None) -> Fraction | None:
    return above / below if above is not None and below else None


def _fraction(text: str) -> Fraction | None:
    if text in VULGAR:
        return Fraction(VULGAR[text])
    if match := _FRACTION.fullmatch(text):
        return _quotient(_decimal(match[1]), _decimal(match[2]))
    if match := _REPEATING.fullmatch(text):
        whole, rest, again = match.groups()
        behind = Fraction(int(again), 10 ** len(again) - 1) + int(rest or "0")
        return int(whole or "0") + behind * Fraction(1, 10 ** len(rest))
    if match := _LATEX_FRACTION.fullmatch(text):
        return _quotient(number(match[1] or match[3]), number(match[2] or match[4]))
    if match := _PART_OF.fullmatch(text):
        whole, _, below = match[1].replace("와 ", "과 ").rpartition("과 ")
        part = _quotient(number(match[2]), number(below))
        return part if not whole or part is None else _sum(number(whole), part)
    return None


def _sum(whole: Fraction | None, part: Fraction | None) -> Fraction | None:
    """A mixed fraction: an integer, and less than one."""
    is_mixed = whole is not None and part is not None and whole.denominator == 1 and 0 < part < 1
    return whole + part if is_mixed else None  # type: ignore[operator]


def _mixed(text: str) -> Fraction | None:
    if text[-1:] in VULGAR:
        return _sum(number(text[:-1]), Fraction(VULGAR[text[-1]])) if _DECIMAL.fullmatch(text[:-1].strip()) else None
    match = _MIXED.fullmatch(text)
    return _sum(_decimal(match[1]), _fraction(match[2])) if match else None


def _scientific(text: str) -> Fraction | None:
    match = _SCIENTIFIC.fullmatch(text)
    if not match:
        return None
    exponent = int((match[2] or match[4]).replace("−", "-").replace("–", "-"))
    factor = _decimal(match[1] or match[3] or "1")
    return factor * Fraction(10) ** exponent if factor is not None and abs(exponent) <= EXPONENT_MAX else None


def _korean(text: str) -> Fraction | None:
    """Sino-Korean, in words or digits or both (3만 5천, 1억 2,000만, 삼십이), or native."""
    value = _sino(text)
    return _native(text) if value is None else value


def _sino(text: str) -> Fraction | None:
    text = f"일{text}" if text.startswith("만") and not _DIGIT.search(text) else text  # 만 이천
    parts = _SECTIONS.fullmatch(text)
    if not parts or not _KOREAN.search(text) or (_SINO.search(text) and _DIGIT.search(text)):
        return None
    read = [(_section(part), unit) for part, unit in zip(parts.groups(), [*BIG.values(), 1], strict=True) if part]
    values = [value for value, _ in read if value is not None]
    is_whole = len(values) == 1 or all(value.denominator == 1 for value in values)
    if len(values) < len(read) or not is_whole or any(value >= 10**4 for value in values[1:]):
        return None
    return sum((value * unit for value, (_, unit) in zip(values, read, strict=True)), Fraction(0))


def _section(text: str) -> Fraction | None:
    """What stands before 만, 억, 조 and 경: 2,000; 5천; 1.5; 삼백이십."""
    text = text.strip()
    if _DECIMAL.fullmatch(text):
        return _decimal(text)
    if match := _DECIMAL_UNIT.fullmatch(text):
        return value * SMALL[match[2]] if (value := _decimal(match[1])) is not None and value < 10 else None
    match = _SECTION.fullmatch(text)
    if not match:
        return None if text not in SINO else Fraction(SINO[text])
    units = [(_digit(match[at]), unit) for at, unit in ((1, 1000), (2, 100), (3, 10)) if match[at] is not None]
    rest = _digit(match[4]) if match[4] else 0
    is_falling = not units or rest < units[-1][1]
    return Fraction(sum(digit * unit for digit, unit in units) + rest) if is_falling else None


def _digit(text: str) -> int:
    """Before a unit, nothing is one."""
    return (SINO[text] if text in SINO else int(text)) if (text := text.strip()) else 1


def _native(text: str) -> Fraction | None:
    """하나 to 아흔아홉, and hundreds before them (백열두)."""
    above, hundred, rest = text.rpartition("백")
    hundreds = _sino(above + hundred) if hundred else Fraction(0)
    match = _NATIVE.fullmatch(rest.strip())
    if hundreds is None or not match or not (match[1] or match[2]) or (match[1] == "스무" and match[2]):
        return None
    return hundreds + NATIVE_TENS.get(match[1], 0) + NATIVE_ONES.get(match[2], 0)


def _english(text: str) -> Fraction | None:
    words = text.lower().replace("-", " ").split()
    if not words or len(words) > 20 or not (set(words) & NUMBER_WORDS):
        return None
    if words[-1] in PARTS:
        return _english_part(words)
    if words[0] in ("a", "an") and len(words) > 1:
        words[0] = "one"
    if _DECIMAL.fullmatch(words[0]):
        return _scaled(words)
    total = section = 0
    last, n_read = 10**15, 0
    for word in words:
        if word == "and" and n_read:
            continue
        n_read += 1
        if word in ENGLISH and (
            section % 100 == 0 or (section % 10 == 0 and section % 100 >= 20 and 0 < ENGLISH[word] < 10)
        ):
            section += ENGLISH[word]
        elif word in TENS and section % 100 == 0:
            section += TENS[word]
        elif word == "hundred" and 0 < section < 10:
            section *= 100
        elif word in SCALES and section and SCALES[word] < last:
            total, section, last = total + section * SCALES[word], 0, SCALES[word]
        else:
            return None
    is_zero_inside = "zero" in words and len(words) > 1
    return None if is_zero_inside or words[-1] == "and" else Fraction(total + section)


def _scaled(words: list[str]) -> Fraction | None:
    """3.5 million."""
    if len(words) != 2 or words[1] not in {*SCALES, "hundred"}:
        return None
    value = _decimal(words[0])
    return None if value is None else value * (SCALES | {"hundred": 100})[words[1]]


def _english_part(words: list[str]) -> Fraction | None:
    """Two thirds; one and a half. `3 quarters` may be coins."""
    whole = Fraction(0)
    if "and" in words:
        at = words.index("and")
        read = _unsigned(" ".join(words[:at]))
        if read is None or read.denominator != 1:
            return None
        whole, words = read, words[at + 1 :]
    above = " ".join(words[:-1])
    count = Fraction(1) if above in ("", "a", "one") else _english(above)
    part = None if count is None or count.denominator != 1 else count / PARTS[words[-1]]
    return part if not whole else _sum(whole, part)
