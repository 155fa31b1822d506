"""Safetensors that are written in parts, by any thread in any order: files of bounded size with an index.

The size and place of every tensor are known before a number is computed, so the header is written first and each part
goes to where it belongs. Nothing is held in memory.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from training.embeddings import INDEX
from training.safetensors_files import ALIGNMENT

SHARD_BYTES = 5 * 10**9
"""Of a file; a larger tensor has one to itself."""
N_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2,
    "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Of a number, by its dtype in a header."""


@dataclass(frozen=True)
class Planned:
    """A tensor that will be written."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def n_numbers(self) -> int:
        """Of all its dimensions."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def n_bytes(self) -> int:
        """Of all its numbers."""
        return self.n_numbers * N_BYTES[self.dtype]


def shards_of(tensors: Sequence[Planned], shard_bytes: int = SHARD_BYTES) -> list[list[Planned]]:
    """The tensors of each file, in order; within a file those of wide numbers first, so that all are aligned."""
    shards: list[list[Planned]] = [[]]
    n_bytes = 0
    for tensor in tensors:
        if shards[-1] and n_bytes + tensor.n_bytes > shard_bytes:
            shards.append([])
            n_bytes = 0
        shards[-1].append(tensor)
        n_bytes += tensor.n_bytes
    return [sorted(shard, key=lambda tensor: -N_BYTES[tensor.dtype]) for shard in shards if shard]


def file_names(n_shards: int) -> list[str]:
    """As transformers calls them."""
    if n_shards == 1:
        return ["model.safetensors"]
    return [f"model-{number:05d}-of-{n_shards:05d}.safetensors" for number in range(1, n_shards + 1)]


class Shard:
    """A file that is being written."""

    def __init__(self, handle: int, begins: dict[str, int]) -> None:
        self._handle = handle
        self._begins = begins

    def write(self, name: str, at_byte: int, content: memoryview) -> None:
        """Write a part of a tensor, from a byte of it on.

        Raises:
            OSError: the disk is full, or broken.
        """
        begin, written = self._begins[name] + at_byte, 0
        while written < len(content):
            written += os.pwrite(self._handle, content[written:], begin + written)


@contextmanager
def open_shard(path: Path, tensors: Sequence[Planned]) -> Iterator[Shard]:
    """A new file, header and all, of which the parts of tensors are still to be written."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    begins, at = {}, 0
    for tensor in tensors:
        begins[tensor.name] = at
        end = at + tensor.n_bytes
        header[tensor.name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    written = orjson.dumps(header)
    written += b" " * (-len(written) % ALIGNMENT)
    start = 8 + len(written)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        os.write(handle, len(written).to_bytes(8, "little") + written)
        os.truncate(handle, start + at)
        yield Shard(handle, {name: start + begin for name, begin in begins.items()})
    finally:
        os.close(handle)


def write_index(folder: Path, shards: Sequence[Sequence[Planned]]) -> None:
    """Write the index of several files; one file needs none."""
    if len(shards) == 1:
        return
    weight_map = {
        tensor.name: name for name, shard in zip(file_names(len(shards)), shards, strict=True) for tensor in shard
    }
    total = sum(tensor.n_bytes for shard in shards for tensor in shard)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / INDEX).write_bytes(orjson.dumps(index, option=orjson.OPT_INDENT_2) + b"\n")
