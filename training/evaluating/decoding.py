"""Answers that a model decodes in batches: each until a stop, a token that ends it, or the greatest length.

Greedy, or drawn by random numbers that the seed, the prompt and its place alone make (`training.online.sampling`).
Rows of a batch are padded on the left and masked, so none knows of another. A model's own settings of generation
(penalties, top_k) are left aside: greedy is the likeliest token, with every engine.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from training.evaluating.engine import Said, Told
from training.online.sampling import choose, uniforms

MORE_TOKENS = 8
"""That are looked at for a stop beyond one per byte of it: those that stand for no text."""


def decode(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    ends: Sequence[int],
    max_new_tokens: int,
    stop: Sequence[str] = (),
    temperature: float = 0.0,
    seed: int = 0,
    batch: int = 8,
    told: Told | None = None,
) -> list[Said]:
    """An answer to each prompt, in their order.

    Args:
        model: a causal language model of transformers, in evaluation mode.
        tokenizer: the model's.
        prompts: token ids; each with the answer within what the model reads.
        ends: tokens at which an answer ends.
        max_new_tokens: longest answer.
        stop: texts at which it ends too; they are cut off.
        temperature: what logits are divided by; at 0 the likeliest token is taken.
        seed: of the random numbers.
        batch: prompts at once.
        told: is told how many are answered, of how many.
    """
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))  # stable: the least padding
    found, texts = dict[int, Said](), [text for text in stop if text]
    with _generating(model, tokenizer, list(ends), max_new_tokens):
        for start in range(0, len(order), batch):
            places = order[start : start + batch]
            rows = [list(prompts[place]) for place in places]
            chooser = _chooser(rows, places, temperature, max_new_tokens, seed)
            for place, said in zip(places, _answers(model, tokenizer, rows, ends, texts, chooser), strict=True):
                found[place] = said
            if told is not None:
                told(len(found), len(prompts))
    return [found[place] for place in range(len(prompts))]


@contextmanager
def _generating(model: Any, tokenizer: Any, ends: list[int], max_new_tokens: int) -> Iterator[None]:
    """The model with nothing but these settings; afterwards as it was."""
    own = model.generation_config
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else (ends or [0])[0]
    model.generation_config = GenerationConfig(
        do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=ends or None, pad_token_id=pad, use_cache=True
    )
    try:
        with torch.inference_mode():
            yield
    finally:
        model.generation_config = own


def _answers(
    model: Any,
    tokenizer: Any,
    rows: Sequence[list[int]],
    ends: Sequence[int],
    stop: Sequence[str],
    chooser: LogitsProcessor | None,
) -> list[Said]:
    width = max(map(len, rows))
    pad = model.generation_config.pad_token_id
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows], device=model.device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=model.device)
    stops = _Stops(tokenizer, stop, width, len(rows))
    out = model.generate(
        input_ids=ids,
        attention_mask=mask,
        logits_processor=LogitsProcessorList([chooser] if chooser else []),
        stopping_criteria=StoppingCriteriaList([stops] if stop else []),
    )
    generated = out[:, width:].tolist()
    return [
        said_of(tokenizer, answer[:n_tokens], ends, stop)
        for answer, n_tokens in zip(generated, stops.n_tokens, strict=True)
    ]


def said_of(tokenizer: Any, ids: Sequence[int], ends: Sequence[int], stop: Sequence[str]) -> Said:
    """An answer by its ids: up to the token that ends it, and to the first stop in its text."""
    end = next((place for place, token in enumerate(ids) if token in ends), None)
    kept = ids if end is None else ids[: end + 1]
    text = tokenizer.decode(kept, skip_special_tokens=True)
    cut = before(text, stop)
    return Said(text=cut, n_tokens=len(kept), ended=end is not None or cut != text)


def before(text: str, stop: Sequence[str]) -> str:
    """A text up to its first stop, as lm-eval cuts it."""
    for one in stop:
        text = text.split(one, 1)[0] if one else text
    return text


class _Stops(StoppingCriteria):  # type: ignore[misc]
    """Ends each row where its text has a stop."""

    def __init__(self, tokenizer: Any, stop: Sequence[str], width: int, n_rows: int) -> None:
        self._tokenizer, self._stop, self._width = tokenizer, stop, width
        self._n_looked_at = MORE_TOKENS + max((len(text.encode()) for text in stop), default=0)
        self.n_tokens: list[int | None] = [None] * n_rows
        """Of each row, its tokens when it had a stop first."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **more: Any) -> torch.Tensor:
        n_tokens = input_ids.shape[1] - self._width
        ids = input_ids[:, self._width :][:, -self._n_looked_at :]
        for row, text in enumerate(self._tokenizer.batch_decode(ids, skip_special_tokens=True)):
            if self.n_tokens[row] is None and any(one in text for one in self._stop):
                self.n_tokens[row] = n_tokens
        return torch.tensor([n is not None for n in self.n_tokens], device=input_ids.device)


def _chooser(
    rows: Sequence[list[int]], places: Sequence[int], temperature: float, max_new_tokens: int, seed: int
) -> LogitsProcessor | None:
    if not temperature:
        return None
    numbers = [uniforms(ids, place, max_new_tokens, seed) for ids, place in zip(rows, places, strict=True)]
    return _ByNumbers(torch.from_numpy(np.stack(numbers)), max(map(len, rows)), temperature)


class _ByNumbers(LogitsProcessor):  # type: ignore[misc]
    """Leaves one token: where a row's number for this place falls in the cumulated probabilities."""

    def __init__(self, numbers: torch.Tensor, width: int, temperature: float) -> None:
        self._numbers, self._width, self._temperature = numbers, width, temperature

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        numbers = self._numbers[:, input_ids.shape[1] - self._width].to(scores.device)
        chosen = choose(scores, numbers, self._temperature, top_p=1.0)
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen[:, None], 0.0)
