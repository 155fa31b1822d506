"""AdamW as a manifest describes it: which weights decay, and by what."""

from collections.abc import Iterable
from typing import Any

import torch

from manifests.schema_training_steps import Optimizer

FUSED_ON = ("cpu", "cuda", "xpu", "mps")
"""Where torch has one kernel for the whole step."""


def adamw(
    named_parameters: Iterable[tuple[str, torch.nn.Parameter]], spec: Optimizer, peak: float
) -> torch.optim.Optimizer:
    """AdamW over what is trained; a scheduler of the kind of `LambdaLR` sets the learning rate of its groups.

    Decay that is `coupled` takes lr_t * weight_decay of a weight in step t, as PyTorch does. Decay that is
    `independent` takes share_t * weight_decay, where share_t = lr_t / peak is the schedule's (Loshchilov and Hutter's
    form, papers of Wortsman et al. and Kanana): it is AdamW with a coefficient of weight_decay / peak, since
    lr_t * (weight_decay / peak) is the same number. So there is one optimiser for both, with torch's own kernels,
    states and support for sharded tensors.

    Args:
        named_parameters: of a model, as `model.named_parameters()` gives them; those that need no gradient are left
            out.
        spec: of the manifest.
        peak: the learning rate that the schedule's shares are of.

    Raises:
        ValueError: nothing is trained, or the decay is independent of a peak that is not above 0.
    """
    trained = [(name, weight) for name, weight in named_parameters if weight.requires_grad]
    if not trained:
        raise ValueError("no weight needs a gradient, so there is nothing to train")
    if spec.decay == "independent" and not peak > 0:
        raise ValueError(f"found a peak learning rate of {peak}; decay independent of it needs one above 0")
    coefficient = spec.weight_decay / peak if spec.decay == "independent" else spec.weight_decay
    groups: list[dict[str, Any]] = [
        {"params": [weight for name, weight in trained if decays(name, weight)], "weight_decay": coefficient},
        {"params": [weight for name, weight in trained if not decays(name, weight)], "weight_decay": 0.0},
    ]
    fused = all(weight.is_floating_point() and weight.device.type in FUSED_ON for _, weight in trained)
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=peak,
        betas=spec.betas,
        eps=spec.eps,
        fused=fused,
        foreach=None if not fused else False,
    )


def decays(name: str, weight: torch.Tensor) -> bool:
    """Whether a weight is a matrix that decays: norms, biases and embeddings do not.

    A row of the embeddings gets a gradient only in steps whose text holds its token, and decay in all of them: tokens
    that continued pre-training on Korean never shows would wither. (OLMo 2 leaves embeddings out for stability, too:
    2501.00656, section 3.) Tied embeddings are the output matrix as well, and stay out; an output matrix of its own
    decays.
    """
    return weight.ndim >= 2 and "embed" not in name and not _is_position_table(name)


def _is_position_table(name: str) -> bool:
    """GPT-2's names of its embeddings, which do not say so."""
    return any(part in ("wte", "wpe") for part in name.split("."))
