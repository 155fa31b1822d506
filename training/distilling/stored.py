"""The divergence from a teacher whose probabilities were stored: of the k likeliest tokens, and of one rest.

Both distributions are reduced to k + 1 events, the stored tokens and everything else; what the student gives to the
rest is summed exactly. Reducing never adds to a divergence, so this is at most the one from the whole distribution,
and equal to it where all tokens are stored.

A run of `onggi synth` stores them at temperature 1 (table `logprobs`; see `manifests.contracts_synthetic`).
"""

from typing import Any

import torch

from manifests.errors import RequestError
from training.distilling.divergences import Divergence
from training.distilling.output_layer import Gradients, OutputLayer, autocast_dtype, blocks_of, log_sums, tiles_of
from training.distilling.terms import LOWEST, TERMS, Skew
from training.token_dataset import NO_LOSS

KINDS = ("forward_kl", "skew_kl")
SUM_MAX = 1.001
"""Probabilities of the stored tokens may sum to so much: those in half precision are that inexact."""


def stored_divergence(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    top_ids: torch.Tensor,
    top_logprobs: torch.Tensor,
    settings: Divergence,
    labels: torch.Tensor | None = None,
    ce_weight: float = 0.0,
) -> torch.Tensor:
    """(1 - ce_weight) times the divergence of each row, and ce_weight times its cross entropy.

    Args:
        hidden: (rows, width) of the student: what its output matrix is applied to.
        weight: (vocabulary, width): its output matrix.
        bias: (vocabulary,), or None.
        top_ids: (rows, k), integers, different ones in each row and in any order.
        top_logprobs: (rows, k): the teacher's natural logarithms of their probabilities.
        settings: forward_kl or skew_kl, at temperature 1.
        labels: (rows,), int64: the ids that are to come; rows with -100 give 0 and no gradient.
        ce_weight: in [0, 1]; above 0 it needs `labels`.

    Returns:
        (rows,), float32, or float64 if the hidden states are. Its gradient goes to `hidden`, `weight` and `bias`, and
        has none of its own.

    Raises:
        RequestError: another kind or temperature; shapes that differ; ids beyond the vocabulary or twice in a row;
            numbers that are no logarithms of probabilities; cross entropy without labels.
    """
    _check(hidden, weight, top_ids, top_logprobs, settings)
    if not 0 <= ce_weight <= 1 or (ce_weight and labels is None):
        raise RequestError(f"distillation: ce_weight is {ce_weight}; valid: 0 to 1, and above 0 with labels")
    ids = top_ids.long()
    right_ids = torch.zeros(len(ids), dtype=torch.long, device=ids.device) if labels is None else labels.clamp(min=0)
    top, others, right = _PickedLogits.apply(hidden, weight, bias, ids, right_ids, settings.chunk)
    sums = torch.logaddexp(top.logsumexp(1), others)
    q = (torch.cat([top, others.unsqueeze(1)], 1) - sums.unsqueeze(1)).clamp(min=LOWEST)
    p = with_rest(top_logprobs, len(weight)).to(q.dtype)
    skew = Skew.of(torch.tensor(settings.skew, dtype=q.dtype, device=q.device))
    loss = (1 - ce_weight) * TERMS[settings.kind](p, q, skew).value.sum(1)
    if ce_weight:
        loss = loss + ce_weight * (sums - right)
    return loss if labels is None else loss.masked_fill(labels == NO_LOSS, 0)


def with_rest(top_logprobs: torch.Tensor, n_ids: int) -> torch.Tensor:
    """The teacher's distribution over stored tokens and the rest: (rows, k + 1) logarithms in float64."""
    exact = top_logprobs.double().clamp(min=LOWEST)
    if top_logprobs.shape[1] == n_ids:  # what rounding leaves is no token's
        rest = torch.full_like(exact[:, :1], LOWEST)
    else:
        rest = (1 - exact.exp().sum(1, keepdim=True)).clamp(min=0).log().clamp(min=LOWEST)
    return torch.cat([exact, rest], 1)


class _PickedLogits(torch.autograd.Function):  # type: ignore[misc]
    """(logits of the stored ids, log sum exp of all others, logits of the labels), in float32 at least."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[torch.Tensor, ...]:
        *tensors, chunk = inputs
        hidden, weight, _, ids, right_ids = tensors
        ctx.chunk, ctx.half = chunk, autocast_dtype(hidden.device)
        found = list[tuple[torch.Tensor, ...]]()
        with torch.autocast(hidden.device.type, enabled=False):
            layer = OutputLayer.of(tensors[:3], ctx.half)
            for rows in blocks_of(len(hidden), len(weight), hidden.device):
                logits = layer.logits(rows)
                top, right = logits.gather(1, ids[rows]), logits.gather(1, right_ids[rows].unsqueeze(1))
                found.append((top, log_sums(logits.scatter_(1, ids[rows], -torch.inf), chunk), right.squeeze(1)))
                del logits
        exact = torch.promote_types(layer.hidden.dtype, torch.float32)
        top, others, right = (torch.cat(parts).to(exact) for parts in zip(*found, strict=True))
        ctx.save_for_backward(*tensors, others)
        return top, others, right

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(
        ctx: Any, of_top: torch.Tensor, of_others: torch.Tensor, of_right: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        *tensors, others = ctx.saved_tensors
        hidden, weight, bias, ids, right_ids = tensors
        layer = OutputLayer.of((hidden, weight, bias), ctx.half)
        gradients = Gradients(layer, ctx.needs_input_grad[:3])
        for rows in blocks_of(len(hidden), len(weight), hidden.device):
            logits = layer.logits(rows)
            for tile in tiles_of(len(weight), ctx.chunk):
                share = (logits[:, tile].to(others.dtype) - others[rows].unsqueeze(1)).exp_()
                logits[:, tile] = share.mul_(of_others[rows].unsqueeze(1))
            logits.scatter_(1, ids[rows], of_top[rows].to(logits.dtype))
            each = torch.arange(len(logits), device=logits.device)
            logits[each, right_ids[rows]] += of_right[rows].to(logits.dtype)
            gradients.add(rows, logits, ctx.chunk)
            del logits  # or there would be two blocks while the next is made
        dtypes = (hidden.dtype, weight.dtype, hidden.dtype if bias is None else bias.dtype)
        return *gradients.results(dtypes), None, None, None


def _check(
    hidden: torch.Tensor, weight: torch.Tensor, ids: torch.Tensor, logprobs: torch.Tensor, settings: Divergence
) -> None:
    if settings.kind not in KINDS:
        raise RequestError(f"stored probabilities: {settings.kind} cannot be had; valid: {', '.join(KINDS)}")
    if settings.temperature != 1:
        raise RequestError(f"stored probabilities are of temperature 1; the loss has {settings.temperature}")
    if ids.ndim != 2 or ids.shape != logprobs.shape or len(ids) != len(hidden) or not ids.numel():
        raise RequestError(
            f"stored probabilities: ids are {tuple(ids.shape)}, logarithms {tuple(logprobs.shape)}; both should be "
            f"({len(hidden)}, k), as the student has {len(hidden)} rows"
        )
    ordered = ids.sort(1).values
    if int(ordered[:, 0].min()) < 0 or int(ordered[:, -1].max()) >= len(weight):
        raise RequestError(
            f"stored probabilities: id {int(ids.min())} to {int(ids.max())}; the student has 0 to {len(weight) - 1}"
        )
    twice = (ordered[:, 1:] == ordered[:, :-1]).any(1)
    if bool(twice.any()):
        raise RequestError(f"stored probabilities: row {int(twice.nonzero()[0, 0])} has an id twice")
    sums = logprobs.double().exp().sum(1)
    wrong = ~(sums <= SUM_MAX)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0, 0])
        raise RequestError(f"stored probabilities: those of row {row} sum to {float(sums[row]):.6g}, above 1")
