"""Rows of token mixtures: their ids as one array, and digests of them."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.digest import TableDigest

ID_BYTES = 4


def tokens_digest(table: pa.Table, leave_out: frozenset[str] = frozenset()) -> TableDigest:
    """The digest of rows of a token mixture (`contracts.tokens_schema`), or of a part of one.

    The ids of a sequence count as the bytes that they are, 4 each, little-endian, without being copied.
    """
    return sum((_digest(batch, leave_out) for batch in table.to_batches()), TableDigest())


def _digest(batch: pa.RecordBatch, leave_out: frozenset[str]) -> TableDigest:
    column = batch.schema.get_field_index("input_ids")
    ids = batch.column(column)
    size_bytes, values = ID_BYTES * ids.type.list_size, ids.flatten()
    data = values.buffers()[1].slice(ID_BYTES * values.offset, size_bytes * len(ids))
    sequences = pa.Array.from_buffers(pa.binary(size_bytes), len(ids), [None, data])
    return TableDigest.of(pa.Table.from_batches([batch.set_column(column, "input_ids", sequences)]), leave_out)


def id_rows(column: pa.FixedSizeListArray) -> npt.NDArray[np.uint32]:
    """The ids of sequences, (rows, tokens per sequence), without being copied."""
    rows: npt.NDArray[np.uint32] = np.asarray(column.flatten()).reshape(len(column), column.type.list_size)
    return rows
