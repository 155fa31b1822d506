"""What a judge is asked, and that it is asked again where its answer cannot be read."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

from manifests.errors import RunError
from manifests.schema_evaluation import Judged
from manifests.schema_teacher import Sampling
from synth.gates.prose import parted
from synth.prompts import Prompt, Prompts
from synth.tasks.task import REFUSED_REQUEST, UnfitError
from synth.teacher import Failure, Teacher, request_of
from synth.teachers.answers import Answer
from training.evaluating.jobs import Transcript
from training.judging.questions import Question

FOLDER = Path(__file__).parent / "prompts"
AGAIN_MAX = 3
"""How often a judge is asked again whose answer cannot be read; each time with another seed and a temperature."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Verdict(Generic[T_co]):
    """What came of a question to the judge."""

    value: T_co | None
    """None where none of its answers can be read."""
    said: str
    """The last answer, as it is."""
    why: str = ""
    """Why it cannot be read: `cut`, `refused`, `refused_request`, `empty`, `no_verdict`, `out_of_range`."""


# Prompts


def language_of(judged: Judged) -> str:
    """In which language the judge is asked, and the model expected to answer."""
    return "ko" if judged.form in ("logickor", "komt-bench") else "en"


def score_prompt(judged: Judged, question: Question, transcript: Transcript, turn: int) -> Prompt:
    """Asks for the score of one turn, the ones before it being shown."""
    return _prompt("score", judged, question, [transcript], turn)


def compare_prompt(judged: Judged, question: Question, first: Transcript, second: Transcript, turn: int) -> Prompt:
    """Asks which of two answers to a turn is better: A, the first one, or B."""
    return _prompt("compare", judged, question, [first, second], turn)


def _prompt(name: str, judged: Judged, question: Question, shown: Sequence[Transcript], turn: int) -> Prompt:
    references = [*question.references, *[""] * len(question.turns)]
    turns = [
        {
            "asked": question.turns[i],
            "reference": references[i].strip(),
            "answered": _without_thoughts(shown[0], i),
            "other": _without_thoughts(shown[-1], i),
        }
        for i in range(turn + 1)
    ]
    return _prompts()(
        name,
        language_of(judged),
        turns=turns,
        n_turns=len(turns),
        has_reference=bool(turns[-1]["reference"]),
        history=question.history,
        checklist=question.checklist,
    )


@cache
def _prompts() -> Prompts:
    return Prompts(str(FOLDER))


def _without_thoughts(transcript: Transcript, turn: int) -> str:
    """What a reader would see of an answer."""
    return parted(transcript.turns[turn].answered)[1].strip()


# Asking


def verdicts(
    teacher: Teacher, prompts: Sequence[Prompt], sampling: Sampling, read: Callable[[Answer], T], told: Told
) -> list[Verdict[T]]:
    """The verdict on each prompt, in their order.

    Args:
        teacher: the judge; what it answered is kept before anything is done with it.
        prompts: what it is asked.
        sampling: how its answers are drawn.
        read: reads one, or raises UnfitError.
        told: is told how many prompts have their verdict, of how many.

    Raises:
        RequestError: see `Teacher`.
        RunError: the judge is gone; what it answered is kept.
    """
    found, failures = dict[int, Verdict[T]](), list[Failure]()
    waiting, open_ = deque((number, 0) for number in range(len(prompts))), dict[int, tuple[int, int]]()
    n_tickets = 0
    while waiting or open_:
        while waiting and teacher.wants_more:
            number, attempt = waiting.popleft()
            open_[n_tickets] = (number, attempt)
            teacher.submit(n_tickets, request_of(prompts[number].messages, sampling, attempt=attempt))
            n_tickets += 1
        for ticket, reply in teacher.receive():
            number, attempt = open_.pop(ticket)
            if isinstance(reply, Failure) and not reply.is_rejected:
                failures.append(reply)
                continue
            verdict = _read(reply, read)
            if verdict.value is None and attempt < AGAIN_MAX and verdict.why != REFUSED_REQUEST:
                waiting.append((number, attempt + 1))
            else:
                found[number] = verdict
                told(len(found), len(prompts))
    if failures:
        raise RunError(
            f"{len(failures)} of {len(prompts)} requests had no answer; the last one: {failures[-1].message}; "
            "what was answered is kept: run the same command again to go on"
        )
    return [found[number] for number in range(len(prompts))]


def _read(reply: Answer | Failure, read: Callable[[Answer], T]) -> Verdict[T]:
    if isinstance(reply, Failure):  # the server is there and will not have it, as one that is too long
        return Verdict(None, reply.message, REFUSED_REQUEST)
    try:
        return Verdict(read(reply), reply.text)
    except UnfitError as error:
        return Verdict(None, reply.text or error.detail, error.reason)


def reasons(found: Sequence[Verdict[object]]) -> str:
    """Why verdicts cannot be read, with how many there are of each reason; the most frequent first."""
    counts = Counter(verdict.why for verdict in found if verdict.value is None)
    return ", ".join(f"{reason} {n}" for reason, n in counts.most_common())
