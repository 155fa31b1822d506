"""How decoders that can be pruned are built: what their norms are called, and how their weights enter."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from manifests.errors import RequestError
from training.model_files import Checkpoint

LAYER = "layers.{}."
EPSILON = "rms_norm_eps"


@dataclass(frozen=True)
class Family:
    """An architecture."""

    norms: tuple[str, ...]
    """Of a layer, over hidden channels, in the order in which they are computed."""
    is_gemma: bool = False
    """Norms multiply by 1 + w, and embeddings enter times the square root of the hidden size."""

    def rows_of(self, layer: int) -> slice:
        """Where a layer's norms are among those of all layers; the last norm comes after them."""
        return slice(layer * len(self.norms), (layer + 1) * len(self.norms))


_TWO = ("input_layernorm", "post_attention_layernorm")
_FOUR = (*_TWO, "pre_feedforward_layernorm", "post_feedforward_layernorm")
FAMILIES = {
    "llama": Family(_TWO),
    "mistral": Family(_TWO),
    "qwen2": Family(_TWO),
    "qwen3": Family(_TWO),
    "gemma": Family(_TWO, is_gemma=True),
    "gemma3_text": Family(_FOUR, is_gemma=True),
}
"""By `model_type`. Gemma 2 is none: `training.trainers.load_model` takes attention that it does not have."""

STRICT = ("llama", "gemma3_text")
"""Of these, transformers opens no model whose hidden size is no multiple of its heads."""


def family_of(config: Mapping[str, Any], at: str) -> Family:
    """The family of a model.

    Args:
        config: its `config.json`.
        at: what it is called in messages.

    Raises:
        RequestError: it is none that can be pruned; names those that can.
    """
    kind = config.get("model_type")
    if kind not in FAMILIES:
        raise RequestError(f"{at}: config.json: `model_type` is {kind!r}; can be pruned: {', '.join(FAMILIES)}")
    return FAMILIES[kind]


def check_sized(config: Mapping[str, Any], at: str) -> None:
    """That a model can be pruned, and says its sizes.

    Raises:
        RequestError: it is of no family that can be, or a size is missing; names it.
    """
    family_of(config, at)
    for name in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"):
        if not isinstance(config.get(name), int) or config[name] < 1:
            raise RequestError(f"{at}: config.json: `{name}` is {config.get(name)!r}; expected a number from 1 on")


@dataclass(frozen=True)
class Shape:
    """Sizes of a model, by their names in `config.json`."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int


def shape_of(model: Checkpoint) -> Shape:
    """The sizes of a checkpoint; the width of its heads by its weights, as configurations often leave it out.

    Raises:
        RequestError: it is of no family that can be pruned, or weights and configuration do not go together.
    """
    family_of(model.config, model.name)
    try:
        heads = int(model.config["num_attention_heads"])
        groups = int(model.config.get("num_key_value_heads") or heads)
        hidden, inner = int(model.config["hidden_size"]), int(model.config["intermediate_size"])
        n_layers = int(model.config["num_hidden_layers"])
        query, key = (_rows(model, f"self_attn.{name}_proj") for name in "qk")
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(f"{model.path / 'config.json'}: cannot be read: {error!r}") from error
    width = query // max(heads, 1)
    if query != heads * width or key != groups * width or heads % groups:
        raise RequestError(
            f"{model.name}: {heads} heads of queries and {groups} of keys and values (config.json) do not go with "
            f"projections of {query} and {key} rows"
        )
    return Shape(hidden, inner, n_layers, heads, groups, width)


def _rows(model: Checkpoint, name: str) -> int:
    """Outputs of a matrix of the first layer."""
    full = f"model.{LAYER.format(0)}{name}.weight"
    if full not in model.tensors:
        raise RequestError(f"{model.name}: has no tensor {full}; found {', '.join(list(model.tensors)[:3])}")
    return int(model.tensors[full].shape[0])


def settle_width(config: dict[str, Any]) -> list[str]:
    """See to it that transformers opens a model whose hidden size is no multiple of its heads, as Kanana Nano's 1,792
    and 24; what was settled.

    Its Llama and Gemma refuse that, whatever `head_dim` says. Its Mistral does not, and computes what Llama does.

    Raises:
        RequestError: it is an architecture that is not opened like that; names sizes that would do.
    """
    hidden, heads, kind = config["hidden_size"], config["num_attention_heads"], config["model_type"]
    if hidden % heads == 0 or kind not in STRICT:
        return []
    if kind != "llama" or config.get("attention_bias") or config.get("mlp_bias"):
        below, above = hidden // heads * heads, (hidden // heads + 1) * heads
        raise RequestError(
            f"hidden_size: {hidden} is no multiple of {heads} heads, and transformers opens no {kind} like "
            f"that; {below} or {above} would do"
        )
    for name in ("attention_bias", "mlp_bias", "pretraining_tp"):
        config.pop(name, None)
    architectures = [str(name).replace("Llama", "Mistral") for name in config.get("architectures") or ()]
    config |= {"model_type": "mistral", "architectures": architectures, "sliding_window": None}
    return [
        f"config.json calls it Mistral, which computes the same: transformers opens no Llama whose hidden size "
        f"({hidden}) is no multiple of its heads ({heads})"
    ]
