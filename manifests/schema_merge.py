"""How checkpoints are merged: the methods, their weights, and where they hold."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from manifests.schema import Model


class Where(Model):
    """A value for some of the tensors."""

    match: str | None = None
    """Part of a tensor's name, or a glob with `*`, as `self_attn` or `layers.3.*`. Without it: all that nothing
    before matched."""
    value: float | list[float]
    """A number, or a gradient: anchors at equal distances from the first layer to the last, with straight lines
    between them. Tensors of no layer take its first value before the layers and its last after them."""


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


class Merged(Model):
    """A model that takes part in a merge."""

    model: str = Field(min_length=1)
    """Folder of a checkpoint, or the name of a stage. Relative paths start at the manifest's folder."""
    weight: Schedule = Field(default=[Where(value=1.0)])
    """How much it counts (`linear`, `task_arithmetic`, `ties`, `dare_linear`, `dare_ties`)."""
    density: Schedule = Field(default=[Where(value=0.5)])
    """Share of its changes that is kept (`ties`: the largest; `dare_linear`, `dare_ties`: a random draw)."""


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
    normalize: bool = True
    """Divide weights by their sum (`linear`, `ties`, `dare_ties`)."""
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
        return self
