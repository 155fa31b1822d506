"""Rows of a token mixture: from spans and their tokens to the columns of the contract, and their digest."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from curation.mixture.plan import Block
from manifests.contracts import DIGEST, tokens_schema
from manifests.digest import TableDigest

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]


def token_rows(block: Block, input_ids: U32, names: Sequence[str], part: slice) -> pa.Table:
    """Some sequences of a block as rows of `contracts.tokens_schema`.

    Args:
        block: what stands in which sequence.
        input_ids: (sequences of the part, sequence length), padded.
        names: of the sources.
        part: which sequences, counted from the block's first.
    """
    n_rows, length = input_ids.shape
    sequences = block.spans["sequence"] - np.uint64(block.first_sequence)
    bounds = np.searchsorted(sequences, np.arange(part.start, part.stop + 1))
    spans, offsets = block.spans[bounds[0] : bounds[-1]], (bounds - bounds[0]).astype(np.int32)
    columns = {
        "sequence": pa.array(np.arange(part.start, part.stop) + block.first_sequence, pa.int64()),
        "stage": pa.array([block.stage] * n_rows, pa.string()),
        "input_ids": _fixed(input_ids, length),
        "n_tokens": pa.array(block.n_tokens[part], pa.int32()),
        "cross_document": pa.array(block.cross[part], pa.bool_()),
        "document_starts": _spans(offsets, pa.array(span_starts(spans["length"], offsets), pa.int32())),
        "document_ids": _spans(offsets, binary_ids(spans["id_high"], spans["id_low"])),
        "document_copies": _spans(offsets, pa.array(spans["copy"].astype(np.int32), pa.int32())),
        "document_offsets": _spans(offsets, pa.array(spans["offset"].astype(np.int64), pa.int64())),
        "source_of_span": _spans(offsets, pa.array(names, pa.string()).take(pa.array(spans["source"]))),
    }
    schema = tokens_schema(length)
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def span_starts(lengths: U32, offsets: NDArray[np.int32]) -> NDArray[np.int64]:
    """Where each span begins in its sequence, from the spans' lengths and where each sequence's spans begin."""
    ends = np.cumsum(lengths, dtype=np.int64)
    starts = ends - lengths
    firsts = np.repeat(offsets[:-1], np.diff(offsets))
    return starts - starts[firsts]


def binary_ids(high: U64, low: U64) -> pa.Array:
    """Ids as 16 bytes each."""
    both = np.stack([high, low], axis=1).astype(">u8")
    return pa.Array.from_buffers(DIGEST, len(high), [None, pa.py_buffer(both)])


def _fixed(input_ids: U32, length: int) -> pa.Array:
    kind = tokens_schema(length).field("input_ids").type
    return pa.FixedSizeListArray.from_arrays(pa.array(input_ids.reshape(-1)), type=kind)


def _spans(offsets: NDArray[np.int32], values: pa.Array) -> pa.Array:
    kind = pa.list_(pa.field("element", values.type, nullable=False))
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=kind)


def tokens_digest(table: pa.Table, leave_out: frozenset[str] = frozenset()) -> TableDigest:
    """The digest of rows of a token mixture (`contracts.tokens_schema`), or of a part of one.

    The ids of a sequence count as the XXH3-128 of their bytes, 4 each, little-endian.
    """
    return sum((_digest(batch, leave_out) for batch in table.to_batches()), TableDigest())


def _digest(batch: pa.RecordBatch, leave_out: frozenset[str]) -> TableDigest:
    column = batch.schema.get_field_index("input_ids")
    ids = batch.column(column)
    sequences = pa.array([xxhash.xxh3_128_digest(row) for row in id_rows(ids)], DIGEST)
    return TableDigest.of(pa.Table.from_batches([batch.set_column(column, "input_ids", sequences)]), leave_out)


def id_rows(column: pa.FixedSizeListArray) -> U32:
    """The ids of sequences, (rows, tokens per sequence), without being copied."""
    rows: U32 = np.asarray(column.flatten()).reshape(len(column), column.type.list_size)
    return rows
