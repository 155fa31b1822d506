"""Parquet files written again without some rows, or with other ones: aside, then renamed, row group by row group."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.digest import TableDigest
from manifests.store import COMPRESSION, COMPRESSION_LEVEL, REPEATING, Folder

_ASIDE = re.compile(r"\..+\.[0-9a-f]{8}")
"""How `Folder.writing` calls a file that is not whole yet."""

Change = Callable[[pa.Table], pa.Table]
"""Rows of a row group -> what is to stand there; the same object where nothing changes."""


@dataclass(frozen=True)
class Rewritten:
    """A file that was written again."""

    path: str
    """In the folder of its run."""
    size_bytes_before: int
    size_bytes_after: int
    rows_before: int
    rows_after: int


def row_groups(folder: Folder, name: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The row groups of a Parquet file, one at a time."""
    with folder.fs.open(folder.file(name), "rb") as file:
        source = pq.ParquetFile(file)
        for group in range(source.num_row_groups):
            yield source.read_row_group(group, columns=columns)


def file_schema(folder: Folder, name: str) -> pa.Schema:
    """The columns of a Parquet file, with what it says of them."""
    with folder.fs.open(folder.file(name), "rb") as file:
        return pq.ParquetFile(file).schema_arrow


def rewrite(
    run: Folder,
    path: str,
    change: Change,
    extra: Mapping[str, str] | None = None,
    how: Mapping[str, Any] | None = None,
) -> Rewritten:
    """Write a Parquet file of a run again, its schema and row groups as they were.

    Args:
        run: the folder of the run.
        path: of the file in it.
        change: what becomes of each row group.
        extra: texts that the file carries, instead of those of the same name.
        how: to write it, as Arrow's writer takes it; else as `Folder.table_writer` does.
    """
    table, _, name = path.rpartition("/")
    folder = run / table if table else run
    size_before, rows_after = folder.size_bytes(name), 0
    with folder.fs.open(folder.file(name), "rb") as file:
        source = pq.ParquetFile(file)
        metadata = {**(source.schema_arrow.metadata or {}), **_encoded(extra)}
        schema = source.schema_arrow.with_metadata(metadata)
        with (
            folder.writing(name) as aside,
            folder.fs.open(aside, "wb") as out,
            pq.ParquetWriter(out, schema, **(how or _how(source.metadata))) as writer,
        ):
            for group in range(source.num_row_groups):
                rows = change(source.read_row_group(group)).cast(schema)
                rows_after += rows.num_rows
                if rows.num_rows:
                    writer.write_table(rows, row_group_size=rows.num_rows)
        n_rows = source.metadata.num_rows
    return Rewritten(path, size_before, folder.size_bytes(name), n_rows, rows_after)


def _encoded(extra: Mapping[str, str] | None) -> dict[bytes, bytes]:
    return {key.encode(): value.encode() for key, value in (extra or {}).items()}


def _how(metadata: pq.FileMetaData) -> dict[str, object]:
    """As `Folder.table_writer` writes; what was not compressed is not now."""
    plain = metadata.num_row_groups and metadata.row_group(0).column(0).compression == "UNCOMPRESSED"
    if plain:
        return {"compression": "none", "use_dictionary": False}
    return {"compression": COMPRESSION, "compression_level": COMPRESSION_LEVEL, "use_dictionary": REPEATING}


def digest_of_table(
    folder: Folder,
    leave_out: frozenset[str] = frozenset(),
    digest: Callable[[pa.Table, frozenset[str]], TableDigest] = TableDigest.of,
) -> TableDigest:
    """The digest of all files of a folder, read a row group at a time."""
    names = folder.names(".parquet")
    return sum((digest(rows, leave_out) for name in names for rows in row_groups(folder, name)), TableDigest())


def tables_in(folder: Folder, prefix: str = "") -> list[str]:
    """All Parquet files in a folder and the folders in it, by their paths there, ordered."""
    found = [f"{prefix}{name}" for name in folder.names(".parquet")]
    for name in folder.folders():
        found += tables_in(folder / name, f"{prefix}{name}/")
    return found


def remove_strays(folder: Folder) -> list[str]:
    """Remove files that were being written aside when something was killed, here and in the folders in this one.

    They are in no table, and may hold what was in one.
    """
    found = list[str]()
    for path in folder.fs.find(folder.root):
        if _ASIDE.fullmatch(path.rpartition("/")[2]):
            folder.fs.rm(path)
            found.append(path)
    return found
