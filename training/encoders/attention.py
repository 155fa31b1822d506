"""Attention that sees both ways, in models that were made to see backwards only.

Which tokens see each other is told to the model by a mask of its own, (B, 1, L, L), which transformers takes as it
is. No other way keeps packed documents apart: with `is_causal: false` alone it lets them see each other (5.23). A
saved model says by that field of its configuration that it sees both ways; transformers reads it, and makes the same
attention of texts that stand alone.
"""

from typing import Any

import torch

from manifests.errors import RequestError
from training.flops import LLAMA_LIKE


def check_can(config: Any, length: int, at: str) -> None:
    """That a model of a kind can see both ways, over so many tokens.

    Raises:
        RequestError: its architecture was not tried, or its window is shorter.
    """
    if config.model_type not in LLAMA_LIKE:
        raise RequestError(
            f"{at}: a model of type {config.model_type!r} is not known to heed masks that see both ways; valid: "
            f"{', '.join(LLAMA_LIKE)}"
        )
    window = getattr(config, "sliding_window", None)
    if window and length > window:
        raise RequestError(
            f"{at}: layers see {window:,} tokens (`sliding_window`), and sequences have up to {length:,}: a mask "
            f"that sees both ways has no window. Take sequences of at most {window:,} tokens"
        )


def see_both_ways(model: Any) -> None:
    """Let a model say of itself that it sees both ways, once it is saved too."""
    model.config.is_causal = False


def sees_both_ways(config: Any) -> bool:
    """Whether a model says that it does."""
    return getattr(config, "is_causal", True) is False


def mask_of(segments: torch.Tensor, config: Any, dtype: torch.dtype) -> torch.Tensor:
    """Where tokens may look: at all tokens of their own segment.

    Args:
        segments: (B, L), int: which tokens belong together; padding is a segment, too, so that no row is empty.
        config: the model's: eager attention adds its masks, others take them as true and false.
        dtype: of the weights.

    Returns:
        (B, 1, L, L): rows are queries, columns keys.
    """
    same = (segments[:, :, None] == segments[:, None, :])[:, None]
    if config._attn_implementation != "eager":
        return same
    return torch.zeros(same.shape, dtype=dtype, device=same.device).masked_fill(~same, torch.finfo(dtype).min)


def segments_of(positions: torch.Tensor) -> torch.Tensor:
    """(B, L): numbers of the documents of packed sequences, whose positions begin again at 0."""
    return (positions == 0).cumsum(-1)
