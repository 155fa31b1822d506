"""What an answer must be, and what one final answer is worth: numbers, formulas, options, yes or no, texts, JSON."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import orjson

from manifests.errors import RequestError
from synth.final_answers import choices, json_answers
from synth.final_answers.answer_forms import Mark
from synth.final_answers.answer_text import plain, trimmed, variants
from synth.final_answers.answer_values import are_comparable, as_formula, formula_of, is_one_number, value_of
from synth.final_answers.compare import RIGHT, Compared, compare
from synth.final_answers.json_schema_check import check_schema, misfit, needs_a_limit
from synth.final_answers.math_workers import Job
from synth.final_answers.numerals import number
from synth.final_answers.quantities import Clock, Quantity, Ratio, Value
from synth.final_answers.units import UNIT, Unit, unit_named

Kind = Literal["math", "choice", "yes_no", "text", "json", "calls"]


@dataclass(frozen=True)
class Expected:
    """What the answer must be.

    Raises:
        RequestError: the gold answer is none of its kind.
    """

    kind: Kind
    gold: str
    """A number or formula; a label (`B`, `3`, `ㄱ, ㄴ`); yes or no; a text; JSON, or empty where a schema is all."""
    unit: str = ""
    """Of a gold answer that is written without it: `%`, `시간`."""
    tolerance: str = "0"
    """How far numbers may be apart, in the unit of the gold answer."""
    options: tuple[str, ...] = ()
    """Texts of the options in order."""
    accepts: tuple[str, ...] = ()
    """Other texts that are right."""
    schema: str = ""
    """JSON Schema of the answer; of `calls`, a list of functions with their parameters."""
    is_stated_enough: bool = False
    """See `answer_forms.find`."""

    def __post_init__(self) -> None:
        _gold(self)


@dataclass(frozen=True)
class Open:
    """What can only be said when questions are answered: `right` where all are so."""

    jobs: tuple[Job, ...]


Answered = Compared | Open


# Numbers and formulas.


@dataclass(frozen=True)
class _MathGold:
    value: Value | None
    formula: tuple[str, Unit | None] | None


def _math_gold(expected: Expected) -> _MathGold:
    value, formula = value_of(expected.gold), formula_of(expected.gold)
    if value is None and formula is None:
        raise RequestError(f"gold answer `{expected.gold}`: is no number and no formula")
    tolerance = number(expected.tolerance)
    if tolerance is None or tolerance < 0:
        raise RequestError(f"tolerance `{expected.tolerance}`: expected a number from 0")
    if not expected.unit:
        return _MathGold(value, formula)
    match = UNIT.fullmatch(expected.unit)
    if not match:
        raise RequestError(f"unit `{expected.unit}`: is none that is known")
    if isinstance(value, Quantity) and value.number is not None and value.unit is None:
        value = Quantity(value.number, unit_named(match), value.n_decimals)
    return _MathGold(value, formula and (formula[0], formula[1] or unit_named(match)))


def _math(expected: Expected, mark: Mark) -> Answered:
    gold = _gold(expected)
    text = with_unit(mark)
    value = value_of(text)
    if value is not None and gold.value is not None:
        tolerance = number(expected.tolerance)
        assert tolerance is not None
        return compare(gold.value, value, tolerance)
    said = formula_of(text) if value is None else _as_formula(value)
    wanted = gold.formula if gold.value is None else _as_formula(gold.value)
    if said is None:
        return Compared("form", "is not read as one number or formula")
    if wanted is None or (isinstance(gold.value, Quantity) and not is_one_number(said[0])):
        return Compared("form", "is not worked out, or of another kind than the gold answer")
    if said[1] and (said[1].dimension == "percent" or (wanted[1] and said[1] != wanted[1])):
        return Compared("form", "a formula in another unit")
    if not are_comparable(wanted[0], said[0]):
        return Compared("form", "in other digits, or with letters of another case")
    return Open((Job("equal", wanted[0], said[0]),))


def _as_formula(value: Value) -> tuple[str, Unit | None] | None:
    formula = None if isinstance(value, Clock | Ratio) else as_formula(value)
    return (formula, value.unit) if formula and isinstance(value, Quantity) else None


def with_unit(mark: Mark) -> str:
    r"""`\boxed{300}분` is 300분."""
    behind = plain(mark.behind)
    unit = UNIT.match(behind)
    return f"{mark.text}{'' if behind[:1] == '%' else ' '}{unit[0]}" if unit else mark.text


# Choices, yes or no, texts.


def _choice_gold(expected: Expected) -> choices.Labels:
    found = choices.labels(expected.gold)
    if found is None:
        raise RequestError(f"gold answer `{expected.gold}`: is no label such as B, 3, ③ or `ㄱ, ㄴ`")
    return found


def _choice(expected: Expected, mark: Mark) -> Compared:
    gold = _gold(expected)
    said = choices.labels(mark.text, expected.options)
    if said is None:
        place = choices.chosen_by_text(mark.text, expected.options)
        if place is None:
            return Compared("form", "names no option, or more than one reading")
        return RIGHT if place == choices.place_of(gold) else Compared("wrong", "another option")
    if said.system != gold.system:
        return Compared("form", "names options in another way than the gold answer")
    return RIGHT if said.chosen == gold.chosen else Compared("wrong", "another option")


def _yes_no_gold(expected: Expected) -> bool:
    found = choices.yes_or_no(expected.gold)
    if found is None:
        raise RequestError(f"gold answer `{expected.gold}`: is neither yes nor no")
    return found


def _yes_no(expected: Expected, mark: Mark) -> Compared:
    said = choices.yes_or_no(mark.text)
    if said is None:
        return Compared("form", "is neither yes nor no")
    return RIGHT if said == _gold(expected) else Compared("wrong", "the contrary")


def _text_gold(expected: Expected) -> frozenset[str]:
    texts = frozenset(choices.folded(text) for text in (expected.gold, *expected.accepts))
    if not all(texts):
        raise RequestError("gold answer: is empty")
    return texts


def _text(expected: Expected, mark: Mark) -> Compared:
    gold = _gold(expected)
    said = {choices.folded(one) for one in (mark.text, *variants(trimmed(plain(mark.text))))}
    if said & gold:
        return RIGHT
    if any(one and (one in other or other in one) for one in said for other in gold):
        return Compared("form", "says more or less than the gold answer")
    return Compared("wrong", "another text")


# JSON and calls.


@dataclass(frozen=True)
class _JsonGold:
    value: Any
    schema: Any
    is_limited: bool


def _json_gold(expected: Expected) -> _JsonGold:
    if not expected.gold and not expected.schema:
        raise RequestError("gold answer: is empty, and there is no schema")
    try:
        value = json_answers.parse(expected.gold) if expected.gold else None
        schema = json_answers.parse(expected.schema) if expected.schema else None
        if expected.kind == "calls":
            value = json_answers.calls_of(value) if expected.gold else None
            schema = json_answers.tools_of(schema) if expected.schema else {}
    except ValueError as error:
        raise RequestError(f"gold answer or schema: {error}") from error
    for name, one in (schema or {}).items() if expected.kind == "calls" else [("schema", schema)]:
        if one is not None:
            check_schema(one, name)
    return _JsonGold(value, schema, needs_a_limit(schema))


def _json(expected: Expected, value: Any) -> Answered:
    gold = _gold(expected)
    if expected.gold and not json_answers.same(gold.value, value):
        return Compared("wrong", "another value")
    return RIGHT if gold.schema is None else _fits([(gold.schema, value)], gold.is_limited)


def _calls(expected: Expected, value: Any) -> Answered:
    gold = _gold(expected)
    try:
        said = json_answers.calls_of(value)
    except ValueError as error:
        return Compared("form", str(error))
    unfit = next((why for call in said if (why := json_answers.unfit_call(call, gold.schema))), None)
    if gold.schema and unfit:
        return Compared("wrong", unfit)
    if expected.gold and not json_answers.same_calls(gold.value, said, gold.schema):
        return Compared("wrong", "other calls")
    return _fits([(gold.schema[call.name], call.arguments) for call in said if gold.schema], gold.is_limited)


def _fits(checks: list[tuple[Any, Any]], is_limited: bool) -> Answered:
    if is_limited:
        return Open(tuple(Job("fits", _dumped(schema), _dumped(value)) for schema, value in checks))
    why = next((why for schema, value in checks if (why := misfit(schema, value))), None)
    return Compared("wrong", why) if why else RIGHT


def _dumped(value: Any) -> str:
    return orjson.dumps(value).decode()


_GOLDS = {"math": _math_gold, "choice": _choice_gold, "yes_no": _yes_no_gold, "text": _text_gold} | {
    "json": _json_gold,
    "calls": _json_gold,
}
_ANSWERS = {"math": _math, "choice": _choice, "yes_no": _yes_no, "text": _text}


@lru_cache(maxsize=4_096)
def _gold(expected: Expected) -> Any:
    """The gold answer, read once for all its responses."""
    if expected.kind not in _GOLDS:
        raise RequestError(f"kind `{expected.kind}`: expected one of {', '.join(_GOLDS)}")
    return _GOLDS[expected.kind](expected)


def worth(expected: Expected, mark: Mark) -> Answered:
    """What one final answer is worth."""
    return _ANSWERS[expected.kind](expected, mark)


def worth_of_json(expected: Expected, value: Any) -> Answered:
    """What a value is worth where JSON or calls are expected."""
    return (_calls if expected.kind == "calls" else _json)(expected, value)
