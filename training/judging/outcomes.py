"""What a model comes to by a judge: from points of each answer to scores, groups, notes and what they mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from manifests.schema_evaluation import Judged
from training.evaluating.jobs import Transcript
from training.evaluating.results import Evaluated
from training.jobs import Cell
from training.judging.asking import Verdict, language_of, reasons
from training.judging.figures import LENGTH_ANSWERS_MIN, Numbers, length_note, units, weighted_mean
from training.judging.questions import Question

JUDGING_VERSION = 1
"""Another number where the same answers are asked about in another way, or come to other figures."""
UNREAD_MAX = 0.2
"""Share of verdicts that may be missing; of more there is no score."""
GROUP_WEIGHTS = {
    "Creative Tasks": 0.5,
    "Information/Advice seeking": 0.75,
    "Math & Data Analysis": 1.0,
    "Planning & Reasoning": 1.25,
    "Coding & Debugging": 1.25,
}
"""Of WildBench's groups in its WB-Score, as its leaderboard weighs them."""
NEED_REFERENCE = ("math", "reasoning", "coding")
"""Categories that MT-bench is judged in with a reference."""


@dataclass(frozen=True)
class Point:
    """What an answer got."""

    question: int
    turn: int
    value: float | None
    """None where no verdict could be read."""


@dataclass(frozen=True)
class Judgements:
    """All that was judged of a model."""

    points: list[Point]
    verdicts: Sequence[Verdict[object]]
    """Those that the points are made of."""
    main: str
    lengths: list[float]
    """Of each point: characters of the answer, or how many more it has than the other's."""
    lengths_are: str = "lengths"
    more: dict[str, list[Point]] = field(default_factory=dict)
    """Points of further scores, by their name."""
    settings: dict[str, Cell] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def outcome(
    judged: Judged, questions: Sequence[Question], transcripts: Sequence[Transcript], found: Judgements, seed: int
) -> Evaluated:
    """A model's scores; why there are none, where more than a fifth of the verdicts cannot be read."""
    notes = [*_of_answers(judged, questions, transcripts), *found.notes]
    settings = {**_settings(judged, questions), **found.settings}
    n_unread = sum(point.value is None for point in found.points)
    said = f"{n_unread} of {len(found.points)} verdicts of the judge cannot be read ({reasons(found.verdicts)})"
    result = Evaluated(name=judged.name, kind="judged", side="chat", settings=settings, notes=notes)
    if n_unread > UNREAD_MAX * len(found.points):
        result.why = (
            f"{said}, more than a fifth; they are kept, and `items` has them: name another judge, or a greater "
            f"`max_tokens` in its `sampling` where they are cut"
        )
        return result
    if n_unread:
        notes.append(f"{said}; they are left out of the means")
    lengths, values = _read(found)
    if note := length_note(lengths, values, found.lengths_are):
        notes.append(note)
    result.main = found.main
    _add_scores(result, questions, found, seed)
    return result.model_copy(update={"notes": notes})


def _add_scores(result: Evaluated, questions: Sequence[Question], found: Judgements, seed: int) -> None:
    """Main score first; then those of turns, further ones, and the main score of each group."""
    is_wild = found.main == "wb_score"
    names = sorted({group for question in questions for group in question.groups}, key=_place)
    weights = [GROUP_WEIGHTS[name] for name in names] if is_wild else [1.0]
    columns = (lambda point: [names.index(one) for one in questions[point.question].groups]) if is_wild else _all
    sums, counts = table(len(questions), found.points, columns, len(weights))
    scores = {found.main: weighted_mean(sums, counts, weights, seed)}
    n_turns = max((point.turn for point in found.points), default=0) + 1
    of_turns = {f"turn_{turn + 1}": [one for one in found.points if one.turn == turn] for turn in range(n_turns)}
    for name, points in ((of_turns if n_turns > 1 else {}) | found.more).items():
        scores[name] = weighted_mean(*table(len(questions), points, _all, 1), [1.0], seed)
    result.scores = {
        name: score.model_copy(update={"more_is_better": name != "losses"})
        for name, score in scores.items()
        if score is not None
    }
    result.units = units(sums, counts, weights)
    for name in names:
        points = [one for one in found.points if name in questions[one.question].groups]
        score = weighted_mean(*table(len(questions), points, _all, 1), [1.0], seed)
        result.groups |= {name: score} if score is not None else {}


def table(
    n_questions: int, points: Sequence[Point], columns: Callable[[Point], Sequence[int]], n_columns: int
) -> tuple[Numbers, Numbers]:
    """(sums, counts), each (questions, columns): what the points of a question add up to, in their columns."""
    sums, counts = np.zeros((n_questions, n_columns)), np.zeros((n_questions, n_columns))
    for point in points:
        if point.value is not None:
            sums[point.question, list(columns(point))] += point.value
            counts[point.question, list(columns(point))] += 1
    return sums, counts


def _all(_: Point) -> list[int]:
    return [0]


def _place(name: str) -> tuple[int, str]:
    """WildBench's groups in their order, others by name."""
    known = list(GROUP_WEIGHTS)
    return (known.index(name), "") if name in known else (len(known), name)


def _read(found: Judgements) -> tuple[list[float], list[float]]:
    """Lengths and points of the answers that have any."""
    pairs = [
        (length, one.value) for length, one in zip(found.lengths, found.points, strict=True) if one.value is not None
    ]
    return [length for length, _ in pairs], [value for _, value in pairs]


# What must be known


def _settings(judged: Judged, questions: Sequence[Question]) -> dict[str, Cell]:
    sampling = judged.judge.sampling
    return {
        "task": judged.form,
        "form": "judged",
        "chat": "yes",
        "version": JUDGING_VERSION,
        "questions": len(questions),
        "turns": sum(len(question.turns) for question in questions),
        "references": sum(bool(one) for question in questions for one in question.references),
        "temperature": _temperature(judged),
        "max_new_tokens": judged.max_new_tokens,
        "judge": judged.judge.model,
        "judge_revision": judged.judge.revision or None,
        "judge_temperature": sampling.temperature,
        "judge_max_tokens": sampling.max_tokens,
        "judge_seed": sampling.seed,
        "prompt_language": language_of(judged),
        "wording": "Onggi's own, not the benchmark's",
        "interval": "95%, bootstrap over questions, each with all its turns",
    }


def _temperature(judged: Judged) -> Cell:
    if judged.temperature is not None:
        return judged.temperature
    return "by category, as FastChat" if judged.form in ("mt-bench", "komt-bench") else 0.0


def _of_answers(judged: Judged, questions: Sequence[Question], transcripts: Sequence[Transcript]) -> list[str]:
    """Notes on the answers that were judged, whatever came of it."""
    turns = [turn for transcript in transcripts for turn in transcript.turns]
    n_cut, n_empty = sum(not turn.ended for turn in turns), sum(not turn.answered.strip() for turn in turns)
    n_joined = sum(question.is_joined for question in questions)
    lacking = [
        question
        for question in questions
        if judged.form in ("mt-bench", "komt-bench")
        and question.category.lower() in NEED_REFERENCE
        and not question.references
    ]
    notes = [f"answers have {fmean(len(turn.answered) for turn in turns):,.0f} characters on average"]
    if len(turns) < LENGTH_ANSWERS_MIN:
        notes = []
    if n_cut:
        notes.append(f"{n_cut} of {len(turns)} answers were cut off at {judged.max_new_tokens:,} tokens")
    if n_empty:
        notes.append(f"{n_empty} of {len(turns)} answers are empty")
    if n_joined:
        notes.append(
            f"{n_joined} of {len(questions)} questions were asked in one turn: the file has their turns in one text, "
            "and they cannot be told apart; it is not the benchmark as published"
        )
    if lacking:
        notes.append(f"{len(lacking)} questions of {', '.join(NEED_REFERENCE)} have no reference answer in the file")
    return notes
