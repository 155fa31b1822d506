"""How multiple-choice questions are put to a model: what it reads, and what it might go on with.

`answers` is the harness's usual form: the question, a cue, and after it each choice by itself; the greatest
log-likelihood per character wins (`acc_norm` of lm-evaluation-harness, which counts Unicode characters, the space
before the choice not among them). `letters` is that of MMLU and KMMLU: choices are listed with letters, and the
likeliest letter wins.
"""

from string import ascii_uppercase
from typing import Literal

from training.measuring.validation_sets import Question

TIE = 1e-6
"""Scores that differ by less, as a share, are equal: that much is rounding in float32."""


def prompt_of(question: Question, form: Literal["answers", "letters"], cue: str) -> str:
    """What the model reads."""
    if form == "answers":
        return f"{question.question}\n{cue}"
    listed = [f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, question.choices, strict=False)]
    return "\n".join([question.question, *listed, cue])


def continuations_of(question: Question, form: Literal["answers", "letters"]) -> list[str]:
    """What the model might go on with, by choice, without the space before it."""
    return list(question.choices) if form == "answers" else list(ascii_uppercase[: len(question.choices)])


def credit(log_likelihoods: list[float], lengths: list[int], right: int) -> float:
    """1 where the right choice is the likeliest per character, 1/k where k choices that are equal share that place.

    So a model that cannot tell choices apart is as accurate as chance, wherever the right ones stand.
    """
    scores = [value / length for value, length in zip(log_likelihoods, lengths, strict=True)]
    best = max(scores)
    winners = [place for place, score in enumerate(scores) if score >= best - TIE * max(1.0, abs(best))]
    return 1 / len(winners) if right in winners else 0.0
