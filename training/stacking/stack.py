"""A checkpoint of another one's layers, in any order and number, copied tensor by tensor: no model is in memory.

    stack(Path("base"), [*range(24), *range(8, 32)], Path("deeper"))

What is written is bit by bit what was read; only names are counted anew. `start="identity"` silences a layer that
was there before: what it adds to the stream that goes from layer to layer is 0, so that the model computes what it
computed, and training begins there (LLaMA Pro, arXiv 2401.02415).
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from manifests.engine import Progress, silent
from manifests.errors import RequestError
from training.embeddings import EMBEDDING, OUTPUT
from training.environment import n_cores
from training.merging.beside import ENDINGS, GENERATION, NOT_COPIED
from training.merging.fits import COMPUTED, ties_embeddings
from training.merging.passes import Threads
from training.model_files import CONFIG, Checkpoint, open_checkpoint, write_object
from training.safetensors_files import Tensor
from training.safetensors_shards import (
    N_BYTES,
    SHARD_BYTES,
    Planned,
    Shard,
    file_names,
    open_shard,
    shards_of,
    write_index,
)
from training.stacking.config import depth_of, stacked_config
from training.stacking.layers import check_identity, second_places, written
from training.stacking.report import REPORT, StackReport
from training.stacking.silent import silencing
from training.whole_folders import check_free, new_folder

COPIED_AT_ONCE = 1 << 23
Start = Literal["copy", "identity"]


@dataclass(frozen=True)
class Source:
    """Where the numbers of a new tensor come from."""

    tensor: Tensor
    filled_with: bytes | None = None
    """One number that it has everywhere instead."""


@dataclass(frozen=True)
class Decoder:
    """The tensors of a checkpoint, by layer."""

    prefix: str
    """Of the names of layers: `model.layers.`."""
    layers: Sequence[Mapping[str, Tensor]]
    """Of each layer, by what follows its number in their names."""
    before: Sequence[Tensor]
    """Of no layer, and written before them."""
    after: Sequence[Tensor]
    notes: Sequence[str]


def stack(
    model: Path,
    layers: Sequence[int],
    output: Path,
    *,
    start: Start = "copy",
    name: str | None = None,
    threads: int | None = None,
    progress: Progress = silent,
    shard_bytes: int = SHARD_BYTES,
    replaces: bool = False,
    influences: Sequence[float] | None = None,
) -> StackReport:
    """Write a checkpoint of a model's own layers.

    Args:
        model: folder of the model.
        layers: which of its layers the new one has, in order, from 0; any number, each as often as wanted.
        output: the new folder.
        start: `identity` silences layers that were there before, which takes all layers in their order.
        name: what the model is called; its folder without one.
        threads: None takes the cores that there are.
        progress: is told of bytes written.
        shard_bytes: largest file of weights.
        replaces: whether an output that exists makes way for the new one.
        influences: of each of the model's layers, where they were chosen by it; for the report.

    Returns:
        What was made, as it also lies beside the weights, in `upscale.json`.

    Raises:
        RequestError: there is no such model or layer, or its layers cannot be told apart; nothing is written.
        RunError: the disk is full; nothing is left.
    """
    check_free(output, replaces)
    checkpoint = open_checkpoint(name or str(model), model)
    decoder = decoder_of(checkpoint)
    quiet = _silent_places(layers, len(decoder.layers), start)
    config, notes = stacked_config(checkpoint.config, layers, len(decoder.layers))
    sources = _sources(checkpoint, decoder, layers, quiet)
    tensors = [Planned(name, source.tensor.dtype, source.tensor.shape) for name, source in sources.items()]
    notes = [*decoder.notes, *notes, *_code(checkpoint)]
    report = _report(checkpoint, decoder, layers, start, quiet, tensors, notes, influences)
    with new_folder(output, report.n_bytes, "model", replaces) as folder:
        _write_weights(tensors, sources, folder, shard_bytes, threads or n_cores(), progress)
        _write_beside(checkpoint, folder)
        write_object(folder / CONFIG, config)
        write_object(folder / REPORT, report.model_dump(mode="json"))
    return report


def decoder_of(checkpoint: Checkpoint) -> Decoder:
    """The tensors of a language model by layer; those of a tower for images are of no layer.

    Raises:
        RequestError: no layers are found, or others than its configuration says.
    """
    first = ".".join([*checkpoint.input_embedding.name.split(".")[:-2], ""])
    pattern = re.compile(rf"^({re.escape(first)}(?:layers|h|blocks)\.)(\d+)\.(.+)$")
    left_out, notes = _left_out(checkpoint)
    prefix, found, before, after = "", dict[int, dict[str, Tensor]](), list[Tensor](), list[Tensor]()
    for name, tensor in checkpoint.tensors.items():
        if name in left_out:
            continue
        if match := pattern.match(name):
            prefix = match[1]
            found.setdefault(int(match[2]), {})[match[3]] = tensor
        else:
            (before if EMBEDDING.search(name) and not OUTPUT.search(name) else after).append(tensor)
    _check_layers(checkpoint, sorted(found), first)
    return Decoder(prefix, [found[layer] for layer in range(len(found))], before, after, notes)


def _left_out(checkpoint: Checkpoint) -> tuple[set[str], list[str]]:
    """Names of tensors that are not written, and why: buffers, and a copy of tied embeddings."""
    names = [name for name in checkpoint.tensors if COMPUTED.search(name)]
    notes = [f"{len(names)} buffers are left out, since models compute them ({names[0]}, ...)"] if names else []
    head = checkpoint.head
    if head is not None and ties_embeddings(checkpoint):
        names.append(head.name)
        notes.append(f"{head.name} is a copy of the input embeddings, and is left out")
    return set(names), notes


def _check_layers(checkpoint: Checkpoint, found: Sequence[int], first: str) -> None:
    if not found:
        raise RequestError(
            f"{checkpoint.name}: no tensors are named like layers of a decoder beside its embeddings ({first}layers.0"
            f"...); found {', '.join(list(checkpoint.tensors)[:5])}"
        )
    said = depth_of(checkpoint.config)
    if list(found) != list(range(len(found))) or (said is not None and said != len(found)):
        raise RequestError(
            f"{checkpoint.name}: its tensors are of the layers {written(found)}, and config.json says that there are "
            f"{said}; a model whose layers are not all there, or that has more than it runs, cannot be given others"
        )


def _silent_places(layers: Sequence[int], n_layers: int, start: Start) -> list[int]:
    """Places of layers that are silenced.

    Raises:
        RequestError: there is no such layer, or with some silent it would not be the same model.
    """
    if not layers:
        raise RequestError("layers: there are none; a model has at least one")
    for place, layer in enumerate(layers):
        if not 0 <= layer < n_layers:
            raise RequestError(
                f"layers[{place}]: found {layer}; the model has {n_layers} layers, so expected 0 to {n_layers - 1}"
            )
    if start == "copy":
        return []
    check_identity(layers, n_layers)
    return second_places(layers)


def _sources(
    checkpoint: Checkpoint, decoder: Decoder, layers: Sequence[int], quiet: Sequence[int]
) -> dict[str, Source]:
    """Where each tensor of the new model comes from, by its name, in the order in which they are written."""
    sources = {tensor.name: Source(tensor) for tensor in decoder.before}
    for place, layer in enumerate(layers):
        fillings = silencing(checkpoint, decoder.layers[layer]) if place in quiet else {}
        for name, tensor in decoder.layers[layer].items():
            sources[f"{decoder.prefix}{place}.{name}"] = Source(tensor, fillings.get(name))
    sources |= {tensor.name: Source(tensor) for tensor in decoder.after}
    for name, source in sources.items():
        if source.tensor.dtype not in N_BYTES:
            raise RequestError(
                f"{checkpoint.name}: {name} is {source.tensor.dtype}, which is not read; save the model in bfloat16 "
                "or float32"
            )
    return sources


def _report(
    checkpoint: Checkpoint,
    decoder: Decoder,
    layers: Sequence[int],
    start: Start,
    quiet: Sequence[int],
    tensors: Sequence[Planned],
    notes: Sequence[str],
    influences: Sequence[float] | None,
) -> StackReport:
    old = [*decoder.before, *(tensor for layer in decoder.layers for tensor in layer.values()), *decoder.after]
    return StackReport(
        model=checkpoint.name,
        layers=list(layers),
        n_layers_before=len(decoder.layers),
        start=start,
        silent=list(quiet),
        n_tensors=len(tensors),
        n_parameters_before=sum(Planned(tensor.name, tensor.dtype, tensor.shape).n_numbers for tensor in old),
        n_parameters=sum(tensor.n_numbers for tensor in tensors),
        n_bytes=sum(tensor.n_bytes for tensor in tensors),
        notes=list(notes),
        influences=None if influences is None else list(influences),
    )


# Files


def _write_weights(
    tensors: Sequence[Planned],
    sources: Mapping[str, Source],
    folder: Path,
    shard_bytes: int,
    n_threads: int,
    progress: Progress,
) -> None:
    """All files of weights and their index."""
    shards = shards_of(tensors, shard_bytes)
    total, done = sum(tensor.n_bytes for tensor in tensors), 0
    files = sorted({source.tensor.file for source in sources.values()})
    with ExitStack() as opened, Threads(n_threads) as threads:
        handles = {file: opened.enter_context(file.open("rb")).fileno() for file in files}
        for file, part in zip(file_names(len(shards)), shards, strict=True):
            with open_shard(folder / file, part) as shard:
                for tensor in part:
                    progress("stack", done, total, tensor.name)
                    source = sources[tensor.name]
                    _copy(tensor.name, source, handles[source.tensor.file], shard, threads)
                    done += tensor.n_bytes
    progress("stack", total, total)
    write_index(folder, shards)


def _copy(name: str, source: Source, handle: int, shard: Shard, threads: Threads) -> None:
    """A tensor, part by part."""

    def write(start: int, end: int) -> None:
        if source.filled_with is None:
            content = os.pread(handle, end - start, source.tensor.begin + start)
        else:
            content = source.filled_with * ((end - start) // len(source.filled_with))
        shard.write(name, start, memoryview(content))

    for _ in threads.over(write, _parts(source.tensor.n_bytes)):
        pass


def _parts(n_bytes: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n_bytes, COPIED_AT_ONCE):
        yield start, min(start + COPIED_AT_ONCE, n_bytes)


def _write_beside(checkpoint: Checkpoint, folder: Path) -> None:
    """The tokenizer, the chat template and what generation needs, as they are."""
    for path in sorted(checkpoint.path.iterdir()):
        is_kept = path.name == GENERATION or path.name not in NOT_COPIED
        if path.is_file() and path.name.endswith(ENDINGS) and is_kept:
            shutil.copyfile(path, folder / path.name)


def _code(checkpoint: Checkpoint) -> list[str]:
    named = "auto_map" in checkpoint.config
    return ["config.json names Python code (`auto_map`), which is not copied"] if named else []
