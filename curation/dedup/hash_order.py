"""Narrow rows on their way between two orders, by 64-bit hashes: files ordered by one are read by its ranges.

A document is known here by the first 64 bits of its id (`doc`), its text by those of its text digest (`text`): as
numbers they take half the room of a string, and ranges of `doc` are ranges of the id. Where rows meet documents again
both are compared, so that two documents would have to share 128 bits to be taken for one.
"""

import polars as pl
import pyarrow as pa
import xxhash

from manifests.store import Folder, KeyRange, to_arrow

ROW_GROUP_ROWS = 1 << 16
FINGERPRINT = "fingerprint"


def fingerprint_of(*depends: str) -> str:
    """What a table depends on, as one short name."""
    return xxhash.xxh3_64_hexdigest("\n".join(depends).encode())


def first_64_bits(name: str) -> pl.Expr:
    """A column of hexadecimal digests as uint64, in the same order."""
    return pl.col(name).str.slice(0, 16).str.to_integer(base=16, dtype=pl.UInt64)


def read_hash_range(folder: Folder, key: str, keys: KeyRange, columns: list[str]) -> pl.DataFrame:
    """The rows whose uint64 `key` lies in the range; row groups that cannot hold any are not read."""
    width = 2**64 // keys.count
    low, high = (pl.lit(value, pl.UInt64) for value in (keys.index * width, (keys.index + 1) * width - 1))
    frame = folder.scan().filter((pl.col(key) >= low) & (pl.col(key) <= high))
    return frame.select(columns).collect(engine="streaming")


def write_rows(folder: Folder, name: str, frame: pl.DataFrame, schema: pa.Schema, fingerprint: str = "") -> None:
    """Write an ordered frame as one file of a table of the schema."""
    with folder.table_writer(name, schema, "exchange", {FINGERPRINT: fingerprint}) as writer:
        writer.write(to_arrow(frame, schema), row_group_rows=ROW_GROUP_ROWS)


def is_written(folder: Folder, name: str, fingerprint: str) -> bool:
    """Whether a file is there that was written with this fingerprint."""
    return folder.exists(name) and folder.parquet_extra(name, "exchange").get(FINGERPRINT) == fingerprint


def n_rows(folder: Folder) -> int:
    """Rows of all files of a table."""
    return sum(folder.parquet_metadata(name).num_rows for name in folder.names(".parquet"))


def keep_only(folder: Folder, names: set[str]) -> None:
    """Remove the files of a table that are not among these."""
    for name in set(folder.names(".parquet")) - names:
        folder.remove(name)
