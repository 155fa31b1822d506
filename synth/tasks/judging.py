"""Scores from 1 to 10 by a judge: how well an answer serves its prompt, with the reason.

Each answer is scored alone and never beside another, so that it does not matter which would be read first. In a task:

    prompt = answer_prompt(self.setting.prompts, language, messages, text)
    read = yield from self.one(prompt, read_score, role="judge", schema=SCHEMA)
    read.value.value, read.value.reason

Outside of one, as in a gate, `judge_ask` makes the question and `read_score` reads its answer; where that raises
UnfitError, ask once more with the next `attempt`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from manifests.schema_teacher import Sampling
from synth.prompts import Prompt, Prompts
from synth.samples import Ask, Message
from synth.scores import score_schema
from synth.tasks.task import json_of
from synth.teacher import request_of
from synth.teachers.answers import Answer

MIN_SCORE, MAX_SCORE = 1, 10

SCHEMA = score_schema(MIN_SCORE, MAX_SCORE)


@dataclass(frozen=True)
class Score:
    """What a judge gave."""

    value: int
    """From 1 to 10."""
    reason: str


def read_score(answer: Answer) -> Score:
    """The score in a judge's answer.

    Raises:
        UnfitError: it was cut off, refused, or has not the form that was asked for.
    """
    found = json_of(answer, SCHEMA)
    return Score(int(found["score"]), found["reason"].strip())


def answer_prompt(
    prompts: Prompts, language: str, messages: Sequence[Message], answer: str, tools: Sequence[str] = ()
) -> Prompt:
    """What a judge is shown: a conversation and the answer that ends it.

    Args:
        prompts: where the rubric is found, as `judging/answer`.
        language: `ko` or `en`: of the rubric, and in which an answer is expected unless the user wants another.
        messages: all before the answer; none where a text is judged that answers nothing.
        answer: what is scored.
        tools: JSON of the functions that were offered.
    """
    turns = [(message.role, message.words) for message in messages]
    return prompts("judging/answer", language, turns=turns, answer=answer, tools=list(tools))


def judge_ask(
    prompts: Prompts,
    sampling: Sampling,
    language: str,
    messages: Sequence[Message],
    answer: str,
    tools: Sequence[str] = (),
    attempt: int = 0,
) -> Ask:
    """The question for the score of an answer; see `answer_prompt`.

    Args:
        sampling: of the judge, as `Setting.sampling("judge")`: greedy, unless the manifest says otherwise.
        attempt: counts tries; each has a seed of its own.
    """
    prompt = answer_prompt(prompts, language, messages, answer, tools)
    return Ask("judge", request_of(prompt.messages, sampling, SCHEMA, attempt), prompt.template, prompt.digest)
