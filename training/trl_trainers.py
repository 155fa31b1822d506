"""What TRL's trainers need beside what all trainers share."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from training.trainers import Staged


class StagedTrl(Staged):
    """A mixin before a trainer of TRL."""

    def extra_state(self) -> Mapping[str, Any]:
        """Tokens that were read: TRL shows their number in the curve, and begins at 0 where a run is resumed."""
        return {"n_tokens": int(self._total_train_tokens)}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on counting."""
        self._total_train_tokens = state.get("n_tokens", 0)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """None: a checkpoint is not published."""


@contextmanager
def old_names_allowed() -> Iterator[None]:
    """Without a warning: TRL and peft call activation checkpointing by a name that transformers 5 warns of."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`\w*gradient_checkpointing\w*` is deprecated", FutureWarning)
        yield
