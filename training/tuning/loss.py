"""The loss on what the assistant says in examples that were held out: per domain, per token."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from pydantic import BaseModel

from training.token_dataset import NO_LOSS
from training.tuning.batches import Collator, Sequences
from training.tuning.examples import Examples

CHUNK = 1024
"""Tokens of which there are all probabilities at once, in float32."""


class Loss(BaseModel):
    """A sum over tokens."""

    nats: float
    """Of all tokens together."""
    n_tokens: int

    @property
    def mean(self) -> float:
        """Nats per token."""
        return self.nats / self.n_tokens if self.n_tokens else math.nan


def processes() -> Any:
    """This process among those that train together, told as the trainer will tell it."""
    return PartialState(cpu=not torch.cuda.is_available())


def losses(
    model: Any, examples: Examples, held_out: Mapping[str, Sequences], in_bfloat16: bool = False
) -> dict[str, Loss]:
    """By domain, the loss of what is learnt; processes share the sequences, and all get the sums.

    Args:
        model: a causal language model; it is moved to this process's device, and its mode is the same afterwards.
        examples: all.
        held_out: those that are measured, by domain.
        in_bfloat16: whether the model computes in bfloat16; losses are summed in float32 at least.
    """
    state, was_training = processes(), model.training
    model.to(state.device).eval()
    collators = {
        domain: Collator(examples, sequences, model.config._attn_implementation, pad_id=0)
        for domain, sequences in held_out.items()
    }
    todo = [(domain, number) for domain, sequences in held_out.items() for number in range(len(sequences))]
    mine = list[tuple[str, float, int]]()
    with torch.no_grad(), torch.autocast(state.device.type, torch.bfloat16, enabled=in_bfloat16):
        for domain, number in todo[state.process_index :: state.num_processes]:
            mine.append((domain, *_loss(model, collators[domain]([{"sequence": number}]))))
    model.train(was_training)
    found = gather_object(mine)
    return {domain: _sum([part for part in found if part[0] == domain]) for domain in held_out}


def _sum(parts: list[tuple[str, float, int]]) -> Loss:
    return Loss(nats=math.fsum(nats for _, nats, _ in parts), n_tokens=sum(count for *_, count in parts))


def _loss(model: Any, batch: dict[str, Any]) -> tuple[float, int]:
    """(nats, tokens) of a batch of one row."""
    wanted = batch.pop("labels")[0, 1:]
    places = torch.nonzero(wanted != NO_LOSS).flatten()
    inputs = {key: one.to(model.device) if isinstance(one, torch.Tensor) else one for key, one in batch.items()}
    logits = model(**inputs, logits_to_keep=places.to(model.device)).logits[0]
    wanted, nats = wanted[places].to(model.device), 0.0
    for start in range(0, len(places), CHUNK):
        part = slice(start, start + CHUNK)
        nats += float(torch.nn.functional.cross_entropy(logits[part].float(), wanted[part], reduction="sum"))
    return nats, len(places)
