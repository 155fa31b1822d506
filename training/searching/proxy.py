"""One small model of a search: trained on a mixture of the sources' rows, and measured on all targets.

A plain loop, since Trainers spend more time on such a model than its steps take: AdamW, a cosine with a short rise,
the loss from the last hidden states (`head_loss`). All models of a search begin with the same weights, and two
mixtures that take k rows of a source take the same k: losses differ by the mixture, not by luck.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from manifests.schema_mixture import Proxy
from manifests.schema_training_steps import Optimizer, Schedule
from training.optimizers import adamw
from training.pretraining.head_loss import head_loss
from training.schedules import lr_share
from training.searching.corpus import Corpus, Measured

I32 = NDArray[np.int32]
F64 = NDArray[np.float64]

SCHEDULE = Schedule(kind="cosine", warmup=0.05, end=0.1)
OPTIMIZER = Optimizer(weight_decay=0.1)
MEASURED_AT_ONCE = 64
"""Rows."""
CLIPPED = 1.0
"""Norm of gradients, at most."""


@dataclass(frozen=True)
class Trained:
    """What a model came to."""

    losses: dict[str, float]
    """By target: bits per byte of its text."""
    curve: tuple[float, ...]
    """Loss of each step, in nats per token."""
    n_tokens: int
    seconds: float
    """Of the training alone."""


def train_proxy(corpus: Corpus, weights: Sequence[float], settings: Proxy, seed: int) -> Trained:
    """Train a model on a mixture and measure it; the same arguments give the same bits, on one thread.

    Args:
        corpus: rows and targets.
        weights: of the sources, which add up to 1.
        settings: of the model.
        seed: of its first weights and of the order.
    """
    with one_thread():
        model = new_proxy(corpus.n_ids, settings, seed)
        started = time.perf_counter()
        curve = train(model, mixed_rows(corpus, weights, settings, seed), settings)
        seconds = time.perf_counter() - started
        losses = {target.name: bits_per_byte(model, target, settings.sequence_length) for target in corpus.targets}
    return Trained(losses, tuple(curve), n_steps(settings) * settings.batch * settings.sequence_length, seconds)


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums of several threads depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def n_steps(settings: Proxy) -> int:
    """Steps of a model: what its tokens fill, at least one."""
    return max(1, settings.tokens // (settings.batch * settings.sequence_length))


def new_proxy(n_ids: int, settings: Proxy, seed: int) -> Any:
    """A Llama of new weights, in float32; its output matrix is that of its embeddings."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=n_ids,
        hidden_size=settings.hidden_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.num_hidden_layers,
        num_attention_heads=settings.num_attention_heads,
        num_key_value_heads=settings.num_attention_heads,
        max_position_embeddings=settings.sequence_length,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
        use_cache=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def mixed_rows(corpus: Corpus, weights: Sequence[float], settings: Proxy, seed: int) -> I32:
    """The rows that a model is trained on, in their order: (steps * batch, sequence length).

    Each source's are spread evenly over the training, so that every step has about the mixture; a source with fewer
    than are asked for begins again.
    """
    counts = row_counts(np.asarray(weights, np.float64), n_steps(settings) * settings.batch)
    chance = np.random.default_rng(seed)
    parts, places = [], []
    for rows, count in zip(corpus.rows, counts.tolist(), strict=True):
        order, shift = chance.permutation(len(rows)), chance.random()
        parts.append(rows[order[np.arange(count) % len(rows)]])
        places.append((np.arange(count) + shift) / max(count, 1))
    order = np.argsort(np.concatenate(places), kind="stable")
    return np.asarray(np.concatenate(parts)[order])


def row_counts(weights: F64, n_rows: int) -> NDArray[np.int64]:
    """Rows of each source: by largest remainders, so that they add up."""
    exact = weights / weights.sum() * n_rows
    counts = np.floor(exact).astype(np.int64)
    order = np.argsort(counts - exact, kind="stable")
    counts[order[: n_rows - int(counts.sum())]] += 1
    return np.asarray(counts)


def train(model: Any, rows: I32, settings: Proxy, schedule: Schedule = SCHEDULE) -> list[float]:
    """Train on rows in their order; the loss of each step, in nats per token.

    Raises:
        ValueError: the loss is no number.
    """
    optimizer = adamw(model.named_parameters(), OPTIMIZER, settings.learning_rate)
    batches = torch.from_numpy(rows.astype(np.int64)).split(settings.batch)
    curve = []
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * lr_share(step + 1, len(batches) + 1, schedule)
        loss = loss_sum(model, batch) / (batch.shape[0] * (batch.shape[1] - 1))
        if not math.isfinite(value := loss.item()):
            raise ValueError(f"step {step}: the loss is {value}; set a lower `search.model.learning_rate`")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIPPED)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        curve.append(value)
    return curve


def loss_sum(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """Cross entropy of all tokens but the first of each row, in nats, summed; ids (rows, length)."""
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    targets = ids[:, 1:].reshape(-1)
    return head_loss(hidden.reshape(len(targets), -1), model.lm_head.weight, targets).total


def bits_per_byte(model: Any, target: Measured, length: int) -> float:
    """Loss of a target in bits per byte of its text: the ends of its documents count among what is foretold.

    Its ids are cut into rows that share a token with the row before, so that each but the very first is foretold
    once.
    """
    ids = torch.from_numpy(target.ids.astype(np.int64))
    whole = (len(ids) - 1) // (length - 1)
    rows = ids[: whole * (length - 1) + 1].unfold(0, length, length - 1) if whole else ids[:0].reshape(0, length)
    rest = ids[whole * (length - 1) :]
    batches = [*rows.split(MEASURED_AT_ONCE), rest[None]] if len(rest) > 1 else rows.split(MEASURED_AT_ONCE)
    with torch.no_grad():
        total = sum(float(loss_sum(model, batch)) for batch in batches if len(batch))
    return total / math.log(2) / target.n_bytes
