"""Parquet: columns by name, batch by batch, without Python objects for the texts."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, BinaryIO, TypeVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from xxhash import xxh3_128_digest

from curation.read_batch import BATCH_BYTES, BATCH_RECORDS, Batch, Event, Record, Split, batches
from curation.read_jsonl import BadLineError, LineParser
from curation.read_stream import open_input
from curation.template import paths
from manifests.contracts import DIGEST, NOTES_TYPE, records_schema
from manifests.errors import RequestError, RunError
from manifests.schema import MIB, Input, Limits

Item = TypeVar("Item")

_NAMED = ("key", "url", "date", "license", "category", "charset")


def read_parquet(
    split: Split, item: Input, limits: Limits, metadata_names: list[str], cursor: int = 0
) -> Iterator[Batch]:
    """Batches of one split of a Parquet file; see `curation.read.read_split`.

    Raises:
        RequestError: not a Parquet file, or a column that is missing or of a type that holds no text.
        RunError: the file is damaged.
    """
    with open_input(split.path) as file:
        parquet = open_parquet(file, split.path)
        check_columns(parquet, item, split.path)
        if item.template:
            yield from batches(_made_events(parquet, split, item, limits, cursor), split, item, metadata_names)
            return
        if _is_repeated(parquet, _content_name(item)):
            parquet = open_parquet(file, split.path, [_content_name(item)])
        first_row = sum(parquet.metadata.row_group(i).num_rows for i in range(split.start))
        yield from _damage_named(_batches(parquet, first_row, split, item, limits, metadata_names, cursor), split)


def open_parquet(file: BinaryIO, path: str, repeated: list[str] | None = None) -> pq.ParquetFile:
    """The opened file; nothing but its footer is read. Columns in `repeated` come as dictionaries.

    Raises:
        RequestError: it is not a Parquet file.
    """
    try:
        return pq.ParquetFile(
            file, read_dictionary=repeated, pre_buffer=False, buffer_size=4 * MIB, page_checksum_verification=True
        )
    except (pa.ArrowException, OSError) as error:
        raise RequestError(f"{path}: not a Parquet file, or one without its end: {error}") from error


def check_columns(parquet: pq.ParquetFile, item: Input, path: str) -> None:
    """Refuse a mapping that the file does not hold.

    Raises:
        RequestError: names the file, the column and the columns that exist.
    """
    content = None if item.template else _content_name(item)
    made_of = _template_columns(parquet, item) if item.template else [_content_name(item)]
    for column in dict.fromkeys([*made_of, *_mapped(item).values()]):
        found = _type_at(parquet.schema_arrow, column)
        if found is None:
            names = ", ".join(parquet.schema_arrow.names)
            raise RequestError(f"{path}: source {item.source!r} maps the column {column!r}; the file has {names}")
        if column == content and not (_is_string(found) or _is_binary(found)):
            raise RequestError(f"{path}: the column {column!r} is of type {found}; text must be a string or bytes")


def _template_columns(parquet: pq.ParquetFile, item: Input) -> list[str]:
    """The columns of which a template takes fields: those that bear the name of a path, or of its beginning."""
    named = paths(item.template) if item.template else []
    return [path if path in parquet.schema_arrow.names else path.split(".")[0] for path in named]


def cut_parquet(parquet: pq.ParquetFile, shard_bytes: int) -> list[int]:
    """Row groups at which to cut into ranges of about `shard_bytes` before compression, with 0 and their number."""
    bounds, n_bytes = [0], 0
    for index in range(parquet.num_row_groups):
        n_group_bytes = parquet.metadata.row_group(index).total_byte_size
        if n_bytes and n_bytes + n_group_bytes > shard_bytes:
            bounds.append(index)
            n_bytes = 0
        n_bytes += n_group_bytes
    return [*bounds, parquet.num_row_groups]


def _is_repeated(parquet: pq.ParquetFile, column: str) -> bool:
    """Whether a column may hold a few texts many times: hardly a byte per row beside its dictionary, which makes the
    size in the file say nothing about the size in memory."""
    for group in range(parquet.num_row_groups):
        meta = parquet.metadata.row_group(group)
        for chunk in (meta.column(index) for index in range(meta.num_columns)):
            if chunk.path_in_schema == column and chunk.has_dictionary_page:
                n_dictionary_bytes = chunk.data_page_offset - chunk.dictionary_page_offset
                if chunk.total_compressed_size - n_dictionary_bytes < 8 * chunk.num_values:
                    return True
    return False


def _batches(
    parquet: pq.ParquetFile,
    first_row: int,
    split: Split,
    item: Input,
    limits: Limits,
    metadata_names: list[str],
    cursor: int,
) -> Iterator[Batch]:
    """A cursor is the number of rows of the split before it."""
    row = 0
    columns = sorted({_content_name(item), *_mapped(item).values()})
    for group in range(split.start, split.end):
        meta = parquet.metadata.row_group(group)
        if row + meta.num_rows <= cursor:
            row += meta.num_rows
            continue
        n_rows = max(1, min(BATCH_RECORDS, BATCH_BYTES * meta.num_rows // max(1, meta.total_byte_size)))
        for rows in parquet.iter_batches(n_rows, [group], columns, use_threads=False):
            skip = min(max(0, cursor - row), rows.num_rows)
            row += skip
            for part in _bounded(rows.slice(skip), _content_name(item)):
                records = _records(part, first_row + row, split, item, limits, metadata_names)
                row += part.num_rows
                yield Batch(records, row, {})


def _made_events(parquet: pq.ParquetFile, split: Split, item: Input, limits: Limits, cursor: int) -> Iterator[Event]:
    """Records by the input's template; a cursor is the number of rows of the split before it.

    All columns are read: the id covers the whole row, so that it does not change with the template.
    """
    parse, row_number = LineParser(item, limits), 0
    first_row = sum(parquet.metadata.row_group(i).num_rows for i in range(split.start))
    for group in range(split.start, split.end):
        meta = parquet.metadata.row_group(group)
        if row_number + meta.num_rows <= cursor:
            row_number += meta.num_rows
            continue
        n_rows = max(1, min(BATCH_RECORDS, BATCH_BYTES * meta.num_rows // max(1, meta.total_byte_size)))
        for rows in _damage_named(parquet.iter_batches(n_rows, [group], use_threads=False), split):
            for row in rows.to_pylist():
                row_number += 1
                if row_number > cursor:
                    yield _made(parse, row, first_row + row_number - 1), row_number


def _made(parse: LineParser, row: dict[str, Any], number: int) -> Record:
    data = orjson.dumps(row, default=str, option=orjson.OPT_SORT_KEYS)
    record = Record(offset=number, kind="text", utf8=True)
    try:
        return parse.fill(record, row, xxh3_128_digest(data))
    except BadLineError as error:
        return record.fail(error.reason, error.detail, xxh3_128_digest(data), len(data))


def _damage_named(items: Iterator[Item], split: Split) -> Iterator[Item]:
    """The items; what Arrow says of a damaged file becomes an error that names it."""
    try:
        yield from items
    except (pa.ArrowException, OSError) as error:
        raise RunError(
            f"{split.path}: row groups {split.start} to {split.end - 1} cannot be read: {error}"
        ) from error


def _bounded(rows: pa.RecordBatch, column: str) -> Iterator[pa.RecordBatch]:
    """Slices of at most the content that a batch may hold."""
    ends = np.cumsum(_lengths(_column_at(rows, column)).to_numpy(zero_copy_only=False).astype(np.int64))
    start = 0
    while start < rows.num_rows:
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BATCH_BYTES, side="right")))
        yield rows.slice(start, stop - start)
        start = stop


def _lengths(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        return pc.fill_null(pc.take(_lengths(array.dictionary), array.indices), 0)
    return pc.fill_null(pc.binary_length(array.cast(pa.large_binary())), 0)


def _records(
    rows: pa.RecordBatch, first_row: int, split: Split, item: Input, limits: Limits, metadata_names: list[str]
) -> pa.RecordBatch:
    """Rows of the file in the contract's columns."""
    n_rows = rows.num_rows
    raw = _plain(_column_at(rows, _content_name(item)))
    utf8 = _is_string(raw.type)
    content = raw.cast(pa.large_binary())
    lengths = _lengths(content)
    reasons, details = _failures(content, lengths, utf8, limits.record_bytes)
    too_large = pc.equal(reasons, "record_too_large")
    failed = reasons.is_valid()
    mapped = {name: _text(_column_at(rows, column)) for name, column in _mapped(item).items()}
    columns: dict[str, pa.Array] = {
        **{name: mapped.get(name, pa.nulls(n_rows, pa.string())) for name in _NAMED},
        **{name: pa.repeat(pa.scalar(value), n_rows) for name, value in item.set.items()},
        "source": pa.repeat(pa.scalar(split.source), n_rows),
        "kind": pa.repeat(pa.scalar("html" if item.html else "text"), n_rows),
        "utf8": pa.repeat(pa.scalar(utf8), n_rows),
        "content": pc.if_else(failed, pa.scalar(None, pa.large_binary()), content)
        if reasons.null_count < n_rows
        else content,
        "content_digest": _digests(content),
        "n_bytes": lengths.cast(pa.int64()),
        "verdict": pc.if_else(failed, "failed", pa.scalar(None, pa.string())),
        "stage": pc.if_else(failed, "read", pa.scalar(None, pa.string())),
        "reason": reasons,
        "value": pc.if_else(too_large, lengths.cast(pa.float64()), None),
        "threshold": pc.if_else(too_large, float(limits.record_bytes), pa.scalar(None, pa.float64())),
        "detail": details,
        "file": pa.repeat(pa.scalar(split.path), n_rows),
        "offset": pa.array(np.arange(first_row, first_row + n_rows)),
        "notes": pa.nulls(n_rows, NOTES_TYPE),
        "robots_headers": pa.nulls(n_rows, pa.string()),
    }
    columns["key"] = pc.fill_null(columns["key"], "")
    if utf8:
        columns["charset"] = pa.nulls(n_rows, pa.string())
    if metadata_names:
        fields = [mapped.get(f"metadata {name}", pa.nulls(n_rows, pa.string())) for name in metadata_names]
        columns["metadata"] = pa.StructArray.from_arrays(fields, metadata_names)
    schema = records_schema(metadata_names)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _failures(content: pa.Array, lengths: pa.Array, utf8: bool, limit_bytes: int) -> tuple[pa.Array, pa.Array]:
    """Reason and detail for each row that fails; nulls for the others."""
    none = pa.scalar(None, pa.string())
    reasons = pc.if_else(pc.is_null(content), "missing_text", none)
    reasons = pc.if_else(pc.greater(lengths, limit_bytes), "record_too_large", reasons)
    details = pa.nulls(len(content), pa.string())
    if utf8 and not _is_utf8(content):
        errors = [_utf8_error(value.as_py()) for value in content]
        details = pa.array(errors, pa.string())
        reasons = pc.if_else(pc.and_(details.is_valid(), reasons.is_null()), "invalid_utf8", reasons)
    return reasons, details


def _digests(content: pa.Array) -> pa.Array:
    """XXH3-128 of each value; of nothing where it is null."""
    _, offsets, data = content.buffers()
    ends = np.frombuffer(offsets, np.int64)[content.offset : content.offset + len(content) + 1].tolist()
    view = memoryview(data) if data else memoryview(b"")
    joined = b"".join([xxh3_128_digest(view[a:b]) for a, b in pairwise(ends)])
    return pa.FixedSizeBinaryArray.from_buffers(DIGEST, len(content), [None, pa.py_buffer(joined)])


def _content_name(item: Input) -> str:
    return item.html or item.text or "text"


def _mapped(item: Input) -> dict[str, str]:
    """Column of the file for each column of the contract, and for each `metadata NAME`."""
    named = {name: getattr(item, name) for name in _NAMED}
    return {name: column for name, column in named.items() if column} | {
        f"metadata {name}": column for name, column in item.metadata.items()
    }


def _is_string(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _is_binary(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view))


def _type_at(schema: pa.Schema, column: str) -> pa.DataType | None:
    """Type of a column, by its name as it stands or by the path of struct fields that it spells."""
    if column in schema.names:
        kind = schema.field(column).type
    else:
        kind = pa.struct(list(schema))
        for part in column.split("."):
            if not pa.types.is_struct(kind) or kind.get_field_index(part) < 0:
                return None
            kind = kind.field(part).type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _column_at(rows: pa.RecordBatch, column: str) -> pa.Array:
    if column in rows.schema.names:
        return rows.column(column)
    first, *rest = column.split(".")
    return pc.struct_field(rows.column(first), rest)


def _plain(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _text(array: pa.Array) -> pa.Array:
    """Any column as valid strings."""
    array = _plain(array)
    if not (_is_string(array.type) or _is_binary(array.type)):
        return _as_string(array)
    content = array.cast(pa.large_binary())
    if _is_utf8(content):
        return content.cast(pa.string())
    return pa.array([None if v is None else v.decode(errors="replace") for v in content.to_pylist()], pa.string())


def _as_string(array: pa.Array) -> pa.Array:
    try:
        return array.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # lists, structs
        return pa.array(
            [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in array.to_pylist()]
        )


def _is_utf8(content: pa.Array) -> bool:
    try:
        content.cast(pa.large_string())
    except pa.ArrowInvalid:
        return False
    return True


def _utf8_error(value: bytes | None) -> str | None:
    try:
        (value or b"").decode()
    except UnicodeDecodeError as error:
        return f"{error.reason}, at byte {error.start + 1} of the text"
    return None
