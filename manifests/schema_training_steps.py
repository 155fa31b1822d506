"""How a stage trains: the learning rate, the optimiser, which weights, what is kept for a killed run."""

import difflib
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from manifests.schema import Model
from manifests.schema_mixture import Share


class Schedule(Model):
    """How the learning rate goes, as a share of its peak."""

    kind: Literal["constant", "linear", "cosine", "warmup_stable_decay", "multi_step"] = "cosine"
    """`multi_step` is DeepSeek's: 31.6% of the peak from 80% of the steps on, 10% from 90% on.
    `warmup_stable_decay` stays at the peak and falls at the end."""
    warmup: Annotated[int, Field(ge=0)] | Share = 0
    """Steps over which it rises to the peak, or the share of all steps (a number below 1, or 3%)."""
    decay: Share = 0.1
    """Of `warmup_stable_decay`: share of the steps over which it falls."""
    end: Share = 0.0
    """Of `linear`, `cosine` and `warmup_stable_decay`: what it falls to."""


def kind_alone(value: Any) -> Any:
    """A schedule that is written as its kind alone, as a mapping."""
    kinds = get_args(Schedule.model_fields["kind"].annotation)
    if isinstance(value, str) and value not in kinds:
        near = difflib.get_close_matches(value, kinds, 1)
        meant = f"did you mean `{near[0]}`? " if near else ""
        raise ValueError(f"found `{value}`; {meant}valid: {', '.join(kinds)}")
    return {"kind": value} if isinstance(value, str) else value


ScheduleField = Annotated[Schedule, BeforeValidator(kind_alone, json_schema_input_type=str | Schedule)]


class Optimizer(Model):
    """AdamW and what is added to its loss."""

    betas: tuple[float, float] = (0.9, 0.95)
    """Decay of the mean of gradients and of their squares."""
    eps: float = Field(1e-8, gt=0)
    """Least divisor."""
    weight_decay: float = Field(0.0, ge=0)
    """Share of a matrix that is taken away per step; norms, biases and embeddings keep theirs."""
    decay: Literal["coupled", "independent"] = "coupled"
    """`coupled`: times the learning rate, as PyTorch does. `independent`: times the schedule's share of its peak,
    as Loshchilov and Hutter had it, so that another peak shrinks weights alike."""
    max_grad_norm: float = Field(1.0, ge=0)
    """Gradients of a greater norm are scaled down to it; 0 leaves them."""


class Lora(Model):
    """Low-rank adaptation (peft), merged into the weights at the end of the stage; the adapter stays beside them."""

    rank: int = Field(16, ge=1)
    """Rank of the update of each matrix."""
    alpha: float = Field(32, gt=0)
    """Updates are scaled by alpha / rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Of the update's input. `reward` and `dpo` train without, since TRL takes all dropout away there."""
    targets: str | list[str] = "all-linear"
    """Names of the modules that are adapted, or `all-linear`."""


class Checkpoints(Model):
    """What a killed run goes on from: weights, optimiser, schedule, random state, place in the data."""

    every: int = Field(500, ge=1)
    """Steps between two."""
    keep: int = Field(2, ge=1)
    """How many are kept while the stage runs; none is when it is done."""
