"""How far a student's distribution of the next token is from a teacher's, per token, with its gradient.

`divergence_of_logits` is the definition over logits that are there. `fused_divergence` gives the same from the last
hidden states of both models and never has the logits of a batch: forwards, the logits of a few rows of both, and of
these the sums over the vocabulary; backwards the same logits again, and in their place the gradient. That is six
products where logits that are kept take four, and memory that follows neither the rows nor the vocabulary.

The gradient by a logit z of the student, with s = dD / dlog q of each token (`terms`), q their softmax, S = sum(s):

    dD / dz = s - q S

so one number per row, S, is all that has to be known of the other tokens.
"""

from dataclasses import dataclass
from typing import Any, get_args

import torch

from manifests.errors import RequestError
from manifests.schema_distillation import DistillLoss
from training.distilling.output_layer import Gradients, OutputLayer, autocast_dtype, blocks_of, log_sums, tiles_of
from training.distilling.terms import LOWEST, OUTSIDE, Skew, Terms, terms_of
from training.token_dataset import NO_LOSS


@dataclass(frozen=True)
class Divergence:
    """What is between two distributions, and how it is computed."""

    kind: DistillLoss = "skew_kl"
    """See `terms`."""
    skew: float = 0.1
    """Share of a model's own side in the mixture it is compared with; of `js` and `symmetric_kl` that of the reverse
    part."""
    temperature: float = 1.0
    """T: logits of both are divided by it, and the divergence is multiplied by T^2 (Hinton et al., 1503.02531)."""
    chunk: int = 16_384
    """Tokens of the vocabulary whose probabilities are there at once."""
    detached: bool = False
    """Of `skew_reverse_kl`: no gradient through the mixture, as in DistiLLM-2."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(DistillLoss):
            raise RequestError(f"divergence: {self.kind!r} is none; valid: {', '.join(get_args(DistillLoss))}")
        if not 0 <= self.skew <= 1:
            raise RequestError(f"divergence: skew is {self.skew}; valid: 0 to 1")
        if not 0 < self.temperature < float("inf") or self.chunk < 1:
            raise RequestError(
                f"divergence: temperature is {self.temperature}, chunk {self.chunk}; both have to be above 0"
            )
        if self.detached and self.kind != "skew_reverse_kl":
            raise RequestError(f"divergence: only skew_reverse_kl has a mixture to detach, {self.kind} does not")


def divergence_of_logits(
    student: torch.Tensor, teacher: torch.Tensor, settings: Divergence, skews: torch.Tensor | None = None
) -> torch.Tensor:
    """Divergence of each row, in nats times T^2, differentiable by the student's logits.

    Args:
        student: (rows, vocabulary), of any floating type; computed in float32 at least.
        teacher: (rows, vocabulary); -inf where it cannot say a token. Kinds that would be infinite there
            (`OUTSIDE`) take the student's distribution among those that it can.
        settings: the kind and its numbers.
        skews: (rows,), in the place of the one skew of the settings.

    Returns:
        (rows,), float32, or float64 if the logits are.

    Raises:
        RequestError: the vocabularies differ.
    """
    _check_vocabularies(student, teacher)
    exact = torch.promote_types(student.dtype, torch.float32)
    ours, theirs = student.to(exact) / settings.temperature, teacher.detach().to(exact) / settings.temperature
    if settings.kind in OUTSIDE:
        ours = ours.masked_fill(theirs == -torch.inf, -torch.inf)
    p, q = (values.log_softmax(1).clamp(min=LOWEST) for values in (theirs, ours))
    terms = terms_of(settings.kind, settings.detached)(p, q, _skew(settings, skews, slice(None), student))
    return terms.value.sum(1) * settings.temperature**2


def fused_divergence(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    teacher_hidden: torch.Tensor,
    teacher_weight: torch.Tensor,
    teacher_bias: torch.Tensor | None,
    settings: Divergence,
    labels: torch.Tensor | None = None,
    ce_weight: float = 0.0,
    skews: torch.Tensor | None = None,
) -> torch.Tensor:
    """(1 - ce_weight) times the divergence of each row, and ce_weight times its cross entropy; see the module.

    Args:
        hidden: (rows, width) of the student: what its output matrix is applied to.
        weight: (vocabulary, width): its output matrix.
        bias: (vocabulary,), or None.
        teacher_hidden: (rows, width of the teacher). Nothing of the teacher gets a gradient.
        teacher_weight: (vocabulary, width of the teacher).
        teacher_bias: (vocabulary,), or None.
        settings: the kind and its numbers.
        labels: (rows,), int64: the ids that are to come; rows with -100 give 0 and no gradient.
        ce_weight: in [0, 1]; above 0 it needs `labels`. Cross entropy is of the logits without temperature.
        skews: (rows,), in the place of the one skew of the settings.

    Returns:
        (rows,), float32, or float64 if the hidden states are. Its gradient goes to `hidden`, `weight` and `bias`, and
        has none of its own.

    Raises:
        RequestError: the vocabularies or the numbers of rows differ, or cross entropy has no labels.
    """
    _check_vocabularies(weight.T, teacher_weight.T)
    if len(hidden) != len(teacher_hidden):
        raise RequestError(f"distillation: {len(hidden)} rows of the student, {len(teacher_hidden)} of the teacher")
    if not 0 <= ce_weight <= 1 or (ce_weight and labels is None):
        raise RequestError(f"distillation: ce_weight is {ce_weight}; valid: 0 to 1, and above 0 with labels")
    return _FusedDivergence.apply(
        hidden, weight, bias, teacher_hidden, teacher_weight, teacher_bias, labels, skews, settings, ce_weight
    )


class _FusedDivergence(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> torch.Tensor:
        *tensors, settings, ce_weight = inputs
        ctx.save_for_backward(*tensors)
        ctx.settings, ctx.ce_weight, ctx.half = settings, ce_weight, autocast_dtype(tensors[0].device)
        found = list[_Sums]()
        with torch.autocast(tensors[0].device.type, enabled=False):
            pair = _Pair.of(tensors, settings, ce_weight, ctx.half)
            for rows in pair.blocks():
                found.append(pair.sums(rows, *pair.logits(rows)))
        ctx.sums = found
        return torch.cat([sums.loss for sums in found]) if found else tensors[0].new_zeros(0)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, of_loss: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        tensors = ctx.saved_tensors
        pair = _Pair.of(tensors, ctx.settings, ctx.ce_weight, ctx.half)
        gradients = Gradients(pair.student, ctx.needs_input_grad[:3])
        for rows, sums in zip(pair.blocks(), ctx.sums, strict=True):
            logits, teacher = pair.logits(rows)
            pair.put_gradient(rows, logits, teacher, sums, of_loss[rows])
            gradients.add(rows, logits, ctx.settings.chunk)
            del logits, teacher  # or there would be two blocks of each while the next are made
        dtypes = tuple(tensors[0].dtype if tensor is None else tensor.dtype for tensor in tensors[:3])
        return *gradients.results(dtypes), *[None] * 7


@dataclass(frozen=True)
class _Sums:
    """Over the vocabulary, of the rows of a block: (rows,) each."""

    loss: torch.Tensor
    student: torch.Tensor
    """log sum exp of z / T, of the ids that count."""
    teacher: torch.Tensor
    slope: torch.Tensor
    """Sum of the slopes of the divergence."""
    plain: torch.Tensor | None
    """log sum exp of z, for cross entropy."""


@dataclass(frozen=True)
class _Pair:
    """Both models' output layers, and what is to be computed of them."""

    student: OutputLayer
    teacher: OutputLayer
    labels: torch.Tensor | None
    skews: torch.Tensor | None
    settings: Divergence
    ce_weight: float

    @classmethod
    def of(cls, tensors: Any, settings: Divergence, ce_weight: float, half: torch.dtype | None) -> "_Pair":
        student, teacher = (OutputLayer.of(tensors[start : start + 3], half) for start in (0, 3))
        return cls(student, teacher, tensors[6], tensors[7], settings, ce_weight)

    def blocks(self) -> Any:
        hidden, weight = self.student.hidden, self.student.weight
        return blocks_of(len(hidden), len(weight), hidden.device)

    def logits(self, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the student and the teacher, (rows, vocabulary)."""
        return self.student.logits(rows), self.teacher.logits(rows)

    def sums(self, rows: slice, student: torch.Tensor, teacher: torch.Tensor) -> _Sums:
        scale, chunk = 1 / self.settings.temperature, self.settings.chunk
        of_student = log_sums(student, chunk, scale, teacher if self.settings.kind in OUTSIDE else None)
        of_teacher = log_sums(teacher, chunk, scale)
        value, slope = torch.zeros_like(of_student), torch.zeros_like(of_student)
        for tile in tiles_of(student.shape[1], chunk):
            terms, _ = self._terms(rows, student[:, tile], teacher[:, tile], of_student, of_teacher)
            value += terms.value.sum(1)
            slope += terms.slope.sum(1)
        loss, plain = value * (self.settings.temperature**2 * (1 - self.ce_weight)), None
        if self.labels is not None:
            wanted = self.labels[rows]
            if self.ce_weight:
                plain = log_sums(student, chunk)
                right = student.gather(1, wanted.clamp(min=0).unsqueeze(1)).squeeze(1)
                loss += self.ce_weight * (plain - right.to(plain.dtype))
            loss.masked_fill_(wanted == NO_LOSS, 0)
        return _Sums(loss, of_student, of_teacher, slope, plain)

    def put_gradient(
        self, rows: slice, student: torch.Tensor, teacher: torch.Tensor, sums: _Sums, of_loss: torch.Tensor
    ) -> None:
        """Put the gradient by the student's logits into their place."""
        of_rows = of_loss.to(sums.loss.dtype).unsqueeze(1)
        wanted = None if self.labels is None else self.labels[rows].unsqueeze(1)
        if wanted is not None:
            of_rows = of_rows.masked_fill(wanted == NO_LOSS, 0)
        factor = of_rows * (self.settings.temperature * (1 - self.ce_weight))
        for tile in tiles_of(student.shape[1], self.settings.chunk):
            part = student[:, tile]
            terms, q = self._terms(rows, part, teacher[:, tile], sums.student, sums.teacher)
            gradient = terms.slope.addcmul_(q.exp_(), sums.slope.unsqueeze(1), value=-1).mul_(factor)
            if sums.plain is not None:
                gradient += (part.to(gradient.dtype) - sums.plain.unsqueeze(1)).exp_().mul_(of_rows * self.ce_weight)
            part.copy_(gradient)
        if sums.plain is not None and wanted is not None:  # one id per row, so that nothing is added in any order
            each = torch.arange(len(student), device=student.device)
            student[each, wanted.clamp(min=0).squeeze(1)] -= (of_rows * self.ce_weight).squeeze(1).to(student.dtype)

    def _terms(
        self,
        rows: slice,
        student: torch.Tensor,
        teacher: torch.Tensor,
        of_student: torch.Tensor,
        of_teacher: torch.Tensor,
    ) -> tuple[Terms, torch.Tensor]:
        """Of some ids, and the student's log probabilities of these."""
        scale, exact = 1 / self.settings.temperature, of_student.dtype
        p = (teacher.to(exact) * scale).sub_(of_teacher.unsqueeze(1)).clamp_(min=LOWEST)
        q = (student.to(exact) * scale).sub_(of_student.unsqueeze(1)).clamp_(min=LOWEST)
        if self.settings.kind in OUTSIDE:
            q.masked_fill_(teacher == -torch.inf, LOWEST)
        terms = terms_of(self.settings.kind, self.settings.detached)
        return terms(p, q, _skew(self.settings, self.skews, rows, of_student)), q


def _skew(settings: Divergence, skews: torch.Tensor | None, rows: slice, like: torch.Tensor) -> Skew:
    exact = torch.promote_types(like.dtype, torch.float32)
    if skews is None:
        return Skew.of(torch.tensor(settings.skew, dtype=exact, device=like.device))
    return Skew.of(skews[rows].detach().to(exact).unsqueeze(1))


def _check_vocabularies(student: torch.Tensor, teacher: torch.Tensor) -> None:
    if student.shape[1] != teacher.shape[1]:
        raise RequestError(
            f"distillation: the student has logits of {student.shape[1]:,} ids and the teacher of "
            f"{teacher.shape[1]:,}; only those of one vocabulary can be compared, so train on its texts instead"
        )
