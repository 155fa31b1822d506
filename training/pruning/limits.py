"""How much one cut may take: half of the weights beside embeddings, by default (Kanana 2.3.3)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import gcd

from manifests.errors import RequestError
from training.model_files import Checkpoint
from training.pruning.cuts import OF_LAYER, first_kept, plan_cuts
from training.pruning.families import shape_of
from training.pruning.ranking import check_heads

STEPS = 200
"""Places between both models at which sizes are looked for that would do."""


@dataclass(frozen=True)
class Counts:
    """Weights of a model."""

    total: int
    """Tied embeddings count once."""
    beside_embeddings: int


def count_after(model: Checkpoint, sizes: Mapping[str, int], tie_embeddings: bool = False) -> Counts:
    """How many weights a checkpoint has once it is pruned to sizes.

    Raises:
        RequestError: it is of no family that can be pruned.
    """
    n_layers = sizes.get("num_hidden_layers", shape_of(model).num_hidden_layers)
    shallow = _without_layers(model, n_layers)
    plan = plan_cuts(shallow, first_kept(shape_of(shallow), sizes), tie_embeddings)
    return Counts(plan.n_weights, plan.n_beside_embeddings)


def _without_layers(model: Checkpoint, n_layers: int) -> Checkpoint:
    """The first layers of a checkpoint, to count them by."""
    tensors = {
        name: tensor
        for name, tensor in model.tensors.items()
        if not (match := OF_LAYER.match(name)) or int(match[1]) < n_layers
    }
    return replace(model, tensors=tensors, config={**model.config, "num_hidden_layers": n_layers})


def check_sizes(model: Checkpoint, sizes: Mapping[str, int], cut_max: float, at: str) -> None:
    """That a checkpoint can be pruned to sizes, and in one cut.

    Args:
        model: what is pruned.
        sizes: what it then has, by names in `config.json`.
        cut_max: largest share of the weights beside embeddings that may go.
        at: the field that names the sizes.

    Raises:
        RequestError: it cannot; names the size, and what would do.
    """
    shape = shape_of(model)
    for name, size in sizes.items():
        before = int(getattr(shape, name))
        if not 1 <= size <= before:
            raise RequestError(f"{at}.{name}: found {size}; the model has {before}, and pruning leaves no more")
    heads = sizes.get("num_attention_heads", shape.num_attention_heads)
    try:
        check_heads(heads, shape.num_attention_heads, shape.num_key_value_heads)
    except RequestError as error:
        raise RequestError(f"{at}.{error}") from error
    before, after = (count_after(model, wanted).beside_embeddings for wanted in ({}, sizes))
    if (cut := 1 - after / before) > cut_max:
        would_do = ", ".join(f"{name} {size}" for name, size in _nearest(model, sizes, cut_max).items())
        raise RequestError(
            f"{at}: cuts {cut:.0%} of the weights beside embeddings ({before:,} to {after:,}), more than the "
            f"{cut_max:.0%} of `cut_max`, beyond which little is left to heal; prune in several stages with a stage "
            f"`distill` after each. The first could be: {would_do}"
        )


def _nearest(model: Checkpoint, sizes: Mapping[str, int], cut_max: float) -> dict[str, int]:
    """The sizes on the way from the model to those that are asked for at which just little enough is cut."""
    shape = shape_of(model)
    before = count_after(model, {}).beside_embeddings
    steps = {name: _step(name, getattr(shape, name), size, shape.num_key_value_heads) for name, size in sizes.items()}
    for place in range(STEPS - 1, 0, -1):
        found = {}
        for name, size in sizes.items():
            own, step = int(getattr(shape, name)), steps[name]
            exact = own + (size - own) * place / STEPS
            found[name] = min(own, -(-int(exact) // step) * step)
        if 1 - count_after(model, found).beside_embeddings / before <= cut_max:
            return found
    return {name: int(getattr(shape, name)) for name in sizes}


def _step(name: str, before: int, after: int, groups: int) -> int:
    """What sizes between two are multiples of."""
    if name == "num_attention_heads":
        return groups
    divides, step = gcd(before, after), 1
    while name != "num_hidden_layers" and step <= before // 64 and divides % (2 * step) == 0:
        step *= 2
    return step
