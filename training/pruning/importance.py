"""Importance of hidden channels, neurons of MLPs and heads: how strongly they are active on calibration data.

Forwards only (Kanana 2.3.3; Minitron, arXiv 2407.14679). Of a hidden channel it is the output of each norm, of a
neuron what goes into the down projection, of a head the L2 norm of what it hands to the output projection. By default
|activation| is averaged over the tokens of a sample, and samples are put together by their L2 norm. Sums are those
of single samples in float64, so how samples are put into batches only changes roundings.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manifests.errors import RequestError
from manifests.schema_surgery import Importance
from training.pruning.families import Family, family_of
from training.pruning.scores import Scores as Scores

NAMES = {"heads": "heads", "mlp": "neurons", "hidden": "hidden channels"}
"""Axes in words, in the order in which a layer computes what they stand for."""


@dataclass(frozen=True)
class Batch:
    """Samples, each of one row of ids or of several that do not see each other."""

    input_ids: NDArray[np.int64]
    """(rows, length); behind a row's tokens is padding."""
    n_tokens: NDArray[np.int64]
    """Of each row."""
    sample: NDArray[np.int64]
    """Which sample of the batch a row is of, from 0; all rows of a sample are in one batch."""


def measure_importance(model: Any, batches: Iterable[Batch], asked: Importance) -> Scores:
    """Importance of all that can be pruned.

    Args:
        model: a causal language model of transformers; it is only read.
        batches: calibration data.
        asked: how activations are put together.

    Raises:
        RequestError: the model is of no family that can be pruned, or there is no data.
    """
    family = family_of(model.config.to_dict(), "model")
    decoder, was_training = model.get_decoder(), model.training
    sums = _Sums(asked)
    model.eval()
    try:
        with _watched(decoder, family, asked, sums), torch.inference_mode():
            for batch in batches:
                sums.begin(batch)
                decoder(input_ids=torch.from_numpy(batch.input_ids).to(model.device), use_cache=False)
                sums.end(batch)
    finally:
        model.train(was_training)
    if not sums.n_samples:
        raise RequestError("calibration: there is no text to measure importance on")
    return sums.scores()


class _Sums:
    """What was added up of all batches so far."""

    def __init__(self, asked: Importance) -> None:
        self._order = 1 if asked.sequence == "mean" else 2
        self._asked = asked
        self._batch: dict[tuple[str, int], Tensor] = {}
        self._total: dict[tuple[str, int], Tensor] = {}
        self._rows: list[tuple[int, int]] = []
        self.n_samples = self.n_tokens = 0

    def begin(self, batch: Batch) -> None:
        """Be told which rows of activations are of which sample."""
        self._batch = {}
        self._rows = [(int(n), int(sample)) for n, sample in zip(batch.n_tokens, batch.sample, strict=True)]

    def add(self, axis: str, number: int, values: Tensor) -> None:
        """Add activations, (rows, length, channels), of a place: |values| or their squares over tokens."""
        n_samples = max(sample for _, sample in self._rows) + 1
        found = torch.zeros(n_samples, values.shape[-1], dtype=torch.float64, device=values.device)
        for row, (n, sample) in enumerate(self._rows):
            norm = torch.linalg.vector_norm(values[row, :n], self._order, dim=0, dtype=torch.float64)
            found[sample] += norm if self._order == 1 else norm.square()
        self._batch[axis, number] = found

    def end(self, batch: Batch) -> None:
        """Put the batch's samples to those before."""
        n_tokens = np.bincount(batch.sample, batch.n_tokens)
        for place, found in self._batch.items():
            if self._order == 1:
                samples = found / torch.from_numpy(n_tokens).to(found.device)[:, None]
            else:
                samples = found.sqrt()
            total = (samples.square() if self._asked.batch == "l2" else samples).sum(0)
            self._total[place] = self._total[place] + total if place in self._total else total
        self.n_samples += len(n_tokens)
        self.n_tokens += int(n_tokens.sum())

    def scores(self) -> Scores:
        """What all came to."""
        n = self.n_samples
        total = {k: v.sqrt() if self._asked.batch == "l2" else v / n for k, v in self._total.items()}
        by_axis = {
            axis: np.stack([total[place].cpu().numpy() for place in sorted(total) if place[0] == axis])
            for axis in ("hidden", "mlp", "heads")
        }
        _check_finite(by_axis)
        return Scores(**by_axis, n_samples=n, n_tokens=self.n_tokens)


def _check_finite(by_axis: Mapping[str, NDArray[np.float64]]) -> None:
    """That activations were numbers, since those that are not would be ranked like any others.

    Raises:
        RequestError: some were not; names the first layer, and the axis.
    """
    n_layers, wrong = len(by_axis["mlp"]), list[tuple[int, int, str]]()
    for order, (axis, name) in enumerate(NAMES.items()):
        per_layer = len(by_axis[axis]) // n_layers  # norms are several in a layer
        places = np.flatnonzero(~np.isfinite(by_axis[axis]).all(1))
        wrong += [(int(place) // per_layer, order, name) for place in places[:1]]
    if wrong:
        layer, _, name = min(wrong)  # what comes after it is none either
        where = f"layer {layer}" if layer < n_layers else "the last norm"
        raise RequestError(
            f"importance: {name} of {where} are no numbers; a training of the model went wrong, or its weights are "
            "damaged"
        )


@contextmanager
def _watched(decoder: Any, family: Family, asked: Importance, sums: _Sums) -> Iterator[None]:
    """The decoder with hooks that tell of its activations."""
    hooks = []
    norms = [getattr(layer, name) for layer in decoder.layers for name in family.norms] + [decoder.norm]
    for number, norm in enumerate(norms):
        hooks.append(norm.register_forward_hook(_of_norm(sums, number)))
    for number, layer in enumerate(decoder.layers):
        attention, mlp = layer.self_attn, layer.mlp
        hooks.append(attention.o_proj.register_forward_pre_hook(_of_heads(sums, number, attention.head_dim)))
        if asked.mlp == "intermediate":
            hooks.append(mlp.down_proj.register_forward_pre_hook(_of_neurons(sums, number)))
        else:
            hooks += _of_both(sums, number, mlp)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _of_norm(sums: _Sums, number: int) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def hook(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        sums.add("hidden", number, output)

    return hook


def _of_heads(sums: _Sums, number: int, width: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        by_head = inputs[0].unflatten(-1, (-1, width))
        sums.add("heads", number, torch.linalg.vector_norm(by_head, dim=-1, dtype=torch.float32))

    return hook


def _of_neurons(sums: _Sums, number: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sums.add("mlp", number, inputs[0])

    return hook


def _of_both(sums: _Sums, number: int, mlp: Any) -> list[Any]:
    """Hooks for the mean of the magnitudes of gate and up projections."""
    held: list[Tensor] = []

    def of_one(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        held.append(output.float().abs())
        if len(held) == 2:
            sums.add("mlp", number, (held[0] + held[1]) / 2)
            held.clear()

    return [part.register_forward_hook(of_one) for part in (mlp.gate_proj, mlp.up_proj)]
