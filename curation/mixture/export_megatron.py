"""Megatron's `.bin` and `.idx`: a prefix per stage.

Megatron's `GPTDataset` shuffles the entries of an index, joins them and cuts the stream every `seq_length` tokens.
Entries here are therefore the packed sequences, padding included: with `add_extra_token_to_sequence=False` every
sample is one of them, so no document is cut that was not, and each ends with its end-of-document token, by which
`reset_attention_mask` and `reset_position_ids` find it. Who reads the index in order has the order of training; since
Megatron shuffles, stages are files of their own. With `documents`, an entry is a document (or the piece of one that
is longer than a sequence) without padding, for those who want Megatron's own concatenation.

Format: `megatron/core/datasets/indexed_dataset.py`.
"""

import struct
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

from curation.mixture.record import MixtureRecord
from curation.mixture.sequences import Sequences
from manifests.errors import RunError
from manifests.store import Folder

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
CODES = {"int32": 4, "uint16": 8}
"""Megatron's numbers of the types of ids."""
AT_ONCE = 1 << 20
"""Entries of the index in memory."""


def write_megatron(
    stages: Iterable[tuple[str, Iterable[Sequences]]], mixture: MixtureRecord, folder: Folder, documents: bool
) -> None:
    """Write STAGE.bin and STAGE.idx for each stage.

    Args:
        stages: each stage with its sequences in order.
        mixture: says how many ids there are.
        folder: where to.
        documents: an entry per document without padding, instead of one per packed sequence.
    """
    kind = id_type(mixture.tokenizer.vocab_size, "int32")
    for stage, sequences in stages:
        with tempfile.TemporaryFile() as lengths:
            with folder.writing(f"{stage}.bin") as path, folder.fs.open(path, "wb") as out:
                for part in sequences:
                    out.write(id_bytes(part, kind, padding=not documents))
                    lengths.write(_lengths(part, documents).tobytes())
            with folder.writing(f"{stage}.idx") as path, folder.fs.open(path, "wb") as out:
                _write_index(out, lengths, kind)


def id_type(vocab_size: int, wide: str) -> np.dtype[np.integer]:
    """Two bytes per id where all fit, else `wide` (little-endian)."""
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype(wide).newbyteorder("<")


def id_bytes(part: Sequences, kind: np.dtype[np.integer], padding: bool) -> bytes:
    """The ids of sequences one after the other, with their padding or without it.

    Raises:
        RunError: an id does not fit.
    """
    ids = part.input_ids.reshape(-1) if padding else part.input_ids[part.is_token()]
    if len(ids) and int(ids.max()) > np.iinfo(kind).max:
        raise RunError(
            f"sequences from {part.first:,}: id {int(ids.max()):,} is larger than the tokenizer's vocabulary"
        )
    return ids.astype(kind).tobytes()


def _lengths(part: Sequences, documents: bool) -> NDArray[np.int32]:
    if documents:
        return np.diff(part.span_ends(padding=False), prepend=0).astype("<i4")
    return np.full(len(part), part.input_ids.shape[1], "<i4")


def _write_index(out: IO[bytes], lengths: IO[bytes], kind: np.dtype[np.integer]) -> None:
    """Counts; lengths (int32); where each entry begins, in bytes (int64); that each is a document (int64)."""
    count = lengths.tell() // 4
    code = CODES[kind.newbyteorder("=").name]
    out.write(MAGIC + struct.pack("<QBQQ", VERSION, code, count, count + 1))
    for chunk in _chunks(lengths):
        out.write(chunk.tobytes())
    start = 0
    for chunk in _chunks(lengths):
        ends = start + np.cumsum(chunk, dtype=np.int64) * kind.itemsize
        out.write((ends - chunk.astype(np.int64) * kind.itemsize).astype("<i8").tobytes())
        start = int(ends[-1])
    for first in range(0, count + 1, AT_ONCE):
        out.write(np.arange(first, min(first + AT_ONCE, count + 1), dtype="<i8").tobytes())


def _chunks(lengths: IO[bytes]) -> Iterator[NDArray[np.int32]]:
    lengths.seek(0)
    while content := lengths.read(4 * AT_ONCE):
        yield np.frombuffer(content, "<i4")
