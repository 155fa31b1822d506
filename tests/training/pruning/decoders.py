"""Tiny decoders of each family that can be pruned, and channels, neurons and heads in them that do nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from training.pruning.families import FAMILIES

VOCABULARY, HIDDEN, INNER, LAYERS, HEADS, GROUPS, WIDTH = 53, 24, 20, 3, 6, 3, 8
KINDS = {
    "llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3", "gemma": "Gemma",
    "gemma3_text": "Gemma3",
}  # fmt: skip
"""How transformers' classes begin, by `model_type`."""


def new(kind: str = "llama", *, seed: int = 0, tied: bool | None = None, **changes: Any) -> Any:
    """A model of random weights that are large enough to matter, biases and norms too.

    Args:
        kind: its `model_type`.
        seed: of the weights.
        tied: whether its embeddings are one; None for the family's way.
        changes: of its configuration.
    """
    import transformers

    settings: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": GROUPS,
        "head_dim": WIDTH,
        "max_position_embeddings": 64,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    if tied is not None:
        settings["tie_word_embeddings"] = tied
    name = "Gemma3Text" if kind == "gemma3_text" else KINDS[kind]
    config = getattr(transformers, f"{name}Config")(**(settings | changes))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, f"{KINDS[kind]}ForCausalLM")(config)
        with torch.no_grad():
            for parameter in model.parameters():
                around = 0.0 if parameter.dim() == 2 or FAMILIES[kind].is_gemma else 1.0
                parameter.normal_(around, 0.3)
    return model.eval()


def saved(model: Any, folder: Path) -> Path:
    """A model's folder."""
    model.save_pretrained(folder)
    return folder


def ids(n_rows: int = 2, length: int = 11, seed: int = 5) -> torch.Tensor:
    """Tokens to read."""
    return torch.randint(0, VOCABULARY, (n_rows, length), generator=torch.Generator().manual_seed(seed))


def silence_channels(model: Any, channels: Sequence[int]) -> None:
    """Make hidden channels 0 wherever they are written."""
    with torch.no_grad():
        decoder = model.get_decoder()
        decoder.embed_tokens.weight[:, channels] = 0
        for layer in decoder.layers:
            for linear in (layer.self_attn.o_proj, layer.mlp.down_proj):
                linear.weight[channels] = 0
                if linear.bias is not None:
                    linear.bias[channels] = 0


def silence_neurons(model: Any, neurons: Sequence[Sequence[int]]) -> None:
    """Make neurons of each layer 0."""
    with torch.no_grad():
        for layer, chosen in zip(model.get_decoder().layers, neurons, strict=True):
            layer.mlp.up_proj.weight[list(chosen)] = 0


def silence_heads(model: Any, heads: Sequence[Sequence[int]]) -> None:
    """Make what heads of queries of each layer hand on count for nothing."""
    with torch.no_grad():
        for layer, chosen in zip(model.get_decoder().layers, heads, strict=True):
            for head in chosen:
                layer.self_attn.o_proj.weight[:, WIDTH * head : WIDTH * (head + 1)] = 0
