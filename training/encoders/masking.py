"""Which tokens of a sequence are to be predicted, and what stands in their place.

It depends on the seed and the place in the order of training alone: a training that goes on masks the same tokens,
and an epoch later others are masked. The first token of a document is not: there is none before it that could tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from manifests.errors import RequestError
from training.pretraining.mixtures import Opened
from training.pretraining.order import Order
from training.pretraining.trainer import SequenceRows
from training.token_dataset import NO_LOSS

I64 = NDArray[np.int64]
BLANK = "_"
"""LLM2Vec's mask for models whose tokenizer has none."""
MASKED_FRAC, OTHER_FRAC = 0.8, 0.1
"""Of the chosen tokens, by BERT (1810.04805): those that become the mask, and those that become any token."""


@dataclass(frozen=True)
class Masking:
    """How tokens are masked."""

    share: float
    replace: Literal["bert", "mask"]
    mask_id: int
    special: I64
    """Ids that are neither chosen nor drawn."""
    n_ids: int
    """Of the vocabulary."""

    def __call__(self, item: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
        """A sequence with masked `input_ids`, and `labels` for what is to be predicted alone.

        Args:
            item: as of `training.token_dataset`.
            random: of the sequence.
        """
        ids = np.asarray(item["input_ids"])
        may = (np.asarray(item["labels"]) != NO_LOSS) & (np.asarray(item["position_ids"]) > 0)
        chosen = may & ~np.isin(ids, self.special) & (random.random(len(ids)) < self.share)
        labels = np.where(chosen, ids, NO_LOSS)
        return {**item, "input_ids": np.where(chosen, self._instead(ids, random), ids), "labels": labels}

    def _instead(self, ids: I64, random: np.random.Generator) -> I64:
        """What would stand in the place of each token."""
        if self.replace == "mask":
            return np.full_like(ids, self.mask_id)
        kind, drawn = random.random(len(ids)), random.integers(0, self.n_ids, len(ids))
        other = np.where(np.isin(drawn, self.special), self.mask_id, drawn)
        return np.where(kind < MASKED_FRAC, self.mask_id, np.where(kind < MASKED_FRAC + OTHER_FRAC, other, ids))


def masking_of(share: float, replace: Literal["bert", "mask"], token: str | None, tokenizer: Any) -> Masking:
    """Masking with a token of a tokenizer.

    Raises:
        RequestError: it has no such token.
    """
    token = token or tokenizer.mask_token or BLANK
    number = tokenizer.get_vocab().get(token)
    if number is None:
        raise RequestError(
            f"mask_token: the tokenizer has no token {token!r}; name one that it has, as a rare sign or an unused "
            "special token"
        )
    special = np.array(sorted(set(tokenizer.all_special_ids) - {number}), np.int64)
    return Masking(share, replace, number, special, len(tokenizer))


class MaskedRows(SequenceRows):
    """What stands at each place of an order, masked."""

    def __init__(self, mixtures: Sequence[Opened], order: Order, masking: Masking, seed: int) -> None:
        super().__init__(mixtures, order)
        self._masking, self._seed = masking, seed

    def __getitem__(self, place: int) -> dict[str, Any]:
        return self._masking(super().__getitem__(place), np.random.default_rng([self._seed, place]))
