"""A teacher whose probabilities were stored: what it said of its own answers, token by token."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from manifests.errors import RequestError
from training.distilling.divergences import Divergence
from training.distilling.predictions import Predicted
from training.distilling.stored import stored_divergence
from training.distilling.stored_rows import StoredRows
from training.distilling.teachers import Examined

Batch = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Said:
    """Of n places, k tokens at each."""

    top_ids: torch.Tensor
    """(n, k)."""
    top_logprobs: torch.Tensor
    """(n, k)."""
    logprobs: torch.Tensor
    """(n): of the answer's own token."""


class StoredTeacher:
    """Reads what was stored of each place; nothing is computed."""

    def __init__(self, rows: StoredRows, settings: Divergence, n_ids: int) -> None:
        """A teacher.

        Args:
            rows: of the table.
            settings: of the divergence.
            n_ids: tokens of the vocabulary; rows of the student's output matrix beyond them are no tokens.
        """
        self._rows, self.settings, self.n_ids = rows, settings, n_ids

    def ask(self, batch: Batch, places: torch.Tensor) -> Said:
        """What is stored of some places of a batch."""
        numbers = batch["stored"].reshape(-1)[places].cpu().numpy()
        found = (self._rows.top_ids, self._rows.top_logprobs, self._rows.logprobs)
        ids, tops, own = (torch.from_numpy(np.ascontiguousarray(one[numbers])).to(places.device) for one in found)
        return Said(ids, tops, own)

    def losses(self, student: Predicted, said: Said, labels: torch.Tensor, ce_weight: float) -> torch.Tensor:
        """(n,): the loss of each place."""
        student = student.of_ids(self.n_ids)
        if student.hidden is None or student.weight is None:
            raise RequestError(
                "logprobs: the student's output is more than a matrix (a cap, a scale, a bias), whose probabilities "
                "cannot be compared with stored ones here: name a `teacher`, or take a student of the Llama family"
            )
        return stored_divergence(
            student.hidden,
            student.weight,
            None,
            said.top_ids,
            said.top_logprobs,
            self.settings,
            labels=labels,
            ce_weight=ce_weight,
        )

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def examined(self, student: Predicted, said: Said, labels: torch.Tensor, rows: slice) -> Examined:
        """What is measured at some of the places."""
        ours = student.of_ids(self.n_ids).logits_of(rows)
        assert student.hidden is not None
        some = Predicted(student.hidden[rows], student.weight)
        part = Said(said.top_ids[rows], said.top_logprobs[rows], said.logprobs[rows])
        likeliest = part.top_ids.gather(1, part.top_logprobs.argmax(1, keepdim=True)).squeeze(1)
        return Examined(
            self.losses(some, part, labels[rows], 0.0),
            cross_entropy(ours, labels[rows], reduction="none"),
            -part.logprobs,
            ours.argmax(1) == likeliest,
        )
