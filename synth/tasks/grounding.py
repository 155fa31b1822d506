"""Whether arguments of calls, and numbers of answers, come from what was said, or were made up."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from synth.tasks.kept_numbers import korean_numbers

DIGITS_MAX = 300
"""Fewer than a float has room for."""

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::[0-5]\d)?")
_DIGITS = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_IGNORED = re.compile(r"[^\w]|_")

_DAYS = {"오늘": 0, "내일": 1, "모레": 2, "글피": 3, "어제": -1, "그저께": -2, "그제": -2} | {
    "today": 0,
    "tonight": 0,
    "tomorrow": 1,
    "day after tomorrow": 2,
    "yesterday": -1,
    "일주일 뒤": 7,
    "일주일 후": 7,
    "in a week": 7,
}
_WEEKDAYS = (
    ("월요일", "monday"),
    ("화요일", "tuesday"),
    ("수요일", "wednesday"),
    ("목요일", "thursday"),
    ("금요일", "friday"),
    ("토요일", "saturday"),
    ("일요일", "sunday"),
)
_LATER = re.compile(r"(\d{1,3})\s*일\s*(?:뒤|후)|in (\d{1,3}) days?|(\d{1,3}) days? (?:later|from now)")
_WEEKEND = ("주말", "weekend")
_NOON = {"정오": 12, "noon": 12, "자정": 0, "midnight": 0}


def ungrounded(arguments: dict[str, Any], schema: dict[str, Any], said: str, today: date) -> str | None:
    """Which argument was not said, in words; None where all were.

    Texts and numbers must occur (in words or digits, whatever their spaces and case), dates and times must follow
    from what was said. What the schema lists or gives as default, and true and false, may be chosen.

    Args:
        arguments: of a call.
        schema: of its function's parameters.
        said: by the user.
        today: what `tomorrow` is reckoned from.
    """
    for path, value, rule in _leaves(arguments, schema, ""):
        if not _is_free(value, rule) and not _was_said(value, rule, said, today):
            return f"{path} is {value!r}"
    return None


def _leaves(value: Any, schema: Any, path: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    rule = schema if isinstance(schema, dict) else {}
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(one, rule.get("properties", {}).get(key), f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, rule.get("items"), f"{path}[]")
    else:
        yield path, value, rule


def _is_free(value: Any, rule: dict[str, Any]) -> bool:
    is_given = "enum" in rule or "const" in rule or ("default" in rule and rule["default"] == value)
    return is_given or value is None or isinstance(value, bool)


def _was_said(value: Any, rule: dict[str, Any], said: str, today: date) -> bool:
    if isinstance(value, int | float):
        return abs(Fraction(str(value))) in {abs(one) for one in numbers_in(said)}
    text = str(value)
    if _bare(text) and _bare(text) in _bare(said):
        return True
    if rule.get("format") == "date":
        return _date_was_said(text, said, today)
    clock = _CLOCK.fullmatch(text)
    return bool(clock) and _time_was_said(int(clock[1]), int(clock[2]), said)  # type: ignore[index]


def _bare(text: str) -> str:
    return _IGNORED.sub("", unicodedata.normalize("NFC", text).casefold())


def _date_was_said(text: str, said: str, today: date) -> bool:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return False
    return day in days_said(said, today) or Fraction(day.day) in numbers_in(said)


def days_said(said: str, today: date) -> set[date]:
    """Days that words may mean: tomorrow, in three days, on Friday (of the last week or the next two)."""
    low = said.casefold()
    offsets = {offset for word, offset in _DAYS.items() if word in low}
    offsets |= {int(next(filter(None, match.groups()))) for match in _LATER.finditer(low)}
    named = {at for at, words in enumerate(_WEEKDAYS) if any(word in low for word in words)}
    named |= {5, 6} if any(word in low for word in _WEEKEND) else set()
    offsets |= {offset for offset in range(-7, 15) if (today + timedelta(offset)).weekday() in named}
    return {today + timedelta(offset) for offset in offsets}


def _time_was_said(hour: int, minute: int, said: str) -> bool:
    numbers = numbers_in(said) | {Fraction(at) for word, at in _NOON.items() if word in said.casefold()}
    has_hour = any(one.denominator == 1 and one % 12 == hour % 12 and 0 <= one <= 24 for one in numbers)
    is_half = minute == 30 and re.search(r"시\s*반|half", said) is not None
    return has_hour and (minute == 0 or is_half or Fraction(minute) in numbers)


def numbers_in(text: str) -> set[Fraction]:
    """Numbers in digits and in words; of clocks also the hour of the half day."""
    digits = {_value(match[0]) for match in _DIGITS.finditer(text)}
    hours = {Fraction(int(match[1]) % 12 or 12) for match in _CLOCK.finditer(text)}
    return digits | hours | korean_numbers(text)


def _value(digits: str) -> Fraction:
    """Of the first digits, where there are more than a number has: a weak model may write one digit for ever."""
    return Fraction(digits[:DIGITS_MAX].rstrip(",.").replace(",", ""))


def new_numbers(answer: str, sources: str, n_listed: int) -> set[Fraction]:
    """Numbers in the digits of an answer that its sources do not have.

    Args:
        answer: what an assistant said.
        sources: all that it knew.
        n_listed: length of the longest list in them, since answers count and number what they list.
    """
    known = {abs(one) for one in numbers_in(sources)} | {Fraction(number) for number in range(n_listed + 1)}
    said = {_value(match[0]) for match in _DIGITS.finditer(answer)}
    return set() if said <= known else said - known - _in_units(answer, known)


def _in_units(answer: str, known: set[Fraction]) -> set[Fraction]:
    """Digits of an answer that are part of a known number: 3 and 5 of 3만 5천, where 35000 is known."""
    parts: set[Fraction] = set()
    for match in re.finditer(r"(?<![\d,.])\d[\d,.]*[경조억만천백십][\d,.경조억만천백십 ]*", answer):
        whole = {abs(one) for one in korean_numbers(match[0].strip())}
        if whole & known:
            parts |= {_value(one[0]) for one in _DIGITS.finditer(match[0])}
    return parts
