"""MosaicML's MDS: shards of samples and `index.json`, which `streaming.StreamingDataset` reads.

A sample is a packed sequence. Its columns:

- `tokens`: int32 array of the sequence length, padding included; the name and type that LLM Foundry looks for.
- `n_tokens`: what follows is padding.
- `document_starts`: int32 array, where documents begin.
- `cross_document`: 1 where documents may attend to each other, else 0.
- `sequence`: its number in the order of training, and `stage`.

None of the encodings is a pickle, so no `allow_unsafe_types` is needed. Format: `streaming/base/format/mds/writer.py`
and `encodings.py`.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import IO, Any

import numpy as np
import orjson

from curation.mixture.record import MixtureRecord
from curation.mixture.sequences import Sequences
from manifests.errors import RunError
from manifests.store import Folder

SHARD_BYTES = 1 << 26
"""Size of a shard at most (unless one sample is larger), as `MDSWriter` has it."""

INDEX = "index.json"


def write_mds(
    stages: Iterable[tuple[str, Iterable[Sequences]]], mixture: MixtureRecord, folder: Folder, documents: bool = False
) -> None:
    """Write shard.NNNNN.mds files in the order of training, then index.json."""
    config = _config(mixture.sequence_length)
    header = orjson.dumps(config, option=orjson.OPT_SORT_KEYS)
    shards = list[dict[str, Any]]()
    for samples in _in_shards(_samples(stages), len(header)):
        name = f"shard.{len(shards):05d}.mds"
        with folder.writing(name) as path, folder.fs.open(path, "wb") as out:
            size_bytes = _write_shard(out, samples, header)
        raw = {"basename": name, "bytes": size_bytes, "hashes": {}}
        shards.append({**config, "samples": len(samples), "raw_data": raw, "zip_data": None})
    folder.write_bytes(INDEX, orjson.dumps({"version": 2, "shards": shards}, option=orjson.OPT_SORT_KEYS))


def _config(sequence_length: int) -> dict[str, Any]:
    """What every shard says of itself; columns are in the order of their names."""
    columns = {
        "cross_document": ("int", 8),
        "document_starts": ("ndarray:int32", None),
        "n_tokens": ("int", 8),
        "sequence": ("int", 8),
        "stage": ("str", None),
        "tokens": (f"ndarray:int32:{sequence_length}", 4 * sequence_length),
    }
    return {
        "version": 2,
        "format": "mds",
        "compression": None,
        "hashes": [],
        "size_limit": SHARD_BYTES,
        "column_names": list(columns),
        "column_encodings": [encoding for encoding, _ in columns.values()],
        "column_sizes": [size for _, size in columns.values()],
    }


def _samples(stages: Iterable[tuple[str, Iterable[Sequences]]]) -> Iterator[bytes]:
    """Each sequence: the sizes of the columns that have no fixed one, then the columns."""
    for stage, sequences in stages:
        stage_bytes = stage.encode()
        for part in sequences:
            if part.input_ids.max(initial=0) > np.iinfo(np.int32).max:
                raise RunError(f"sequences from {part.first:,}: an id is larger than MDS holds here (int32)")
            ids = part.input_ids.astype("<i4")
            for row in range(len(part)):
                starts = _array(part.starts_of(row))
                head = struct.pack("<IIq", len(starts), len(stage_bytes), bool(part.cross_document[row]))
                numbers = struct.pack("<qq", int(part.n_tokens[row]), part.first + row)
                yield b"".join((head, starts, numbers, stage_bytes, ids[row].tobytes()))


def _array(values: np.ndarray[Any, np.dtype[np.int32]]) -> bytes:
    """A one-dimensional array whose type is known and whose size is not: its size in as few bytes as hold it."""
    code = 0 if len(values) < 1 << 8 else 1 if len(values) < 1 << 16 else 2
    return struct.pack("<B" + "BHI"[code], 1 << 2 | code, len(values)) + values.astype("<i4").tobytes()


def _in_shards(samples: Iterable[bytes], header_bytes: int) -> Iterator[list[bytes]]:
    """Samples in groups that make shards of at most SHARD_BYTES."""
    empty = 8 + header_bytes
    group, size_bytes = list[bytes](), empty
    for sample in samples:
        if group and size_bytes + len(sample) + 4 > SHARD_BYTES:
            yield group
            group, size_bytes = [], empty
        group.append(sample)
        size_bytes += len(sample) + 4
    if group:
        yield group


def _write_shard(out: IO[bytes], samples: list[bytes], header: bytes) -> int:
    """Number of samples, where each begins and the last ends (uint32), the header, the samples; returns the size."""
    begin = 4 + 4 * (len(samples) + 1) + len(header)
    offsets = begin + np.cumsum([0, *map(len, samples)])
    out.write(struct.pack("<I", len(samples)) + offsets.astype("<u4").tobytes() + header)
    out.writelines(samples)
    return int(offsets[-1])
