"""What must hold after a stage of a training before the next one starts."""

import re
from decimal import Decimal
from functools import partial
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from manifests.errors import FieldError
from manifests.schema import Model, Name
from manifests.schema_mixture import Share

Against = str
"""`before` (the model that the stage began with), `base`, `parents` (of a merge: it must hold against one of the
models that went into it, so against the worst of them), or the name of a stage."""


def _change(value: Any, least: float) -> Any:
    """A change as people write it, 20%, -5% or 0.2, as a share."""
    found = re.fullmatch(r"\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*%\s*", value, re.ASCII) if isinstance(value, str) else None
    share = float(Decimal(found[1]) / 100) if found else value
    if type(share) not in (int, float) or not isfinite(share) or share < least:
        raise ValueError(f"found `{value}`; expected {least:.0%} or more, as 20% or 0.2")
    return share


Change = Annotated[float, BeforeValidator(partial(_change, least=-1.0), json_schema_input_type=float | str)]
"""A change as a share of what was: 20% or 0.2; -5% is a fall."""
Growth = Annotated[float, BeforeValidator(partial(_change, least=0.0), json_schema_input_type=float | str)]
"""The same, from 0."""


class LossGate(Model):
    """The loss on held-out text does not rise: what CPT and merges forget, and a merge that does not fit."""

    gate: Literal["validation_loss"]
    """Which gate."""
    set: Name
    """Which of the manifest's `validation`."""
    max_rise: Change
    """Most that the loss may rise, as a share of what it was: 0.02 is 2%. Below 0, it must fall by so much."""
    against: Against = "before"
    """What it is compared with: `before` (the model that the stage began with), `base`, `parents` (of a merge, the
    worst of the models that went into it: a loss above that is a spike), or the name of a stage."""


class AccuracyGate(Model):
    """The share of multiple-choice questions that are answered right does not fall: MMLU in English, say."""

    gate: Literal["accuracy"]
    """Which gate."""
    set: Name
    """Which of the manifest's `validation`, one of `choices`."""
    max_fall: Share
    """Most that it may fall, in points: 0.05 is from .65 to .60."""
    against: Against = "before"
    """As of `validation_loss`."""


class ScoreGate(Model):
    """A result of the manifest's `evaluation` does not fall, or reaches a least value: MMLU in English, say, which a
    mixture that is too Korean costs."""

    gate: Literal["score"]
    """Which gate."""
    of: Name
    """A benchmark, or what a judge scores, by its `name`; or `needle`, the mean of the grid."""
    score: str | None = None
    """Which of its scores; without it, the main one."""
    max_fall: float | None = Field(None, ge=0, allow_inf_nan=False)
    """Most that it may fall, in its own unit: 0.05 of an accuracy is from .65 to .60, 0.3 of a judge's score from 7.0
    to 6.7."""
    min: float | None = Field(None, allow_inf_nan=False)
    """Least value that it must have."""
    against: Against = "before"
    """Of `max_fall`: as of `validation_loss`."""

    @model_validator(mode="after")
    def _limits_something(self) -> "ScoreGate":
        if self.max_fall is None and self.min is None:
            raise ValueError("name `max_fall`, `min`, or both")
        return self


class NeedleGate(Model):
    """Hidden sentences are found at each length: a dip at a length is a fault of RoPE."""

    gate: Literal["needle"]
    """Which gate."""
    min: Share
    """Least share that must be found at each length, of each language."""
    lengths: list[int] = Field(default_factory=list)
    """Lengths of the grid that count; without it, all."""
    languages: list[Literal["ko", "en"]] = Field(default_factory=list)
    """Languages that count; without it, all."""


class LengthBiasGate(Model):
    """Answers do not grow longer while their reward rises: a reward that pays for length."""

    gate: Literal["length_bias"]
    """Which gate."""
    max_growth: Growth
    """Most that the mean length of answers may grow where their mean reward rises, as a share: 0.2 is 20%."""
    against: Against = "before"
    """As of `validation_loss`."""


class RewardDriftGate(Model):
    """Rewards of the policy's answers stay in the range that the reward model was trained for."""

    gate: Literal["reward_drift"]
    """Which gate."""
    max_distance: Share = 0.5
    """Greatest Kolmogorov-Smirnov distance between the rewards of both models' answers to the same prompts."""
    min_mean_rise: float | None = Field(None, allow_inf_nan=False)
    """Least rise of the mean reward; below 0, how much it may fall. Without it, it may do what it likes."""
    against: Against = "before"
    """As of `validation_loss`."""


class RewardAccuracyGate(Model):
    """A reward model tells held-out pairs apart."""

    gate: Literal["reward_accuracy"]
    """Which gate."""
    min: Share
    """Least share of held-out pairs whose chosen answer gets the higher reward."""


class RetrievalGate(Model):
    """An encoder finds what belongs to a question."""

    gate: Literal["retrieval"]
    """Which gate."""
    min: Share
    """Least nDCG@10."""
    set: Name | None = None
    """Which of the stage's `retrieval`; without it, the questions that it holds out."""
    min_rise: float | None = Field(None, ge=-1, le=1)
    """Least rise over the model that the stage began with; below 0, how much it may fall."""


class PlateauGate(Model):
    """The loss has stopped falling although a teacher is still better: the student has no room for more."""

    gate: Literal["plateau"]
    """Which gate."""
    set: Name
    """Which of the manifest's `validation` shows the gap."""
    teacher: str = Field(min_length=1)
    """A folder or a stage."""
    last: Share = Field(0.25, gt=0)
    """Share of the steps, at the end, in which the loss of training is looked at."""
    min_fall: Growth = 0.01
    """Fall of the loss over them, along a straight line through them, as a share; below it the curve is flat."""
    max_gap: Growth = 0.1
    """Loss above the teacher's, as a share, that a flat curve may end with."""


TrainingGate = Annotated[
    LossGate
    | AccuracyGate
    | ScoreGate
    | NeedleGate
    | LengthBiasGate
    | RewardDriftGate
    | RewardAccuracyGate
    | RetrievalGate
    | PlateauGate,
    Field(discriminator="gate"),
]


ANSWERS = "answers"
"""Where measures of the answers to `prompts` stand among those of the sets."""


class Validation(Model):
    """What is measured on the base and after each stage: held-out text, or multiple-choice questions."""

    name: Name
    """Name of the set, as gates call it."""
    text: str | None = None
    """Parquet or JSONL files with documents: a path, a folder or a glob. Measures: loss (nats per token), bits per
    byte."""
    column: str = "text"
    """Column of the text."""
    mixture: str | None = None
    """Instead: folder of a token mixture, whose held-out sequences these are."""
    choices: str | None = None
    """Instead: JSONL or Parquet with `question`, `choices` (a list) and `answer` (its place, from 0, or its letter);
    or as KMMLU is published, with columns `A`, `B`, ... and `answer` counted from 1. Measure: accuracy."""
    form: Literal["answers", "letters"] = "answers"
    """Of `choices`. `answers`: each choice stands after the question, and the greatest log-likelihood per character
    wins (the harness's `acc_norm`). `letters`: choices are listed as `A. ...`, and the likeliest letter wins (MMLU,
    KMMLU)."""
    cue: str = "Answer:"
    """Of `choices`: the line after the question that the answer follows, as `정답:`."""
    window: int = Field(2048, ge=8)
    """Of `text` and `mixture`: tokens that a model sees at once, or its context where that is shorter. The same for
    all models, so that a longer context alone does not change the loss."""
    limit: int | None = Field(None, ge=1)
    """Documents, sequences or questions that are taken: always the same ones."""

    @model_validator(mode="after")
    def _one_place(self) -> "Validation":
        if sum(place is not None for place in (self.text, self.mixture, self.choices)) != 1:
            raise ValueError("name one of `text`, `mixture` and `choices`")
        if self.name == ANSWERS:
            raise FieldError(f"`{ANSWERS}` are those to the manifest's `prompts`; give another name", "name")
        return self


class Prompts(Model):
    """What answers are drawn for, after each stage: shown on the page, and scored where there is a reward model."""

    path: str = Field(min_length=1)
    """Parquet or JSONL with `messages`, or with `prompt` (a text or messages). Relative paths start at the manifest's
    folder."""
    limit: int = Field(64, ge=1)
    """How many are taken: always the same ones."""
    max_new_tokens: int = Field(256, ge=1)
    """Longest answer."""
    temperature: float = Field(0.0, ge=0, le=2)
    """0 is greedy."""
    shown: int = Field(8, ge=0, le=100)
    """How many are shown on the page."""
