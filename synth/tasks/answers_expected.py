"""What a seed says that its answer must be, and how its question is put."""

import ast
import re
from dataclasses import dataclass
from typing import Literal, cast

from manifests.errors import RequestError
from manifests.schema_synthesis import AnswerKind
from synth.final_answers.choices import JAMO, SYLLABLES, chosen_by_text, labels, place_of
from synth.final_answers.expected import Expected, Kind
from synth.samples import Item
from synth.sandboxes.code_check import Asserts
from synth.verify import asks_for_percent, expected_of

AskedKind = Literal["math", "choice", "yes_no", "text", "json", "code"]
"""Of answers: each has a prompt of its own."""

LABELS = {"A": "ABCDEFGHIJ", "1": [str(number) for number in range(1, 11)], "ㄱ": JAMO, "가": SYLLABLES}
_DEFINED = re.compile(r"^(?:async )?def (\w+)\(", re.MULTILINE)


@dataclass(frozen=True)
class Known:
    """What is known of the answer to a question."""

    kind: AskedKind
    question: str
    """As a student reads it: with its passage, its options, or an example of what a function returns."""
    expected: Expected | None = None
    """None where code is tested, or where the majority decides."""
    options: tuple[str, ...] = ()
    tests: Asserts | None = None


def known_of(item: Item, kind: AnswerKind) -> Known:
    """What a seed says of its answer.

    Raises:
        RequestError: the known answer is none of its kind, or there are no tests of a program; says why.
    """
    if kind == "code" or (kind == "auto" and item.tests):
        return _known_tests(item)
    asked = asked_of(item)
    if kind == "choice" or (kind in ("auto", "none") and item.choices):
        return _known_choice(item, asked, is_answered=kind != "none" and item.answer is not None)
    if kind == "none" or item.answer is None:
        return Known("math" if kind in ("auto", "none") else cast(AskedKind, kind), asked)
    if kind == "auto":
        expected = expected_of(item.answer, item.text)
    else:
        unit = "%" if kind == "math" and asks_for_percent(item.text) else ""
        expected = Expected(cast(Kind, kind), item.answer, unit=unit)
    return Known(cast(AskedKind, expected.kind), asked, expected)


def asked_of(item: Item) -> str:
    """A question with its passage."""
    return f"{item.text}\n\n{item.input}" if item.input else item.text


# Multiple choice.


def _known_choice(item: Item, asked: str, *, is_answered: bool) -> Known:
    if len(item.choices) < 2:
        raise RequestError("choices: a question of multiple choice has two or more")
    names, place = "A", None
    if is_answered:
        names, place = _gold_choice(item)
    if len(item.choices) > len(LABELS[names]):
        raise RequestError(f"choices: {len(item.choices)}; {len(LABELS[names])} is the most")
    listed = "\n".join(f"{label}. {text}" for label, text in zip(LABELS[names], item.choices, strict=False))
    gold = None if place is None else Expected("choice", LABELS[names][place], options=item.choices)
    return Known("choice", f"{asked}\n\n{listed}", gold, item.choices)


def _gold_choice(item: Item) -> tuple[str, int]:
    """How options are labelled, and the place of the right one, from 0. Numbers count from 1."""
    assert item.answer is not None
    gold = labels(item.answer)
    by_text, by_label = chosen_by_text(item.answer, item.choices), place_of(gold) if gold else None
    if by_label is not None and by_label >= len(item.choices):
        by_label = None
    if by_text is not None and by_label is not None and by_text != by_label:
        raise RequestError(f"gold answer `{item.answer}`: is the label of one option and the text of another")
    place = by_text if by_label is None else by_label
    if place is None:
        raise RequestError(f"gold answer `{item.answer}`: is none of the {len(item.choices)} options")
    return gold.system if gold and by_label is not None else "A", place


# Programs.


def _known_tests(item: Item) -> Known:
    source = "\n\n".join(item.tests)
    if not source.strip():
        raise RequestError("tests: a question that is answered by code has none")
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RequestError(f"tests: are no Python: {error}") from error
    asked, defined = asked_of(item), _DEFINED.findall(item.text)
    # Tests of HumanEval call their argument `candidate`: the function whose beginning is the question.
    entry_point = defined[-1] if defined and "candidate" in source else None
    example = next((ast.get_source_segment(source, one) for one in statements if isinstance(one, ast.Assert)), None)
    if example and not defined:  # else nobody knows what the function is called
        asked = f"{asked}\n\n```python\n{example}\n```"
    return Known("code", asked, tests=Asserts(source, entry_point))
