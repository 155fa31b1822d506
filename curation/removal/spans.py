"""Spans of documents cut out of packed sequences: what is left moves together, the padding grows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from curation.mixture.token_rows import id_rows

I64 = npt.NDArray[np.int64]
LISTS = ("document_starts", "document_ids", "document_copies", "document_offsets", "source_of_span")
"""The columns that speak of the spans of a sequence."""

CUT = {
    "stage": pl.String,
    "source": pl.String,
    "id": pl.Binary,
    "offset": pl.Int64,
    "n_tokens": pl.Int64,
    "sequence": pl.Int64,
}
"""A span that was cut out, and where it lay."""


@dataclass(frozen=True)
class _Spans:
    """All spans of some rows, in order."""

    row: I64
    start: I64
    n_tokens: I64
    gone: npt.NDArray[np.bool_]


def without_documents(table: pa.Table, ids: pa.Array, pad_id: int) -> tuple[pa.Table, pa.Table, pl.DataFrame]:
    """Rows of a token mixture without the spans of some documents.

    A sequence of which nothing is left stays, as padding alone, so that the others keep their numbers.

    Args:
        table: of `contracts.tokens_schema`.
        ids: of the documents, 16 bytes each.
        pad_id: what the end of a sequence is filled with.

    Returns:
        the rows; those rows of it as they were that changed; the spans (CUT).
    """
    table = table.combine_chunks()
    spans = _spans(table, ids)
    rows = np.unique(spans.row[spans.gone])
    if not len(rows):
        return table, table.slice(0, 0), pl.DataFrame(schema=CUT)
    n_gone = np.bincount(spans.row[spans.gone], spans.n_tokens[spans.gone], table.num_rows).astype(np.int32)
    changed = {
        "input_ids": _moved_together(_one(table, "input_ids"), spans, rows, pad_id),
        "n_tokens": pa.array(np.asarray(_one(table, "n_tokens")) - n_gone),
        **{name: _kept(_one(table, name), spans) for name in LISTS},
        "document_starts": _kept(_moved_starts(_one(table, "document_starts"), spans), spans),
    }
    columns = [changed.get(name, table[name]) for name in table.column_names]
    return pa.table(columns, schema=table.schema), table.take(pa.array(rows)), _cut(table, spans)


def _one(table: pa.Table, name: str) -> pa.Array:
    column = table[name]
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _spans(table: pa.Table, ids: pa.Array) -> _Spans:
    starts = _one(table, "document_starts")
    counts = np.asarray(pc.list_value_length(starts)).astype(np.int64)
    row = np.repeat(np.arange(table.num_rows), counts)
    start = np.asarray(starts.flatten()).astype(np.int64)
    ends = np.append(start[1:], 0)
    is_last = np.append(row[1:] != row[:-1], True)[: len(row)]
    ends[is_last] = np.asarray(_one(table, "n_tokens")).astype(np.int64)[row[is_last]]
    names = _one(table, "document_ids").flatten()
    return _Spans(row, start, ends - start, np.asarray(pc.is_in(names, value_set=ids)))


def _moved_together(column: pa.Array, spans: _Spans, rows: I64, pad_id: int) -> pa.Array:
    """The ids where those of spans that stay follow each other."""
    before = id_rows(column)
    length, after = before.shape[1], before.copy()
    after[rows] = pad_id
    touched = np.zeros(len(before), np.bool_)
    touched[rows] = True
    stays = touched[spans.row] & ~spans.gone
    row, n_tokens, old = spans.row[stays], spans.n_tokens[stays], spans.start[stays]
    new = _starts_in_rows(row, n_tokens)
    within = np.arange(n_tokens.sum()) - np.repeat(np.cumsum(n_tokens) - n_tokens, n_tokens)
    base = np.repeat(row * length, n_tokens) + within
    after.reshape(-1)[base + np.repeat(new, n_tokens)] = before.reshape(-1)[base + np.repeat(old, n_tokens)]
    values = pa.array(after.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(values, type=column.type)


def _starts_in_rows(row: I64, n_tokens: I64) -> I64:
    """Where spans begin that follow each other from the start of their row on."""
    starts = np.cumsum(n_tokens) - n_tokens
    first = np.searchsorted(row, row)  # rows ascend
    found: I64 = starts - starts[first]
    return found


def _moved_starts(column: pa.Array, spans: _Spans) -> pa.Array:
    """`document_starts` where the tokens before a span that go are taken off; those of spans that go mean nothing."""
    taken = np.cumsum(np.where(spans.gone, spans.n_tokens, 0))
    before = taken - np.where(spans.gone, spans.n_tokens, 0)
    first = np.searchsorted(spans.row, spans.row)
    starts = spans.start - (before - before[first])
    lists = pa.ListArray.from_arrays(_offsets(column), pa.array(starts.astype(np.int32)))
    return lists.cast(column.type)


def _kept(column: pa.Array, spans: _Spans) -> pa.Array:
    """A list column without what it says of spans that go."""
    counts = np.bincount(spans.row[~spans.gone], minlength=len(column))
    offsets = pa.array(np.append(0, np.cumsum(counts)).astype(np.int32))
    values = column.flatten().filter(pa.array(~spans.gone))
    return pa.ListArray.from_arrays(offsets, values).cast(column.type)


def _offsets(column: pa.Array) -> pa.Array:
    counts = np.asarray(pc.list_value_length(column))
    return pa.array(np.append(0, np.cumsum(counts)).astype(np.int32))


def _cut(table: pa.Table, spans: _Spans) -> pl.DataFrame:
    gone = pa.array(spans.gone)
    rows = pa.array(spans.row[spans.gone])
    columns = {
        "stage": pl.Series(table["stage"].take(rows).cast(pa.large_string())),
        "source": pl.Series(_one(table, "source_of_span").flatten().filter(gone).cast(pa.large_string())),
        "id": pl.Series(_one(table, "document_ids").flatten().filter(gone).cast(pa.binary())),
        "offset": pl.Series(_one(table, "document_offsets").flatten().filter(gone)),
        "n_tokens": pl.Series(spans.n_tokens[spans.gone]),
        "sequence": pl.Series(table["sequence"].take(rows)),
    }
    return pl.DataFrame(columns).cast(CUT)  # type: ignore[arg-type]
