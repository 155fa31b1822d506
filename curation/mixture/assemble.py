"""From spans to Parquet: the tokens of each block are gathered from the store and written as sequences."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from curation.kernels.tokens import place
from curation.mixture.plan import Block, Spans
from curation.mixture.token_rows import span_starts, token_rows, tokens_digest
from curation.mixture.token_store import ids_file
from manifests.contracts import tokens_schema, versioned
from manifests.digest import TableDigest
from manifests.errors import RunError
from manifests.store import Folder

GAP_TOKENS = 1 << 14
"""Tokens between two spans that are read along rather than read around."""
ROW_GROUP_TOKENS = 1 << 18
"""Tokens per row group: what reading any one sequence costs at most."""
REPEATING = ["stage", "source_of_span.list.element"]

I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]


@dataclass(frozen=True)
class ShardTask:
    """A file of sequences to write; pickles to a worker."""

    plan: str
    """Folder of the planned blocks."""
    blocks: tuple[int, ...]
    store: str
    parts: tuple[str, ...]
    """Names of the parts of the store."""
    dtype: str
    """How the store holds ids."""
    sequence_length: int
    pad_id: int
    sources: tuple[str, ...]
    output: str
    name: str
    key: str
    """Digest of all that the file holds."""
    extra: tuple[tuple[str, str], ...]
    """What its metadata say besides."""

    def __str__(self) -> str:
        return self.name


AS_PARQUET: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": REPEATING,
    "column_encoding": {"input_ids.list.element": "BYTE_STREAM_SPLIT"},
    "write_statistics": ["sequence", "stage", "n_tokens"],
}
"""How sequences are written."""


@dataclass(frozen=True)
class Shard:
    """What was written."""

    digest: TableDigest
    n_rows: int
    size_bytes: int
    was_there: bool = False


def write_block(folder: Folder, number: int, block: Block) -> bytes:
    """Write a planned block; returns its content."""
    content = io.BytesIO()
    for array in (block.spans, block.n_tokens, block.cross):
        np.save(content, array, allow_pickle=False)
    folder.write_bytes(block_name(number), content.getvalue())
    return content.getvalue()


def block_name(number: int) -> str:
    """The file of a block."""
    return f"block-{number:06d}.npy"


def read_block(folder: Folder, number: int, stage: str = "") -> Block:
    """A planned block."""
    content = io.BytesIO(folder.read_bytes(block_name(number)))
    spans, n_tokens, cross = (np.load(content, allow_pickle=False) for _ in range(3))
    return Block(stage, int(spans["sequence"][0]), n_tokens, cross, spans)


def write_shard(task: ShardTask) -> Shard:
    """Write a file of sequences; one that is there already, from the same plan, stays."""
    output = Folder(task.output)
    if (there := _there(output, task)) is not None:
        return there
    schema, digest, n_rows = tokens_schema(task.sequence_length), TableDigest(), 0
    rows_at_once = max(1, ROW_GROUP_TOKENS // task.sequence_length)
    plan = Folder(task.plan)
    stages = plan.read_json("stages.json")
    with (
        output.writing(task.name) as path,
        output.fs.open(path, "wb") as file,
        pq.ParquetWriter(file, versioned(schema, "tokens", dict(task.extra)), **AS_PARQUET) as writer,
    ):
        for number in task.blocks:
            block = read_block(plan, number, stages[number])
            input_ids = gather(
                block,
                store=task.store,
                parts=task.parts,
                dtype=task.dtype,
                sequence_length=task.sequence_length,
                pad_id=task.pad_id,
            )
            for start in range(0, len(input_ids), rows_at_once):
                part = slice(start, min(start + rows_at_once, len(input_ids)))
                table = token_rows(block, input_ids[part], task.sources, part)
                digest += tokens_digest(table)
                writer.write_table(table.cast(writer.schema), row_group_size=table.num_rows)
                n_rows += table.num_rows
        note = {"plan": task.key, "digest": f"{digest.total:032x}", "n_rows": str(n_rows)}
        writer.add_key_value_metadata({f"onggi.{name}": value for name, value in note.items()})
    return Shard(digest, n_rows, int(output.fs.size(output.file(task.name))))


def _there(output: Folder, task: ShardTask) -> Shard | None:
    """The file that is there, if it was written from the same plan."""
    if not output.exists(task.name):
        return None
    metadata = output.parquet_metadata(task.name).metadata or {}
    if metadata.get(b"onggi.plan", b"").decode() != task.key:
        return None
    n_rows = int(metadata[b"onggi.n_rows"])
    digest = TableDigest(int(metadata[b"onggi.digest"], 16), n_rows)
    return Shard(digest, n_rows, int(output.fs.size(output.file(task.name))), was_there=True)


def gather(block: Block, *, store: str, parts: Sequence[str], dtype: str, sequence_length: int, pad_id: int) -> U32:
    """The ids of a block's sequences, shape (sequences, sequence length), padded.

    Args:
        block: what stands in which sequence.
        store: folder of the tokenised documents.
        parts: names of its parts, by their numbers in the spans.
        dtype: how it holds ids.
        sequence_length: tokens per sequence.
        pad_id: what padding is filled with.
    """
    out = np.full((len(block.n_tokens), sequence_length), pad_id, np.uint32)
    spans = block.spans
    sequences = (spans["sequence"] - np.uint64(block.first_sequence)).astype(np.int64)
    offsets = np.searchsorted(sequences, np.arange(len(out) + 1)).astype(np.int32)
    tos = sequences * sequence_length + span_starts(spans["length"], offsets)
    folder = Folder(store)
    order = np.lexsort((spans["start"], spans["part"]))
    bounds = np.flatnonzero(np.diff(spans["part"][order])) + 1
    for of in np.split(order, bounds):
        if len(of):
            _read_part(folder, parts[int(spans["part"][of[0]])], spans[of], tos[of], np.dtype(dtype), out)
    return out


def _read_part(
    store: Folder, name: str, spans: Spans, tos: I64, dtype: np.dtype[np.unsignedinteger], out: U32
) -> None:
    """Copy the spans of a part, ordered by where they start, to their places."""
    starts, lengths = spans["start"].astype(np.int64), spans["length"].astype(np.int64)
    ends = np.maximum.accumulate(starts + lengths)
    cuts = np.flatnonzero(starts[1:] - ends[:-1] > GAP_TOKENS) + 1
    with store.fs.open(store.file(ids_file(name, dtype)), "rb", **_unbuffered(store)) as file:
        for first, end in zip([0, *cuts.tolist()], [*cuts.tolist(), len(starts)], strict=True):
            begin, stop = int(starts[first]), int(ends[end - 1])
            file.seek(begin * dtype.itemsize)
            content = file.read((stop - begin) * dtype.itemsize)
            if len(content) != (stop - begin) * dtype.itemsize:
                raise RunError(
                    f"{store.url(ids_file(name, dtype))}: is cut off; remove the folder and run the command again"
                )
            buffer = np.frombuffer(content, dtype)
            place(buffer, starts[first:end] - begin, lengths[first:end], tos[first:end], out.reshape(-1))


def _unbuffered(store: Folder) -> dict[str, object]:
    return {} if "file" in store.fs.protocol else {"cache_type": "none"}


def shard_bounds(n_tokens: Sequence[int], shard_bytes: int) -> list[tuple[int, ...]]:
    """Blocks in groups of about `shard_bytes` of ids (4 bytes each), at least one in each."""
    groups, group, n_bytes = list[tuple[int, ...]](), list[int](), 0
    for number, n_block in enumerate(n_tokens):
        if group and n_bytes + 4 * n_block > shard_bytes:
            groups.append(tuple(group))
            group, n_bytes = [], 0
        group.append(number)
        n_bytes += 4 * n_block
    return [*groups, tuple(group)] if group else groups
