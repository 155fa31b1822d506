"""What an answer says, read exactly: a number with its unit, a time of day, a ratio, or several numbers."""

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from synth.final_answers.changing_words import ENGLISH, name_a_part
from synth.final_answers.numerals import DECIMAL, NUMBER_WORDS, SINO, VULGAR, number
from synth.final_answers.units import COUNT, DAYS, NAME, SPEEDS, UNIT, UNITS, Unit, unit_named


@dataclass(frozen=True)
class Quantity:
    """A number and its unit."""

    number: Fraction | None
    """As it is written, in its unit; None where it is written in several units (5시간 30분)."""
    unit: Unit | None
    n_decimals: int = 0
    """Digits behind the point, where it is written so."""
    total: Fraction | None = None
    """Where it is written in several units, the sum in the base unit."""

    @property
    def base(self) -> Fraction:
        """In the base unit of its dimension."""
        if self.number is None:
            assert self.total is not None
            return self.total
        return self.number * (self.unit.factor if self.unit else 1)

    @property
    def dimension(self) -> str | None:
        """None where it has no unit."""
        return self.unit.dimension if self.unit else None


@dataclass(frozen=True)
class Clock:
    """A time of day."""

    hour: int
    minute: int
    half: str | None = None
    """`am` or `pm`, where it is said; then `hour` counts to 24."""
    is_bare: bool = False
    """Written 5:30, which may be a ratio."""


@dataclass(frozen=True)
class Ratio:
    """Of two or more numbers."""

    parts: tuple[Fraction, ...]


@dataclass(frozen=True)
class Several:
    """Numbers of which all are the answer, in no order."""

    quantities: tuple[Quantity, ...]


Value = Quantity | Clock | Ratio | Several

_AMOUNT = re.compile(r"[$₩€¥]|US\$|USD|KRW|EUR|JPY")
_BEGINS = re.compile(
    rf"[-−–+(\d.{''.join(VULGAR)}{''.join(SINO)}십백천만한두세네하둘셋넷석넉다여아열스서마쉰예]|\\frac|음수|"
    rf"(?:an?|minus|negative|{'|'.join(sorted(NUMBER_WORDS))})\b",
    re.IGNORECASE,
)
"""Where a number may begin; most sentences do not."""
_ABOUT = re.compile(
    r"(?:총|모두|전부|합계|각각|각|정확히|약|대략|거의 정확히|(?:a |the )?(?:grand )?total(?: of)?|exactly|just|"
    r"about|approximately|around|roughly|approx\.?|≈|~(?=\s*[\d$]))\s*",
    re.IGNORECASE,
)
"""What may stand before a number and leaves it as it is."""
_NAME = re.compile(r"(?:[A-Za-z]\w{0,2}|[가-힣]|\\[a-z]+|\?)\s*=\s*(?=[^=])")
_CLOCK = re.compile(
    r"(?:(오전|오후|새벽|아침|낮|저녁|밤)\s*)?(?:(\d{1,2})\s*:\s*(\d{2})|(\d{1,2}|[가-힣]{1,3})\s*시(?:\s*(반|(\d{1,2}|[가-힣]{1,4})\s*분))?)"
    r"(?:\s*([ap])\.?\s?m\.?)?",
    re.IGNORECASE,
)
_CLOCK_ENGLISH = re.compile(r"(\d{1,2})\s*([ap])\.?\s?m\.?|(\d{1,2})\s*o'?clock", re.IGNORECASE)
_RATIO = re.compile(rf"({DECIMAL})((?:\s*(?::|∶|대|to)\s*(?:{DECIMAL}))+)")
_AND = re.compile(
    r"\s*(?:,\s*and\s+|,\s+|;\s*|\s+and\s+|\s+or\s+|\s+또는\s+|\s*와\s+|\s*과\s+|\s*이고\s+|\s*,\s*그리고\s+)"
)
_PER = re.compile(rf"\s*(?:/|\bper\s+(?:an?\s+)?|\ban?\s+)\s*({NAME})$")
_COMPOUND = re.compile(r"\s*(?:and|,|와|과|하고)?\s*")
_NOUNS = re.compile(r"[A-Za-z][A-Za-z'’.-]{2,}(?:\s+[A-Za-z(][A-Za-z'’.)-]*)*")


def read(text: str) -> Value | None:
    """The value of an answer that was already trimmed; None where it is no such value, or might be several.

    >>> read("12,000원").number, read("5시간 30분").base, read("3 : 4").parts
    (Fraction(12000, 1), Fraction(19800, 1), (Fraction(3, 1), Fraction(4, 1)))
    """
    text = _bare(text)
    if not text or len(text) > 200:
        return None
    return _clock(text) or _ratio(text) or quantity(text) or _several(text)


def _bare(text: str) -> str:
    text = text.strip()
    while match := _ABOUT.match(text) or _NAME.match(text):
        text = text[match.end() :]
    text = text.strip()
    return f"{DAYS[text]}일" if text in DAYS else text


def _clock(text: str) -> Clock | None:
    if match := _CLOCK_ENGLISH.fullmatch(text):
        return _time(int(match[1] or match[3]), 0, f"{match[2].lower()}m" if match[2] else None, False)
    match = _CLOCK.fullmatch(text)
    if not match:
        return None
    half = {"오전": "am", "새벽": "am", "아침": "am", "오후": "pm", "저녁": "pm"}.get(match[1])
    half = f"{match[7].lower()}m" if match[7] else half
    hour, minute = number(match[2] or match[4]), number(match[3] or match[6] or ("30" if match[5] == "반" else "0"))
    if hour is None or minute is None:
        return None
    return _time(int(hour), int(minute), half, bool(match[2]) and half is None)


def _time(hour: int, minute: int, half: str | None, is_bare: bool) -> Clock | None:
    if hour > 24 or minute > 59:
        return None
    if half and hour <= 12:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return Clock(hour, minute, half, is_bare)


def _ratio(text: str) -> Ratio | None:
    match = _RATIO.fullmatch(text)
    if not match:
        return None
    parts = [number(part) for part in re.split(r"\s*(?::|∶|대|to)\s*", text)]
    return (
        Ratio(tuple(part for part in parts if part is not None)) if all(part is not None for part in parts) else None
    )


def _several(text: str) -> Several | None:
    """`2, 3`, `2와 3`, `x = 2 or x = 3`. Without a space, `2,345` is one number."""
    inside = text.removeprefix("{").removesuffix("}").removeprefix("\\{").removesuffix("\\")
    pieces = [_bare(piece) for piece in (inside.split(",") if inside.count(",") > 1 else _AND.split(inside))]
    if len(pieces) < 2 or not all(re.search(r"\d", piece) for piece in pieces):  # 사과 is an apple, no 4
        return None
    quantities = [value for piece in pieces if (value := quantity(piece)) is not None]
    return Several(tuple(quantities)) if len(quantities) == len(pieces) else None


def quantity(text: str) -> Quantity | None:
    """One number with its unit before or behind it, or a sum of falling units (1m 20cm)."""
    text = text.strip()
    value = number(text)
    if value is not None:
        return Quantity(value, None, _n_decimals(text))
    return _with_sign_before(text) or _with_unit_behind(text) or _compound(text)


def _n_decimals(text: str) -> int:
    _, point, behind = text.rpartition(".")
    return len(behind) if point and behind.isdigit() else 0


def _with_sign_before(text: str) -> Quantity | None:
    """$12.50, -$5, ₩12,000, 시속 60km."""
    for word, below in SPEEDS.items():
        if text.startswith(word):
            inner = quantity(text[len(word) :])
            if inner is None or inner.unit is None or inner.number is None or "/" in inner.unit.dimension:
                return None
            unit = Unit(f"{inner.unit.dimension}/time", inner.unit.factor / below.factor)
            return Quantity(inner.number, unit, inner.n_decimals)
    if text.startswith("영하"):
        inner = quantity(text[2:])
        is_degrees = inner and inner.number is not None and inner.dimension == "degree"
        return Quantity(-inner.number, inner.unit, inner.n_decimals) if is_degrees else None  # type: ignore[union-attr, operator]
    sign, rest = ("-", text[1:].lstrip()) if text[:1] in ("-", "−") else ("", text)
    match = _AMOUNT.match(rest)
    if not match:
        return None
    unit = UNITS[match[0].removeprefix("US") if match[0] == "US$" else match[0]]
    behind = rest[match.end() :].strip()
    if per := _PER.search(behind):
        below = UNITS[per[1]]
        behind, unit = behind[: per.start()], Unit(f"{unit.dimension}/{below.dimension}", unit.factor / below.factor)
    inner = quantity(behind)
    if inner is None or inner.number is None or (inner.unit and inner.dimension not in (COUNT, unit.dimension)):
        return None
    return Quantity(-inner.number if sign else inner.number, unit, inner.n_decimals)


def _with_unit_behind(text: str) -> Quantity | None:
    if not _BEGINS.match(text):
        return None
    for start in _unit_starts(text):
        value = number(text[:start])
        if value is None:
            continue
        unit = _unit(text[start:])
        if unit:
            return Quantity(value, unit, _n_decimals(text[:start].strip()))
    return None


def _unit_starts(text: str) -> list[int]:
    """Where a unit may begin: the longest number first, so that 3만 원 is no 3."""
    kinds = [_kind(char) for char in text]
    cuts = [at for at in range(1, len(text)) if kinds[at] != kinds[at - 1] or kinds[at] == "word"]
    return cuts[::-1][:40]


def _kind(char: str) -> str:
    return (
        "digit"
        if char.isdigit() or char in VULGAR
        else "word"
        if "가" <= char <= "힣"
        else "letter"
        if char.isalpha()
        else char
    )


def _unit(text: str) -> Unit | None:
    """What is counted: a unit of the table, or any English nouns behind a space. `12xy` is algebra."""
    is_apart, text = text[:1].isspace(), text.strip()
    if match := UNIT.fullmatch(text):
        return unit_named(match)
    match = UNIT.match(text)
    behind = text[match.end() :] if match else text
    is_of = re.fullmatch(r"의\s?[가-힣 ]{1,12}", behind) and not name_a_part(behind)
    if match and is_of and unit_named(match).dimension == COUNT:
        return unit_named(match)  # 12개의 사과
    nouns = _NOUNS.fullmatch(behind.strip())
    if not nouns or not (is_apart or match):
        return None
    words = set(re.split(r"[\s-]+", nouns[0].lower()))
    if words & (ENGLISH | NUMBER_WORDS) or any(len(word) == 1 and word != "a" for word in words):
        return None
    return unit_named(match) if match else Unit(COUNT)


def _compound(text: str) -> Quantity | None:
    """5시간 30분, 3 dollars and 25 cents, 3시간 반: whole numbers in falling units of one dimension."""
    parts: list[tuple[Fraction, Unit]] = []
    rest = text
    while rest:
        if parts and rest == "반":
            parts.append((Fraction(1, 2), parts[-1][1]))
            break
        match = re.match(rf"({DECIMAL}|[가-힣]{{1,6}}?|[A-Za-z-]+?)\s*(?={UNIT.pattern})", rest)
        value = number(match[1]) if match else None
        named = UNIT.match(rest, match.end()) if match else None
        if value is None or named is None:
            return None
        parts.append((value, unit_named(named)))
        rest = rest[_COMPOUND.match(rest, named.end()).end() :]  # type: ignore[union-attr]
    units = [unit for _, unit in parts]
    is_one = len({unit.dimension for unit in units}) == 1 and units[0].dimension not in (COUNT, "percent", "dozen")
    is_falling = all(left.factor > right.factor for left, right in pairwise(units))
    if len(parts) < 2 or not is_one or not (is_falling or rest == "반"):
        return None
    return Quantity(None, Unit(units[0].dimension), total=sum((v * u.factor for v, u in parts), Fraction(0)))
