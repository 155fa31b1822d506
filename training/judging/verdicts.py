"""What a judge said, read: a score from 1 to 10, or which of two answers is better.

Strict where a guess could be wrong (`점수: 10점 만점에 7점`, `점수: 7~8`, a number out of range, an answer that was
cut), forgiving where none can (`[[7]]`, `**점수:** 7/10`, `Rating: [[7]]`, `{"score": "7"}`). Judges quote what they
judge and think before they decide, so the last verdict is the one that counts.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from synth.tasks.task import UnfitError, text_of
from synth.teachers.answers import Answer

MIN_SCORE, MAX_SCORE = 1, 10
Choice = Literal["A", "B", "tie"]


def _either(words: str) -> str:
    """A pattern of words, with syllables whole or in jamo: some models write them one by one."""
    return f"(?:{words}|{unicodedata.normalize('NFD', words)})"


_NUMBER = r"([-+]?[0-9]{1,4}(?:\.[0-9]+)?)"
_OUT_OF = r"(?:\s*/\s*10(?:\.0)?)?"
_POINTS = rf"\s*{_either('점')}?"
_SCORE = _either("rating|score|점수|평점")
_VERDICT = _either("verdict|winner|choice|판정|승자")
_WHICH = f"({_either('a|b|c|tie|무승부')})"
_ASSISTANT = r"(?:assistant\s+)?"
_END = r"\s*[.。)]?[^\S\n]*$"
_FLAGS = re.IGNORECASE | re.MULTILINE
_SCORES = (
    re.compile(rf"\[\[\s*(?:{_SCORE}\s*[:：]\s*)?{_NUMBER}{_OUT_OF}{_POINTS}\s*\]\]", _FLAGS),
    re.compile(rf"{_SCORE}\s*[:：]\s*\[?{_NUMBER}{_POINTS}{_OUT_OF}\s*\]?{_END}", _FLAGS),
)
_CHOICES = (
    re.compile(rf"\[\[\s*{_ASSISTANT}{_WHICH}\s*\]\]", _FLAGS),
    re.compile(rf"{_VERDICT}\s*[:：]\s*\[?{_ASSISTANT}{_WHICH}\s*\]?{_END}", _FLAGS),
)
_MEANS: dict[str, Choice] = {"a": "A", "b": "B", "c": "tie", "tie": "tie", "무승부": "tie"}
_JSON = json.JSONDecoder(strict=False)
Found = tuple[int, str]
"""Where a verdict begins, and what it is."""


def read_score(answer: Answer) -> float:
    """The last score in a judge's answer, from 1 to 10.

    Raises:
        UnfitError: it was cut off, refused, has no score, or one that is out of range.
    """
    text = _whole(answer)
    found = _last(text, _SCORES, ("score", "rating", "점수"), _as_number)
    if found is None:
        raise UnfitError("no_verdict", text)
    if not MIN_SCORE <= float(found) <= MAX_SCORE:
        raise UnfitError("out_of_range", f"{found} is not from {MIN_SCORE} to {MAX_SCORE}: {text}")
    return float(found)


def read_choice(answer: Answer) -> Choice:
    """The last choice in a judge's answer.

    Raises:
        UnfitError: it was cut off, refused, or has none.
    """
    text = _whole(answer)
    found = _last(text, _CHOICES, ("winner", "choice", "verdict", "판정"), _as_choice)
    if found is None:
        raise UnfitError("no_verdict", text)
    return _MEANS[_plain(found)]


def _whole(answer: Answer) -> str:
    """The text of an answer that is complete."""
    text_of(answer)
    return answer.text


def _last(
    text: str, patterns: Sequence[re.Pattern[str]], names: Sequence[str], read: Callable[[Any], str | None]
) -> str | None:
    """The verdict that stands last, in whichever form; None where there is none."""
    without_emphasis = text.replace("*", " ").replace("`", " ")
    found = [(match.start(1), match[1]) for pattern in patterns for match in pattern.finditer(without_emphasis)]
    found += _of_objects(text, names, read)
    return max(found)[1] if found else None


def _of_objects(text: str, names: Sequence[str], read: Callable[[Any], str | None]) -> Iterator[Found]:
    """What the JSON objects in a text have under one of these names, where it can be read."""
    start = text.find("{")
    while start >= 0:
        try:
            value, end = _JSON.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            named = next((value[name] for name in names if name in value), None)
            if (found := read(named)) is not None:
                yield end - 1, found
        start = text.find("{", end)


def _as_number(value: Any) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    whole = re.fullmatch(rf"\s*{_NUMBER}{_OUT_OF}\s*", value) if isinstance(value, str) else None
    return whole[1] if whole else None


def _as_choice(value: Any) -> str | None:
    return value if isinstance(value, str) and _plain(value) in _MEANS else None


def _plain(choice: str) -> str:
    return unicodedata.normalize("NFC", choice.strip().lower())
