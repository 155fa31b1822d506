"""Answers of the student's own, for the steps that train on them: drawn now, or before.

Each process draws for its own conversations and has a buffer of its own, an equal share of the capacity; all take the
same steps, since the scheduler's numbers come from the seed and the step, and so do those of the draws. What a
checkpoint holds is the scheduler and the buffer, so a training that was killed draws and replays the same.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from manifests.schema_distillation import OffPolicy
from training.distilling.off_policy import Origin, Scheduler, step_number
from training.distilling.replay import DrawnAnswer, Replay
from training.distilling.rows import Part
from training.online.batches import step_seed
from training.online.sampling import draw_ids
from training.tuning.batches import packed
from training.tuning.examples import Examples

Numbers = Sequence[Sequence[int]]
"""Examples of each micro-batch of a step."""


class StudentAnswers:
    """Who decides where a step's answers come from, and has them."""

    def __init__(
        self,
        settings: OffPolicy,
        examples: Examples,
        tokenizer: Any,
        *,
        n_steps: int,
        seed: int,
        rank: int = 0,
        n_processes: int = 1,
        at_once: int = 16,
    ) -> None:
        """Nothing is drawn yet.

        Args:
            settings: of the manifest.
            examples: conversations whose prompts are answered.
            tokenizer: the student's.
            n_steps: of the training.
            seed: of what is drawn.
            rank: of this process.
            n_processes: that share the capacity.
            at_once: answers that are drawn together.
        """
        self.scheduler = Scheduler.of(settings, n_steps)
        self.replay = Replay(max(1, settings.capacity // n_processes))
        self._settings, self._examples, self._tokenizer = settings, examples, tokenizer
        self._seed, self._rank, self._at_once = seed, rank, at_once

    def origin(self, n_updates: int, is_full: bool) -> Origin:
        """Where the answers of the step after so many updates come from.

        Args:
            n_updates: before the step.
            is_full: whether the buffers of all processes are; they differ where prompts do, and a step is of one
                kind in all processes.
        """
        step = n_updates + 1
        return self.scheduler.origin(step, step_number(self._seed, step), is_full)

    def prompt(self, number: int) -> tuple[int, ...]:
        """The tokens of a conversation before the first answer that is learnt."""
        found = self._examples[number]
        return tuple(found.ids[: int(np.argmax(found.learnt))].tolist())

    def drawn(self, model: Any, numbers: Numbers, n_updates: int) -> list[list[DrawnAnswer]]:
        """New answers to the prompts of some examples; the buffer takes them in.

        A prompt that comes again in the step gets another answer.
        """
        flat = [self.prompt(number) for some in numbers for number in some]
        seen, times = Counter[tuple[int, ...]](), list[int]()
        for prompt in flat:
            times.append(seen[prompt])
            seen[prompt] += 1
        found = dict[int, DrawnAnswer]()
        for time in sorted(set(times)):
            places = [place for place, own in enumerate(times) if own == time]
            seed = step_seed(self._seed, n_updates, time * 1024 + self._rank)
            asked = [flat[place] for place in places]
            for place, answer in zip(places, self._draw(model, asked, seed), strict=True):
                found[place] = DrawnAnswer((*flat[place], *answer), len(flat[place]))
        answers = [found[place] for place in range(len(flat))]
        self.replay.add(answers)
        return _split(answers, numbers)

    def _draw(self, model: Any, prompts: Sequence[tuple[int, ...]], seed: int) -> list[tuple[int, ...]]:
        answers = draw_ids(
            model,
            self._tokenizer,
            prompts,
            temperature=self._settings.temperature,
            max_new_tokens=self._settings.max_new_tokens,
            seed=seed,
            batch=self._at_once,
        )
        return [one.ids for one, *_ in answers]

    def replayed(self, numbers: Numbers, n_updates: int) -> list[list[DrawnAnswer]]:
        """Answers of the buffer, as many as there are examples, or as it has."""
        random = np.random.default_rng([self._seed, n_updates, self._rank, 4])
        return _split(self.replay.sample(sum(map(len, numbers)), random), numbers)

    def state(self) -> dict[str, Any]:
        """For a checkpoint: tensors, and values for JSON."""
        buffer = self.replay.state()
        return {"replay_ids": buffer.pop("ids"), "replay": buffer, "scheduler": self.scheduler.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.scheduler.load(state["scheduler"])
        self.replay.load({**state["replay"], "ids": state["replay_ids"]})


def _split(answers: Sequence[DrawnAnswer], numbers: Numbers) -> list[list[DrawnAnswer]]:
    """Answers by micro-batch; where there are fewer than examples, the last ones have none."""
    rest = iter(answers)
    return [[one for _, one in zip(some, rest, strict=False)] for some in numbers]


def rows_of(answers: Sequence[DrawnAnswer], max_length: int, seed: int) -> list[list[Part]]:
    """Answers packed into rows of so many tokens, of which they are trained; longer ones are cut at the end.

    One row of nothing where there are none.
    """
    parts = [_part(answer, max_length) for answer in answers]
    if not parts:
        return [[]]
    lengths = np.array([len(part.ids) for part in parts], np.int64)
    sequences = packed(np.arange(len(parts)), lengths, max_length, seed)
    return [[parts[int(number)] for number in sequences[row]] for row in range(len(sequences))]


def _part(answer: DrawnAnswer, max_length: int) -> Part:
    ids = np.array(answer.ids[:max_length], np.int64)
    return Part(ids, np.arange(len(ids)) >= max(1, answer.n_prompt))
