"""Whom a student is compared with: a teacher that is asked now, or one whose probabilities are stored.

Either tells, of the places of a batch that are trained, what it says there; and compares a student's predictions at
these places with it: a loss per place with its gradient, and what is measured of held-out places.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.nn.functional import cross_entropy

from manifests.errors import RequestError
from training.distilling.divergences import Divergence, divergence_of_logits, fused_divergence
from training.distilling.predictions import Predicted, predicted
from training.pretraining.isolation import check_isolation, inputs_of

Batch = Mapping[str, torch.Tensor]
ROWS_AT_ONCE = 256
"""Places of which all logits of both models are there at once, where they are measured."""


@dataclass(frozen=True)
class Examined:
    """Sums over n places."""

    divergence: torch.Tensor
    student: torch.Tensor
    """Cross entropy of the student."""
    teacher: torch.Tensor
    """Cross entropy of the teacher."""
    agreed: torch.Tensor
    """Places where both find the same token the likeliest."""

    def summed(self) -> torch.Tensor:
        """(4,), float64."""
        return torch.stack([one.sum().double() for one in (self.divergence, self.student, self.teacher, self.agreed)])


class Teacher(Protocol):
    """Of a distillation."""

    settings: Divergence
    n_ids: int
    """Tokens that are compared; rows of the student's output matrix beyond them stand for none."""

    def ask(self, batch: Batch, places: torch.Tensor) -> Any:
        """What it says at some places of a batch; without a gradient."""

    def losses(self, student: Predicted, said: Any, labels: torch.Tensor, ce_weight: float) -> torch.Tensor:
        """(n,): (1 - ce_weight) times the divergence, and ce_weight times the student's cross entropy."""

    def examined(self, student: Predicted, said: Any, labels: torch.Tensor, rows: slice) -> Examined:
        """What is measured at some of the places."""


class OnlineTeacher:
    """A model that is asked in each step. It is never trained, nor saved."""

    def __init__(self, model: Any, settings: Divergence, n_ids: int, bfloat16: bool = False) -> None:
        """A teacher.

        Args:
            model: a causal language model, loaded in the type that it computes in; it is put into eval mode.
            settings: of the divergence.
            n_ids: rows of the output matrices that are compared.
            bfloat16: whether it computes in bfloat16.
        """
        self.model = model.eval().requires_grad_(False)
        self.settings, self.n_ids, self._bfloat16 = settings, n_ids, bfloat16

    def to(self, device: torch.device) -> "OnlineTeacher":
        """The same on a device."""
        self.model.to(device)
        return self

    def check(self, ids: torch.Tensor) -> None:
        """Try whether parts of a row see each other in it.

        Args:
            ids: (B, L), of at least three tokens per row.

        Raises:
            RequestError: they do.
        """
        config = self.model.config

        def logits(some: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.model(**inputs_of(some, positions, config._attn_implementation)).logits
            return found

        try:
            check_isolation(logits, ids, config)
        except RequestError as error:
            raise RequestError(f"teacher: {error}") from None

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def ask(self, batch: Batch, places: torch.Tensor) -> Predicted:
        """What it predicts at some places of a batch."""
        inputs = inputs_of(batch["input_ids"], batch["position_ids"], self.model.config._attn_implementation)
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self._bfloat16):
            return predicted(self.model, inputs, places, self.model).of_ids(self.n_ids)

    def losses(
        self,
        student: Predicted,
        said: Predicted,
        labels: torch.Tensor,
        ce_weight: float,
    ) -> torch.Tensor:
        """(n,): the loss of each place.

        Args:
            student: at n places.
            said: what `ask` gave of these.
            labels: (n): the ids that come next.
            ce_weight: share of cross entropy.
        """
        student = student.of_ids(self.n_ids)
        if student.hidden is not None and said.hidden is not None:
            assert student.weight is not None and said.weight is not None
            return fused_divergence(
                student.hidden,
                student.weight,
                None,
                said.hidden,
                said.weight,
                None,
                self.settings,
                labels=labels,
                ce_weight=ce_weight,
            )
        ours, theirs = student.as_logits().logits, said.as_logits().logits
        assert ours is not None and theirs is not None
        found = divergence_of_logits(ours, theirs, self.settings)
        if not ce_weight:
            return found
        return (1 - ce_weight) * found + ce_weight * cross_entropy(ours.float(), labels, reduction="none")

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def examined(self, student: Predicted, said: Predicted, labels: torch.Tensor, rows: slice) -> Examined:
        """What is measured at some of the places."""
        ours, theirs = student.of_ids(self.n_ids).logits_of(rows), said.logits_of(rows)
        return Examined(
            divergence_of_logits(ours, theirs, self.settings),
            cross_entropy(ours, labels[rows], reduction="none"),
            cross_entropy(theirs, labels[rows], reduction="none"),
            ours.argmax(1) == theirs.argmax(1),
        )
