"""Narrow rows exchanged between tasks: written ordered by a key, read by ranges of it, each file once."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from manifests.store import Folder, KeyRange, to_arrow

ROWS_PER_RANGE = 500_000
"""Narrow rows held at once."""

ROW_GROUP_ROWS = 1 << 16
KEY_BITS = 63
"""Of numbers that rows are ordered by: filters on files of other filesystems know no larger ones."""
_PRIME = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_KEYS = np.uint64((1 << KEY_BITS) - 1)


def write_rows(
    folder: Folder,
    name: str,
    frame: pl.DataFrame,
    schema: pa.Schema,
    row_group_rows: int = ROW_GROUP_ROWS,
    plain: bool = False,
) -> None:
    """Write a file of rows that are in the order of the key by which they will be read; `plain` for mere hashes."""
    with folder.table_writer(name, schema, "exchange", plain=plain) as writer:
        writer.write(to_arrow(frame, schema), row_group_rows=row_group_rows)


def number_bounds(keys: KeyRange) -> tuple[int, int]:
    """The lowest and the highest 63-bit number of a range of keys."""
    return (keys.index << KEY_BITS) // keys.count, ((keys.index + 1 << KEY_BITS) // keys.count) - 1


def read_numbers(
    folder: Folder, key: str, keys: KeyRange, columns: Sequence[str | pl.Expr], where: pl.Expr | None = None
) -> pl.DataFrame:
    """The rows whose 63-bit `key` lies in a range; row groups that cannot hold any are not read."""
    low, high = number_bounds(keys)
    key_column = pl.col(key)
    chosen = (key_column >= pl.lit(low, pl.UInt64)) & (key_column <= pl.lit(high, pl.UInt64))
    frame = folder.scan().filter(chosen if where is None else where & chosen)
    return frame.select(columns).collect(engine="streaming")


def spread(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A bijection on 63 bits whose values are spread evenly, so that ranges of them are of like size."""
    h = numbers ^ (numbers >> _HALF)
    h = h * _PRIME & _KEYS
    h = (h ^ (h >> _HALF)) * _PRIME & _KEYS
    result: npt.NDArray[np.uint64] = h ^ (h >> _HALF)
    return result
