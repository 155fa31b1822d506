"""DistiLLM-2's contrastive form over the steps of a training: its weights, and the anchors of skews that adapt.

The loss of a step is the mean over its pairs, whoever takes them and in how many micro-batches; the anchors are means
over the steps of all processes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from manifests.errors import RequestError
from manifests.schema_distillation import Contrastive
from training.distilling.contrastive import Anchor, Answers, Layer, beta_at, contrastive_loss
from training.distilling.divergences import Divergence
from training.distilling.predictions import Predicted

ANCHOR_STEPS = 10
"""Steps of which the anchors are made: in the released code those up to the first line of the log."""
SIDES = ("teacher", "student")


class Contrast:
    """The loss of pairs of answers."""

    def __init__(self, asked: Contrastive, settings: Divergence, n_steps: int, n_ids: int) -> None:
        """Before the first step.

        Args:
            asked: of the manifest.
            settings: base skew, temperature, chunk.
            n_steps: of the training.
            n_ids: rows of the output matrices that are compared.
        """
        self._asked, self._settings, self._n_steps, self._n_ids = asked, settings, n_steps, n_ids
        self._anchors = [Anchor(min(ANCHOR_STEPS, n_steps)) for _ in SIDES]
        self._gaps = torch.zeros(3, dtype=torch.float64)
        """Of the step that runs: sums of both gaps over pairs, and pairs."""
        self.beta = 1.0

    def begin(self, n_updates: int) -> None:
        """Before a step."""
        self.beta = beta_at(n_updates, self._n_steps, self._asked.ramp)

    def total(
        self, student: Predicted, said: Predicted, batch: Mapping[str, torch.Tensor], places: torch.Tensor
    ) -> torch.Tensor:
        """The sum over the pairs of a micro-batch.

        Args:
            student: at the trained places.
            said: of the teacher, at the same.
            batch: whose parts are a teacher's answer and the student's by turns.
            places: which of the batch's places they are.
        """
        student = student.of_ids(self._n_ids)
        if student.hidden is None or said.hidden is None:
            raise RequestError(
                "contrastive: the output of a model is more than a matrix (a cap, a scale, a bias), which this form "
                "does not know; leave `contrastive` out"
            )
        part, labels = batch["part"].reshape(-1)[places], batch["shift_labels"].reshape(-1)[places]
        of_teacher, of_student = (
            Answers(student.hidden[here], said.hidden[here], labels[here], part[here] // 2)
            for here in (torch.nonzero(part % 2 == side).flatten() for side in range(2))
        )
        assert student.weight is not None and said.weight is not None
        refs = (self._anchors[0].ref, self._anchors[1].ref) if self._asked.adaptive else None
        layers = Layer(student.weight), Layer(said.weight)
        found = contrastive_loss(*layers, of_teacher, of_student, self.beta, self._settings, refs)
        n_pairs = len(found.of_teacher.losses)
        gaps = [0.0 if side.gap is None else side.gap * n_pairs for side in (found.of_teacher, found.of_student)]
        self._gaps += torch.tensor([*gaps, n_pairs], dtype=torch.float64)
        return found.total

    def settle(self, add_up: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """After a step: count its gaps in.

        Args:
            add_up: sums a tensor over all processes, which all call this at once.
        """
        first, second, n_pairs = add_up(self._gaps).tolist()
        self._gaps.zero_()
        if n_pairs and self._asked.adaptive:
            gaps = (first / n_pairs, second / n_pairs)
            self._anchors = [anchor.with_gap(gap) for anchor, gap in zip(self._anchors, gaps, strict=True)]

    def state(self) -> dict[str, Any]:
        """For JSON, once the step is settled."""
        return {side: [one.counted, one.total] for side, one in zip(SIDES, self._anchors, strict=True)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._anchors = [Anchor(one.steps, *state[side]) for side, one in zip(SIDES, self._anchors, strict=True)]


def n_pairs_of(batch: Mapping[str, torch.Tensor]) -> int:
    """Pairs of a batch."""
    return (int(batch["part"].max()) + 1) // 2
