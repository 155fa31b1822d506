"""The columnar index of a crawl: its files, and columns of their row groups. No file of it is read whole."""

import io
import zlib
from collections.abc import Iterator
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from curation.crawl.source import Body, FetchError, FileSource, Source, is_safe
from manifests.errors import RequestError, RunError
from manifests.schema import MIB
from manifests.schema_crawl import Crawl

TAIL_BYTES = 128 * 1024
"""Fetched from the end of an index file: its footer, unless that is larger."""
CHUNK_GAP_BYTES = 128 * 1024
"""Column chunks so near each other are fetched at once."""
READ_BYTES = 8 * MIB
"""The longest range of an index file that is asked for at once: what a broken connection costs."""
ROWS_AT_ONCE = 1 << 16
LIST_BYTES_MAX = 16 * MIB
"""Of the list of index files, decoded; it has some hundred lines."""

TABLE = "cc-index/table/"
"""Where the index lies below the base of a crawl."""


def index_names(source: Source, crawl: Crawl) -> list[str]:
    """The index files of a crawl's pages, in order.

    Raises:
        RequestError: there is no list of them, and no folder that could be listed.
        FetchError: the list cannot be had.
    """
    folder = f"{TABLE}cc-main/warc/crawl={crawl.id}/subset=warc/"
    list_name = f"crawl-data/{crawl.id}/cc-index-table.paths.gz"
    listed = source.whole(list_name)
    if listed is not None:
        try:
            names = zlib.decompressobj(31).decompress(listed, LIST_BYTES_MAX).decode().split()
        except (zlib.error, UnicodeDecodeError) as error:
            raise RequestError(f"{source.base}/{list_name}: no list of index files: {error}") from error
    else:
        names = source.names(folder) if isinstance(source, FileSource) else []
    found = sorted(
        name
        for name in names
        if is_safe(name) and name.startswith(TABLE) and "/subset=warc/" in name and name.endswith(".parquet")
    )
    if not found:
        raise RequestError(
            f"crawl.id: no index of {crawl.id!r}: {list_name} names none, or is not there, below {source.base}. "
            "Crawls have names like CC-MAIN-2025-05; https://index.commoncrawl.org/collinfo.json lists them"
        )
    return found


class IndexFile:
    """One Parquet file of the index, opened by its footer."""

    def __init__(self, source: Source, name: str) -> None:
        """Fetch the footer.

        Raises:
            FetchError: it cannot be had.
            RunError: it is not a Parquet file.
        """
        self.source, self.name = source, name
        self.tail: Body = source.tail(name, TAIL_BYTES)
        self.path = f"{source.base}/{name}"
        try:
            self._parquet = pq.ParquetFile(self._file([]))
        except (pa.ArrowException, OSError) as error:
            raise RunError(f"{self.path}: not a Parquet file, or one without its end: {error}") from error
        self.metadata = self._parquet.metadata
        self.columns = frozenset(self._parquet.schema_arrow.names)

    def _file(self, segments: list[tuple[int, bytes]]) -> "_Ranges":
        tail = self.tail
        return _Ranges(self.source, self.name, [*segments, (tail.size_bytes - len(tail.data), tail.data)], tail)

    def rows(self, group: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """A row group's columns in batches; their chunks are fetched before the first, and nothing else.

        Raises:
            RunError: they cannot be had, or are damaged.
        """
        try:
            segments = [
                (start, b"".join(self.source.read(self.name, a, b) for a, b in _steps(start, end)))
                for start, end in self._chunks(group, columns)
            ]
            repeated = [name for name in columns if pa.types.is_string(self._parquet.schema_arrow.field(name).type)]
            opened = pq.ParquetFile(
                self._file(segments), metadata=self.metadata, read_dictionary=repeated, pre_buffer=False
            )
            yield from opened.iter_batches(ROWS_AT_ONCE, [group], columns, use_threads=False)
        except FetchError as error:
            raise RunError(f"{self.path}: the index cannot be read: {error}; run again to go on") from error
        except (pa.ArrowException, OSError) as error:
            raise RunError(f"{self.path}: row group {group} cannot be read: {error}") from error

    def _chunks(self, group: int, columns: list[str]) -> list[tuple[int, int]]:
        """Where the chunks of columns are in the file; those near each other as one."""
        meta, found = self.metadata.row_group(group), []
        for chunk in (meta.column(number) for number in range(meta.num_columns)):
            if chunk.path_in_schema in columns:
                start = chunk.data_page_offset
                if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                    start = min(start, chunk.dictionary_page_offset)
                found.append((start, start + chunk.total_compressed_size))
        joined: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if joined and start - joined[-1][1] <= CHUNK_GAP_BYTES:
                joined[-1] = joined[-1][0], max(end, joined[-1][1])
            else:
                joined.append((start, end))
        return joined


@lru_cache(maxsize=32)
def index_file(source: Source, name: str) -> IndexFile:
    """An index file whose footer was fetched not long ago, or is now. Raises as `IndexFile`."""
    return IndexFile(source, name)


def _steps(start: int, end: int) -> Iterator[tuple[int, int]]:
    for at in range(start, end, READ_BYTES):
        yield at, min(end, at + READ_BYTES)


class _Ranges(io.RawIOBase):
    """What Arrow reads a Parquet file from: ranges that are in hand; another one is fetched when it is asked for."""

    def __init__(self, source: Source, name: str, segments: list[tuple[int, bytes]], tail: Body) -> None:
        self._source, self._name, self._segments, self._size = source, name, segments, tail.size_bytes
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, n_bytes: int | None = -1) -> bytes:
        end = self._size if n_bytes is None or n_bytes < 0 else min(self._size, self._at + n_bytes)
        if end <= self._at:
            return b""
        start, self._at = self._at, end
        for first, data in self._segments:
            if first <= start and end <= first + len(data):
                return data[start - first : end - first]
        return self._source.read(self._name, start, end)
