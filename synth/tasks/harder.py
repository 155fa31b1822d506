"""Harder variants of questions. Nobody knows their answers, so the majority decides.

A variant without an answer, or with several, finds no majority and goes.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from synth.final_answers.choices import folded
from synth.samples import Item, Sample
from synth.tasks.answers_expected import asked_of
from synth.tasks.task import Steps, Task, UnfitError, draw, json_of, rejected
from synth.teachers.answers import Answer

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"question": {"type": "string", "minLength": 10}},
    "required": ["question"],
    "additionalProperties": False,
}
WAYS = ("step", "reversed", "joined", "general")
"""How a question is made harder: with a step more, with what was given asked for, with two conditions that depend on
each other, or for other cases than the one."""


def harder(task: Task, item: Item, n_variants: int) -> Steps[tuple[Sequence[Item], Sequence[Sample]]]:
    """Ask for variants of a question, the ways in turn from one that is drawn.

    Returns:
        The variants, whose parent is the question, and rejected samples in place of those that cannot be had.
    """
    language = task.language(item)
    first = draw("harder", item.id)
    prompts = [
        task.setting.prompts("reasoning/harder", language, question=asked_of(item), way=WAYS[(first + n) % len(WAYS)])
        for n in range(n_variants)
    ]
    found = yield from task.each(prompts, _question_of, schema=SCHEMA, numbers=range(n_variants))
    variants: dict[str, Item] = {}
    samples: list[Sample] = []
    for number, read in enumerate(found):
        if isinstance(read, UnfitError):
            samples.append(rejected(item, language, "harder", read.reason, read.detail))
        elif folded(read.value) in {folded(item.text), *variants}:
            samples.append(rejected(item, language, "harder", "same", read.value, made_by=(read.ask,)))
        else:
            variants[folded(read.value)] = _variant(item, number, read.value)
    return [*variants.values()], samples


def _question_of(answer: Answer) -> str:
    return str(json_of(answer, SCHEMA)["question"]).strip()


def _variant(item: Item, number: int, question: str) -> Item:
    parents = item.parents or (item.id,)
    return replace(item, id=f"{item.id}/harder-{number}", text=question, input="", answer=None, parents=parents)
