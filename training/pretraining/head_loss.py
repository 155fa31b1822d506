"""Cross entropy and z-loss from the last hidden states and the output matrix, without logits of a whole batch.

Some positions at a time: logits, their loss and gradient (`token_loss`), and at once what that is for the hidden
states and the matrix. So what is kept is as large as these, where logits of a vocabulary of 128,256 take 250 KB per
token and copy. No product is computed twice.
"""

from types import MethodType
from typing import Any

import torch

from training.flops import LLAMA_LIKE
from training.pretraining.token_loss import TokenLoss, loss_of_rows, rows_at_once


def head_loss(hidden: torch.Tensor, matrix: torch.Tensor, targets: torch.Tensor, z_loss: float = 0.0) -> TokenLoss:
    """Loss of n positions.

    Args:
        hidden: (n, width), what the output matrix is applied to.
        matrix: (vocabulary, width).
        targets: (n), int64: the id that is to come, -100 where none counts.
        z_loss: coefficient of lse^2.
    """
    return TokenLoss(*_HeadLoss.apply(hidden, matrix, targets, z_loss))


class _HeadLoss(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, matrix: torch.Tensor, targets: torch.Tensor, z_loss: float
    ) -> tuple[torch.Tensor, ...]:
        for_hidden, for_matrix = ctx.needs_input_grad[:2]
        inputs, weights = _in_half(hidden), _in_half(matrix)
        exact = torch.promote_types(inputs.dtype, torch.float32)
        of_hidden = torch.empty_like(hidden) if for_hidden else None
        of_matrix = torch.zeros_like(matrix, dtype=exact) if for_matrix else None
        sums = torch.zeros(3, dtype=exact, device=hidden.device)
        n_rows = rows_at_once(hidden.device, len(matrix))
        with torch.autocast(hidden.device.type, enabled=False):
            for start in range(0, len(hidden), n_rows):
                rows = slice(start, start + n_rows)
                logits = inputs[rows] @ weights.T
                gradient = torch.empty_like(logits) if for_hidden or for_matrix else None
                sums += loss_of_rows(logits.to(exact), targets[rows], z_loss, gradient)
                if gradient is not None and of_hidden is not None:
                    of_hidden[rows] = gradient @ weights
                if gradient is not None and of_matrix is not None:
                    of_matrix += gradient.T @ inputs[rows]
        ctx.gradients, ctx.dtype = (of_hidden, of_matrix), matrix.dtype
        entropy, lse, squared = sums.unbind()
        ctx.mark_non_differentiable(entropy, lse, squared)
        return entropy + z_loss * squared, entropy, lse, squared

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, of_total: torch.Tensor, *_: Any) -> tuple[torch.Tensor | None, ...]:
        (of_hidden, of_matrix), ctx.gradients = (
            ctx.gradients,
            None,
        )  # scaled where they lie: there is one backward pass
        if of_hidden is not None:
            of_hidden.mul_(of_total.to(of_hidden.dtype))
        if of_matrix is not None:
            of_matrix = of_matrix.mul_(of_total).to(ctx.dtype)
        return of_hidden, of_matrix, None, None


def _in_half(values: torch.Tensor) -> torch.Tensor:
    """As autocast would have it, for a product."""
    kind = values.device.type
    return values.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else values


def with_head_loss(model: Any) -> bool:
    """Let a model give its loss instead of logits where it is called with `targets` (and `z_loss`).

    Within its own forward pass, so that whatever wraps it (data parallelism, sharding, LoRA) sees one call.

    Returns:
        Whether it can: its output is a matrix times hidden states and nothing else (Llama, Mistral, Qwen 2 and 3).
    """
    if model.config.model_type not in LLAMA_LIKE or getattr(model.lm_head, "bias", None) is not None:
        return False
    plain = type(model).forward

    def forward(self: Any, *args: Any, targets: Any = None, z_loss: float = 0.0, **inputs: Any) -> Any:
        if targets is None:
            return plain(self, *args, **inputs)
        inputs.pop("labels", None)
        hidden = self.model(*args, **inputs).last_hidden_state.flatten(0, 1)
        found = head_loss(hidden, self.lm_head.weight, targets, z_loss)
        return {name: getattr(found, name) for name in ("total", "cross_entropy", "lse", "lse_squared")}

    model.forward = MethodType(forward, model)
    return True
