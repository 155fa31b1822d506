"""What one token of the vocabulary adds to a divergence, and how that changes with the student's log probability.

p is the teacher's probability, q the student's, all from their logarithms. Definitions are those of DistiLLM
(jongwooko/distillm, distillm/losses.py; 2402.03898) with the teacher's entropy, so each is a true divergence, >= 0:

    forward_kl        KL(p || q)
    reverse_kl        KL(q || p)
    js                skew KL(q || m) + (1 - skew) KL(p || m),  m = (1 - skew) p + skew q
    skew_kl           KL(p || m),                               m = skew p + (1 - skew) q
    skew_reverse_kl   KL(q || m),                               m = (1 - skew) p + skew q
    symmetric_kl      (1 - skew) KL(p || q) + skew KL(q || p)
    total_variation   1/2 sum |p - q|
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from manifests.schema_distillation import DistillLoss

LOWEST = -1e30
"""Logarithm that a probability of 0 is given: its exponential is 0, and 0 times it is 0, where -inf gives NaN."""

OUTSIDE = frozenset[DistillLoss]({"reverse_kl", "symmetric_kl"})
"""Kinds that are infinite where the student says what the teacher cannot."""


@dataclass(frozen=True)
class Terms:
    """Of each token, with the shape of the log probabilities."""

    value: torch.Tensor
    """Its sum over the vocabulary is the divergence."""
    slope: torch.Tensor
    """Derivative of that sum by log q of this token, as if the q were free; their tie is that they sum to 1."""


@dataclass(frozen=True)
class Skew:
    """Logarithms of the skew and of what it leaves, a scalar or one per row: (rows, 1)."""

    own: torch.Tensor
    rest: torch.Tensor

    @classmethod
    def of(cls, skew: torch.Tensor) -> "Skew":
        """From skews in [0, 1]."""
        return cls(skew.log(), (-skew).log1p())


def _forward_kl(p: torch.Tensor, q: torch.Tensor, skew: Skew) -> Terms:
    weight = p.exp()
    return Terms(weight * (p - q), -weight)


def _reverse_kl(p: torch.Tensor, q: torch.Tensor, skew: Skew) -> Terms:
    weight = q.exp()
    value = weight * (q - p)
    return Terms(value, value + weight)


def _js(p: torch.Tensor, q: torch.Tensor, skew: Skew) -> Terms:
    mixed = torch.logaddexp(skew.rest + p, skew.own + q)
    of_student = (skew.own + q).exp() * (q - mixed)  # what m gives to the slope, and q in front, are one another's
    return Terms(of_student + (skew.rest + p).exp() * (p - mixed), of_student)


def _skew_kl(p: torch.Tensor, q: torch.Tensor, skew: Skew) -> Terms:
    mixed = torch.logaddexp(skew.own + p, skew.rest + q)
    return Terms(p.exp() * (p - mixed), -(p + skew.rest + q - mixed).exp())


def _skew_reverse_kl(p: torch.Tensor, q: torch.Tensor, skew: Skew) -> Terms:
    mixed, weight = torch.logaddexp(skew.rest + p, skew.own + q), q.exp()
    value = weight * (q - mixed)
    return Terms(value, value + weight - (q + skew.own + q - mixed).exp())


def _skew_reverse_kl_detached(p: torch.Tensor, q: torch.Tensor, skew: Skew) -> Terms:
    """DistiLLM-2 lets no gradient through the mixture."""
    weight = q.exp()
    value = weight * (q - torch.logaddexp(skew.rest + p, skew.own + q.detach()))
    return Terms(value, value + weight)


def _symmetric_kl(p: torch.Tensor, q: torch.Tensor, skew: Skew) -> Terms:
    own, rest, of_teacher, of_student = (
        skew.own.exp(),
        skew.rest.exp(),
        _forward_kl(p, q, skew),
        _reverse_kl(p, q, skew),
    )
    return Terms(rest * of_teacher.value + own * of_student.value, rest * of_teacher.slope + own * of_student.slope)


def _total_variation(p: torch.Tensor, q: torch.Tensor, skew: Skew) -> Terms:
    of_student = q.exp()
    difference = of_student - p.exp()
    return Terms(0.5 * difference.abs(), 0.5 * difference.sign() * of_student)


TERMS: dict[DistillLoss, Callable[[torch.Tensor, torch.Tensor, Skew], Terms]] = {
    "forward_kl": _forward_kl,
    "reverse_kl": _reverse_kl,
    "js": _js,
    "skew_kl": _skew_kl,
    "skew_reverse_kl": _skew_reverse_kl,
    "symmetric_kl": _symmetric_kl,
    "total_variation": _total_variation,
}
"""By kind, from log p and log q, neither below `LOWEST`."""


def terms_of(kind: DistillLoss, detached: bool) -> Callable[[torch.Tensor, torch.Tensor, Skew], Terms]:
    """The kind's terms; those of DistiLLM-2 where its mixture is detached."""
    return _skew_reverse_kl_detached if detached else TERMS[kind]
