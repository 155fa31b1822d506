"""Whether an answer has the value of the gold answer: exactly, and with its unit.

What is decided here, where there is a choice:

- A unit may be missing on one side: 5 is 5시간. Where both have one, they are converted (300분 is 5시간), and units
  of two dimensions are never equal. Counters (개, 명, apples) are not compared.
- A gold answer without unit may mean any; but 12% is not 12, nor 3할, nor a dozen: that is `form`, unless the value
  is equal (0.12). A gold answer in percent may be answered by its number, or its value: 12%, 12, 0.12.
- A value that is right in another unit than the gold answer leaves open is `form`: 300분 for a bare 5.
- Numbers are equal exactly: 0.33 is not 1/3. An answer that is the gold answer rounded to two places or more is
  `form`.
  A gold answer of nine decimals or more is itself rounded, and answers are rounded as it is.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from synth.final_answers.quantities import Clock, Quantity, Ratio, Several, Value
from synth.final_answers.units import COUNT, SAME_DIMENSION

Outcome = Literal["right", "wrong", "form", "cut"]
AMBIGUOUS = {"percent", "dozen"}
"""Dimensions of which the number alone is no answer."""
FLOAT_DECIMALS = 9
"""A gold answer with so many was printed by a program."""


@dataclass(frozen=True)
class Compared:
    """Of an answer and the gold answer."""

    outcome: Outcome
    why: str


RIGHT, WRONG = Compared("right", "equal"), Compared("wrong", "another value")


def compare(gold: Value, answer: Value, tolerance: Fraction = Fraction(0)) -> Compared:
    """See the module.

    Args:
        gold: of the gold answer.
        answer: of the response.
        tolerance: how far numbers may be apart, in the unit of the gold answer.
    """
    if isinstance(answer, Clock) and isinstance(gold, Quantity):
        return _hour(gold, answer)
    if isinstance(answer, Quantity) and isinstance(gold, Clock):
        is_hour = gold.minute == 0 and answer.number in (gold.hour, gold.hour % 12 or 12)
        return Compared("form", "a number, where a time of day is the answer") if is_hour else WRONG
    if type(gold) is not type(answer):
        return Compared("form", f"{_named(answer)}, where {_named(gold)} is the answer")
    if isinstance(gold, Quantity) and isinstance(answer, Quantity):
        return _quantities(gold, answer, tolerance)
    if isinstance(gold, Clock) and isinstance(answer, Clock):
        return _clocks(gold, answer)
    if isinstance(gold, Ratio) and isinstance(answer, Ratio):
        return RIGHT if _lowest(gold) == _lowest(answer) else WRONG
    assert isinstance(gold, Several) and isinstance(answer, Several)
    return _several(gold, answer, tolerance)


def _named(value: Value) -> str:
    names = {Quantity: "one number", Clock: "a time of day", Ratio: "a ratio", Several: "several numbers"}
    return names[type(value)]


def _quantities(gold: Quantity, answer: Quantity, tolerance: Fraction) -> Compared:
    if gold.dimension in (None, COUNT):
        return _to_bare(gold, answer, tolerance)
    if answer.dimension in (None, COUNT):
        return _from_bare(gold, answer, tolerance)
    if gold.dimension != answer.dimension:
        return Compared("wrong", f"in {answer.dimension}, where the answer is in {gold.dimension}")
    assert gold.unit
    return _equal(gold.base, answer.base, tolerance * gold.unit.factor, gold, answer)


def _equal(gold: Fraction, answer: Fraction, tolerance: Fraction, written: Quantity, said: Quantity) -> Compared:
    if written.n_decimals >= FLOAT_DECIMALS:
        tolerance = max(tolerance, Fraction(1, 10**FLOAT_DECIMALS))
    if abs(gold - answer) <= tolerance:
        return RIGHT
    is_rounded = said.n_decimals >= 2 and abs(gold - answer) * 2 <= Fraction(1, 10**said.n_decimals)
    return Compared("form", "the gold answer, rounded") if is_rounded else WRONG


def _to_bare(gold: Quantity, answer: Quantity, tolerance: Fraction) -> Compared:
    """The gold answer has no unit, or counts."""
    assert gold.number is not None
    if answer.dimension in (None, COUNT):
        assert answer.number is not None
        return _equal(gold.number, answer.number, tolerance, gold, answer)
    assert answer.dimension and answer.unit
    if answer.dimension in AMBIGUOUS:
        is_equal = _equal(gold.number, answer.base, tolerance, gold, answer) == RIGHT
        if is_equal and (gold.dimension is None or answer.dimension == "dozen"):  # 36 eggs are 3 dozen
            return RIGHT
        is_number = is_equal or answer.number == gold.number
        return Compared("form", f"{answer.dimension}, where no unit was said") if is_number else WRONG
    if answer.number is not None and _equal(gold.number, answer.number, tolerance, gold, answer) == RIGHT:
        is_thing = gold.dimension == COUNT
        return Compared("form", f"in {answer.dimension}, where things are counted") if is_thing else RIGHT
    factors = SAME_DIMENSION.get(answer.dimension, [])
    if gold.dimension is None and any(answer.base == gold.number * factor for factor in factors):
        return Compared("form", "right in another unit, where no unit was said")
    return WRONG


def _from_bare(gold: Quantity, answer: Quantity, tolerance: Fraction) -> Compared:
    """The gold answer has a unit, the response none, or counts."""
    assert answer.number is not None
    if gold.dimension in AMBIGUOUS and answer.unit is None and answer.number == gold.base:
        return RIGHT
    if gold.number is None:
        factors = SAME_DIMENSION.get(gold.dimension or "", [])
        fits = any(gold.base == answer.number * factor for factor in factors)
        return Compared("form", "right in one unit, where no unit was said") if fits else WRONG
    found = _equal(gold.number, answer.number, tolerance, gold, answer)
    if found == RIGHT and answer.unit:
        return Compared("form", f"counts things, where the answer is in {gold.dimension}")
    return found


def _hour(gold: Quantity, answer: Clock) -> Compared:
    """5시 for 5; 5:30 may also be a ratio, or 330 minutes."""
    if answer.minute == 0 and gold.number in (answer.hour, answer.hour % 12 or 12) and gold.dimension is None:
        return RIGHT
    return Compared("form", "a time of day or a ratio, where one number is the answer")


def _clocks(gold: Clock, answer: Clock) -> Compared:
    if bool(gold.half) == bool(answer.half):
        is_equal = (gold.hour, gold.minute) == (answer.hour, answer.minute)
        if (
            not is_equal
            and gold.is_bare
            and answer.is_bare
            and gold.minute * answer.hour == answer.minute * gold.hour
        ):
            return Compared("form", "equal as ratios, not as times of day")
        return RIGHT if is_equal else WRONG
    if gold.minute != answer.minute or gold.hour % 12 != answer.hour % 12:
        return WRONG
    is_afternoon_said = max(gold.hour, answer.hour) > 12 and gold.hour == answer.hour
    if is_afternoon_said or answer.half:  # 17:30 for 오후 5:30; 오후 5:30, where no half was said
        return RIGHT
    return Compared("form", "does not say whether before or after noon")


def _lowest(ratio: Ratio) -> tuple[Fraction, ...]:
    """Divided by the first that is not zero."""
    by = next((part for part in ratio.parts if part), Fraction(1))
    return tuple(part / by for part in ratio.parts)


def _several(gold: Several, answer: Several, tolerance: Fraction) -> Compared:
    """Each one is found among the others, in any order."""
    left = list(answer.quantities)
    for one in gold.quantities:
        match = next((other for other in left if _quantities(one, other, tolerance) == RIGHT), None)
        if match is None:
            return WRONG
        left.remove(match)
    return Compared("wrong", "more numbers than the answer has") if left else RIGHT
