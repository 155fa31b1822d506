"""The documents of a mixture's sources: which files, cut in which slices, and their columns row by row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from classifiers.rows import PARQUET, input_files, json_rows
from curation.predicates import dotted_columns
from curation.read_stream import digest_range, open_input
from manifests.errors import RequestError
from manifests.record import read_record
from manifests.schema_mixture import Source
from manifests.store import Folder, resolve

BATCH_BYTES = 8 << 20
"""Text that is read and tokenised at once, about."""
JSON_TYPES_FROM_ROWS = 4096
"""A JSONL file's columns and their types are those of so many first rows."""


@dataclass(frozen=True)
class Slice:
    """A piece of a file that is tokenised by one task: row groups of a Parquet file, or a whole JSONL file."""

    path: str
    file_digest: str
    file_bytes: int
    text_bytes: int
    """Of its texts, about: as the Parquet file says, or the size of the JSONL file."""
    first_group: int = 0
    n_groups: int = 0
    """Row groups; 0 for JSONL."""
    first_row: int = 0

    def __str__(self) -> str:
        return f"{self.path} from row {self.first_row}" if self.n_groups else self.path

    @property
    def key(self) -> str:
        """What the slice holds, whatever it is called."""
        return f"{self.file_digest}-{self.first_group}-{self.n_groups}"


def source_files(source: Source, base: str) -> list[str]:
    """The files of a source, ordered by name.

    Raises:
        RequestError: there are none, or the run is not complete.
    """
    if source.path is not None:
        return input_files(resolve(source.path, base))
    run = Folder(resolve(source.run or "", base))
    read_record(run)
    documents = run / "documents"
    return [documents.url(name) for name in documents.names(".parquet")]


def source_slices(source: Source, base: str, slice_bytes: int) -> list[Slice]:
    """The slices of a source, in the order of its files.

    Raises:
        RequestError: a file cannot be read, or has no column of texts.
    """
    return [piece for path in source_files(source, base) for piece in _file_slices(path, source.text, slice_bytes)]


def _file_slices(path: str, text: str, slice_bytes: int) -> list[Slice]:
    with open_input(path) as file:
        size_bytes = file.seek(0, 2)
        digest = digest_range(file, 0, size_bytes).hex()
        file.seek(0)
        if file.read(4) != PARQUET:
            return [Slice(path, digest, size_bytes, size_bytes)]
        file.seek(0)
        metadata = _opened(file, path).metadata
    column = _text_column(metadata, text, path)
    found, start, row, n_bytes, first_row = list[Slice](), 0, 0, 0, 0
    for group in range(metadata.num_row_groups):
        n_more = metadata.row_group(group).column(column).total_uncompressed_size
        if n_bytes and n_bytes + n_more > slice_bytes:
            found.append(Slice(path, digest, size_bytes, n_bytes, start, group - start, first_row))
            start, n_bytes, first_row = group, 0, row
        n_bytes += n_more
        row += metadata.row_group(group).num_rows
    if metadata.num_row_groups > start:
        found.append(Slice(path, digest, size_bytes, n_bytes, start, metadata.num_row_groups - start, first_row))
    return found


def _opened(file: object, path: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except pa.ArrowException as error:
        raise RequestError(f"{path}: is no Parquet file that can be read: {error}") from error


def _text_column(metadata: pq.FileMetaData, text: str, path: str) -> int:
    """The number of the column of texts.

    Raises:
        RequestError: there is none, or it holds something else.
    """
    schema = metadata.schema.to_arrow_schema()
    if text not in schema.names:
        raise RequestError(f"{path}: has no column {text!r} (`text`); found: {', '.join(schema.names)}")
    kind = schema.field(text).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise RequestError(f"{path}: the column {text!r} holds {kind}; expected text")
    paths = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
    return paths.index(text)


def column_types(path: str) -> dict[str, pa.DataType]:
    """The columns that a predicate over a file may name; those of a JSONL file are taken from its first rows.

    Raises:
        RequestError: the file cannot be read.
        RunError: a line of it is no JSON object.
    """
    with open_input(path) as file:
        is_parquet = file.read(4) == PARQUET
        file.seek(0)
        if is_parquet:
            return dotted_columns(_opened(file, path).schema_arrow)
        first = next(json_rows(file, path), None)
        rows = first[2] if first else []
    frame = pl.from_dicts(rows, infer_schema_length=None, strict=False) if rows else pl.DataFrame()
    return dotted_columns(frame.to_arrow(compat_level=pl.CompatLevel.oldest()).schema)


@dataclass(frozen=True)
class Rows:
    """Rows of a slice: the number of the first one in its file, and their columns."""

    first_row: int
    frame: pl.DataFrame


def read_columns(piece: Slice, columns: Sequence[str], batch_bytes: int = BATCH_BYTES) -> Iterator[Rows]:
    """The named columns of all rows of a slice, in bounded batches; a column that is not there is null."""
    with fsspec.open(piece.path, "rb") as file:
        yield from (_parquet if piece.n_groups else _jsonl)(file, piece, columns, batch_bytes)


def _parquet(file: object, piece: Slice, columns: Sequence[str], batch_bytes: int) -> Iterator[Rows]:
    source = pq.ParquetFile(file)
    there = [name for name in columns if name in source.schema_arrow.names]
    groups = list(range(piece.first_group, piece.first_group + piece.n_groups))
    n_rows = sum(source.metadata.row_group(group).num_rows for group in groups)
    n_bytes = _column_bytes(source.metadata, groups, there)
    at_once = max(1, min(n_rows, n_rows * batch_bytes // max(n_bytes, 1)))
    row = piece.first_row
    if not there:  # Arrow would yield no rows
        yield Rows(row, pl.DataFrame({name: pl.Series([None] * n_rows) for name in columns}))
        return
    for batch in source.iter_batches(at_once, row_groups=groups, columns=there, use_threads=False):
        frame = pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch])))
        yield Rows(row, _with_nulls(frame, columns))
        row += batch.num_rows


def _column_bytes(metadata: pq.FileMetaData, groups: Sequence[int], columns: Sequence[str]) -> int:
    total, wanted = 0, set(columns)
    for group in groups:
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            total += column.total_uncompressed_size * (column.path_in_schema.split(".")[0] in wanted)
    return total


def _jsonl(file: object, piece: Slice, columns: Sequence[str], batch_bytes: int) -> Iterator[Rows]:
    row, types = 0, dict[str, pl.DataType]()
    for _, _, objects in json_rows(file, piece.path):  # type: ignore[arg-type]
        frame = pl.DataFrame(
            {
                name: pl.Series([item.get(name) for item in objects], dtype=types.get(name), strict=False)
                for name in columns
            }
        )
        types = types or {name: kind for name, kind in frame.schema.items() if kind != pl.Null}
        yield Rows(row, frame)
        row += len(objects)


def _with_nulls(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    return frame.with_columns(pl.lit(None).alias(name) for name in columns if name not in frame.columns)
