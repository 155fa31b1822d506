"""The answers that a student has drawn last, to be trained on again: first in, first out."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class DrawnAnswer:
    """An answer of the student's, behind its prompt."""

    ids: tuple[int, ...]
    """Prompt and answer."""
    n_prompt: int
    """Tokens of the prompt."""


class Replay:
    """A buffer of answers; the oldest go first."""

    def __init__(self, capacity: int) -> None:
        self._answers = deque[DrawnAnswer](maxlen=capacity)
        self.capacity = capacity

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def is_full(self) -> bool:
        """Whether what comes next takes the place of the oldest."""
        return len(self) == self.capacity

    def add(self, answers: Sequence[DrawnAnswer]) -> None:
        """Take answers in, in their order."""
        self._answers.extend(answers)

    def sample(self, n: int, random: np.random.Generator) -> list[DrawnAnswer]:
        """n answers, none of them twice; all that there are, in some order, where there are fewer."""
        chosen = random.choice(len(self), min(n, len(self)), replace=False)
        return [self._answers[int(place)] for place in chosen]

    def state(self) -> dict[str, Any]:
        """For a checkpoint: tensors, and values for JSON; the oldest first."""
        ids = [one for answer in self._answers for one in answer.ids]
        return {
            "ids": torch.tensor(ids, dtype=torch.int64),
            "lengths": [len(answer.ids) for answer in self._answers],
            "prompts": [answer.n_prompt for answer in self._answers],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Hold what `state` was taken of, and nothing else."""
        ids = iter(state["ids"].tolist())
        self._answers.clear()
        for length, n_prompt in zip(state["lengths"], state["prompts"], strict=True):
            self._answers.append(DrawnAnswer(tuple(next(ids) for _ in range(length)), n_prompt))
