r"""Whether the answer that is marked last is the right number, formula or text: `\boxed{12}`, `정답은 12개입니다`."""

import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from manifests.errors import RequestError
from synth.final_answers.answer_forms import Mark as Place
from synth.final_answers.answer_forms import find
from synth.final_answers.answer_text import plain, trimmed
from synth.final_answers.compare import Compared
from synth.final_answers.expected import Expected, Open, with_unit, worth
from synth.final_answers.math_workers import Job, MathWorkers, Reply
from synth.verify import asks_for_percent
from training.benchmarks.rows import text
from training.benchmarks.task import Doc, Mark, Marked

SCORE = "exact_match"
UNMARKED = ("bare", "stated")
"""Places that nothing marks: a short answer as a whole, or its last sentence. They count where they can be read."""
N_WORKERS_MAX = 4
LIMIT_S = 5.0
"""How long Math-Verify may take for a pair of formulas."""


@dataclass(frozen=True)
class _Judged:
    """What is known of an answer before formulas are compared."""

    read: str
    found: Compared | Open


def boxed(solution: str) -> str:
    r"""What stands in the last `\boxed{}` (or `\fbox{}`); empty where there is none."""
    places = [place for place in find(solution).marks if place.form == "boxed"]
    return places[-1].text if places else ""


def values_marked(gold: Callable[[Doc], str], question: str) -> Mark:
    """Marks answers by the value that they mark last; `question` is the column with the question."""

    def mark(rows: Sequence[Doc], answers: Sequence[str]) -> list[Marked]:
        return marked_values([gold(row) for row in rows], [text(row, question) for row in rows], answers)

    return mark


def marked_values(golds: Sequence[str], questions: Sequence[str], answers: Sequence[str]) -> list[Marked]:
    """A score for each answer: whether what it marks last is the gold answer.

    Raises:
        RequestError: Math-Verify is needed and not installed.
    """
    wanted = map(expected, golds, questions)
    return _settled([_judged(_last(answer), one) for one, answer in zip(wanted, answers, strict=True)])


def stated(golds: Sequence[str], questions: Sequence[str], said: Sequence[str]) -> list[Marked]:
    """The same of answers that were found already; empty where there is none.

    Raises:
        RequestError: Math-Verify is needed and not installed.
    """
    wanted = map(expected, golds, questions)
    places = [Place(0, len(one), _composed(one), "sentence") if one.strip() else None for one in said]
    return _settled([_judged(place, one) for one, place in zip(wanted, places, strict=True)])


def expected(gold: str, question: str) -> Expected:
    """What the answer must be: a number or formula, where the gold answer is read as one, else a text."""
    try:
        return Expected("math", gold, unit="%" if asks_for_percent(question) else "")
    except RequestError:
        return Expected("text", gold)


def _composed(answer: str) -> str:
    """Decomposed Hangul composed; full-width forms are read by `synth.final_answers`."""
    return unicodedata.normalize("NFC", answer)


def _last(answer: str) -> Place | None:
    """The last place that marks an answer; None where there is none, or the answer is cut off in it."""
    found = find(_composed(answer), is_stated_enough=True)
    return found.marks[-1] if found.marks and not found.is_cut else None


def _judged(place: Place | None, wanted: Expected) -> _Judged:
    if place is None:
        return _Judged("", Compared("form", "marks no answer"))
    found = worth(wanted, place)
    if place.form in UNMARKED and isinstance(found, Compared) and found.outcome == "form":
        return _Judged("", Compared("form", "marks no answer"))
    return _Judged(trimmed(plain(with_unit(place))) or place.text.strip(), found)


def _settled(judged: Sequence[_Judged]) -> list[Marked]:
    jobs = list(dict.fromkeys(job for one in judged for job in _jobs(one)))
    replies = _asked(jobs)
    return [_marked(one, replies) for one in judged]


def _jobs(judged: _Judged) -> Iterable[Job]:
    return judged.found.jobs if isinstance(judged.found, Open) else ()


def _asked(jobs: Sequence[Job]) -> dict[Job, Reply]:
    if not jobs:
        return {}
    n_workers = max(1, min(N_WORKERS_MAX, (os.cpu_count() or 2) // 2, len(jobs)))
    with MathWorkers(n_workers, LIMIT_S) as workers:
        return dict(zip(jobs, workers.ask(jobs), strict=True))


def _marked(judged: _Judged, replies: dict[Job, Reply]) -> Marked:
    if isinstance(judged.found, Compared):
        is_right = judged.found.outcome == "right"
        return Marked({SCORE: float(is_right)}, "" if is_right else judged.found.why, judged.read)
    of_jobs = [replies[job] for job in judged.found.jobs]
    is_right = all(reply.is_so for reply in of_jobs)
    why = next((reply.why or "another value" for reply in of_jobs if not reply.is_so), "")
    return Marked({SCORE: float(is_right)}, why, judged.read)
