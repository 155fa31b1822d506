"""Tiny models of random weights of every family that is up-scaled, as they are published, and ones put together by
hand."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import torch
import transformers
from torch import nn

N_LAYERS = 6
WINDOW = 6
SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
}
SLIDING: dict[str, Any] = {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 4}
VISION = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 8,
    "patch_size": 4,
}  # fmt: skip
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {"tie_word_embeddings": False, "attention_bias": True, "mlp_bias": True}),
    "mistral": ("MistralConfig", {"tie_word_embeddings": False, "sliding_window": WINDOW}),
    "qwen2": ("Qwen2Config", {"tie_word_embeddings": True, **SLIDING}),
    "qwen3": ("Qwen3Config", {"tie_word_embeddings": False, **SLIDING}),
    "gemma2": ("Gemma2Config", {"tie_word_embeddings": True, "sliding_window": WINDOW, "query_pre_attn_scalar": 8}),
    "gemma3": ("Gemma3TextConfig", {"sliding_window": WINDOW, "query_pre_attn_scalar": 8}),
    "gemma3-images": ("Gemma3TextConfig", {"sliding_window": WINDOW, "query_pre_attn_scalar": 8}),
}
PUBLISHED = {"gemma3": {"sliding_window_pattern": 3}, "gemma3-images": {"sliding_window_pattern": 3}}
"""What stands in `config.json` where transformers today lists the kinds of layers."""
IDS = torch.arange(2, 42).reshape(2, 20)
"""Longer than the window, so that it matters which layers have one."""


def save(folder: Path, family: str, seed: int = 0, shard_size: str = "1GB") -> Any:
    """A model of a family in a folder, its configuration as it is published; and the model."""
    name, changes = FAMILIES[family]
    config = getattr(transformers, name)(**(SIZES | changes | PUBLISHED.get(family, {})))
    torch.manual_seed(seed)
    if family == "gemma3-images":
        vision = transformers.SiglipVisionConfig(**VISION)
        whole = transformers.Gemma3Config(text_config=config, vision_config=vision, mm_tokens_per_image=4)
        model: Any = transformers.Gemma3ForConditionalGeneration(whole)
    else:
        model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # norms, too: a layer that is taken for another is then seen
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape)
    model.eval().save_pretrained(folder, max_shard_size=shard_size)
    path = folder / "config.json"
    written = orjson.loads(path.read_bytes())
    part = written.get("text_config", written)
    part.pop("layer_types", None)
    part.pop("_sliding_window_pattern", None)
    part.update(PUBLISHED.get(family, {}))
    path.write_bytes(orjson.dumps(written))
    return model


def by_hand(model: Any, layers: Sequence[int]) -> Any:
    """The same model with copies of some of its layers, each of the kind that it was."""
    made = copy.deepcopy(model)
    body = made.model.language_model if hasattr(made.model, "language_model") else made.model
    kinds = getattr(body.config, "layer_types", None)
    body.layers = nn.ModuleList(copy.deepcopy(body.layers[layer]) for layer in layers)
    body.config.num_hidden_layers = len(layers)
    if kinds is not None:
        body.config.layer_types = [kinds[layer] for layer in layers]
    return made


def open_model(folder: Path, family: str) -> Any:
    """What transformers reads in a folder; nothing may be missing or left over."""
    of_images = family == "gemma3-images"
    kind = transformers.Gemma3ForConditionalGeneration if of_images else transformers.AutoModelForCausalLM
    model, said = kind.from_pretrained(folder, output_loading_info=True)
    assert not said["missing_keys"] and not said["unexpected_keys"] and not said["mismatched_keys"]
    return model.eval()


def logits(model: Any) -> torch.Tensor:
    """Of some ids, shape (2, 20, vocabulary)."""
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=IDS, use_cache=False).logits
    return found
