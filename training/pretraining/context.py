"""A longer context: other frequencies of RoPE in a model's configuration, as transformers 5 writes them."""

import copy
from typing import Any

from manifests.errors import RequestError
from manifests.schema_training_stages import Context, Yarn

KEEP_THETA = ("default", "yarn", "linear", "llama3")
"""Kinds of RoPE whose base may be another: the rest of them stays as it is."""


def extended(config: Any, spec: Context) -> Any:
    """A model's configuration with a longer context; weights stay as they are, since RoPE has none.

    `rope_parameters` then holds the base of the frequencies, and for YaRN (2309.00071) the factor, the length that
    the model was trained for and the bounds between which frequencies are stretched; `max_position_embeddings` is the
    new length. What reads the saved configuration (transformers, vLLM) computes the same frequencies from it.

    Args:
        config: of transformers; it is not changed.
        spec: of the manifest.

    Raises:
        RequestError: the model has no such RoPE, the length is below its own, or YaRN's factor does not reach it.
    """
    config = copy.deepcopy(config)
    rope = _rope(config)
    own = config.max_position_embeddings
    if spec.length < own:
        raise RequestError(
            f"context.length: {spec.length:,} is less than the model's {own:,}; name a length of at least that"
        )
    if spec.rope_theta is not None:
        if rope["rope_type"] not in KEEP_THETA:
            raise _of_another_kind(rope, "context.rope_theta", KEEP_THETA)
        rope["rope_theta"] = spec.rope_theta
    if spec.yarn is not None:
        rope = _with_yarn(rope, spec.yarn, own, spec.length)
    config.rope_parameters = rope
    config.max_position_embeddings = spec.length
    return config


def _rope(config: Any) -> dict[str, Any]:
    """What the configuration says of RoPE, for all layers alike."""
    rope = getattr(config, "rope_parameters", None)
    if not rope:
        raise RequestError(
            f"context: a model of type {config.model_type!r} has no RoPE; its positions cannot be stretched"
        )
    if any(isinstance(value, dict) for value in rope.values()):
        kinds = ", ".join(sorted(rope))
        raise RequestError(
            f"context: layers of a model of type {config.model_type!r} have RoPE of several kinds ({kinds}); write "
            "`rope_parameters` and `max_position_embeddings` into the config.json of a copy, and go on from that"
        )
    return {"rope_type": "default", **rope}


def _with_yarn(rope: dict[str, Any], spec: Yarn, own: int, length: int) -> dict[str, Any]:
    """YaRN on frequencies that are plain, or another one instead of one that is there."""
    if rope["rope_type"] not in ("default", "yarn"):
        raise _of_another_kind(rope, "context.yarn", ("default", "yarn"))
    original = spec.original or rope.get("original_max_position_embeddings") or own
    if length > spec.factor * original:
        raise RequestError(
            f"context.length: {length:,} is more than yarn.factor {spec.factor:g} times the {original:,} that the "
            f"model was trained for; it takes a factor of {length / original:g}"
        )
    kept: dict[str, Any] = {key: rope[key] for key in ("rope_theta", "partial_rotary_factor") if key in rope}
    return {
        **kept,
        "rope_type": "yarn",
        "factor": spec.factor,
        "original_max_position_embeddings": original,
        "beta_fast": spec.beta_fast,
        "beta_slow": spec.beta_slow,
    }


def _of_another_kind(rope: dict[str, Any], field: str, valid: tuple[str, ...]) -> RequestError:
    return RequestError(
        f"{field}: the model's RoPE is {rope['rope_type']!r}, which stretches frequencies in its own way; valid: "
        f"{', '.join(valid)}"
    )
