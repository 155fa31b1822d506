"""What a training computes, as both reports count: 6 N D, of N weights and D tokens (arXiv 2502.18934, section 2.1).

Two per weight and token forwards, four backwards; attention's own products are left out, and so is what teachers,
references and reward models compute, and the drawing of answers: of a distillation only the student's share counts.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from manifests.errors import RequestError
from training.safetensors_files import read_header

PER_WEIGHT_AND_TOKEN = 6

LLAMA_LIKE = ("llama", "mistral", "qwen2", "qwen3")
"""`model_type` of the architectures that are counted from their configuration."""
BUFFER = "rotary_emb.inv_freq"
"""A tensor of old checkpoints that is no weight."""


@dataclass(frozen=True)
class Training:
    """Weights, and the tokens that they are trained on."""

    n_parameters: float
    n_tokens: float

    @property
    def flops(self) -> float:
        """6 N D."""
        return PER_WEIGHT_AND_TOKEN * self.n_parameters * self.n_tokens


@dataclass(frozen=True)
class Parameters:
    """How many weights a model has, by what they are of."""

    embeddings: int
    """Of the input."""
    output: int
    """Of the output; 0 where it is the input's."""
    layers: int
    """Of all layers, and the norm after them."""

    @property
    def total(self) -> int:
        """All that are stored, each once: what transformers counts."""
        return self.embeddings + self.output + self.layers


def forward_flops(n_parameters: float, n_tokens: float) -> float:
    """2 M D: what a model computes that only reads tokens, as a teacher does."""
    return PER_WEIGHT_AND_TOKEN / 3 * n_parameters * n_tokens


def total_flops(trainings: Iterable[Training]) -> float:
    """Of several trainings."""
    return sum(training.flops for training in trainings)


def saved_frac(made: Sequence[Training], instead: Sequence[Training]) -> float:
    """What is saved by `made`, as a share of what `instead` takes."""
    return 1 - total_flops(made) / total_flops(instead)


# What was published


@dataclass(frozen=True)
class Published:
    """A training of one of the reports."""

    name: str
    training: Training
    source: str


PUBLISHED = (
    Published("DNA 1.0 8B: CPT", Training(8.03e9, 4.7e9), "arXiv 2501.10648"),
    Published("DNA 1.0 8B: SFT", Training(8.03e9, 1.9e9), "arXiv 2501.10648"),
    Published("Kanana Nano 2.1B: pruned and distilled", Training(2.1e9, 0.3e12), "arXiv 2502.18934, table 5"),
    Published("Kanana Essence 9.8B: up-scaled, CPT", Training(9.8e9, 0.2e12), "arXiv 2502.18934, 2.3.2"),
    Published("Kanana 8B: from scratch", Training(8e9, 3e12), "arXiv 2502.18934, 2.2"),
)
"""The student alone, where one was distilled."""

_SCRATCH_TOKENS, _UPSCALED_TOKENS = 3e12, 0.2e12
_KANANA_UPSCALED = [Training(n, _UPSCALED_TOKENS) for n in (9.8e9, 32.5e9)]
_KANANA_MADE = [*(Training(n, _SCRATCH_TOKENS) for n in (8e9, 26.8e9)), *_KANANA_UPSCALED]
_KANANA_INSTEAD = [Training(n, _SCRATCH_TOKENS) for n in (9.8e9, 32.5e9)]


def kanana_saved_frac() -> float:
    """11.06%: what Kanana saved by up-scaling 8B and 26.8B over training 9.8B and 32.5B from scratch (2.3.2)."""
    return saved_frac(_KANANA_MADE, _KANANA_INSTEAD)


def kanana_upscaled_frac() -> float:
    """6.67%: what up-scaling itself took, as a share of training both from scratch (section 2.3.2).

    Of all that Kanana computed it is 7.50%; the figure that is printed has the training from scratch as the whole.
    """
    return total_flops(_KANANA_UPSCALED) / total_flops(_KANANA_INSTEAD)


# How many weights a model has


HEAD_WIDTHS = {"qwen3": 128, "gemma": 256, "gemma3_text": 256}
"""What transformers takes where `head_dim` is not named; of others hidden size by heads."""


def parameters(config: Mapping[str, Any]) -> Parameters | None:
    """Weights of a decoder of the Llama family (Llama, Mistral, Qwen 2 and 3) by its `config.json`.

    None where it is of another family.
    """
    if config.get("model_type") not in LLAMA_LIKE:
        return None
    hidden, n_layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
    embeddings = int(config["vocab_size"]) * hidden
    per_layer = sum(rows * columns for rows, columns in matrices(config).values())
    per_layer += sum(_biases(config)) + 2 * hidden + _head_norms(config)
    output = 0 if config.get("tie_word_embeddings", False) else embeddings
    if any("SequenceClassification" in name for name in config.get("architectures") or ()):
        output = hidden * int(config.get("num_labels") or len(config.get("id2label") or (0, 1)))
    return Parameters(embeddings, output, n_layers * per_layer + hidden)


def matrices(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """(outputs, inputs) of the matrices of one layer, as transformers names them."""
    hidden, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    heads, groups, width = _heads(config)
    return {
        "q_proj": (heads * width, hidden),
        "k_proj": (groups * width, hidden),
        "v_proj": (groups * width, hidden),
        "o_proj": (hidden, heads * width),
        "gate_proj": (inner, hidden),
        "up_proj": (inner, hidden),
        "down_proj": (hidden, inner),
    }


def lora_parameters(config: Mapping[str, Any], rank: int, targets: str | Sequence[str]) -> int | None:
    """Weights that LoRA trains: rank * (outputs + inputs) of each matrix that it adapts; None where not known."""
    if parameters(config) is None:
        return None
    found = matrices(config)
    if targets == "all-linear":
        chosen = list(found)
    else:
        names = [targets] if isinstance(targets, str) else targets
        chosen = [name for name in found if any(name == of or of.endswith(f".{name}") for of in names)]
    return int(config["num_hidden_layers"]) * rank * sum(sum(found[name]) for name in chosen)


def _heads(config: Mapping[str, Any]) -> tuple[int, int, int]:
    """Query heads, heads of keys and values, and the width of each."""
    heads = int(config["num_attention_heads"])
    width = config.get("head_dim") or HEAD_WIDTHS.get(config["model_type"]) or int(config["hidden_size"]) // heads
    return heads, int(config.get("num_key_value_heads") or heads), int(width)


def _biases(config: Mapping[str, Any]) -> Iterable[int]:
    kind, found = config["model_type"], matrices(config)
    has_bias = bool(config.get("attention_bias", False))
    if has_bias or kind == "qwen2":
        yield from (found[name][0] for name in ("q_proj", "k_proj", "v_proj"))
    if has_bias:
        yield found["o_proj"][0]
    if config.get("mlp_bias", False):
        yield from (found[name][0] for name in ("gate_proj", "up_proj", "down_proj"))


def _head_norms(config: Mapping[str, Any]) -> int:
    return 2 * _heads(config)[2] if config["model_type"] == "qwen3" else 0


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a checkpoint.

    Raises:
        RequestError: there is none, or it cannot be read.
    """
    path = folder / "config.json"
    if not path.is_file():
        there = "no config.json is there" if folder.is_dir() else "there is no such folder"
        raise RequestError(f"{folder}: {there}; name the folder of a model (config.json, safetensors, tokenizer)")
    try:
        found = orjson.loads(path.read_bytes())
    except ValueError as error:
        raise RequestError(f"{path}: is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise RequestError(f"{path}: found {type(found).__name__}; expected a JSON object")
    return found


def count_parameters(folder: Path) -> int:
    """Weights of a checkpoint: by its configuration, or of an architecture that is not known here by its files.

    Raises:
        RequestError: there is no checkpoint, or neither tells.
    """
    config = read_config(folder)
    try:
        found = parameters(config)
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(f"{folder / 'config.json'}: cannot be read: {error!r}") from error
    return found.total if found else stored_parameters(folder)


def stored_parameters(folder: Path) -> int:
    """Weights in the safetensors files of a checkpoint.

    Raises:
        RequestError: there are none.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise RequestError(f"{folder}: no .safetensors file is there; weights in other formats are not read")
    headers = (tensor for path in files for tensor in read_header(path)[0])
    return sum(math.prod(tensor.shape) for tensor in headers if not tensor.name.endswith(BUFFER))
