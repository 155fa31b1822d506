"""What models predict at the places that are trained: hidden states and the matrix that makes logits of them.

Logits of a whole batch would take 500 KB per token and model at a vocabulary of 128,256. So both models give hidden
states, at the places that count only, and `training.distilling.divergences` makes logits of some of them at a time.
That is so of Llama, Mistral, Qwen 2 and 3. Any other architecture, as its output may be more than a matrix (a cap, a
scale, a bias), makes logits of the whole batch, of which those at these places are kept.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch

from training.flops import LLAMA_LIKE

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Predicted:
    """Of n places: hidden states and the output matrix, or logits."""

    hidden: torch.Tensor | None
    """(n, width), what the matrix is applied to."""
    weight: torch.Tensor | None
    """(rows, width)."""
    logits: torch.Tensor | None = None
    """(n, rows)."""

    def of_ids(self, n_ids: int) -> "Predicted":
        """Without what stands behind the first ids: rows that pad an output matrix."""
        weight = None if self.weight is None else self.weight[:n_ids]
        return Predicted(self.hidden, weight, None if self.logits is None else self.logits[:, :n_ids])

    def detached(self) -> "Predicted":
        """The same without a gradient."""
        parts = (None if part is None else part.detach() for part in (self.hidden, self.weight, self.logits))
        return Predicted(*parts)

    def logits_of(self, rows: slice) -> torch.Tensor:
        """(rows, ids): of some places, in float32 at least."""
        if self.logits is not None:
            found = self.logits[rows]
        else:
            assert self.hidden is not None and self.weight is not None
            found = self.hidden[rows] @ self.weight.T.to(self.hidden.dtype)
        return found.to(torch.promote_types(found.dtype, torch.float32))

    def as_logits(self) -> "Predicted":
        """The same by its logits."""
        return self if self.logits is not None else Predicted(None, None, self.logits_of(slice(None)))


def is_a_matrix(model: Any) -> bool:
    """Whether a model's output is a matrix times hidden states and nothing else."""
    return model.config.model_type in LLAMA_LIKE and getattr(model.lm_head, "bias", None) is None


def predicted(model: Any, inputs: Mapping[str, Any], places: torch.Tensor, plain: Callable[..., Any]) -> Predicted:
    """What a model predicts.

    Args:
        model: a causal language model, itself.
        inputs: what it is called with; (B, L).
        places: (n), int64: which of the B * L places.
        plain: its own forward pass.
    """
    if is_a_matrix(model):
        hidden = model.model(**inputs).last_hidden_state.flatten(0, 1)[places]
        return Predicted(hidden, model.lm_head.weight)
    return Predicted(None, None, plain(**inputs).logits.flatten(0, 1)[places])


Reduce = Callable[[Predicted], Mapping[str, torch.Tensor]]
"""From what a student predicts to sums."""


def with_reduction(model: Any) -> None:
    """Let a model, where it is called with `places` and `reduce`, give what that makes of its predictions.

    Within its own forward pass, so that whatever wraps it (data parallelism, sharding, LoRA) sees one call. The
    signature stays that of its own: from it transformers' `generate` knows whether a model takes `position_ids` and
    `logits_to_keep`.
    """
    own = type(model).forward

    def forward(self: Any, *args: Any, places: Any = None, reduce: Reduce | None = None, **inputs: Any) -> Any:
        if reduce is None:
            return own(self, *args, **inputs)
        inputs.pop("labels", None)
        return reduce(predicted(self, inputs, places, lambda **asked: own(self, **asked)))

    forward.__signature__ = inspect.signature(own)  # type: ignore[attr-defined]
    model.forward = MethodType(forward, model)
