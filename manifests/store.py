"""A run's folder: Parquet tables and JSON files on any fsspec filesystem, each written aside and then renamed.

A name that exists is whole. A table is a folder of Parquet files; ordered tables are read by ranges of their key, so
that what a step holds in memory is bounded by the range and not by the corpus.
"""

import contextlib
import errno
import os
import posixpath
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fsspec
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from manifests.contracts import check_version, versioned
from manifests.errors import RequestError, RunError

KEY_SPACE_BITS = 32
"""Key ranges are cut by the first 32 bits of a hexadecimal key."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What a full disk, or a quota that is used up, answers."""

COMPRESSION = "zstd"
COMPRESSION_LEVEL = 1
REPEATING = ["source", "license", "category", "language", "verdict", "stage", "reason", "threshold", "file"]
"""Columns whose values repeat, stored as numbers of a dictionary; to build one for the others takes time only."""


def resolve(path: str, base: str) -> str:
    """An absolute path or URL; a relative one starts at `base`."""
    path = path.rstrip("/") or "/"
    if path == "~" or path.startswith("~/"):
        return posixpath.expanduser(path)
    if "://" in path or posixpath.isabs(path):
        return path
    return f"{base.rstrip('/')}/{path}" if "://" in base else posixpath.normpath(posixpath.join(base, path))


@dataclass(frozen=True)
class KeyRange:
    """The keys (hexadecimal strings) that lie in part `index` of `count` equal parts; `count` is a power of two."""

    index: int = 0
    count: int = 1

    @property
    def bounds(self) -> tuple[str, str]:
        """Lowest key, and the lowest key after the range ("g" after the last)."""
        width = 2**KEY_SPACE_BITS // self.count
        low, high = self.index * width, (self.index + 1) * width
        return f"{low:08x}", f"{high:08x}" if high < 2**KEY_SPACE_BITS else "g"

    def split(self, count: int) -> list["KeyRange"]:
        """The range in `count` equal parts, in order."""
        return [KeyRange(self.index * count + part, self.count * count) for part in range(count)]


def ranges_for(total: float, per_range: float) -> list[KeyRange]:
    """Equal key ranges, as many (a power of two) as keep each at about `per_range` of `total`."""
    count = 1
    while count * per_range < total and count < 2**KEY_SPACE_BITS:
        count *= 2
    return KeyRange().split(count)


class Folder:
    """A folder on any fsspec filesystem."""

    def __init__(self, path: str) -> None:
        self.path = path.rstrip("/")
        self.fs, self.root = fsspec.core.url_to_fs(self.path)

    def __repr__(self) -> str:
        return f"Folder({self.path!r})"

    def __truediv__(self, name: str) -> "Folder":
        return Folder(f"{self.path}/{name}")

    def file(self, name: str) -> str:
        """The path of a file in this folder, as its filesystem knows it."""
        return f"{self.root}/{name}"

    def url(self, name: str) -> str:
        """The path of a file in this folder, as Polars and people read it."""
        return f"{self.path}/{name}"

    def names(self, suffix: str = "") -> list[str]:
        """Names of the whole files in this folder, sorted."""
        if not self.fs.isdir(self.root):
            return []
        found = (posixpath.basename(path) for path in self.fs.ls(self.root, detail=False, refresh=True))
        return sorted(name for name in found if name.endswith(suffix) and not name.startswith("."))

    def folders(self, prefix: str = "") -> list[str]:
        """Names of the folders in this folder, sorted."""
        if not self.fs.isdir(self.root):
            return []
        found = (entry for entry in self.fs.ls(self.root, detail=True, refresh=True) if entry["type"] == "directory")
        names = (posixpath.basename(entry["name"].rstrip("/")) for entry in found)
        return sorted(name for name in names if name.startswith(prefix))

    def exists(self, name: str) -> bool:
        """Whether a file or folder of this name is there."""
        return bool(self.fs.exists(self.file(name)))

    def remove(self, name: str) -> None:
        """Remove a file or a folder with all that is in it; nothing happens where there is none."""
        if self.exists(name):
            self.fs.rm(self.file(name), recursive=True)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[str]:
        """A path to write to; renamed to `name` when the block ends well, removed when it does not.

        Raises:
            RequestError: the folder cannot be made.
            RunError: the disk is full.
        """
        aside = self.file(f".{name}.{uuid.uuid4().hex[:8]}")
        try:
            self._make()
            yield aside
            self.fs.mv(aside, self.file(name))
        except BaseException as error:
            with contextlib.suppress(OSError):
                self.fs.rm(aside)
            if isinstance(error, OSError) and error.errno in FULL:
                raise RunError(
                    f"{os.strerror(error.errno)} while writing {self.url(name)}; what was finished is kept: free "
                    "space (`onggi plan` tells how much a run takes) and run the same command again to go on"
                ) from error
            raise

    def _make(self) -> None:
        try:
            self.fs.makedirs(self.root, exist_ok=True)
        except OSError as error:
            if error.errno in FULL:
                raise
            said = error.strerror or str(error)
            raise RequestError(f"{self.path}: this folder cannot be made: {said}; name another output") from error

    def move_in(self, other: "Folder", name: str) -> None:
        """Put another folder of the same filesystem in the place of this one's `name`."""
        if not other.fs.exists(other.root):
            raise FileNotFoundError(other.path)  # before anything is removed
        self.remove(name)
        self.fs.mv(other.root, self.file(name), recursive=True)

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file whole."""
        with self.writing(name) as path, self.fs.open(path, "wb") as file:
            file.write(content)

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file whole: sorted keys, indented."""
        self.write_bytes(name, orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")

    def read_bytes(self, name: str) -> bytes:
        """The content of a file."""
        content: bytes = self.fs.cat_file(self.file(name))
        return content

    def read_json(self, name: str) -> Any:
        """The value of a JSON file."""
        return orjson.loads(self.read_bytes(name))

    def size_bytes(self, name: str) -> int:
        """The size of a file."""
        return int(self.fs.size(self.file(name)))

    @contextlib.contextmanager
    def table_writer(
        self, name: str, schema: pa.Schema, table: str, extra: Mapping[str, str] | None = None, plain: bool = False
    ) -> Iterator["TableWriter"]:
        """Write a Parquet file of `table`, row group by row group; `plain` for hashes, which nothing compresses."""
        how: dict[str, Any] = {
            "compression": COMPRESSION,
            "compression_level": COMPRESSION_LEVEL,
            "use_dictionary": REPEATING,
        }
        if plain:
            how = {"compression": "none", "use_dictionary": False}
        with self.writing(name) as path, self.fs.open(path, "wb") as file:
            full = versioned(schema, table, extra)
            with pq.ParquetWriter(file, full, **how) as writer:
                yield TableWriter(writer, full)

    def parquet_metadata(self, name: str) -> pq.FileMetaData:
        """Footer of a Parquet file."""
        with self.fs.open(self.file(name), "rb") as file:
            return pq.read_metadata(file)

    def parquet_extra(self, name: str, table: str) -> dict[str, str]:
        """The texts that a Parquet file carries beside its table.

        Raises:
            RequestError: the file holds another table, or one of a version that this Onggi does not read.
        """
        schema = self.parquet_metadata(name).schema.to_arrow_schema()
        check_version(schema, table, self.url(name))
        return {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}

    def scan(self, names: Sequence[str] | None = None) -> pl.LazyFrame:
        """The Parquet files of this folder (or those named) as one lazy frame; `shard` is the file of each row."""
        found = self.names(".parquet") if names is None else names
        if not isinstance(self.fs, LocalFileSystem):
            return pl.concat([self._scan_remote(name) for name in found])
        frame = pl.scan_parquet([self.url(name) for name in found], glob=False, include_file_paths="shard")
        return frame.with_columns(pl.col("shard").str.split("/").list.last().str.strip_suffix(".parquet"))

    def scan_numbers(self, key: str, low: int, high: int) -> pl.LazyFrame:
        """The rows whose uint64 `key` lies in [low, high]; row groups that cannot hold any are not read."""
        if isinstance(self.fs, LocalFileSystem):
            return self.scan().filter(pl.col(key).is_between(pl.lit(low, pl.UInt64), pl.lit(high, pl.UInt64)))
        # Polars hands numbers to Arrow without their type, and Arrow takes small ones for signed
        chosen = (pc.field(key) >= pa.scalar(low, pa.uint64())) & (pc.field(key) <= pa.scalar(high, pa.uint64()))
        return pl.concat([self._scan_remote(name, chosen) for name in self.names(".parquet")])

    def _scan_remote(self, name: str, chosen: pc.Expression | None = None) -> pl.LazyFrame:
        """One file through its own filesystem, since Polars knows only some and finds credentials in its own way."""
        from pyarrow import dataset  # imports pandas where that is installed

        data = dataset.dataset(self.file(name), filesystem=self.fs, format="parquet")
        data = data if chosen is None else data.filter(chosen)
        return pl.scan_pyarrow_dataset(data).with_columns(shard=pl.lit(name.removesuffix(".parquet")))

    def read_range(
        self, key: str, keys: KeyRange, columns: Sequence[str], names: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """The rows whose `key` lies in the range; row groups that cannot hold any are not read."""
        low, high = keys.bounds
        frame = self.scan(names).filter((pl.col(key) >= low) & (pl.col(key) < high))
        return frame.select(columns).collect(engine="streaming")


class TableWriter:
    """Appends row groups to a Parquet file."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self.n_rows = 0

    def write(self, table: pa.Table, row_group_rows: int | None = None) -> None:
        """Append a table as one row group, or as groups of `row_group_rows` rows."""
        if table.num_rows:
            self._writer.write_table(table.cast(self._schema), row_group_size=row_group_rows or table.num_rows)
            self.n_rows += table.num_rows


def to_arrow(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    """A Polars frame as an Arrow table of the given schema's types."""
    table = frame.select(schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    return table.cast(pa.schema([field.with_nullable(True) for field in schema])).cast(schema)
