"""The configuration of a model whose layers have other places: each stays of the kind that it was.

Some architectures say of each layer what it attends to (`layer_types`), some compute that from its place (every sixth
of Gemma 3 sees all tokens). Of those that are known here the kinds are written out, as transformers reads them; where
another field goes by place, nothing is made.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from manifests.errors import RequestError

CHECKED = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gemma3_text")
"""`model_type` of architectures whose up-scaled models are compared with ones that are put together by hand."""
DEPTH = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
"""What configurations call the number of layers."""
KINDS = "layer_types"
FULL, SLIDING = "full_attention", "sliding_attention"
PATTERN = ("sliding_window_pattern", "_sliding_window_pattern")
GEMMA3_PATTERN, QWEN_WINDOW_LAYERS = 6, 28
"""What transformers takes where the configuration says nothing."""
BY_PLACE = {
    "first_k_dense_replace": 0, "num_kv_shared_layers": 0, "decoder_sparse_step": 1, "interleave_moe_layer_step": 1,
    "moe_layer_freq": 1, "moe_layer_interval": 1, "scale_attn_by_inverse_layer_idx": False, "mlp_only_layers": [],
    "cross_attention_layers": [], "full_attention_interval": None, "no_rope_layer_interval": None,
    "attn_layer_period": None, "attn_layer_offset": None, "expert_layer_period": None, "attention_types": None,
    "block_configs": None, "global_attn_every_n_layers": None, "hybrid_override_pattern": None,
}  # fmt: skip
"""What tells layers apart by their places, and the value with which it does not."""


def text_part(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the decoder: all of it, or `text_config`."""
    part = config.get("text_config")
    return part if isinstance(part, dict) else config


def depth_of(config: Mapping[str, Any]) -> int | None:
    """How many layers a configuration says that the decoder has; None where it says nothing."""
    part = text_part(dict(config))
    return next((int(part[name]) for name in DEPTH if isinstance(part.get(name), int)), None)


def stacked_config(
    config: Mapping[str, Any], layers: Sequence[int], n_layers: int
) -> tuple[dict[str, Any], list[str]]:
    """The configuration of a model of other layers, and what was settled.

    Args:
        config: of the model that they are of.
        layers: which of its layers the new model has, in order.
        n_layers: of the model.

    Raises:
        RequestError: it has a field that goes by place and cannot say what is needed.
    """
    changed = copy.deepcopy(dict(config))
    part = text_part(changed)
    kinds = kinds_of(part, n_layers)
    _check_places(part, kinds)
    notes = _take_lists(part, layers, n_layers)
    for name in [name for name in DEPTH if name in part] or [DEPTH[0]]:
        part[name] = len(layers)
    if kinds is not None:
        part[KINDS] = [kinds[layer] for layer in layers]
        notes += _settle_pattern(part, part[KINDS])
    elif isinstance(part.get("max_window_layers"), int) and part["max_window_layers"] >= n_layers:
        part["max_window_layers"] = len(layers)
    if part.get("model_type") not in CHECKED:
        notes.append(f"{part.get('model_type')} is none of the architectures that were checked: measure the result")
    return changed, notes


def kinds_of(part: Mapping[str, Any], n_layers: int) -> list[str] | None:
    """What each layer attends to, as transformers takes it; None where all are alike.

    Raises:
        RequestError: the configuration lists another number of layers.
    """
    if isinstance(given := part.get(KINDS), list):
        if len(given) != n_layers:
            raise RequestError(f"config.json: {KINDS} has {len(given)} entries; the model has {n_layers} layers")
        return given
    family = part.get("model_type")
    if family in ("qwen2", "qwen3") and part.get("use_sliding_window") and part.get("sliding_window", 4096):
        return _from(int(part.get("max_window_layers", QWEN_WINDOW_LAYERS)), n_layers)
    if family == "gemma2":
        return _every(2, n_layers)
    if family == "gemma3_text":
        return _every(int(part.get(PATTERN[0]) or GEMMA3_PATTERN), n_layers)
    return None


def _every(pattern: int, n_layers: int) -> list[str]:
    """Every so-manieth layer sees all tokens."""
    return [SLIDING if (layer + 1) % pattern else FULL for layer in range(n_layers)]


def _from(first: int, n_layers: int) -> list[str]:
    """Layers from one on have a window."""
    return [SLIDING if layer >= first else FULL for layer in range(n_layers)]


def _check_places(part: Mapping[str, Any], kinds: Sequence[str] | None) -> None:
    # Where kinds are listed a pattern beside them is not read; where they are not, and nobody here knows it, it is.
    patterns = {} if kinds is not None else dict.fromkeys(PATTERN)
    for name, harmless in (BY_PLACE | patterns).items():
        if part.get(name) not in (None, harmless):
            raise RequestError(
                f"config.json: {name}: {part[name]} tells layers apart by their places, so a layer that moves would "
                f"become another; {part.get('model_type')} cannot be given other layers"
            )


def _take_lists(part: dict[str, Any], layers: Sequence[int], n_layers: int) -> list[str]:
    """Give each layer its own entry of the lists with one for each."""
    notes = []
    for name, value in part.items():
        if name != KINDS and "layer" in name and isinstance(value, list) and value:
            if len(value) != n_layers:
                raise RequestError(
                    f"config.json: {name} has {len(value)} entries and the model {n_layers} layers, so it is not "
                    "known which is whose; such a model cannot be given other layers"
                )
            part[name] = [value[layer] for layer in layers]
            notes.append(f"{name}: each layer keeps its own entry")
    return notes


def _settle_pattern(part: dict[str, Any], kinds: list[str]) -> list[str]:
    """Make what says the same by place agree with the kinds, or take it out."""
    notes = []
    n_layers, n_full = len(kinds), kinds.count(FULL)
    if "max_window_layers" in part:
        part["max_window_layers"] = n_full
        if kinds != _from(n_full, n_layers):
            notes.append(_only_listed("max_window_layers"))
    for name in PATTERN:
        if isinstance(part.get(name), int) and kinds != _every(part[name], n_layers):
            del part[name]
            notes.append(_only_listed(name))
    if part.get("model_type") == "gemma2" and kinds != _every(2, n_layers):
        notes.append(_only_listed("the place of a layer"))
    return notes


def _only_listed(what: str) -> str:
    return (
        f"{KINDS} says of each layer whether it has a window, as it had; software that goes by {what} instead would "
        "take other kinds"
    )
