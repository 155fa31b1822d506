"""Model FLOP utilisation: what a training computes per second, as a share of what its GPUs could."""

from typing import Any

from training.flops import PER_WEIGHT_AND_TOKEN

PEAK_FLOPS = {
    "B200": 2250e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H800": 989e12,
    "GH200": 989e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
    "RTX 6000 Ada": 364e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
"""Dense bfloat16 with sums in float32, per second, as NVIDIA's data sheets have it without sparsity; by a part of the
name, the longer ones first."""


def peak_flops(device: str) -> float | None:
    """FLOPs per second of a GPU by its name; None where it is not known."""
    names = sorted(PEAK_FLOPS, key=len, reverse=True)
    return next((PEAK_FLOPS[name] for name in names if _has(device, name)), None)


def _has(device: str, name: str) -> bool:
    """Whether all words of a name are in that of a device: an L4 is no L40S."""
    return set(name.split()) <= set(device.replace("-", " ").split())


def flops_per_token(n_weights: int, config: Any, length: int) -> float:
    """What a token of a sequence takes, forwards and backwards.

    6 per weight that is multiplied with (embeddings of the input are looked up), and attention's own products, which
    6 N leaves out: 12 * layers * width of all heads * length, halved since tokens attend backwards only. In a packed
    sequence they attend to less; the count is of a whole one, as it is custom (PaLM, appendix B).

    Args:
        n_weights: without embeddings of the input that are not the output's as well.
        config: of transformers.
        length: tokens per sequence.
    """
    heads = config.num_attention_heads
    width = heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)
    return float(PER_WEIGHT_AND_TOKEN * n_weights + 6 * config.num_hidden_layers * width * length)
