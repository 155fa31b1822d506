"""Where there is no gold answer: what most samples say; and how hard a question is, by how many samples solve it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from manifests.errors import RequestError
from synth.final_answers.expected import Expected, Kind
from synth.final_answers.math_workers import MathWorkers
from synth.verify import Case, Verdict, final_answer, verify_all

Difficulty = Literal["trivial", "easy", "medium", "hard", "unsolved"]
EASY_FROM, MEDIUM_FROM = 0.75, 0.25
"""Pass rates. Samples that all solve a question teach nothing that the teacher did not know (trivial)."""


@dataclass(frozen=True)
class Majority:
    """Of the samples of one question."""

    answer: str | None
    """As most samples of the largest class write it; None where there is no answer, or a tie."""
    share: float
    """Of all samples, those without an answer too."""
    is_tie: bool
    classes: tuple[tuple[str, int], ...]
    """Answers that differ and how many samples say each, the largest first."""


def majority(
    responses: Sequence[str],
    kind: Kind = "math",
    options: tuple[str, ...] = (),
    workers: MathWorkers | None = None,
    is_stated_enough: bool = False,
) -> Majority:
    """What most samples of one question say.

    Two answers are one where the verifier takes one for the other: 0.5, 1/2 and 50%. Answers are looked at by how
    often their text occurs, so that their order changes nothing; one that fits two classes goes to the larger.

    Raises:
        RequestError: see `verify_all`.
    """
    probe = Expected(kind, _PROBES[kind], options=options, is_stated_enough=is_stated_enough)
    said = [answer for response in responses if (answer := final_answer(response, probe, workers)) is not None]
    counts = {answer: said.count(answer) for answer in said}
    ordered = sorted(counts, key=lambda answer: (-counts[answer], len(answer), answer))
    classes: dict[str, int] = {}
    for answer in ordered:
        name = _class_of(answer, list(classes), probe, workers)
        if name is not None:
            classes[name] = classes.get(name, 0) + counts[answer]
    ranked = sorted(classes.items(), key=lambda item: (-item[1], item[0]))
    is_tie = len(ranked) > 1 and ranked[0][1] == ranked[1][1]
    top = ranked[0][1] / len(responses) if ranked else 0.0
    return Majority(ranked[0][0] if ranked and not is_tie else None, top, is_tie, tuple(ranked))


_PROBES: dict[Kind, str] = {"math": "0", "choice": "A", "yes_no": "yes", "text": "?a", "json": "{}", "calls": "[]"}
"""Gold answers that stand for none: they say of which kind answers are."""


def _class_of(answer: str, names: list[str], probe: Expected, workers: MathWorkers | None) -> str | None:
    """The name of the class that an answer belongs to, itself where it is new; None where it is none of its kind."""
    try:
        golds = [replace(probe, gold=one) for one in (*names, answer)]
    except RequestError:
        return None
    there = [Case(_as_response(answer, probe.kind), gold) for gold in golds]
    back = [Case(_as_response(name, probe.kind), golds[-1]) for name in (*names, answer)]
    outcomes = [verdict.outcome for verdict in verify_all([*there, *back], workers)]
    same = zip((*names, answer), outcomes, outcomes[len(there) :], strict=False)
    return next((name for name, one, other in same if "right" in (one, other)), None)


def _as_response(answer: str, kind: Kind) -> str:
    return answer if kind in ("json", "calls") else f"\\boxed{{{answer}}}"


def pass_frac(verdicts: Sequence[Verdict]) -> float:
    """Of the samples of one question those that are right; samples that were cut off or not read are not."""
    return sum(verdict.outcome == "right" for verdict in verdicts) / len(verdicts) if verdicts else 0.0


def difficulty(frac: float) -> Difficulty:
    """Of a question, by its pass rate."""
    if frac in (0, 1):
        return "trivial" if frac else "unsolved"
    return "easy" if frac >= EASY_FROM else "medium" if frac >= MEDIUM_FROM else "hard"
