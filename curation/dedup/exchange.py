"""Narrow rows exchanged between tasks: written ordered by a key, read by ranges of it, each file once.

Where a document is known by the first 64 bits of its id, and its text by those of its text digest, these numbers take
half the room of a string, and their ranges are those of the names. Where rows meet documents again both are compared,
so that two documents would have to share 128 bits to be taken for one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import xxhash

from manifests.store import Folder, KeyRange, to_arrow

ROWS_PER_RANGE = 500_000
"""Narrow rows held at once."""

ROW_GROUP_ROWS = 1 << 16
KEY_BITS = 64
FINGERPRINT = "fingerprint"
_PRIME = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)


def fingerprint_of(*depends: str) -> str:
    """What a table depends on, as one short name."""
    return xxhash.xxh3_64_hexdigest("\n".join(depends).encode())


def first_64_bits(name: str) -> pl.Expr:
    """A column of hexadecimal digests as uint64, in the same order."""
    return pl.col(name).str.slice(0, 16).str.to_integer(base=16, dtype=pl.UInt64)


def write_rows(
    folder: Folder,
    name: str,
    frame: pl.DataFrame,
    schema: pa.Schema,
    fingerprint: str = "",
    row_group_rows: int | None = None,
    plain: bool = False,
) -> None:
    """Write a file of rows that are in the order of the key by which they will be read; `plain` for mere hashes."""
    with folder.table_writer(name, schema, "exchange", {FINGERPRINT: fingerprint}, plain) as writer:
        writer.write(to_arrow(frame, schema), row_group_rows=row_group_rows or ROW_GROUP_ROWS)


@dataclass(frozen=True)
class Finding:
    """A table of a run that is found once for what it depends on: worked on aside, put in its place when whole."""

    run: Folder
    name: str
    fingerprint: str

    @property
    def work(self) -> Folder:
        """Where it is worked on; a killed run goes on there."""
        return self.run / f"{self.name}-{self.fingerprint}"

    def read(self) -> dict[str, int] | None:
        """What was counted when it was found; None where it was not, or depends on something else by now."""
        if not (self.run / self.name).exists("found.json"):
            return None
        found = (self.run / self.name).read_json("found.json")
        if found["fingerprint"] != self.fingerprint:
            return None
        counts: dict[str, int] = found["counts"]
        return counts

    def start(self) -> Folder:
        """Remove what was found or worked on for something else; returns where to work."""
        for stale in {self.name, *self.run.folders(f"{self.name}-")} - {f"{self.name}-{self.fingerprint}"}:
            self.run.remove(stale)
        return self.work

    def finish(self, counts: dict[str, int]) -> None:
        """Put the table of this name, which lies in the folder of work, in its place."""
        table = self.work / self.name
        table.write_json("found.json", {"fingerprint": self.fingerprint, "counts": counts})
        self.run.move_in(table, self.name)
        self.run.remove(f"{self.name}-{self.fingerprint}")


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


def read_numbers(
    folder: Folder, key: str, keys: KeyRange, columns: Sequence[str | pl.Expr], where: pl.Expr | None = None
) -> pl.DataFrame:
    """The rows whose uint64 `key` lies in a range of all such numbers, and for which `where` holds."""
    low, high = (keys.index << KEY_BITS) // keys.count, ((keys.index + 1 << KEY_BITS) // keys.count) - 1
    frame = folder.scan_numbers(key, low, high)
    frame = frame if where is None else frame.filter(where)
    return frame.select(columns).collect(engine="streaming")


def spread(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A bijection on 64 bits whose values are spread evenly, so that ranges of them are of like size."""
    h = numbers ^ (numbers >> _HALF)
    h = h * _PRIME
    h = (h ^ (h >> _HALF)) * _PRIME
    result: npt.NDArray[np.uint64] = h ^ (h >> _HALF)
    return result
