"""The documents of a mixture's sources: which files, cut in which slices, and their columns row by row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from classifiers.rows import PARQUET, input_files, json_rows
from curation.read_stream import digest_range, open_input
from manifests.errors import RequestError, RunError
from manifests.record import read_record
from manifests.schema_mixture import Source
from manifests.store import Folder, resolve

BATCH_BYTES = 8 << 20
"""Text that is read and tokenised at once, about."""
ROW = "\0row"
"""Column of the number of a row in its file, beside the columns that are read; no file has one of that name."""


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
        RequestError: a file cannot be read, or has no column of texts, or none of keys where one is named.
    """
    return [piece for path in source_files(source, base) for piece in _file_slices(path, source, slice_bytes)]


def _file_slices(path: str, source: Source, slice_bytes: int) -> list[Slice]:
    with open_input(path) as file:
        size_bytes = file.seek(0, 2)
        digest = digest_range(file, 0, size_bytes).hex()
        file.seek(0)
        if file.read(4) != PARQUET:
            file.seek(0)
            first = next(json_rows(file, path), None)
            if first is None:
                return []
            _check_names(source, list(dict.fromkeys(name for row in first[2] for name in row)), path)
            return [Slice(path, digest, size_bytes, size_bytes)]
        file.seek(0)
        metadata = _opened(file, path).metadata
    column = _text_column(metadata, source, path)
    found, start, row, n_bytes, first_row = list[Slice](), 0, 0, 0, 0
    for group in range(metadata.num_row_groups):
        n_more = metadata.row_group(group).column(column).total_uncompressed_size
        if n_bytes and n_bytes + n_more > slice_bytes:
            found.append(Slice(path, digest, size_bytes, n_bytes, start, group - start, first_row))
            start, n_bytes, first_row = group, 0, row
        n_bytes += n_more
        row += metadata.row_group(group).num_rows
    if row > first_row:
        found.append(Slice(path, digest, size_bytes, n_bytes, start, metadata.num_row_groups - start, first_row))
    return found


def _opened(file: object, path: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except pa.ArrowException as error:
        raise RequestError(f"{path}: is no Parquet file that can be read: {error}") from error


def _check_names(source: Source, names: Sequence[str], path: str) -> None:
    """That the columns are there of which a source cannot do without.

    Raises:
        RequestError: names the one that is not.
    """
    wanted = {"text": source.text, "key": source.key} if source.run is None else {"text": source.text, "id": "id"}
    for what in ("url", "license", "language"):
        if (name := getattr(source, what)) != Source.model_fields[what].default:  # somebody counts on it
            wanted[what] = name
    for what, name in wanted.items():
        if name is not None and name not in names:
            raise RequestError(f"{path}: has no column {name!r} (`{what}`); found: {', '.join(names) or 'none'}")


def _text_column(metadata: pq.FileMetaData, source: Source, path: str) -> int:
    """The number of the column of texts.

    Raises:
        RequestError: there is none, or it holds something else.
    """
    schema, text = metadata.schema.to_arrow_schema(), source.text
    _check_names(source, schema.names, path)
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
    from curation.predicates import dotted_columns  # loads all that reads SQL

    with open_input(path) as file:
        is_parquet = file.read(4) == PARQUET
        file.seek(0)
        if is_parquet:
            return dotted_columns(_opened(file, path).schema_arrow)
        first = next(json_rows(file, path), None)
        rows = first[2] if first else []
    frame = pl.from_dicts(rows, infer_schema_length=None, strict=False) if rows else pl.DataFrame()
    return dotted_columns(frame.to_arrow(compat_level=pl.CompatLevel.oldest()).schema)


def read_columns(piece: Slice, columns: Sequence[str], batch_bytes: int = BATCH_BYTES) -> Iterator[pl.DataFrame]:
    """The named columns of all rows of a slice, in bounded batches, and ROW; a column that is not there is null.

    Raises:
        RunError: the file is damaged, or a column of a JSONL file holds values of different kinds.
    """
    try:
        with fsspec.open(piece.path, "rb") as file:
            yield from (_parquet if piece.n_groups else _jsonl)(file, piece, columns, batch_bytes)
    except (pa.ArrowException, OSError) as error:
        raise RunError(f"{piece}: cannot be read: {error}") from error


def read_texts(
    piece: Slice, text: str, columns: Sequence[str] = (), batch_bytes: int = BATCH_BYTES
) -> Iterator[pl.DataFrame]:
    """As `read_columns`, of which the column `text` is one, whose values are texts or null.

    Raises:
        RunError: they are something else.
    """
    for frame in read_columns(piece, list(dict.fromkeys([text, *columns])), batch_bytes):
        if (kind := frame[text].dtype) not in (pl.String, pl.Null):
            raise RunError(f"{piece}: the column {text!r} holds {kind}; expected text")
        yield frame.with_columns(pl.col(text).cast(pl.String))


def _parquet(file: object, piece: Slice, columns: Sequence[str], batch_bytes: int) -> Iterator[pl.DataFrame]:
    source = pq.ParquetFile(file)
    there = [name for name in columns if name in source.schema_arrow.names]
    groups = list(range(piece.first_group, piece.first_group + piece.n_groups))
    n_rows = sum(source.metadata.row_group(group).num_rows for group in groups)
    n_bytes = _column_bytes(source.metadata, groups, there)
    at_once = max(1, min(n_rows, n_rows * batch_bytes // max(n_bytes, 1)))
    row = piece.first_row
    if not there:  # Arrow would yield no rows
        yield _with_nulls(_numbered(row, n_rows), columns)
        return
    for batch in source.iter_batches(at_once, row_groups=groups, columns=there, use_threads=False):
        frame = pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch])))
        yield _with_nulls(_numbered(row, len(frame)).hstack(frame), columns)
        row += batch.num_rows


def _numbered(first_row: int, n_rows: int) -> pl.DataFrame:
    return pl.DataFrame([pl.int_range(first_row, first_row + n_rows, dtype=pl.Int64, eager=True).alias(ROW)])


def _column_bytes(metadata: pq.FileMetaData, groups: Sequence[int], columns: Sequence[str]) -> int:
    total, wanted = 0, set(columns)
    for group in groups:
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            total += column.total_uncompressed_size * (column.path_in_schema.split(".")[0] in wanted)
    return total


def _jsonl(file: object, piece: Slice, columns: Sequence[str], batch_bytes: int) -> Iterator[pl.DataFrame]:
    row, kinds = 0, dict[str, tuple[str, pl.DataType]]()
    for _, _, objects in json_rows(file, piece.path, batch_bytes):  # type: ignore[arg-type]
        found = [
            _column(name, [item.get(name) for item in objects], kinds, f"{piece.path}: row {row}") for name in columns
        ]
        yield _numbered(row, len(objects)).hstack(found)
        row += len(objects)


def _column(name: str, values: list[object], kinds: dict[str, tuple[str, pl.DataType]], where: str) -> pl.Series:
    """A column of a JSONL file, whose values are all of one kind in all of its batches; `kinds` keeps what it was.

    Raises:
        RunError: they are not.
    """
    there = {_KINDS.get(type(value), "text") for value in values if value is not None}
    before = kinds.get(name)
    if len(there | ({before[0]} if before else set())) > 1:
        both = " and ".join(sorted(there | ({before[0]} if before else set())))
        raise RunError(f"{where} and on: the column {name!r} holds {both}; expected values of one kind")
    series = pl.Series(name, values, strict=False)
    if before and series.dtype == pl.Null:  # functions of texts take no column of unknown kind
        series = series.cast(before[1])
    if before and before[0] == "objects" and series.dtype != before[1]:
        series = _with_fields(series, before[1])
    if there:
        kinds.setdefault(name, (there.pop(), series.dtype))
    return series


_KINDS = {bool: "true or false", int: "numbers", float: "numbers", dict: "objects", list: "lists"}
"""What JSON's values are called; the others are text."""


def _with_fields(series: pl.Series, kind: pl.DataType) -> pl.Series:
    """Objects with the fields too that those of the first rows have, which predicates may name."""
    frame, fields = series.struct.unnest(), kind.fields if isinstance(kind, pl.Struct) else []
    missing = [pl.lit(None, field.dtype).alias(field.name) for field in fields if field.name not in frame.columns]
    return frame.with_columns(missing).to_struct(series.name)


def _with_nulls(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    return frame.with_columns(pl.lit(None).alias(name) for name in columns if name not in frame.columns)
