"""Which tensor of one model goes with which of another: names, shapes, tied embeddings; refused where none fits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manifests.errors import RequestError
from training.embeddings import EMBEDDING, OUTPUT
from training.merging.config import check_architecture, is_said_to_be_tied
from training.model_files import Checkpoint
from training.safetensors_files import DTYPES, Tensor
from training.safetensors_shards import N_BYTES

COMPUTED = re.compile(r"rotary_emb\.inv_freq$|attn\.masked_bias$|attention\.masked_bias$|position_ids$")
"""Buffers of old checkpoints, which models compute from their configuration."""
SHOWN = 5
COMPARED_BYTES = 1 << 24


@dataclass(frozen=True)
class Fitting:
    """Where each tensor of the result comes from."""

    sources: Mapping[str, Sequence[Tensor]]
    """By name, that of each model, in the order of the first model's files."""
    is_tied: bool | None
    """Whether the output embeddings are the input embeddings; None leaves what the first model says."""
    notes: Sequence[str]


def fitting(models: Sequence[Checkpoint]) -> Fitting:
    """The tensors of all models, by name.

    Args:
        models: all that take part.

    Raises:
        RequestError: architectures, names, shapes or kinds of numbers differ; names the first tensors.
    """
    for other in models[1:]:
        check_architecture(models[0], other)
    tied = [ties_embeddings(model) for model in models]
    heads = [None if is_tied else model.head for model, is_tied in zip(models, tied, strict=True)]
    named = [_named(model, is_tied) for model, is_tied in zip(models, tied, strict=True)]
    notes = _computed(models)
    is_tied = None
    if any(heads):
        notes += _untie(models, tied, heads, named)
        is_tied = False if any(tied) else None
    elif any(is_said_to_be_tied(model.config) is False for model in models):
        is_tied = is_said_to_be_tied(models[0].config)
    _check_names(models, named)
    sources = {name: [of[name] for of in named] for name in named[0]}
    for name, tensors in sources.items():
        _check_alike(models, name, tensors)
    return Fitting(sources, is_tied, notes)


def ties_embeddings(model: Checkpoint) -> bool:
    """Whether the output embeddings are not stored, or stored as a copy although the configuration ties them."""
    if model.head is None:
        return True
    return is_said_to_be_tied(model.config) is True and _same_bytes(model.head, model.input_embedding)


def _same_bytes(first: Tensor, second: Tensor) -> bool:
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    files = [np.memmap(tensor.file, np.uint8, "r", tensor.begin, (tensor.n_bytes,)) for tensor in (first, second)]
    return all(
        bool((files[0][at : at + COMPARED_BYTES] == files[1][at : at + COMPARED_BYTES]).all())
        for at in range(0, first.n_bytes, COMPARED_BYTES)
    )


def _named(model: Checkpoint, is_tied: bool) -> dict[str, Tensor]:
    left_out = {model.head.name} if is_tied and model.head else set()
    return {name: t for name, t in model.tensors.items() if name not in left_out and not COMPUTED.search(name)}


def _computed(models: Sequence[Checkpoint]) -> list[str]:
    names = sorted({name for model in models for name in model.tensors if COMPUTED.search(name)})
    if not names:
        return []
    return [f"{len(names)} buffers are left out, since models compute them ({names[0]}, ...)"]


def _untie(
    models: Sequence[Checkpoint], tied: Sequence[bool], heads: Sequence[Tensor | None], named: list[dict[str, Tensor]]
) -> list[str]:
    """Give models with tied embeddings output embeddings of their own: their input embeddings."""
    if not any(tied):
        return []
    head = next(found for found in heads if found)
    for model, is_tied, of in zip(models, tied, named, strict=True):
        if is_tied:
            of[head.name] = model.input_embedding
    names = ", ".join(model.name for model, is_tied in zip(models, tied, strict=True) if is_tied)
    return [
        f"tie_word_embeddings differs: {names} has one matrix for input and output embeddings, others have two; the "
        f"result has two, of which {head.name} is merged with that one matrix"
    ]


def _check_names(models: Sequence[Checkpoint], named: Sequence[Mapping[str, Tensor]]) -> None:
    for model, of in zip(models[1:], named[1:], strict=True):
        for here, there, has, lacks in (
            (named[0], of, models[0].name, model.name),
            (of, named[0], model.name, models[0].name),
        ):
            missing = [name for name in here if name not in there]
            if missing:
                shown = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
                raise RequestError(
                    f"{lacks} lacks {len(missing)} of the {len(here)} tensors of {has}: {shown}; only models of "
                    "one architecture and depth can be merged"
                )


def _check_alike(models: Sequence[Checkpoint], name: str, tensors: Sequence[Tensor]) -> None:
    first = tensors[0]
    rows_may_differ = bool(EMBEDDING.search(name) or OUTPUT.search(name))
    for model, tensor in zip(models, tensors, strict=True):
        ours, theirs = (t.shape[1:] if rows_may_differ else t.shape for t in (first, tensor))
        if ours != theirs or len(first.shape) != len(tensor.shape):
            raise RequestError(
                f"{name} is {_shape(first)} in {models[0].name} and {_shape(tensor)} in {model.name}; only models of "
                "one architecture and size can be merged"
            )
        if tensor.dtype not in N_BYTES:
            raise RequestError(
                f"{model.name}: {name} is {tensor.dtype}, which is not read; save the model in bfloat16 or float32"
            )
        if (tensor.dtype in DTYPES) != (first.dtype in DTYPES):
            raise RequestError(
                f"{name} holds {first.dtype} in {models[0].name} and {tensor.dtype} in {model.name}; one is no float"
            )


def _shape(tensor: Tensor) -> str:
    return " x ".join(f"{size:,}" for size in tensor.shape) or "one number"
