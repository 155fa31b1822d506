"""How checkpoints are merged: the methods, their weights, and where they hold."""

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from manifests.errors import FieldError
from manifests.schema import Model


class Where(Model):
    """A value for some of the tensors."""

    match: str | None = None
    """Part of a tensor's name, or a glob with `*`, as `self_attn` or `layers.3.*`. Without it: all that nothing
    before matched."""
    value: float | list[float]
    """A number, or a gradient: anchors at equal distances from the first layer to the last, with straight lines
    between them. Tensors of no layer, before the layers and after them, take its first value, as mergekit has it."""

    @model_validator(mode="after")
    def _is_a_number(self) -> "Where":
        if not self.values:
            raise FieldError(
                "found an empty list; expected a number, or numbers from the first layer to the last", "value"
            )
        if not all(math.isfinite(value) for value in self.values):
            raise FieldError("expected finite numbers", "value")
        return self

    @property
    def values(self) -> list[float]:
        """The anchors of the gradient; of a number, that one."""
        return self.value if isinstance(self.value, list) else [self.value]


def _alone(value: Any) -> Any:
    """A value that is written alone holds for all tensors."""
    return [{"value": value}] if isinstance(value, int | float) or _is_gradient(value) else value


def _is_gradient(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, int | float) for item in value)


Schedule = Annotated[
    list[Where],
    BeforeValidator(_alone, json_schema_input_type=float | list[float] | list[Where]),
    Field(min_length=1),
]
"""A number, a gradient over the layers, or a list of {match, value}, of which the first that matches counts."""


def _check_shares(schedule: list[Where], *at: str | int) -> None:
    for number, where in enumerate(schedule):
        if not all(0 <= value <= 1 for value in where.values):
            raise FieldError("expected numbers from 0 to 1", *at, number, "value")


class Merged(Model):
    """A model that takes part in a merge."""

    model: str = Field(min_length=1)
    """Folder of a checkpoint, or the name of a stage. Relative paths start at the manifest's folder."""
    weight: Schedule = Field(default=[Where(value=1.0)])
    """How much it counts (`linear`, `task_arithmetic`, `ties`, `dare_linear`, `dare_ties`)."""
    density: Schedule = Field(default=[Where(value=0.5)])
    """Share of its changes that is kept (`ties`: the largest; `dare_linear`, `dare_ties`: a random draw)."""

    @model_validator(mode="after")
    def _densities_are_shares(self) -> "Merged":
        _check_shares(self.density, "density")
        return self


def _model_alone(value: Any) -> Any:
    return (
        [{"model": item} if isinstance(item, str) else item for item in value] if isinstance(value, list) else value
    )


MERGE_METHODS = ("slerp", "linear", "task_arithmetic", "ties", "dare_linear", "dare_ties")


class MergeRule(Model):
    """What is merged with what, and how."""

    method: Literal["slerp", "linear", "task_arithmetic", "ties", "dare_linear", "dare_ties"] = "slerp"
    """`slerp`: of exactly two models, along the arc between them. `linear`: the weighted mean. `task_arithmetic`: the
    base plus the weighted changes of each model. `ties`: those with small changes trimmed and signs agreed on.
    `dare_*`: with changes dropped at random, and the others scaled up."""
    models: Annotated[list[Merged], BeforeValidator(_model_alone, json_schema_input_type=list[str | Merged])] = Field(
        min_length=1
    )
    """Folders or stages, or {model, weight, density}. Of `slerp` two: the first is t = 0."""
    base: str | None = None
    """What changes are counted from (`task_arithmetic`, `ties`, `dare_*`): a folder or a stage."""
    t: Schedule = Field(default=[Where(value=0.5)])
    """Of `slerp`: the place between the first model, 0, and the second, 1. A number, a gradient over the layers, or a
    list of {match, value}."""
    normalize: bool | None = None
    """Divide by the sum of weights; of `ties` and `dare_ties`, by that of the models that agree on the sign. Without
    it, `linear` and `ties` do, and the others do not, as mergekit has it."""
    scale: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Of the sum of changes (`task_arithmetic`, `ties`, `dare_*`)."""
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """Of the weights that are written; without it, that of the first model. Sums are made in float32."""
    tokenizer: Literal["same", "first", "union"] = "same"
    """`same` refuses models of different vocabularies. `first`: that of the first model; rows that others lack are
    taken from those that have them. `union`: all tokens of all."""

    @model_validator(mode="after")
    def _fits(self) -> "MergeRule":
        if self.method == "slerp" and len(self.models) != 2:
            raise ValueError(f"models: `slerp` is between exactly two; found {len(self.models)}")
        if self.method not in ("slerp", "linear") and self.base is None:
            raise ValueError(f"base: missing; `{self.method}` counts changes from it")
        if self.method in ("slerp", "linear") and self.base is not None:
            raise ValueError(f"base: `{self.method}` has none; leave it out")
        if self.method == "linear" and len(self.models) < 2:
            raise ValueError("models: `linear` is between two or more")
        for number, item in enumerate(self.models):
            if item.model == self.base:
                raise FieldError("is the base, from which it has no changes; leave it out", "models", number, "model")
            if item.model in [other.model for other in self.models[:number]]:
                raise FieldError(f"{item.model!r} is there twice", "models", number, "model")
        _check_shares(self.t, "t")
        return self

    @property
    def normalizes(self) -> bool:
        """Whether it divides by the sum of weights."""
        return self.method in ("linear", "ties") if self.normalize is None else self.normalize
