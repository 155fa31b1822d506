"""Which sizes a model can be pruned to, and how much one cut may take: half of the weights beside embeddings, by
default (Kanana 2.3.3). By configurations alone, so that a plan can say it before any work.
"""

from collections.abc import Mapping
from math import gcd
from typing import Any

from manifests.errors import RequestError
from training.flops import matrices, parameters
from training.pruning.families import check_sized, settle_width

STEPS = 200
"""Places between both models at which sizes are looked for that would do."""


def pruned_config(config: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
    """A configuration with other sizes, whose heads are as wide as they were.

    Args:
        config: of a model.
        sizes: by their names in it.
    """
    heads = int(config["num_attention_heads"])
    own = {
        "num_key_value_heads": int(config.get("num_key_value_heads") or heads),
        "head_dim": matrices(config)["q_proj"][0] // heads,
    }
    found = {**config, **own, **sizes}
    if "layer_types" in found:
        found["layer_types"] = found["layer_types"][: int(found["num_hidden_layers"])]
    return found


def beside_embeddings(config: Mapping[str, Any]) -> int:
    """Weights of all layers; of Gemma without its norms."""
    if found := parameters(config):
        return found.layers
    return int(config["num_hidden_layers"]) * sum(rows * columns for rows, columns in matrices(config).values())


def check_sizes(config: Mapping[str, Any], sizes: Mapping[str, int], cut_max: float, at: str) -> None:
    """That a model can be pruned to sizes, and in one cut.

    Args:
        config: of what is pruned.
        sizes: what it then has, by names in `config.json`.
        cut_max: largest share of the weights beside embeddings that may go.
        at: the field that names the sizes.

    Raises:
        RequestError: it cannot; names the size, and what would do.
    """
    check_sized(config, at)
    for name, size in sizes.items():
        before = int(config[name])
        if not 1 <= size <= before:
            raise RequestError(f"{at}.{name}: found {size}; the model has {before}, and pruning leaves no more")
    whole, after = pruned_config(config, {}), pruned_config(config, sizes)
    try:
        check_heads(after["num_attention_heads"], whole["num_attention_heads"], whole["num_key_value_heads"])
        settle_width(dict(after))
    except RequestError as error:
        raise RequestError(f"{at}.{error}") from error
    n_before, n_after = beside_embeddings(whole), beside_embeddings(after)
    if (cut := 1 - n_after / n_before) > cut_max:
        would_do = ", ".join(f"{name} {size}" for name, size in _nearest(whole, sizes, cut_max).items())
        raise RequestError(
            f"{at}: cuts {cut:.0%} of the weights beside embeddings ({n_before:,} to {n_after:,}), more than the "
            f"{cut_max:.0%} of `cut_max`, beyond which little is left to heal; prune in several stages with a stage "
            f"`distill` after each. The first could be: {would_do}"
        )


def check_heads(n_heads: int, n_before: int, groups: int) -> None:
    """That so many heads of queries can share the heads of keys and values.

    Raises:
        RequestError: they cannot; names the numbers that would do.
    """
    if n_heads % groups:
        valid = ", ".join(str(n) for n in range(groups, n_before + 1, groups))
        raise RequestError(
            f"num_attention_heads: {n_heads} heads of queries cannot share {groups} of keys and values evenly; "
            f"expected one of {valid}"
        )


def _nearest(config: Mapping[str, Any], sizes: Mapping[str, int], cut_max: float) -> dict[str, int]:
    """The sizes on the way from the model to those that are asked for at which just little enough is cut."""
    before = beside_embeddings(config)
    steps = {name: _step(name, config, size) for name, size in sizes.items()}
    for place in range(STEPS - 1, 0, -1):
        found = {}
        for name, size in sizes.items():
            exact = int(config[name]) + (size - int(config[name])) * place / STEPS
            found[name] = min(int(config[name]), -(-int(exact) // steps[name]) * steps[name])
        found = _opened(config, found)
        if found and 1 - beside_embeddings(pruned_config(config, found)) / before <= cut_max:
            return found
    return {name: int(config[name]) for name in sizes}


def _opened(config: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, int]:
    """Sizes with which transformers opens the model: those, or with a hidden size that is a multiple of the heads, if
    the model is as wide; else none."""
    heads = sizes.get("num_attention_heads", int(config["num_attention_heads"]))
    multiple = -(-sizes.get("hidden_size", int(config["hidden_size"])) // heads) * heads
    for found in (dict(sizes), {**sizes, "hidden_size": multiple}):
        try:
            settle_width(pruned_config(config, found))
        except RequestError:
            continue
        if found.get("hidden_size", 0) <= int(config["hidden_size"]):
            return found
    return {}


def _step(name: str, config: Mapping[str, Any], after: int) -> int:
    """What sizes between two are multiples of."""
    if name == "num_attention_heads":
        return int(config["num_key_value_heads"])
    before, step = int(config[name]), 1
    while name != "num_hidden_layers" and step <= before // 64 and gcd(before, after) % (2 * step) == 0:
        step *= 2
    return step
