"""When a student trains on answers of its own: DistiLLM's adaptive scheduler (Ko et al. 2024, 2402.03898).

The share phi of steps that do rises where the loss of what is held out has risen. As in the authors' `finetune.py`:

- At each look, where loss >= prev + tolerance, phi = min(phi + rise, 1) and prev = loss. prev moves nowhere else: a
  loss that falls is compared with what it was before the fall. The first look, before training, sets prev.
- Step t of n, with r uniform in [0, 1) and s = phi (1 - t/n), phi/2 or phi t/n: where r < s, or r < phi while the
  buffer has room, the student answers anew; else where r < phi, answers are taken from the buffer; else the data's.

It draws nothing by itself, so the same losses and numbers give the same steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from manifests.schema_distillation import OffPolicy

Origin = Literal["data", "drawn", "replayed"]
"""Where the answers of a step come from."""


@dataclass
class Scheduler:
    """The state, and what becomes of it."""

    settings: OffPolicy
    n_steps: int
    phi: float
    prev: float | None = None
    """The loss that others are compared with; None before the first look."""
    looked_at: int | None = None
    """Updates before the last look."""

    @classmethod
    def of(cls, settings: OffPolicy, n_steps: int) -> "Scheduler":
        """Before the first step of n."""
        return cls(settings, n_steps, settings.start)

    def is_due(self, n_updates: int) -> bool:
        """Whether the loss of what is held out is looked at after so many updates; before the first it is."""
        return n_updates % self.settings.every == 0 and self.looked_at != n_updates

    def look(self, loss: float, n_updates: int) -> bool:
        """Take note of the loss of what is held out; whether phi rises."""
        self.looked_at = n_updates
        if self.prev is None:
            self.prev = loss
            return False
        if not loss >= self.prev + self.settings.tolerance:
            return False
        self.phi, self.prev = min(self.phi + self.settings.rise, 1.0), loss
        return True

    def drawn_share(self, step: int) -> float:
        """Share of steps that draw new answers at a step, from 1."""
        gone = step / self.n_steps
        shares = {"decreasing": 1 - gone, "constant": 0.5, "increasing": gone}
        return self.phi * shares[self.settings.replay]

    def origin(self, step: int, number: float, buffer_is_full: bool) -> Origin:
        """Where the answers of a step come from.

        Args:
            step: from 1.
            number: uniform in [0, 1), see `step_number`.
            buffer_is_full: whether nothing could be added without something that goes.
        """
        if number < self.drawn_share(step) or (number < self.phi and not buffer_is_full):
            return "drawn"
        return "replayed" if number < self.phi else "data"

    def state(self) -> dict[str, Any]:
        """For JSON."""
        return {"phi": self.phi, "prev": self.prev, "looked_at": self.looked_at}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.phi, self.prev, self.looked_at = state["phi"], state["prev"], state["looked_at"]


def step_number(seed: int, step: int) -> float:
    """The uniform number of a step, the same in all processes and whenever it is asked for."""
    return float(np.random.default_rng([seed, step, 3]).random())
