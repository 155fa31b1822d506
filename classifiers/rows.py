"""Rows of Parquet and JSONL files (.gz, .zst) in bounded batches, with the columns that are asked for."""

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, BinaryIO

import fsspec
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from fsspec.core import has_magic

from manifests.errors import RequestError, RunError

ENDINGS = (".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".ndjson", ".ndjson.gz", ".ndjson.zst")
ROWS_AT_ONCE, BYTES_AT_ONCE = 4096, 8 << 20
"""A batch ends with whichever is reached first (bytes: of lines)."""
ZSTD_WINDOW_BYTES = 1 << 31
"""The largest window that a file may ask for (`zstd --long=31`)."""
PARQUET, GZIP, ZSTD = b"PAR1", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def input_files(path: str) -> list[str]:
    """The Parquet and JSONL files of a path, a folder or a glob, ordered by name.

    Raises:
        RequestError: there are none.
    """
    filesystem, inner = fsspec.core.url_to_fs(path)
    pattern = f"{inner.rstrip('/')}/*" if filesystem.isdir(inner) else inner
    found = sorted(name for name in filesystem.glob(pattern) if filesystem.isfile(name))
    chosen = [name for name in found if name.lower().endswith(ENDINGS)]
    if not chosen and not found and not has_magic(inner) and not filesystem.exists(inner):
        raise RequestError(f"{path}: there is no such file or folder")
    if not found and has_magic(inner):
        raise RequestError(f"{path}: no file is called like that")
    if not chosen:
        raise RequestError(f"{path}: no file there ends in one of {', '.join(ENDINGS)}")
    return [filesystem.unstrip_protocol(name) if "://" in path else name for name in chosen]


def frames(path: str, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The named columns of a file, batch by batch.

    Raises:
        RequestError: there is no such column, or the file cannot be read.
        RunError: a line is no JSON object.
    """
    with fsspec.open(path, "rb") as file:
        is_parquet = file.read(4) == PARQUET
        file.seek(0)
        yield from _parquet_frames(file, path, columns) if is_parquet else _json_frames(file, path, columns)


def _parquet_frames(file: BinaryIO, path: str, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    try:
        source = pq.ParquetFile(file)
    except pa.ArrowException as error:
        raise RequestError(f"{path}: is no Parquet file that can be read: {error}") from error
    _check_columns(path, columns, source.schema_arrow.names)
    for batch in source.iter_batches(batch_size=ROWS_AT_ONCE, columns=list(columns)):
        yield pl.from_arrow(pa.Table.from_batches([batch])).select(columns)  # type: ignore[union-attr]


def _json_frames(file: BinaryIO, path: str, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    for number, (_, _, rows) in enumerate(json_rows(file, path)):
        if not number:
            _check_columns(path, columns, list(rows[0]))
        yield pl.DataFrame(
            {name: pl.Series([row.get(name) for row in rows], strict=False) for name in columns}, strict=False
        )


def _check_columns(path: str, columns: Sequence[str], found: Sequence[str]) -> None:
    if missing := [name for name in columns if name not in found]:
        raise RequestError(f"{path}: has no column {missing[0]!r}; found: {', '.join(found)}")


Rows = tuple[list[int], list[bytes], list[dict[str, Any]]]


def json_rows(file: BinaryIO, path: str, bytes_at_once: int = BYTES_AT_ONCE) -> Iterator[Rows]:
    """(their numbers, themselves, their objects) of each batch of lines that are not blank.

    Raises:
        RunError: a line is no JSON object, or the file cannot be decompressed to its end.
    """
    numbers, written, rows, n_bytes = list[int](), list[bytes](), list[dict[str, Any]](), 0
    with decoded(file) as content:
        for number, line in enumerate(_lines(content, path), 1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except ValueError as error:
                raise RunError(f"{path}:{number}: is no JSON: {error}") from error
            if not isinstance(row, dict):
                raise RunError(f"{path}:{number}: found {type(row).__name__}; expected a JSON object")
            numbers.append(number)
            written.append(line.strip())
            rows.append(row)
            n_bytes += len(line)
            if len(rows) == ROWS_AT_ONCE or n_bytes >= bytes_at_once:
                yield numbers, written, rows
                numbers, written, rows, n_bytes = [], [], [], 0
    if rows:
        yield numbers, written, rows


def _lines(content: Iterable[bytes], path: str) -> Iterator[bytes]:
    try:
        yield from content
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise RunError(f"{path}: is cut off or damaged: {error}") from error


def compression(file: BinaryIO) -> bytes:
    """How a file is compressed: GZIP, ZSTD or b"", by its first bytes."""
    start = file.read(4)
    file.seek(0)
    return next((magic for magic in (GZIP, ZSTD) if start.startswith(magic)), b"")


def decoded(file: BinaryIO) -> Any:
    """The file's lines, decompressed where they have to be."""
    match compression(file):
        case magic if magic == GZIP:
            return gzip.open(file, "rb")
        case magic if magic == ZSTD:
            return contextlib.closing(_joined(_zstd_pieces(file)))
    return io.BufferedReader(file)


def _zstd_pieces(file: BinaryIO) -> Iterator[bytes]:
    """What the frames of a file hold; a stream reader would take a frame that is cut off for whole.

    Raises:
        EOFError: the last frame is cut off.
    """
    frame = None
    for read in iter(partial(file.read, 1 << 17), b""):
        chunk = read
        while chunk:
            frame = frame or zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).decompressobj()
            yield frame.decompress(chunk)
            chunk, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame:
        raise EOFError("its last zstd frame has no end")


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of pieces of a file, without their ends."""
    parts = list[bytes]()
    for piece in pieces:
        *ended, last = piece.split(b"\n")
        for line in ended:
            yield b"".join([*parts, line])
            parts = []
        parts.append(last)
    yield b"".join(parts)
