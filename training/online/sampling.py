"""Answers that a language model draws, each by random numbers of its own.

The token at place k of an answer is where the k-th random number of that answer falls in the distribution's cumulated
probabilities. Those numbers come from the seed, the prompt's tokens and the answer's number alone, so an answer does
not depend on what is drawn beside it, nor on the size of the batches: only rounding can change it, where a number
falls within some 1e-7 of an edge. transformers' own sampling takes one stream of random numbers for a whole batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xxhash
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from training.chat.rendering import end_ids


@dataclass(frozen=True)
class Drawn:
    """One answer."""

    ids: tuple[int, ...]
    """Its tokens, the one that ends it included."""
    text: str
    """Without special tokens."""
    ended: bool
    """Whether it ended by itself; else it was cut off at `max_new_tokens`."""


@dataclass(frozen=True)
class _Row:
    """An answer that is to be drawn."""

    prompt: int
    answer: int
    ids: list[int]


def draw_ids(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    *,
    n: int = 1,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_new_tokens: int = 256,
    seed: int = 0,
    batch: int = 16,
) -> list[list[Drawn]]:
    """`n` answers to each prompt, in the order of the prompts.

    Args:
        model: a causal language model of transformers, or one of peft; its mode is the same afterwards.
        tokenizer: the model's.
        prompts: token ids; two that are equal get equal answers.
        n: answers to each.
        temperature: what logits are divided by; at 0 the likeliest token is taken.
        top_p: share of the probability that is drawn from: the likeliest tokens that together have it.
        max_new_tokens: longest answer.
        seed: of the random numbers.
        batch: answers at once.
    """
    rows = [_Row(number, answer, list(ids)) for number, ids in enumerate(prompts) for answer in range(n)]
    rows.sort(key=lambda row: len(row.ids))  # stable: the least padding
    ends = end_ids(tokenizer, model.generation_config)
    found: dict[tuple[int, int], Drawn] = {}
    with _generating(model, _settings(tokenizer, ends, max_new_tokens)):
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            chooser = _chooser(some, temperature, top_p, max_new_tokens, seed)
            for row, ids in zip(some, _generate(model, some, chooser), strict=True):
                found[row.prompt, row.answer] = _drawn(tokenizer, ids, ends)
    return [[found[number, answer] for answer in range(n)] for number in range(len(prompts))]


def _settings(tokenizer: Any, ends: list[int], max_new_tokens: int) -> GenerationConfig:
    """Nothing but what is asked for: a model's own settings (penalties, top_k) would change the distribution."""
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else (ends or [0])[0]
    return GenerationConfig(
        do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=ends or None, pad_token_id=pad, use_cache=True
    )


@contextmanager
def _generating(model: Any, settings: GenerationConfig) -> Iterator[None]:
    """The model without dropout and with these settings; afterwards as it was."""
    was_training, own = model.training, model.generation_config
    model.eval()
    model.generation_config = settings
    try:
        with torch.no_grad():
            yield
    finally:
        model.generation_config = own
        model.train(was_training)


def _generate(model: Any, rows: Sequence[_Row], chooser: LogitsProcessor | None) -> list[list[int]]:
    """What follows each prompt, up to the end of the longest one."""
    width = max(len(row.ids) for row in rows)
    pad = model.generation_config.pad_token_id
    ids = torch.tensor([[pad] * (width - len(row.ids)) + row.ids for row in rows], device=model.device)
    mask = torch.tensor([[0] * (width - len(row.ids)) + [1] * len(row.ids) for row in rows], device=model.device)
    processors = LogitsProcessorList([chooser] if chooser else [])
    out = model.generate(input_ids=ids, attention_mask=mask, logits_processor=processors)
    generated: list[list[int]] = out[:, width:].tolist()
    return generated


def _drawn(tokenizer: Any, ids: Sequence[int], ends: Sequence[int]) -> Drawn:
    """An answer up to the token that ends it."""
    length = next((place for place, token in enumerate(ids) if token in ends), None)
    kept = tuple(ids) if length is None else tuple(ids[: length + 1])
    return Drawn(kept, tokenizer.decode(kept, skip_special_tokens=True), length is not None)


def _chooser(
    rows: Sequence[_Row], temperature: float, top_p: float, max_new_tokens: int, seed: int
) -> LogitsProcessor | None:
    if not temperature:
        return None
    numbers = np.stack([uniforms(row.ids, row.answer, max_new_tokens, seed) for row in rows])
    return _ByNumbers(numbers, max(len(row.ids) for row in rows), temperature, top_p)


def uniforms(ids: Sequence[int], answer: int, count: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The random numbers in [0, 1) of an answer, by the seed, its prompt's tokens and its number."""
    content = np.array([seed, answer, *ids], np.int64).tobytes()
    return np.random.Generator(np.random.Philox(key=xxhash.xxh3_128_intdigest(content))).random(count)


class _ByNumbers(LogitsProcessor):  # type: ignore[misc]
    """Leaves one token: where a row's number for this place falls in the cumulated probabilities."""

    def __init__(
        self, numbers: np.ndarray[Any, np.dtype[np.float64]], width: int, temperature: float, top_p: float
    ) -> None:
        self.numbers, self.width = torch.from_numpy(numbers), width
        self.temperature, self.top_p = temperature, top_p

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        numbers = self.numbers[:, input_ids.shape[1] - self.width].to(scores.device)
        chosen = choose(scores, numbers, self.temperature, self.top_p)
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen[:, None], 0.0)


def choose(scores: torch.Tensor, numbers: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """The token that each number falls on.

    Args:
        scores: (rows, vocabulary), logits.
        numbers: (rows,), in [0, 1), float64.
        temperature: what logits are divided by, above 0.
        top_p: share of the probability that is drawn from.

    Returns:
        (rows,) of token ids.
    """
    probs = torch.softmax(scores.double() / temperature, dim=-1)
    if top_p < 1:
        ordered, places = probs.sort(dim=-1, descending=True, stable=True)
        is_beyond = ordered.cumsum(-1) - ordered >= top_p
        probs = probs.masked_fill(torch.zeros_like(is_beyond).scatter(1, places, is_beyond), 0.0)
    edges = probs.cumsum(-1)
    at = torch.searchsorted(edges, (numbers * edges[:, -1])[:, None], right=True)[:, 0]
    last = (probs.shape[-1] - 1) - (probs > 0).flip(-1).int().argmax(-1)  # rounding may end behind the last one
    return torch.minimum(at, last)
