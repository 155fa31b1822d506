"""A model answers the questions of a judged benchmark, turn by turn, in its chat template."""

from collections.abc import Iterator, Sequence

import xxhash

from manifests.schema_evaluation import Judged
from training.evaluating.engine import Engine, Told, shifted
from training.evaluating.jobs import Transcript, Turn
from training.judging.questions import Question, read_questions

MT_BENCH_TEMPERATURES = {
    "writing": 0.7,
    "roleplay": 0.7,
    "extraction": 0.0,
    "math": 0.0,
    "coding": 0.0,
    "reasoning": 0.0,
    "stem": 0.1,
    "humanities": 0.1,
}
"""By category, as FastChat draws the answers of MT-bench, and KoMT-Bench after it."""
OTHER_TEMPERATURE = 0.7
"""Of a category that FastChat does not name."""


def temperature_of(judged: Judged, category: str) -> float:
    """At which temperature a question is answered: LogicKor's and WildBench's are greedy.

    Args:
        judged: whose own temperature goes first.
        category: of the question.
    """
    if judged.temperature is not None:
        return judged.temperature
    if judged.form in ("mt-bench", "komt-bench"):
        return MT_BENCH_TEMPERATURES.get(category.lower(), OTHER_TEMPERATURE)
    return 0.0


def answer_questions(
    engine: Engine, judged: Judged, base: str, seed: int, told: Told | None = None
) -> list[Transcript]:
    """The model's answers, in the order of the questions; each turn sees its own answers to those before it.

    All questions of a turn that are drawn at the same temperature are one batch.

    Args:
        engine: has the model.
        judged: of the manifest.
        base: where relative paths start.
        seed: of the evaluation; turns and temperatures get seeds of their own made from it.
        told: is told how many answers there are, of how many.

    Raises:
        RequestError: a question cannot be read, or the model has no chat template.
    """
    questions = read_questions(judged, base)
    turns: list[list[Turn]] = [[] for _ in questions]
    n_done, n_all = 0, sum(len(question.turns) for question in questions)
    for turn in range(max(len(question.turns) for question in questions)):
        for temperature, numbers in _by_temperature(judged, questions, turn):
            answers = engine.write(
                [engine.rendered(conversation(questions[number], turns[number])) for number in numbers],
                judged.max_new_tokens,
                temperature=temperature,
                seed=_seed(seed, turn, temperature),
                told=shifted(told, n_done, n_all),
            )
            for number, said in zip(numbers, answers, strict=True):
                asked = questions[number].turns[turn]
                turns[number].append(Turn(asked=asked, answered=said.text.strip(), ended=said.ended))
            n_done += len(numbers)
    return [
        Transcript(id=question.id, category=question.category, turns=said, references=list(question.references))
        for question, said in zip(questions, turns, strict=True)
    ]


def conversation(question: Question, before: Sequence[Turn]) -> list[dict[str, str]]:
    """The messages up to the turn after `before`, which is asked next."""
    messages = [{"role": role, "content": content} for role, content in question.history]
    for turn in before:
        messages += [{"role": "user", "content": turn.asked}, {"role": "assistant", "content": turn.answered}]
    return [*messages, {"role": "user", "content": question.turns[len(before)]}]


def _by_temperature(judged: Judged, questions: Sequence[Question], turn: int) -> Iterator[tuple[float, list[int]]]:
    """The numbers of the questions that have this turn, by the temperature of their answers."""
    found = dict[float, list[int]]()
    for number, question in enumerate(questions):
        if turn < len(question.turns):
            found.setdefault(temperature_of(judged, question.category), []).append(number)
    yield from sorted(found.items())


def _seed(seed: int, turn: int, temperature: float) -> int:
    return xxhash.xxh3_64_intdigest(f"{seed}\0{turn}\0{temperature!r}".encode()) % 2**32
