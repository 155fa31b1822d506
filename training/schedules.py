"""How the learning rate goes over the steps of a stage, and DeepSeek's law for its peak and the batch."""

import math

from manifests.schema_training_steps import Schedule

MULTI_STEP = ((9, 0.1), (8, 0.316))
"""DeepSeek's: from so many tenths of the steps on, so much of the peak."""


def lr_share(step: int, n_steps: int, spec: Schedule) -> float:
    """Learning rate of a step, as a share of its peak, as `torch.optim.lr_scheduler.LambdaLR` wants it.

    The rise is linear from 0, which the very first step has where there is one, as in transformers. After it,
    `linear` and `cosine` fall over all steps that are left, `warmup_stable_decay` linearly over the last `decay` of
    all steps (over what is left after the rise, where that is less), each to `end`.

    Args:
        step: from 0; of the last one, `n_steps - 1`. Later ones are as `n_steps`.
        n_steps: of the whole stage.
        spec: of the manifest.

    Returns:
        From 0 to 1.
    """
    step, n_warmup = min(step, n_steps), warmup_steps(n_steps, spec)
    if step < n_warmup:
        return step / n_warmup
    if spec.kind == "constant":
        return 1.0
    if spec.kind == "multi_step":
        return next((share for tenths, share in MULTI_STEP if 10 * step >= tenths * n_steps), 1.0)
    first = n_warmup
    if spec.kind == "warmup_stable_decay":
        first = max(n_warmup, n_steps - _steps(n_steps, spec.decay))
    done = max(0, step - first) / max(1, n_steps - first)
    left = 0.5 * (1 + math.cos(math.pi * done)) if spec.kind == "cosine" else 1 - done
    return spec.end + (1 - spec.end) * left


def warmup_steps(n_steps: int, spec: Schedule) -> int:
    """Steps over which the learning rate rises."""
    return spec.warmup if isinstance(spec.warmup, int) else _steps(n_steps, spec.warmup)


def _steps(n_steps: int, share: float) -> int:
    """A share of the steps, rounded up as transformers does; 3% of 100 is 3, whatever binary fractions make of it."""
    return math.ceil(round(n_steps * share, 6))


def deepseek_law(compute_flops: float) -> tuple[float, float]:
    """Best learning rate and batch for a budget of compute, by DeepSeek-LLM (2401.02954, section 3.1).

    It was fitted from 1e17 to 2e19 FLOPs, on models that were trained from the beginning.

    Args:
        compute_flops: C, all of a training.

    Returns:
        0.3118 C^-0.125, the peak of the learning rate; 0.2920 C^0.3271, tokens per step.

    Raises:
        ValueError: C is not above 0.
    """
    if not compute_flops > 0:
        raise ValueError(f"found a compute of {compute_flops} FLOPs; expected more than 0")
    return 0.3118 * compute_flops**-0.125, 0.2920 * compute_flops**0.3271
