"""What can be said of a rewritten text by looking at its source: copied parts, and numbers from nowhere."""

import re
from fractions import Fraction

from synth.final_answers.numerals import DECIMAL, number
from synth.tasks.grams import squeezed

RUN_CHARS = {"ko": 10, "en": 24}
"""Letters and digits that a copied run has at least: some four words."""

_UNIT = "(?:[십백천만억]|조(?![각건직항합])|경(?!기))"  # 5조각 and 5경기 are five
_SCALED = re.compile(
    rf"(?<![\d.])(?:{DECIMAL})"
    rf"(?:(?:\s?{_UNIT}+(?:\s?(?:{DECIMAL}))?)+|\s(?:hundred|thousand|million|billion|trillion)(?![a-z]))?",
    re.IGNORECASE,
)
_PLAIN, _DIGITS = re.compile(DECIMAL), re.compile(r"\d+")
_DATE = re.compile(r"(\d{4})\.\s?(\d{1,2})\.\s?(\d{1,2})(?!\d)")
_LIST_MARK = re.compile(r"^[^\S\n]*(?:[-*•·][^\S\n]+)?\(?\d{1,3}[.)](?=\s)", re.MULTILINE)
_FRAME_MARKS = " \t*_#>:："


def without_frame(text: str, frame: str) -> str:
    """A text without the line that was asked for before it; as it is where it does not begin with that line.

    >>> without_frame("**Here it is:**\\nA text.", "Here it is:")
    'A text.'
    """
    first, _, rest = text.strip().partition("\n")
    is_frame = first.strip(_FRAME_MARKS).casefold() == frame.strip(_FRAME_MARKS).casefold()
    return rest.strip() if is_frame else text.strip()


def copied_frac(text: str, source: str, language: str) -> float:
    """Share of a text's character n-grams that its source has, too; space, case and punctuation do not count."""
    n = RUN_CHARS[language]
    ours, theirs = _ngrams(text, n), _ngrams(source, n)
    known = set(theirs)
    return sum(ngram in known for ngram in ours) / len(ours) if ours else 0.0


def _ngrams(text: str, n: int) -> list[str]:
    letters = squeezed(text)
    return [letters[start : start + n] for start in range(len(letters) - n + 1)]


def new_numbers(text: str, source: str) -> list[str]:
    """The numbers written in digits in a text that its source has in no form, in order.

    Numbers are compared by value: 35,000 is 3만 5천, 2.5 million is 2,500,000, and 3 is `three` and 세. Numbers of
    lists do not count.
    """
    known = _values(source)
    body = _LIST_MARK.sub("", _DATE.sub(r"\1 \2 \3", text))
    found = [match[0].strip() for match in _SCALED.finditer(body)]
    return [written for written in found if (value := number(written)) is not None and value not in known]


def _values(text: str) -> set[Fraction]:
    """Every value that may be read in a text, so that none is called new for its form."""
    text = _DATE.sub(r"\1 \2 \3", text)
    written = [match[0] for pattern in (_SCALED, _PLAIN, _DIGITS) for match in pattern.finditer(text)]
    words = [word.strip(".,;:!?()[]\"'“”‘’") for word in text.split() if not any(char.isdigit() for char in word)]
    return {value for one in (*written, *words) if (value := number(one)) is not None}
