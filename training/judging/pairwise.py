"""Answers held against another model's, in both orders: a verdict that changes with the order is a tie.

What a judge likes about the place of an answer cancels out: one that always takes the first finds ties alone (Zheng
et al. 2023, arXiv 2306.05685, section 3.4).
"""

from collections.abc import Mapping, Sequence

from manifests.errors import RequestError
from manifests.schema_evaluation import Judged
from synth.teacher import Teacher
from training.evaluating.jobs import Transcript
from training.evaluating.results import Evaluated, Item
from training.jobs import Cell
from training.judging.asking import Told, Verdict, compare_prompt, verdicts
from training.judging.grading import group_of, note_of
from training.judging.outcomes import Judgements, Point, outcome
from training.judging.questions import Question
from training.judging.verdicts import Choice, read_choice

POINTS: dict[Choice, float] = {"A": 1.0, "tie": 0.5, "B": 0.0}
"""Of the model whose answer is shown as A."""

Both = tuple[Verdict[Choice], Verdict[Choice]]
"""The verdicts with the model's answer as A, and as B."""


def compared(
    teacher: Teacher,
    judged: Judged,
    questions: Sequence[Question],
    transcripts: Mapping[str, Sequence[Transcript]],
    seed: int,
    told: Told,
) -> dict[str, tuple[Evaluated, list[Item]]]:
    """Every model's win rate against the other one, with an item for each turn.

    Raises:
        RequestError: there are no answers of the other model, or see `asking.verdicts`.
        RunError: see `asking.verdicts`.
    """
    other = judged.pairwise
    if other is None or other not in transcripts:
        there = ", ".join(transcripts)
        raise RequestError(f"judged.{judged.name}.pairwise: there are no answers of {other!r}; there are of: {there}")
    theirs = transcripts[other]
    places = [
        (model, number, turn)
        for model in transcripts
        if model != other
        for number, question in enumerate(questions)
        for turn in range(len(question.turns))
    ]
    prompts = []
    for model, n, turn in places:
        ours = transcripts[model][n]
        prompts.append(compare_prompt(judged, questions[n], ours, theirs[n], turn))
        prompts.append(compare_prompt(judged, questions[n], theirs[n], ours, turn))
    said = verdicts(teacher, prompts, judged.judge.sampling, read_choice, told)
    both = dict(zip(places, zip(said[::2], said[1::2], strict=True), strict=True))
    settings: dict[str, Cell] = {"against": other, "swapped": "yes"}
    if prompts:
        settings |= {"prompt": prompts[0].template, "prompt_digest": prompts[0].digest}
    found = dict[str, tuple[Evaluated, list[Item]]]()
    for model, ours_all in transcripts.items():
        of = {(n, turn): pair for (name, n, turn), pair in both.items() if name == model}
        if model == other:
            why = "it is the model that the others are held against"
            found[model] = Evaluated(name=judged.name, kind="judged", side="chat", settings=settings, why=why), []
            continue
        judgements = _judgements(ours_all, theirs, of, settings)
        found[model] = (
            outcome(judged, questions, ours_all, judgements, seed),
            _items(questions, ours_all, theirs, of),
        )
    return found


def points_of(both: Both) -> float | None:
    """1 for a win, 0 for a loss, a half for a tie; None where one of the verdicts cannot be read."""
    first, second = both
    if first.value is None or second.value is None:
        return None
    as_a, as_b = POINTS[first.value], 1 - POINTS[second.value]
    return as_a if as_a == as_b else 0.5


def _judgements(
    ours: Sequence[Transcript],
    theirs: Sequence[Transcript],
    found: Mapping[tuple[int, int], Both],
    settings: Mapping[str, Cell],
) -> Judgements:
    points = [Point(n, turn, points_of(pair)) for (n, turn), pair in found.items()]
    lengths = [float(len(ours[n].turns[turn].answered) - len(theirs[n].turns[turn].answered)) for n, turn in found]
    shares = {name: _share(points, worth) for name, worth in (("wins", 1.0), ("ties", 0.5), ("losses", 0.0))}
    flat = [verdict for pair in found.values() for verdict in pair]
    return Judgements(
        points,
        flat,
        "win_rate",
        lengths,
        "differences of length",
        shares,
        {**settings, "scale": "share of wins, ties as half"},
        _of_places(found),
    )


def _share(points: Sequence[Point], worth: float) -> list[Point]:
    """1 where it is worth this, else 0."""
    return [Point(p.question, p.turn, None if p.value is None else float(p.value == worth)) for p in points]


def _of_places(found: Mapping[tuple[int, int], Both]) -> list[str]:
    """How often the verdict changed with the order, and which place the judge likes."""
    read = [(a.value, b.value) for a, b in found.values() if a.value is not None and b.value is not None]
    n_changed = sum(POINTS[a] != 1 - POINTS[b] for a, b in read)
    n_first, n_second = (sum(one == place for pair in read for one in pair) for place in ("A", "B"))
    if not n_changed:
        return []
    return [
        f"the verdict changed with the order in {n_changed} of {len(read)} comparisons, which count as ties; "
        f"the judge took the first answer {n_first} times and the second {n_second} times"
    ]


def _items(
    questions: Sequence[Question],
    ours: Sequence[Transcript],
    theirs: Sequence[Transcript],
    found: Mapping[tuple[int, int], Both],
) -> list[Item]:
    items = []
    for (n, turn), both in found.items():
        points = points_of(both)
        first, second = map(note_of, both)
        items.append(
            Item(
                id=questions[n].id,
                group=group_of(questions[n], turn),
                prompt=ours[n].turns[turn].asked,
                expected=theirs[n].turns[turn].answered,
                answer=ours[n].turns[turn].answered,
                score=float("nan") if points is None else points,
                note=f"[this answer as A]\n{first}\n\n[this answer as B]\n{second}",
            )
        )
    return items
