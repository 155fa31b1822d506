"""Cross entropy and z-loss of next tokens in one pass over the logits, and without copies of them in float32.

For each token with logits x, target y and lse = log(sum(exp(x))): cross entropy is lse - x[y], and the z-loss
c * lse^2 (PaLM; 2309.14322). Its gradient is softmax(x) * (1 + 2 c lse) - [y], so both come from the softmax that is
there anyway. The gradient is computed in the forward pass, some rows at a time: what is kept is one tensor as large
and as exact as the logits, where plain PyTorch keeps copies in float32.
"""

from dataclasses import dataclass
from typing import Any

import torch

from training.token_dataset import NO_LOSS

CHUNK_ELEMENTS = {"cpu": 1 << 23}
"""Logits that are worked on at once: 32 MiB of them on a CPU. Each block of rows reads the whole output matrix, so a
vocabulary of 128,256 takes four times as long with an eighth of it."""
CHUNK_ELEMENTS_ELSE = 1 << 26


def rows_at_once(device: torch.device, n_ids: int) -> int:
    """Positions whose logits are worked on together."""
    return max(1, CHUNK_ELEMENTS.get(device.type, CHUNK_ELEMENTS_ELSE) // n_ids)


@dataclass(frozen=True)
class TokenLoss:
    """Sums over the tokens that count, scalars of float32 (float64 if the logits are)."""

    total: torch.Tensor
    """Cross entropy + c * lse^2: what has a gradient."""
    cross_entropy: torch.Tensor
    lse: torch.Tensor
    lse_squared: torch.Tensor


def token_loss(logits: torch.Tensor, targets: torch.Tensor, z_loss: float = 0.0) -> TokenLoss:
    """Loss of n positions.

    Args:
        logits: (n, vocabulary), of any floating type; sums are made in float32 at least.
        targets: (n), int64: the id that is to come, -100 where none counts.
        z_loss: the coefficient c.
    """
    total, entropy, lse, squared = _TokenLoss.apply(logits, targets, z_loss)
    return TokenLoss(total, entropy, lse, squared)


class _TokenLoss(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor, z_loss: float) -> tuple[torch.Tensor, ...]:
        n_rows = rows_at_once(logits.device, logits.shape[1])
        gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        exact = torch.promote_types(logits.dtype, torch.float32)
        sums = torch.zeros(3, dtype=exact, device=logits.device)
        for start in range(0, len(logits), n_rows):
            rows = slice(start, start + n_rows)
            sums += loss_of_rows(
                logits[rows].to(exact), targets[rows], z_loss, None if gradient is None else gradient[rows]
            )
        ctx.gradient = gradient
        entropy, lse, squared = sums.unbind()
        ctx.mark_non_differentiable(entropy, lse, squared)
        return entropy + z_loss * squared, entropy, lse, squared

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, of_total: torch.Tensor, *_: Any) -> tuple[torch.Tensor, None, None]:
        gradient, ctx.gradient = ctx.gradient, None  # it is scaled where it lies, so there is one backward pass
        return gradient.mul_(of_total.to(gradient.dtype)), None, None


def loss_of_rows(
    logits: torch.Tensor, targets: torch.Tensor, z_loss: float, gradient: torch.Tensor | None
) -> torch.Tensor:
    """Sums of cross entropy, lse and lse^2 of some rows; their gradient is written into its place."""
    counts = (targets != NO_LOSS).to(logits.dtype)
    places = targets.clamp(min=0).unsqueeze(1)
    in_place = gradient is not None and gradient.dtype == logits.dtype
    work = gradient if in_place and gradient is not None else torch.empty_like(logits)
    greatest = logits.amax(1, keepdim=True)
    torch.sub(logits, greatest, out=work).exp_()
    sums = work.sum(1)
    lse = greatest.squeeze(1) + sums.log()
    entropy = (lse - logits.gather(1, places).squeeze(1)) * counts
    if gradient is not None:
        work *= ((1 + 2 * z_loss * lse) * counts / sums).unsqueeze(1)
        rows = torch.arange(len(work), device=work.device)
        work[rows, places.squeeze(1)] -= counts  # on GPUs `scatter_add_` has no order of its own
        if not in_place:
            gradient.copy_(work)
    return torch.stack([entropy.sum(), (lse * counts).sum(), (lse * lse * counts).sum()])
