"""Preference pairs: of several answers to an instruction the best and the worst, by a judge or a reward model.

Each answer is scored alone, so that no score depends on where it would stand beside another.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from manifests.schema_synthesis import Preferences as Options
from synth.samples import Ask, Item, Message, Rejection, Sample
from synth.tasks.chat import chat_prompt, opening
from synth.tasks.judging import SCHEMA, answer_prompt, read_score
from synth.tasks.task import Read, Setting, Steps, Task, rejected, text_of
from synth.teachers.answers import Answer, Request

STAGE = "preferences"


@dataclass(frozen=True)
class Scored:
    """An answer and its score."""

    text: str
    score: float
    asks: tuple[Ask, ...]
    """Which wrote it, and which scored it."""


class Preferences(Task):
    """See `manifests.schema_synthesis.Preferences`."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        assert isinstance(setting.manifest.task, Options)
        self.options = setting.manifest.task

    def run(self, item: Item) -> Steps[list[Sample]]:
        """One pair, kept or rejected."""
        messages, language = (opening(item),), self.language(item)
        answers = yield from self._answers(messages, language)
        texts = {read.value for read in answers}
        if len(texts) < 2:
            said = f"{len(answers)} of {self.options.samples} answers can be used"
            reason = "same" if len(answers) > 1 else "few_answers"
            asks = tuple(read.ask for read in answers)
            return [rejected(item, language, STAGE, reason, said, form="preference", prompt=messages, made_by=asks)]
        scored = yield from self._scored(messages, language, answers)
        if len(scored) < 2:
            said = f"{len(scored)} of {len(answers)} answers have a score"
            return [rejected(item, language, STAGE, "few_scores", said, form="preference", prompt=messages)]
        return [self._pair(item, language, messages, *best_and_worst(scored))]

    def _answers(self, messages: Sequence[Message], language: str) -> Steps[list[Read[str]]]:
        """Different answers that ended by themselves."""
        n_samples = self.options.samples
        prompt = chat_prompt(self.setting.prompts, language, messages)
        found = yield from self.each([prompt] * n_samples, text_of, numbers=range(n_samples))
        return [read for read in found if isinstance(read, Read)]

    def _scored(
        self, messages: Sequence[Message], language: str, answers: Sequence[Read[str]]
    ) -> Steps[list[Scored]]:
        first = {read.value: read for read in reversed(answers)}
        different = [read for read in answers if first[read.value] is read]
        by = self._by_reward if self.options.by == "reward" else self._by_judge
        return (yield from by(messages, language, different))

    def _by_judge(
        self, messages: Sequence[Message], language: str, answers: Sequence[Read[str]]
    ) -> Steps[list[Scored]]:
        prompts = [answer_prompt(self.setting.prompts, language, messages, read.value) for read in answers]
        found = yield from self.each(prompts, read_score, role="judge", schema=SCHEMA)
        return [
            Scored(read.value, float(score.value.value), (read.ask, score.ask))
            for read, score in zip(answers, found, strict=True)
            if isinstance(score, Read)
        ]

    def _by_reward(
        self, messages: Sequence[Message], language: str, answers: Sequence[Read[str]]
    ) -> Steps[list[Scored]]:
        """By a reward model, which sees what a student will see."""
        asks = [reward_ask((*messages, Message("assistant", read.value))) for read in answers]
        found = yield asks
        return [
            Scored(read.value, score, (read.ask, ask))
            for read, ask, answer in zip(answers, asks, found, strict=True)
            if (score := _reward(answer)) is not None
        ]

    def _pair(self, item: Item, language: str, messages: tuple[Message, ...], best: Scored, worst: Scored) -> Sample:
        margin, ratio = best.score - worst.score, len(best.text) / len(worst.text)
        numbers = {"chosen_score": best.score, "rejected_score": worst.score, "margin": margin, "length_ratio": ratio}
        return Sample(
            item,
            "preference",
            language,
            prompt=messages,
            answer=(Message("assistant", best.text),),
            worse=(Message("assistant", worst.text),),
            variety=self.options.by,
            made_by=(*best.asks, *worst.asks),
            numbers=numbers,
            rejection=self._rejection(best.score, margin, ratio),
        )

    def _rejection(self, chosen: float, margin: float, ratio: float) -> Rejection | None:
        options = self.options
        if margin <= 0 or margin < options.min_margin:
            return Rejection(STAGE, "no_margin", margin, options.min_margin)
        if options.min_chosen is not None and chosen < options.min_chosen:
            return Rejection(STAGE, "low_score", chosen, options.min_chosen)
        if options.max_length_ratio is not None and ratio > options.max_length_ratio:
            return Rejection(STAGE, "length_ratio", ratio, options.max_length_ratio)
        return None


def best_and_worst(scored: Sequence[Scored]) -> tuple[Scored, Scored]:
    """Of equal scores the shortest best and the longest worst, against length bias; the first of those."""
    best = min(scored, key=lambda one: (-one.score, len(one.text)))
    worst = min(scored, key=lambda one: (one.score, -len(one.text)))
    return best, worst


def reward_ask(messages: Sequence[Message]) -> Ask:
    """The question for a reward model's score of the last of these messages."""
    turns = tuple((message.role, message.content) for message in messages)
    return Ask("reward", Request(turns, "{}", kind="reward"))


def _reward(answer: Answer) -> float | None:
    return answer.score if answer.score is not None and math.isfinite(answer.score) else None
