"""Texts as tokens, and a text's vector from the states of its tokens.

Instructions and the sign of the beginning are read by the model, and are no part of the mean (LLM2Vec): two questions
are not alike because both were asked in the same words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from manifests.errors import RequestError
from training.encoders.attention import mask_of, sees_both_ways

Pooling = Literal["mean", "last"]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class TextIds:
    """A text as the model reads it."""

    ids: I64
    n_before: int
    """Tokens before the text itself: the sign of the beginning, the instruction."""


class TextTokens:
    """Turns texts into tokens, always in the same way."""

    def __init__(self, tokenizer: Any, max_length: int, pooling: Pooling) -> None:
        """Of a tokenizer.

        Raises:
            RequestError: the last token is to be the vector, and there is none that ends a text.
        """
        self._tokenizer, self.max_length = tokenizer, max_length
        begins = tokenizer.bos_token_id
        has_begin = begins is not None and tokenizer("a")["input_ids"][:1] == [begins]
        self._begin = [begins] if has_begin else []
        self._end = [tokenizer.eos_token_id] if pooling == "last" else []
        if self._end == [None]:
            raise RequestError(
                "pooling: `last` takes a token that ends a text, and the tokenizer has none; take `mean`"
            )

    def __call__(self, texts: Sequence[str], instruction: str = "") -> list[TextIds]:
        """Tokens of texts, the same instruction before each; what is too long is cut at the end.

        Raises:
            RequestError: the instruction leaves no room for a text.
        """
        if not texts:
            return []
        before = [*self._begin, *(self._ids([instruction])[0] if instruction else [])]
        room = self.max_length - len(before) - len(self._end)
        if room < 1:
            raise RequestError(
                f"instruction: has {len(before):,} tokens, which leaves nothing of max_length {self.max_length:,}"
            )
        return [
            TextIds(np.array([*before, *ids[:room], *self._end], np.int64), len(before)) for ids in self._ids(texts)
        ]

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        found: list[list[int]] = self._tokenizer(
            list(texts), add_special_tokens=False, verbose=False, split_special_tokens=True
        )["input_ids"]
        return found


def laid_out(texts: Sequence[TextIds], pad_id: int) -> dict[str, torch.Tensor]:
    """Texts as a batch: `input_ids` (T, L), `n_before` and `n_tokens` (T)."""
    lengths = np.array([len(text.ids) for text in texts], np.int64)
    ids = np.full((len(texts), int(lengths.max())), pad_id, np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text.ids)] = text.ids
    before = np.array([text.n_before for text in texts], np.int64)
    found = {"input_ids": ids, "n_before": before, "n_tokens": lengths}
    return {name: torch.from_numpy(values) for name, values in found.items()}


def vectors(model: Any, batch: dict[str, torch.Tensor], config: Any, pooling: Pooling) -> torch.Tensor:
    """(T, width), float32, of length 1: what texts are to a model.

    Args:
        model: without an output layer; it may be wrapped.
        batch: as of `laid_out`.
        config: the model's.
        pooling: what of a text's tokens becomes its vector.
    """
    ids, n_tokens = batch["input_ids"], batch["n_tokens"]
    places = torch.arange(ids.shape[1], device=ids.device)
    is_token = places < n_tokens[:, None]
    dtype = (
        torch.float32 if not torch.is_autocast_enabled(ids.device.type) else torch.get_autocast_dtype(ids.device.type)
    )
    mask = mask_of((~is_token).long(), config, dtype) if sees_both_ways(config) else is_token.long()
    states = model(
        input_ids=ids, attention_mask=mask, position_ids=places.expand_as(ids), use_cache=False
    ).last_hidden_state.float()
    if pooling == "last":
        pooled = states[torch.arange(len(ids), device=ids.device), n_tokens - 1]
    else:
        weights = (is_token & (places >= batch["n_before"][:, None])).float()
        with torch.autocast(ids.device.type, enabled=False):  # sums of hundreds of states are too long for bfloat16
            pooled = torch.einsum("tld,tl->td", states, weights) / weights.sum(1).clamp(min=1)[:, None]
    return torch.nn.functional.normalize(pooled, dim=-1)
