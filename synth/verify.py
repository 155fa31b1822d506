"""Whether the final answer of a response is the gold answer: exactly, or not at all.

A response is `right` only where it marks one final answer, that can be read in one way, and equals the gold answer.
All else that is not plainly `wrong` is `form`: no mark, several answers that differ, second thoughts behind the
answer, a form that is not read. `cut` are those that end too early.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from manifests.errors import RequestError
from synth.final_answers import json_answers
from synth.final_answers.answer_forms import Mark, find, without_thoughts
from synth.final_answers.answer_text import plain, trimmed
from synth.final_answers.compare import RIGHT, Compared, Outcome
from synth.final_answers.expected import Answered, Expected, Open, with_unit, worth, worth_of_json
from synth.final_answers.math_workers import Job, MathWorkers, Reply

CASES_AT_ONCE = 1_000
"""So many are decided before their formulas are compared."""


@dataclass(frozen=True)
class Verdict:
    """On one response."""

    outcome: Outcome
    found: str | None
    """The final answer as it stands there."""
    why: str


@dataclass(frozen=True)
class Case:
    """A response, and what is expected of it."""

    response: str
    expected: Expected
    finish_reason: str = "stop"
    """`length` where the teacher was cut off."""


def verify(response: str, expected: Expected, finish_reason: str = "stop") -> Verdict:
    """Verify one response; many are faster by `verify_all`, since a process starts where formulas are compared."""
    return next(verify_all([Case(response, expected, finish_reason)]))


def verify_all(cases: Iterable[Case], workers: MathWorkers | None = None) -> Iterator[Verdict]:
    """A verdict for each case, in order; so many cases are in memory at once.

    Plain numbers, choices and texts are decided here; formulas, and schemas with patterns, by processes with limits.

    Args:
        cases: of any kinds.
        workers: who compares formulas; else one process, for this call.

    Raises:
        RequestError: Math-Verify or jsonschema is needed and not installed.
    """
    if workers is None:
        with MathWorkers() as workers:
            yield from verify_all(cases, workers)
        return
    source = iter(cases)
    while some := list(islice(source, CASES_AT_ONCE)):
        decided = [_decide(case) for case in some]
        jobs = list(dict.fromkeys(job for answers in decided for job in _jobs(answers)))
        replies = dict(zip(jobs, workers.ask(jobs), strict=True)) if jobs else {}
        for answers in decided:
            yield answers if isinstance(answers, Verdict) else _settle(answers, replies)


def final_answer(response: str, expected: Expected, workers: MathWorkers | None = None) -> str | None:
    """What a response says in the end, whatever the gold answer; None where it is cut off or says none or several."""
    decided = _decide(Case(response, expected))
    if isinstance(decided, Verdict):
        return None
    last = decided[-1][0]
    if all(said == last for said, _ in decided):
        return last
    try:  # `12` in a box, and then `12 apples`
        case = Case(response, replace(expected, gold=last))
    except RequestError:
        return None
    return last if next(verify_all([case], workers)).outcome == "right" else None


def _jobs(decided: "list[tuple[str, Answered]] | Verdict") -> Iterator[Job]:
    if isinstance(decided, Verdict):
        return
    for _, answered in decided:
        yield from answered.jobs if isinstance(answered, Open) else ()


def _decide(case: Case) -> list[tuple[str, Answered]] | Verdict:
    """Each final answer of a response and what it is worth, or at once the verdict."""
    if case.finish_reason == "length":
        return Verdict("cut", None, "the teacher was cut off")
    if case.expected.kind in ("json", "calls"):
        return _decide_json(case)
    found = find(case.response, case.expected.is_stated_enough)
    if found.is_cut:
        return Verdict("cut", None, "ends before its answer")
    if not found.marks:
        return Verdict("form", None, "marks no final answer")
    if found.is_taken_back:
        return Verdict("form", found.marks[-1].text.strip(), "has second thoughts behind its answer")
    return [(_said(mark), worth(case.expected, mark)) for mark in found.marks]


def _settle(answers: list[tuple[str, Answered]], replies: dict[Job, Reply]) -> Verdict:
    """The last answer counts, unless an earlier one is right where it is wrong, or the other way round."""
    compared = [(said, _compared(answered, replies)) for said, answered in answers]
    last, verdict = compared[-1]
    others = {one.outcome for _, one in compared} - {"form"}
    if verdict.outcome == "form":
        return Verdict("form", last, verdict.why)
    if others > {verdict.outcome}:
        return Verdict("form", last, "several final answers: " + "; ".join(said for said, _ in compared))
    return Verdict(verdict.outcome, last, verdict.why)


def _compared(answered: Answered, replies: dict[Job, Reply]) -> Compared:
    if isinstance(answered, Compared):
        return answered
    for reply in (replies[job] for job in answered.jobs):
        if reply.is_so is None:
            return Compared("form", reply.why)
        if not reply.is_so:
            return Compared("wrong", reply.why or "another value")
    return RIGHT


def _said(mark: Mark) -> str:
    return trimmed(plain(with_unit(mark))) or mark.text.strip()


def _decide_json(case: Case) -> list[tuple[str, Answered]] | Verdict:
    text, is_open = without_thoughts(case.response)
    found = json_answers.find(text, case.expected.kind == "calls")
    if is_open or found.is_cut:
        return Verdict("cut", None, "ends before its answer")
    if found.text is None:
        return Verdict("form", None, found.why)
    return [(found.text, worth_of_json(case.expected, found.value))]


def expected_of(gold: str, question: str = "") -> Expected:
    """What to expect where only a gold answer is given: a number or formula where it is one, else a text.

    Labels of options cannot be told from formulas (`B`), nor `0` from no: name the kind of those.
    """
    try:
        return Expected("math", gold, unit="%" if asks_for_percent(question) else "")
    except RequestError:
        return Expected("text", gold)


def asks_for_percent(question: str) -> bool:
    """Whether a question asks how many percent: then `unit="%"` for a gold answer that is only a number."""
    return bool(_PERCENT.search(question))


_PERCENT = re.compile(
    r"what\s+percent|what\s+is\s+the\s+percent|how\s+many\s+percent|percentage\s+of[^.?]*\?|in\s+percent|as\s+a\s+percent|"
    r"what\s+(?:\w+\s+){0,4}percentage|몇\s*(?:%|퍼센트|프로)|백분율",
    re.IGNORECASE,
)
