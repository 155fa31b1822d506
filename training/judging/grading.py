"""Single answers graded from 1 to 10: each turn of each question by itself, with the reference where there is one."""

from collections.abc import Mapping, Sequence
from math import sqrt

import pyarrow as pa

from manifests.schema_evaluation import Judged
from synth.gates.prose import parted, prose
from synth.teacher import Teacher
from training.evaluating.jobs import Transcript
from training.evaluating.results import Evaluated, Item
from training.jobs import Cell
from training.judging.asking import Told, Verdict, score_prompt, verdicts
from training.judging.outcomes import Judgements, Point, outcome
from training.judging.questions import Question
from training.judging.verdicts import read_score

NOT_KOREAN_TOO = ("138", "140")
"""Questions of KoMT-Bench whose answers may be in other languages, since they ask for JSON or CSV."""
KOREAN = ("ko", "zxx", "und")
"""What the language of a Korean answer is identified as: code and numbers have none that could be wrong."""

Place = tuple[str, int, int]
"""Model, question, turn."""


def graded(
    teacher: Teacher,
    judged: Judged,
    questions: Sequence[Question],
    transcripts: Mapping[str, Sequence[Transcript]],
    seed: int,
    told: Told,
) -> dict[str, tuple[Evaluated, list[Item]]]:
    """Every model's scores, with an item for each turn.

    Raises:
        RequestError, RunError: see `asking.verdicts`.
    """
    places: list[Place] = [
        (model, number, turn)
        for model in transcripts
        for number, question in enumerate(questions)
        for turn in range(len(question.turns))
    ]
    prompts = [score_prompt(judged, questions[n], transcripts[model][n], turn) for model, n, turn in places]
    found = dict(zip(places, verdicts(teacher, prompts, judged.judge.sampling, read_score, told), strict=True))
    settings: dict[str, Cell] = {"prompt": prompts[0].template, "prompt_digest": prompts[0].digest}
    return {
        model: (
            outcome(judged, questions, said, _judgements(judged, questions, said, of, settings), seed),
            _items(questions, said, of),
        )
        for model, said in transcripts.items()
        for of in [{(number, turn): found[model, number, turn] for name, number, turn in places if name == model}]
    }


def _judgements(
    judged: Judged,
    questions: Sequence[Question],
    said: Sequence[Transcript],
    found: Mapping[tuple[int, int], Verdict[float]],
    settings: Mapping[str, Cell],
) -> Judgements:
    points = [Point(number, turn, verdict.value) for (number, turn), verdict in found.items()]
    lengths = [float(len(said[number].turns[turn].answered)) for number, turn in found]
    whole = {**settings, "scale": "1 to 10"}
    result = Judgements(points, list(found.values()), "score", lengths, settings=whole)
    if judged.form == "wildbench":
        return _as_wildbench(result)
    if judged.form == "komt-bench":
        return _as_komt_bench(result, questions, said)
    return result


def _as_wildbench(plain: Judgements) -> Judgements:
    """WB-Score: (score - 5) * 2, and times 10 as its table has it; groups of tasks with their weights."""
    scaled = [
        Point(one.question, one.turn, None if one.value is None else (one.value - 5) * 20) for one in plain.points
    ]
    settings = plain.settings | {"wb_score": "(score - 5) * 20, mean of each group of tasks, weighted as WildBench's"}
    return Judgements(
        scaled, plain.verdicts, "wb_score", plain.lengths, more={"score": plain.points}, settings=settings
    )


def _as_komt_bench(plain: Judgements, questions: Sequence[Question], said: Sequence[Transcript]) -> Judgements:
    """The square root of a score where the answer is not Korean, as KoMT-Bench has it."""
    languages = _languages([said[one.question].turns[one.turn].answered for one in plain.points])
    points, n_foreign = list[Point](), 0
    for one, language in zip(plain.points, languages, strict=True):
        is_foreign = language not in KOREAN and questions[one.question].id not in NOT_KOREAN_TOO
        n_foreign += is_foreign
        points.append(Point(one.question, one.turn, sqrt(one.value) if is_foreign and one.value else one.value))
    notes = [f"{n_foreign} of {len(points)} answers are not Korean: each counts as the square root of its score"]
    return Judgements(
        points,
        plain.verdicts,
        "score",
        plain.lengths,
        more={"without_penalty": plain.points},
        settings=plain.settings | {"penalty": "square root of the score where the answer is not Korean"},
        notes=notes if n_foreign else [],
    )


def _languages(answers: Sequence[str]) -> list[str]:
    """The language of what each answer says, without its code."""
    from classifiers.language import LanguageIdentifier

    texts = [prose(parted(answer)[1]) for answer in answers]
    found: list[str] = LanguageIdentifier().identify(pa.array(texts, pa.large_string())).language.to_pylist()
    return found


def _items(
    questions: Sequence[Question], said: Sequence[Transcript], found: Mapping[tuple[int, int], Verdict[float]]
) -> list[Item]:
    return [
        Item(
            id=questions[number].id,
            group=group_of(questions[number], turn),
            prompt=said[number].turns[turn].asked,
            expected=reference_of(questions[number], turn),
            answer=said[number].turns[turn].answered,
            score=float("nan") if verdict.value is None else verdict.value,
            note=note_of(verdict),
        )
        for (number, turn), verdict in found.items()
    ]


def group_of(question: Question, turn: int) -> str:
    """Category and turn, as items name them."""
    return f"{question.category}, turn {turn + 1}" if question.category else f"turn {turn + 1}"


def reference_of(question: Question, turn: int) -> str:
    """The right answer to a turn; empty where there is none."""
    return question.references[turn] if question.references else ""


def note_of(verdict: Verdict[object]) -> str:
    """What the judge said, and why it cannot be read."""
    return verdict.said if verdict.value is not None else f"[cannot be read: {verdict.why}]\n{verdict.said}"
