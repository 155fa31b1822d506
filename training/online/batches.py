"""Batches that a policy draws for itself: answers, their rewards, and the version of the weights that drew them.

`Drawer` hands out the batch of each update. Where it is asynchronous, a thread draws the next batch while this one
is trained on, with the weights from before this update (Noukhovitch et al. 2025, 2410.18252). With theta_k for the
weights after k updates, the batch of update k >= 1 was drawn by theta_(k-1), which is one update behind, and the
first batch by theta_0. The random numbers of a batch come from the seed, the step and its prompts alone.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal, Protocol

import torch
import xxhash

from manifests.errors import RunError
from training.chat.rendering import Prompt, as_text
from training.online.generators import Generator, apart
from training.online.sampling import Drawn

SHOWN_CHARS = 300


@dataclass(frozen=True)
class Question:
    """A prompt of the data."""

    prompt: Prompt = field(compare=False)
    ids: tuple[int, ...]
    """As the policy reads it, up to where its answer begins."""
    tools: tuple[Any, ...] = field(default=(), compare=False)
    """Functions that might be called; they stand in `ids`, too."""


@dataclass(frozen=True)
class Answer:
    """An answer that was drawn."""

    ids: tuple[int, ...]
    """Its tokens, the one that ends it included."""
    ended: bool
    """Whether it ended by itself."""
    score: float
    """What the reward model says of it."""


@dataclass(frozen=True)
class Draw:
    """The answers to one prompt."""

    place: int
    """In the order of training; of the step `place // batch`."""
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Batch:
    """What one process trains on in one step."""

    step: int
    """Updates before it is trained on."""
    version: int
    """Updates that made the weights that drew it."""
    draws: tuple[Draw, ...]

    def state(self) -> dict[str, Any]:
        """For a checkpoint: tensors, and values for JSON."""
        answers = [answer for draw in self.draws for answer in draw.answers]
        return {
            "step": self.step,
            "version": self.version,
            "places": [draw.place for draw in self.draws],
            "ended": [answer.ended for answer in answers],
            "scores": [answer.score for answer in answers],
            "lengths": [len(answer.ids) for answer in answers],
            "ids": torch.tensor([one for answer in answers for one in answer.ids], dtype=torch.int64),
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Batch":
        """The batch that `state` was taken of."""
        ids = iter(state["ids"].tolist())
        each = zip(state["lengths"], state["ended"], state["scores"], strict=True)
        answers = [Answer(tuple(next(ids) for _ in range(length)), ended, score) for length, ended, score in each]
        n = len(answers) // max(1, len(state["places"]))
        draws = [Draw(place, tuple(answers[k * n : k * n + n])) for k, place in enumerate(state["places"])]
        return cls(state["step"], state["version"], tuple(draws))


@dataclass(frozen=True)
class Pair:
    """The best and the worst answer to a prompt."""

    place: int
    chosen: Answer
    rejected: Answer


def reward(answer: Answer, missing_eos_penalty: float) -> float:
    """What answers are ranked by: the score, less the penalty where the answer did not end."""
    return answer.score if answer.ended else answer.score - missing_eos_penalty


def pair_of(draw: Draw, missing_eos_penalty: float) -> Pair | Literal["identical", "tie"]:
    """The best and the worst answer, the first of those that are alike; or why there is no pair."""
    best = max(draw.answers, key=lambda answer: reward(answer, missing_eos_penalty))
    worst = min(draw.answers, key=lambda answer: reward(answer, missing_eos_penalty))
    if len({answer.ids for answer in draw.answers}) == 1:
        return "identical"
    if reward(best, missing_eos_penalty) == reward(worst, missing_eos_penalty):
        return "tie"
    return Pair(draw.place, best, worst)


class Scorer(Protocol):
    """A reward model, as `training.preferences.reward_model.RewardModel`."""

    def score(self, answered: Sequence[tuple[Prompt, str]], tools: Sequence[Sequence[Any]]) -> list[float]:
        """The reward of each answer to its prompt, which might have called these functions."""


class Drawer:
    """Hands out the batch of each step, and draws the next one meanwhile where it is asynchronous."""

    def __init__(
        self,
        generator: Generator,
        scorer: Scorer,
        question: Callable[[int], Question],
        places: Callable[[int], Sequence[int]],
        *,
        batch: int,
        n_steps: int,
        seed: int,
        asynchronous: bool,
        device: torch.device | None = None,
    ) -> None:
        """A drawer that has drawn nothing yet.

        Args:
            generator: who draws.
            scorer: who judges what was drawn.
            question: the prompt at a place in the order of training.
            places: the places of a step that this process takes.
            batch: places of a step, of all processes.
            n_steps: of the training.
            seed: of the random numbers.
            asynchronous: whether the next batch is drawn while one is trained on.
            device: where the generator and the reward model are; a CPU, without it.
        """
        self.generator, self._scorer, self._question, self._places = generator, scorer, question, places
        self._n_places, self._n_steps, self._seed, self._asynchronous = batch, n_steps, seed, asynchronous
        self._device = device or torch.device("cpu")
        self._thread = ThreadPoolExecutor(1, "draws")
        self._coming: Future[Batch] | None = None
        self._resumed: Batch | None = None
        self.waited_s = 0.0
        """How long updates waited for answers."""

    def batch(self, step: int, policy: Any) -> Batch:
        """The batch of a step, of a policy that has had `step` updates; to be called for one step after the other.

        Raises:
            RunError: a reward is no number.
        """
        began = perf_counter()
        batch = self.pending()
        if batch is None:
            self.generator.take(policy, step)
            batch = self.drawn(step)
        self._coming = self._resumed = None
        if batch.step != step:
            raise AssertionError(f"the batch that was drawn is of step {batch.step}, and this is step {step}")
        if self._asynchronous and step + 1 < self._n_steps:
            self.generator.take(policy, step)
            self._coming = self._thread.submit(self.drawn, step + 1)
        self.waited_s += perf_counter() - began
        return batch

    def pending(self) -> Batch | None:
        """The batch that is being drawn, once it is there; None where none is."""
        return self._coming.result() if self._coming else self._resumed

    def resume(self, batch: Batch | None) -> None:
        """Go on with a batch that was pending when a checkpoint was written."""
        self._resumed = batch

    def drawn(self, step: int) -> Batch:
        """Draw the batch of a step with the weights that the generator holds."""
        version, places = self.generator.version, self._places(step)
        questions = [self._question(place) for place in places]
        with torch.no_grad(), apart(self._device):
            drawn = self._answers(step, places)
            scores = self._scores(questions, drawn)
        draws = [
            Draw(place, tuple(Answer(one.ids, one.ended, next(scores)) for one in answers))
            for place, answers in zip(places, drawn, strict=True)
        ]
        return Batch(step, version, tuple(draws))

    def _answers(self, step: int, places: Sequence[int]) -> list[list[Drawn]]:
        """Answers to the prompts at some places of a step. A prompt that comes again in it gets other answers."""
        first, seen, times = step * self._n_places, Counter[Question](), dict[int, int]()
        for place in range(first, first + self._n_places):
            times[place] = seen[self._question(place)]
            seen[self._question(place)] += 1
        found: dict[int, list[Drawn]] = {}
        for time in sorted({times[place] for place in places}):
            some = [place for place in places if times[place] == time]
            asked = [self._question(place).ids for place in some]
            found |= zip(some, self.generator.draw(asked, step_seed(self._seed, step, time)), strict=True)
        return [found[place] for place in places]

    def _scores(self, questions: Sequence[Question], drawn: Sequence[Sequence[Drawn]]) -> Iterator[float]:
        """A score per answer. Texts that are alike are scored once: rounding beside other texts makes no preference.

        Raises:
            RunError: a score is no number; names prompt and answer.
        """
        keys = [(question, one.text) for question, answers in zip(questions, drawn, strict=True) for one in answers]
        different = list(dict.fromkeys(keys))
        read = [(question.prompt, text) for question, text in different]
        found = self._scorer.score(read, [question.tools for question, _ in different])
        by_key = dict(zip(different, found, strict=True))
        for (question, text), score in by_key.items():
            if not math.isfinite(score):
                raise RunError(
                    f"the reward model gives {score} for the answer {text[:SHOWN_CHARS]!r} to the prompt "
                    f"{as_text(question.prompt)[:SHOWN_CHARS]!r}: look at the reward model (its own loss, and its "
                    "type: float16 overflows); what was trained until here is in the checkpoints"
                )
        return iter([by_key[key] for key in keys])

    def close(self) -> None:
        """End the thread, once what it draws is drawn."""
        self._thread.shutdown(wait=True, cancel_futures=True)


def step_seed(seed: int, step: int, time: int = 0) -> int:
    """The seed of what is drawn in a step; `training.online.sampling` mixes in the prompt and the answer's number.

    Args:
        seed: of the job.
        step: updates before it.
        time: how often the prompt came in this step before.
    """
    return xxhash.xxh3_64_intdigest(f"{seed}:{step}:{time}".encode()) >> 1
