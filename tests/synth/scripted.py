"""Tasks played with a script in place of teachers: what a task asks is answered by a function."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from manifests.load import KINDS
from manifests.schema_synthesis import SynthesisManifest
from synth.final_answers.math_workers import MathWorkers
from synth.prompts import Prompts
from synth.samples import Ask, Item, Sample
from synth.sandboxes.sandbox import choose_sandbox
from synth.tasks.task import Setting, Task, UnfitError, rejected
from synth.teachers.answers import Answer

Say = Callable[[Ask], Answer | str | dict[str, Any]]
"""From what is asked: an answer, its text, or its JSON."""


def manifest(task: dict[str, Any], **fields: Any) -> SynthesisManifest:
    """A manifest with this task."""
    value = {
        "kind": "synthesis",
        "name": "test",
        "task": task,
        "seeds": [{"path": "seeds.jsonl"}],
        "teacher": {"model": "teacher", "url": "http://127.0.0.1:1/v1"},
        "output": "out",
    }
    found = KINDS["synthesis"].model_validate(value | fields)
    assert isinstance(found, SynthesisManifest)
    return found


def setting(found: SynthesisManifest, math: MathWorkers | None = None, seeds: tuple[Item, ...] = ()) -> Setting:
    """What its task works with."""
    return Setting(
        found, ".", Prompts(found.task.prompts), math or MathWorkers(), lambda: choose_sandbox(found.sandbox), seeds
    )


@dataclass
class Played:
    """What came of one item."""

    samples: list[Sample]
    asks: list[Ask] = field(default_factory=list)

    @property
    def kept(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.rejection is None]

    @property
    def reasons(self) -> list[str]:
        return [f"{s.rejection.stage}:{s.rejection.reason}" for s in self.samples if s.rejection]


def play(task: Task, item: Item, say: Say) -> Played:
    """Run a task over an item, as `synth.drive` does."""
    asks: list[Ask] = []
    steps = task.run(item)
    try:
        asked = next(steps)
        for _ in itertools.count():
            asks += asked
            asked = steps.send([as_answer(say(ask)) for ask in asked])
    except StopIteration as end:
        return Played(end.value, asks)
    except UnfitError as error:
        return Played([rejected(item, task.language(item), "task", error.reason, error.detail)], asks)
    raise AssertionError


def as_answer(said: Answer | str | dict[str, Any]) -> Answer:
    """An answer that ended by itself."""
    if isinstance(said, Answer):
        return said
    return Answer(said if isinstance(said, str) else orjson.dumps(said).decode(), "stop", n_output_tokens=5)


def seed_of(ask: Ask) -> int:
    """The seed of a request: tells samples of one prompt apart."""
    return int(orjson.loads(ask.request.sampling)["seed"])
