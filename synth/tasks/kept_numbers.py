"""Whether a translation from English to Korean says the numbers of the original: 1,000 is 1000, 1.5 million 150만."""

import re
from collections import Counter
from fractions import Fraction

from synth.final_answers.numerals import NATIVE_ONES, NATIVE_TENS, NUMBER_WORDS, PARTS, VULGAR, number

WORDS_MAX = 12
"""Longer runs of number words are no number."""

_THOUSANDS = re.compile(r"(\d)[kK](?![A-Za-z\d])")
_TIMES = re.compile(r"(?<=\d)\s?[x×*]\s?(?=\d)")
_FULL_HOUR = re.compile(r"(?<=\d):00(?![\d:])")
_ENGLISH = re.compile(
    r"(?<![A-Za-z\d.,])([-−](?=\d))?(\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)"
    r"(?:[ -](hundred|thousand|million|billion|trillion)\b)?",
    re.IGNORECASE,
)
_DIGITS = r"\d+(?:,\d{3})*(?:\.\d+)?"
_KOREAN = re.compile(
    rf"(?<![A-Za-z\d.,])([-−](?=\d))?({_DIGITS}(?:[경조억만천백십]+(?:\s?{_DIGITS}[경조억만천백십]+)*(?:\s?{_DIGITS})?)?)"
)
_BELOW_ZERO = re.compile(r"(?:minus|negative|영하|마이너스)\s*$", re.IGNORECASE)
_NOT_A_UNIT = re.compile(
    r"(?!원|달|명|개|년|권|배|건|톤|시|마|월|번|회|대|종|곳|장|유|위|엔|파|여|분|평|의|을|은|이|가|에|으|로)[가-힣]"
)
"""Behind 만, 천, 조 and so on: they may begin another word, as in 5조각 (five pieces) and 3만화."""

_WORDS = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
_MONTHS = "january february march april may june july august september october november december"
_OTHERS = {"a": 1, "an": 1, "once": 1, "single": 1, "both": 2, "twice": 2, "double": 2, "pair": 2, "couple": 2} | {
    "doubles": 2,
    "doubled": 2,
    "triple": 3,
    "triples": 3,
    "tripled": 3,
    "dozen": 12,
    "dozens": 12,
    "decade": 10,
    "century": 100,
    "noon": 12,
    "midnight": 12,
    "half": 2,
    "halves": 2,
    "quarter": 4,
    "week": 7,
    "weekly": 7,
}
_VALUES: dict[str, set[Fraction]] = {}
for _names in (_ORDINALS, _MONTHS, " ".join(month[:3] for month in _MONTHS.split())):
    for _at, _name in enumerate(_names.split(), 1):
        _VALUES.setdefault(_name, set()).add(Fraction(_at))
for _name, _value in _OTHERS.items():
    _VALUES.setdefault(_name, set()).add(Fraction(_value))

_ONES = "|".join(sorted(NATIVE_ONES, key=lambda word: (-len(word), word)))
_NATIVE = re.compile(
    rf"(?<![가-힣])(?:({'|'.join(NATIVE_TENS)})({_ONES})?"
    rf"|({_ONES})(?=\s|째|번|명|개|시|살|달|가지|배|잔|권|마리|사람|$))"
)
_SINO = re.compile(r"(?<![가-힣])[일이삼사오육칠팔구]?[십백천만억조][일이삼사오육칠팔구십백천만억조]*")


def changed_number(english: str, korean: str) -> str | None:
    """Which number is lost or new in a translation, in words; None where all are there.

    A number in digits has to come back in digits or Korean words. One in digits that the original has not must be
    one of its words: three, the first, twice, January.
    """
    english, korean = _plain(english), _plain(korean)
    wanted = _english_values(english)
    left = _korean_readings(korean)
    words = _korean_words(korean)
    for value in wanted:
        at = next((at for at, readings in enumerate(left) if value in readings), None)
        if at is not None:
            left.pop(at)
        elif words[value] > 0:
            words[value] -= 1
        else:
            return f"{_text(value)} is not there"
    said = _english_words(english) | {Fraction(1)}  # a, per, each, every: 1개당
    new = next((readings for readings in left if not readings & said), None)
    return None if new is None else f"{_text(max(new))} is new"


def korean_numbers(text: str) -> set[Fraction]:
    """All that numbers of a Korean (or English) text may be, in digits and in words."""
    text = _plain(text)
    readings: set[Fraction] = set().union(*_korean_readings(text), _english_words(text), _english_values(text))
    return readings | set(_korean_words(text))


def _plain(text: str) -> str:
    """Numbers as they are read below: ¾ as 3/4, 25k as 25 thousand, 4x400 as two numbers, 8:00 as 8."""
    for sign, fraction in VULGAR.items():
        text = text.replace(sign, f" {fraction}")
    return _FULL_HOUR.sub("", _TIMES.sub(" ", _THOUSANDS.sub(r"\1 thousand", text)))


def _english_values(text: str) -> list[Fraction]:
    found = []
    for match in _ENGLISH.finditer(text):
        value = number(match[2] + (f" {match[3].lower()}" if match[3] else ""))
        if value is not None:
            found.append(_signed(value, match, text))
    return found


def _korean_readings(text: str) -> list[set[Fraction]]:
    found = []
    for match in _KOREAN.finditer(text):
        whole = number(match[2])
        digits = re.match(_DIGITS, match[2])
        bare = number(digits[0]) if digits else None
        is_doubtful = whole is None or (whole != bare and _NOT_A_UNIT.match(text, match.end()))
        if bare is not None and text.startswith(" thousand", match.end()):  # 25k that stayed
            whole = bare * 1000
        readings = {value for value in (whole, bare if is_doubtful else None) if value is not None}
        found.append({_signed(value, match, text) for value in readings})
    return [readings for readings in found if readings]


def _signed(value: Fraction, match: re.Match[str], text: str) -> Fraction:
    before = text[: match.start()]
    is_minus = match[1] and not before[-1:].strip(" \n\t([{=:")
    return -value if is_minus or _BELOW_ZERO.search(before[-12:]) else value


def _korean_words(text: str) -> Counter[Fraction]:
    found: Counter[Fraction] = Counter()
    for match in _NATIVE.finditer(text):
        found[Fraction(NATIVE_TENS.get(match[1], 0) + NATIVE_ONES.get(match[2] or match[3], 0))] += 1
    for match in _SINO.finditer(text):
        if (value := number(match[0])) is not None:
            found[value] += 1
    return found


def _english_words(text: str) -> set[Fraction]:
    """What the words of a text may become in digits, one by one and in runs: twenty-five, two hundred and six."""
    words = [word.lower() for word in _WORDS.findall(text)]
    pieces = {piece for word in words for piece in word.split("-")}
    found: set[Fraction] = set().union(*(_VALUES.get(piece, set()) for piece in pieces))
    found |= {Fraction(PARTS[piece]) for piece in pieces & PARTS.keys()}
    found |= {value for piece in pieces & NUMBER_WORDS if (value := number(piece)) is not None}
    run: list[str] = []
    for word in [*words, "."]:
        if set(word.split("-")) & NUMBER_WORDS or (word == "and" and run):
            run.append(word)
            continue
        ends = [(start, end) for start in range(len(run)) for end in range(start + 1, start + WORDS_MAX + 1)]
        spoken = {" ".join(run[start:end]) for start, end in ends}
        found |= {value for text in spoken if (value := number(text)) is not None}
        run = []
    return found


def _text(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):g}"
