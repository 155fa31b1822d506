"""The value of an answer as it stands in a response: the number in its sentence, or the formula."""

import re

from synth.final_answers.answer_text import plain, readings, trimmed, variants, without_gloss
from synth.final_answers.changing_words import change
from synth.final_answers.compare import RIGHT, compare
from synth.final_answers.numerals import NUMBER_WORDS
from synth.final_answers.quantities import Quantity, Several, Value, read
from synth.final_answers.units import UNIT, Unit, unit_named

WORDS_MAX = 12
_SCALE_WORDS = NUMBER_WORDS - {"second", "third", "thirds", "quarter", "quarters"}
_START = re.compile(
    r"(?:시속|분속|초속|영하|마이너스|minus|negative|오전|오후)?\s*(?<![\w.])[-]?\s*(?:US\$|[$₩€¥])?\s*-?(?:\d|[½⅓⅔¼¾])|"
    r"(?<=[가-힣:(])\d"
)
_SIGNS = re.compile(r"~|∼|[=<>≤≥≠^+*/\\{}]|\b(?:minus|plus)\b|\d", re.IGNORECASE)
"""What must not stand beside it."""
_APART = re.compile(r"\s*,?\s*(?:measured\s+)?in\s+")
_EQUATION = re.compile(r"(?:[^=<>]*=)*(?P<left>[^=<>]*)=(?P<right>[^=<>]*)")
_TIMES = re.compile(r"(?<=\d)\s*[xX]\s*(?=\d)")
_MATH = re.compile(r"\$\$?([^$]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_ALLOWED = re.compile(r"[\x20-\x7eπ∞√×÷·≤≥∪∩±°]*")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{[a-z]*matrix\}")
_LONG_NAMES = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_FUNCTION_NAMES = "sqrt sin cos tan sec csc cot log ln pi exp arcsin arccos arctan inf infty max min gcd lcm"
_SHORT_WORDS = "or and is to in of if no at by an as it"
_FUNCTIONS, _PROSE = frozenset(_FUNCTION_NAMES.split()), frozenset(_SHORT_WORDS.split())
_ARITHMETIC = re.compile(r"(?:[\d\s+*/×÷·().,-]|\\times|\\cdot|\\div)+")
_BASE = re.compile(r"(?<=\d)_\{?(\d+)|(?<![\dA-Za-z.])(0[xXbBoO][0-9A-Fa-f]+)")
_ROMAN, _INTEGER = re.compile(r"[IVXLCDM]+"), re.compile(r"-?\d+")
_UNDONE = re.compile(r"\S\s*(?:[+×÷·*(-]|\\times|\\cdot|\\div)\s*\S")
FORMULA_CHARS_MAX = 500


def value_of(text: str) -> Value | None:
    """The value that an answer says; None where it says none, or may say several.

    >>> value_of("**총 12,000원입니다.**").number, value_of("that she has 12 apples left.").number
    (Fraction(12000, 1), Fraction(12, 1))
    """
    text = trimmed(plain(text))
    if not text or len(text) > FORMULA_CHARS_MAX:
        return None
    if re.search(r"\.\.\.|…|\d\s*[~∼–]\s*\d", text):
        return None
    return _whole(text) or (_glossed(text) if _has_gloss(text) else _equated(text) or _only(text))


def _whole(text: str) -> Value | None:
    """Where all of it is the value, in one reading."""
    for group in readings(text):
        found = {value for one in group if (value := read(one)) is not None}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _has_gloss(text: str) -> bool:
    body, glosses = without_gloss(text)
    return bool(glosses) and "=" not in body


def _glossed(text: str) -> Value | None:
    """12,000원 (만 이천 원): what stands in brackets must not be another value."""
    body, glosses = without_gloss(text)
    value = _whole(trimmed(body)) or _only(trimmed(body))
    for gloss in glosses:
        said = _whole(trimmed(gloss)) or _equated(trimmed(gloss))
        if value is None or change(gloss) or (said is None and re.search(r"\d", gloss)):
            return None
        if said is not None and compare(value, said) != RIGHT:
            return None
        value = _in_unit(value, UNIT.fullmatch(trimmed(gloss)))
    return value


def _in_unit(value: Value, unit: re.Match[str] | None) -> Value:
    """A number whose unit stands apart: `5 (minutes)`, `5, in minutes`."""
    if unit is None or not isinstance(value, Quantity) or value.number is None or value.unit is not None:
        return value
    return Quantity(value.number, unit_named(unit), value.n_decimals)


def _equated(text: str) -> Value | None:
    """What stands behind the last `=`, where words or plain arithmetic stand before it: 2x = 12 says nothing of x."""
    match = _EQUATION.fullmatch(text)
    if not match:
        return None
    left, right = _TIMES.sub("*", match["left"].strip()), trimmed(match["right"])
    words = re.match(r"[^\d(]*", left)
    assert words
    if re.search(r"[\\^+*/<>-]", words[0]) or not (
        words.end() == len(left) or _ARITHMETIC.fullmatch(left[words.end() :])
    ):
        return None
    return _whole(right) or (_glossed(right) if _has_gloss(right) else _only(right))


def _only(text: str) -> Value | None:
    """The value in a sentence that has one, and no word that changes it."""
    start = _START.search(text)
    if not start or change(text[: start.start()]) or change(text[start.end() :]):
        return None
    before, rest = text[: start.start()], text[start.start() :].strip()
    if _changes(before):
        return None
    ends = [match.start() for match in re.finditer(r"\s|$", rest)][:WORDS_MAX]
    for end in reversed(ends):
        value = _whole(trimmed(rest[:end]))
        if value is not None:
            behind = rest[end:]
            next_words = set(re.findall(r"[a-z]+", behind.lower())[:1])
            if _changes(behind) or next_words & NUMBER_WORDS:
                return None
            apart = _APART.match(behind)
            return _in_unit(value, UNIT.match(behind, apart.end()) if apart else None)
    return None


def _changes(words: str) -> bool:
    return bool(_SIGNS.search(words)) or bool(set(re.findall(r"[a-z]+", words.lower())) & _SCALE_WORDS)


def formula_of(text: str) -> tuple[str, Unit | None] | None:
    r"""The formula that an answer says, for Math-Verify, and its unit; None where it is none.

    Only what looks like mathematics passes: Math-Verify reads `banana` as a product of letters.

    >>> formula_of(r"the area is $2\\sqrt{3}$ cm.")
    ('2\\\\sqrt{3}', Unit(dimension='length', factor=Fraction(1, 100)))
    """
    inside = list(_MATH.finditer(text))
    if len(inside) == 1 and not re.search(r"\d", _MATH.sub("", text)):
        behind = UNIT.match(plain(text[inside[0].end() :]))
        found = _formula(next(group for group in inside[0].groups() if group))
        return (found[0], found[1] or (unit_named(behind) if behind else None)) if found else None
    for one in variants(trimmed(plain(text))):
        if found := _formula(one):
            return found
    return None


def _formula(text: str) -> tuple[str, Unit | None] | None:
    text, unit = trimmed(plain(text)), None
    for match in UNIT.finditer(text):
        if match.end() == len(text) and match.start() and (text[match.start() - 1] in " %" or not match[0].isascii()):
            text, unit = text[: match.start()].strip(), unit_named(match)
            break
    if not text or len(text) > FORMULA_CHARS_MAX or not _ALLOWED.fullmatch(text) or re.search("[%$~]", text):
        return None
    names = {name.lower() for name in _LONG_NAMES.findall(_ENVIRONMENT.sub("", text))}
    if any(name in _PROSE or (len(name) > 2 and name not in _FUNCTIONS) for name in names):
        return None
    return (text, unit) if re.search(r"[\dA-Za-z\\π∞]", text) else None


def is_one_number(formula: str) -> bool:
    """Whether it may stand for a number: no list, equation or range (3-5), nor arithmetic that was not worked out."""
    if re.search(r"\d\s+\d|[,=<>]|\\\\|\\[lg]eq?\b", formula):
        return False
    return not (_ARITHMETIC.fullmatch(formula) and _UNDONE.search(formula))


def are_comparable(gold: str, said: str) -> bool:
    """Whether two formulas are of one base, case and order: Math-Verify takes 12_5 for 12, (4,3) for {3,4}.

    It takes 0x1F for 0; and VI may be 6, or a product.
    """
    if _ROMAN.fullmatch(said) and _INTEGER.fullmatch(gold):
        return False
    letters = [set(re.findall("[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", formula))) for formula in (gold, said)]
    is_other_case = letters[0] != letters[1] and {c.lower() for c in letters[0]} == {c.lower() for c in letters[1]}
    is_same_base = _BASE.findall(gold) == _BASE.findall(said)
    return is_same_base and not is_other_case and {_order(gold), _order(said)} != {"point", "list"}


def _order(formula: str) -> str | None:
    """Of the numbers in it."""
    if re.fullmatch(r"\([^()]*,[^()]*\)", formula):
        return "point"
    return "list" if "," in formula and formula[0] not in "([" and "\\in" not in formula else None


def as_formula(value: Value) -> str | None:
    """Plain numbers for Math-Verify."""
    if isinstance(value, Several):
        parts = [as_formula(part) for part in value.quantities if part.unit is None]
        return ", ".join(map(str, parts)) if all(parts) and len(parts) == len(value.quantities) else None
    if not isinstance(value, Quantity) or value.number is None:
        return None
    number = value.number
    return str(number) if number.denominator == 1 else rf"\frac{{{number.numerator}}}{{{number.denominator}}}"
