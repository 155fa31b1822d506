"""The configuration of a merged model: the first model's, where others agree; what differs is settled or refused."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from manifests.errors import RequestError
from training.model_files import Checkpoint

IGNORED = (
    "_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache", "auto_map", "_commit_hash",
    "_attn_implementation", "_attn_implementation_autoset", "pretraining_tp", "return_dict", "output_attentions",
    "output_hidden_states", "vocab_size", "tie_word_embeddings", "name_or_path", "unsloth_version", "unsloth_fixed",
    "id2label", "label2id", "problem_type", "use_return_dict",
)  # fmt: skip
"""What says nothing of what the model computes, or is settled elsewhere."""
CONTEXT = (
    "max_position_embeddings", "rope_theta", "rope_scaling", "rope_parameters", "sliding_window",
    "use_sliding_window", "max_window_layers", "original_max_position_embeddings", "rope_local_base_freq",
    "partial_rotary_factor", "n_positions", "n_ctx", "seq_length", "attn_scale", "layer_types",
)  # fmt: skip
"""How positions are told apart: these belong together, so they are taken from one model."""
LENGTHS = ("max_position_embeddings", "n_positions", "n_ctx", "seq_length")
ONLY_IN_TRAINING = (
    "dropout",
    "dropout_prob",
    "pdrop",
    "initializer_range",
    "loss_coef",
    "aux_loss_alpha",
    "coefficient",
)
"""Endings of what only training asks for."""
SMALL = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps")
"""What changes results only in their last digits."""


def merged_config(models: Sequence[Checkpoint], shares: Sequence[float]) -> tuple[dict[str, Any], list[str]]:
    """The configuration, and what was settled.

    Args:
        models: all that take part; the first one's configuration is the merged model's.
        shares: how much each counts, by which it is decided whose positions are taken.

    Raises:
        RequestError: models are built differently; names what differs.
    """
    first = models[0]
    for other in models[1:]:
        check_architecture(first, other)
        _check_built_alike(first, other)
    config, notes = _with_context(models, shares)
    for other in models[1:]:
        notes += [
            f"{name}: {_written(ours)} in {first.name}, {_written(theirs)} in {other.name}; the first is taken"
            for name, ours, theirs in _differences(first.config, other.config)
            if _only_noted(name) and not name.endswith("_token_id")
        ]
    return config, notes


def set_everywhere(config: dict[str, Any], name: str, value: Any) -> None:
    """Set a field wherever it is, in the configuration or a part of it; at the top where it is nowhere."""
    parts = [config, *(part for part in config.values() if isinstance(part, dict))]
    for part in [part for part in parts if name in part] or [config]:
        part[name] = value


def is_said_to_be_tied(config: Mapping[str, Any]) -> bool | None:
    """What the configuration says of `tie_word_embeddings`; None where it says nothing."""
    for part in (config, *(part for part in config.values() if isinstance(part, dict))):
        if "tie_word_embeddings" in part:
            return bool(part["tie_word_embeddings"])
    return None


def check_architecture(first: Checkpoint, other: Checkpoint) -> None:
    """Refuse models of two architectures.

    Raises:
        RequestError: names both.
    """
    for field in ("architectures", "model_type"):
        ours, theirs = first.config.get(field), other.config.get(field)
        if ours is not None and theirs is not None and ours != theirs:
            raise RequestError(
                f"{first.name} and {other.name} are of different architectures ({field}: {_written(ours)} and "
                f"{_written(theirs)}); only models of one architecture can be merged"
            )


def _check_built_alike(first: Checkpoint, other: Checkpoint) -> None:
    found = [
        f"{name} is {_written(ours)} and {_written(theirs)}"
        for name, ours, theirs in _differences(first.config, other.config)
        if not _only_noted(name) and name.rsplit(".", 1)[-1] not in (*CONTEXT, "architectures", "model_type")
    ]
    if found:
        raise RequestError(
            f"{first.name} and {other.name} are built differently: {'; '.join(found)} (config.json); only models of "
            "one architecture and size can be merged"
        )


def _only_noted(name: str) -> bool:
    last = name.rsplit(".", 1)[-1]
    return last.endswith(("_token_id", *ONLY_IN_TRAINING)) or last in SMALL


def _differences(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Fields that both name with other values; a value that is missing is the architecture's default, and unknown."""
    for name in sorted(ours.keys() & theirs.keys()):
        a, b = ours[name], theirs[name]
        if name in IGNORED or a == b or a is None or b is None:
            continue
        if isinstance(a, dict) and isinstance(b, dict) and name not in CONTEXT:
            yield from _differences(a, b, f"{path}{name}.")
        else:
            yield f"{path}{name}", a, b


# Positions


def positions_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration says of positions, in one form: RoPE's numbers by their names in `rope_parameters`."""
    part = _part_of_text(config)
    found = {name: part[name] for name in CONTEXT if name in part and name not in ("rope_scaling", "rope_parameters")}
    rope = {**(part.get("rope_scaling") or {}), **(part.get("rope_parameters") or {})}
    if "type" in rope and "rope_type" not in rope:
        rope["rope_type"] = rope["type"]
    rope.pop("type", None)
    if rope or "rope_theta" in found:
        rope.setdefault("rope_type", "default")
    return found | rope


def _part_of_text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    part = config.get("text_config")
    return part if isinstance(part, dict) else config


def _with_context(models: Sequence[Checkpoint], shares: Sequence[float]) -> tuple[dict[str, Any], list[str]]:
    """The first model's configuration with the positions of the model that counts most, of equals the longest."""
    config, notes = copy.deepcopy(dict(models[0].config)), []
    positions = [positions_of(model.config) for model in models]
    differ = {
        name: [at.get(name) for at in positions]
        for name in dict.fromkeys(name for at in positions for name in at)
        if len({repr(_number(at[name])) for at in positions if name in at}) > 1
    }
    if not differ:
        return config, []
    lengths = [
        max((int(at[name]) for name in LENGTHS if isinstance(at.get(name), int)), default=0) for at in positions
    ]
    chosen = max(range(len(models)), key=lambda place: (round(shares[place], 6), lengths[place], -place))
    listed = "; ".join(f"{name} is {', '.join(map(_written, values))}" for name, values in differ.items())
    is_alone = shares[chosen] > sorted(shares)[-2] + 1e-6
    why = "it counts most" if is_alone else "of those that count most it is the longest"
    notes = [
        f"positions differ ({', '.join(model.name for model in models)}): {listed}. Those of {models[chosen].name} "
        f"are taken: {why}, and attention works with the angles that it was trained with. Measure the result: "
        "weights from other angles are among its own"
    ]
    if chosen:
        ours, theirs = _part_of_text(config), _part_of_text(models[chosen].config)
        assert isinstance(ours, dict)
        for name in CONTEXT:
            ours.pop(name, None)
        ours.update({name: copy.deepcopy(theirs[name]) for name in CONTEXT if name in theirs})
    return config, notes


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _written(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
