"""DistiLLM-2: raise what the teacher answers, lower what the student answers to the same prompts (2503.07067).

    loss = (2 - beta) mean SKL(teacher's answers) + beta mean SRKL(student's answers)

Means are over the tokens of an answer, then over answers. beta is 1, or rises from 1 to 1.5 over the first half of
the training. The mixture of SRKL carries no gradient.

The skew of each answer may adapt: where p and q, the geometric means of what the models give to its tokens, are far
apart, the mixture takes more of a model's own side, up to the base a0:

    a = clip(1 - (1 - a0) ref / (p - q + 1e-5), 0.01, a0)          q - p for the student's answers

In the released code (jongwooko/distillm-2, `distillm_trainer.py`, read in a copy), `ref` is meant as the mean of
p - q over the batches up to the first line of the log, one for the teacher's answers and one (q - p) for the
student's, and then stays; until then a is a0. It is switched off there (`update_alpha`), and would fail if it were
not: the mean is looked for where nothing is stored. The gradient goes through a there; here a is a number.
"""

from dataclasses import dataclass

import torch

from manifests.errors import RequestError
from training.distilling.divergences import Divergence, fused_divergence
from training.distilling.output_layer import OutputLayer, autocast_dtype, blocks_of, log_sums

BASE_SKEW, LEAST_SKEW = 0.1, 0.01
SMALL = 1e-5


@dataclass(frozen=True)
class Layer:
    """A model's output layer: what its last hidden states are applied to."""

    weight: torch.Tensor
    """(vocabulary, width)."""
    bias: torch.Tensor | None = None
    """(vocabulary,)."""


@dataclass(frozen=True)
class Answers:
    """Tokens of some answers, whoever wrote them, as both models see them; tokens of prompts are left out."""

    hidden: torch.Tensor
    """(rows, width) of the student."""
    teacher_hidden: torch.Tensor
    """(rows, width of the teacher)."""
    labels: torch.Tensor
    """(rows,), int64: the ids that are to come."""
    answers: torch.Tensor
    """(rows,), int64: which answer a row is of, from 0; each has rows."""


@dataclass(frozen=True)
class Anchor:
    """What `ref` is made of: gaps of the first steps. Its fields are all there is to keep of it."""

    steps: int
    """How many are taken."""
    counted: int = 0
    total: float = 0.0

    @property
    def ref(self) -> float | None:
        """Their mean; None until all are there."""
        return self.total / self.steps if self.counted == self.steps else None

    def with_gap(self, gap: float) -> "Anchor":
        """After one step more."""
        return self if self.counted == self.steps else Anchor(self.steps, self.counted + 1, self.total + gap)


@dataclass(frozen=True)
class Side:
    """What one kind of answers gave."""

    losses: torch.Tensor
    """(answers,), with their gradient."""
    skews: torch.Tensor
    """(answers,)."""
    gap: float | None
    """Mean over the answers of p - q, or of q - p for the student's own; None where it was not asked for."""


@dataclass(frozen=True)
class Contrasted:
    """The loss of some pairs and its parts."""

    total: torch.Tensor
    """Scalar, the sum over the pairs, with its gradient."""
    of_teacher: Side
    of_student: Side


def beta_at(step: int, steps: int, ramp: bool = True) -> float:
    """Weight of the student's answers: 1, or from 1 to 1.5 over the first half."""
    if not 0 <= step <= steps or steps < 1:
        raise RequestError(f"contrastive distillation: step {step} of {steps}")
    return 1 + 0.5 * min(1.0, 2 * step / steps) if ramp else 1.0


def adaptive_skews(gaps: torch.Tensor, ref: float | None, base: float = BASE_SKEW) -> torch.Tensor:
    """Skews of answers from how far the models are apart on each; the base where there is no `ref` yet."""
    if ref is None:
        return torch.full_like(gaps, base)
    return (1 - (1 - base) * ref / (gaps + SMALL)).clamp(min(LEAST_SKEW, base), base)


def contrastive_loss(
    student: Layer,
    teacher: Layer,
    of_teacher: Answers,
    of_student: Answers,
    beta: float,
    settings: Divergence,
    refs: tuple[float | None, float | None] | None = None,
) -> Contrasted:
    """The loss of some pairs of answers.

    Args:
        student: its output layer.
        teacher: its output layer.
        of_teacher: answers that the teacher wrote.
        of_student: answers that the student wrote.
        beta: see `beta_at`.
        settings: the base skew, the temperature and the chunk; the kinds are those of DistiLLM-2.
        refs: for skews that adapt, `Anchor.ref` of both kinds of answers; None for the base everywhere.

    Raises:
        RequestError: vocabularies or rows differ.
    """
    forward = Divergence("skew_kl", settings.skew, settings.temperature, settings.chunk)
    reverse = Divergence("skew_reverse_kl", settings.skew, settings.temperature, settings.chunk, detached=True)
    ref_of_teacher, ref_of_student = refs or (None, None)
    first = _side(student, teacher, of_teacher, forward, 1, refs is not None, ref_of_teacher)
    second = _side(student, teacher, of_student, reverse, -1, refs is not None, ref_of_student)
    return Contrasted((2 - beta) * first.losses.sum() + beta * second.losses.sum(), first, second)


def _side(
    student: Layer, teacher: Layer, of: Answers, settings: Divergence, sign: int, adaptive: bool, ref: float | None
) -> Side:
    gap, skews = None, torch.full((int(of.answers.max()) + 1,), settings.skew, device=of.hidden.device)
    if adaptive:
        gaps = sign * (
            mean_probabilities(of.teacher_hidden, teacher, of, settings.chunk)
            - mean_probabilities(of.hidden, student, of, settings.chunk)
        )
        gap, skews = float(gaps.mean()), adaptive_skews(gaps, ref, settings.skew)
    losses = fused_divergence(
        of.hidden,
        student.weight,
        student.bias,
        of.teacher_hidden,
        teacher.weight,
        teacher.bias,
        settings,
        skews=skews[of.answers] if adaptive else None,
    )
    return Side(means_of_answers(losses, of.answers), skews, gap)


def mean_probabilities(hidden: torch.Tensor, layer: Layer, of: Answers, chunk: int) -> torch.Tensor:
    """The geometric mean of what a model gives to the tokens of each answer: (answers,), without a gradient.

    Args:
        hidden: (rows, width), the model's.
        layer: its output layer.
        of: the answers.
        chunk: ids whose sums are made at once.
    """
    half, found = autocast_dtype(hidden.device), list[torch.Tensor]()
    with torch.no_grad(), torch.autocast(hidden.device.type, enabled=False):
        output = OutputLayer.of((hidden, layer.weight, layer.bias), half)
        for rows in blocks_of(len(hidden), len(layer.weight), hidden.device):
            logits = output.logits(rows)
            sums = log_sums(logits, chunk)
            found.append(logits.gather(1, of.labels[rows].unsqueeze(1)).squeeze(1).to(sums.dtype) - sums)
    return means_of_answers(torch.cat(found), of.answers).exp()


def means_of_answers(values: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Means of rows by answer, (answers,).

    Raises:
        RequestError: an answer has no rows.
    """
    counts = torch.bincount(answers)
    if not bool((counts > 0).all()):
        raise RequestError(f"contrastive distillation: answer {int((counts == 0).nonzero()[0, 0])} has no tokens")
    return values.new_zeros(len(counts)).index_add(0, answers, values) / counts
