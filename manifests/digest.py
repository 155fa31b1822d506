"""Digests of tables that depend on what the rows are, and on nothing else.

A row's hash covers each column's name and value; it is the same whatever the chunking, the offsets or the order of
columns. A table's digest is the sum of its row hashes modulo 2^128 together with their number: it needs no global
sort, and the digests of the parts of a table add up to that of the whole.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from numba import njit, uint64

U64 = npt.NDArray[np.uint64]

_PRIME = np.uint64(0x9E3779B185EBCA87)
_NULL = np.uint64(0x8EBC6AF09C88C6E3)
_ALL_VALID = np.empty(0, np.bool_)


@njit(inline="always")
def _mix(h):
    h ^= h >> uint64(32)
    h *= uint64(0xD6E8FEB86659FD93)
    h ^= h >> uint64(32)
    h *= uint64(0xD6E8FEB86659FD93)
    return h ^ (h >> uint64(32))


@njit(nogil=True, cache=True)
def _hash_bytes(data, offsets, valid, seed, out):
    """out[i, 0:2] = two independent 64-bit hashes of data[offsets[i]:offsets[i + 1]]."""
    for i in range(out.shape[0]):
        if not valid[i]:
            out[i, 0], out[i, 1] = _mix(seed ^ _NULL), _mix(seed + _NULL)
            continue
        start, end = offsets[i], offsets[i + 1]
        a, b = seed ^ uint64(end - start), seed + uint64(end - start) * _PRIME
        at = start
        while at + 8 <= end:
            word = (
                uint64(data[at])
                | uint64(data[at + 1]) << uint64(8)
                | uint64(data[at + 2]) << uint64(16)
                | uint64(data[at + 3]) << uint64(24)
                | uint64(data[at + 4]) << uint64(32)
                | uint64(data[at + 5]) << uint64(40)
                | uint64(data[at + 6]) << uint64(48)
                | uint64(data[at + 7]) << uint64(56)
            )
            a = (a ^ word) * uint64(0xC2B2AE3D27D4EB4F)
            a ^= a >> uint64(47)
            b = (b + word) * uint64(0x165667B19E3779F9)
            b ^= b >> uint64(31)
            at += 8
        word = uint64(0)
        for j in range(at, end):
            word |= uint64(data[j]) << uint64(8 * (j - at))
        out[i, 0] = _mix((a ^ word) * uint64(0xC2B2AE3D27D4EB4F))
        out[i, 1] = _mix((b + word) * uint64(0x165667B19E3779F9))


@njit(nogil=True, cache=True)
def _fold_numbers(words, valid, seed, rows):
    """Fold hashes of 8-byte numbers into the rows' hashes, as `_hash_bytes` and `_fold` do; no `valid`: all are."""
    a, b = seed ^ uint64(8), seed + uint64(8) * _PRIME
    null_a, null_b = _mix(seed ^ _NULL), _mix(seed + _NULL)
    for i in range(rows.shape[0]):
        if valid.shape[0] and not valid[i]:
            rows[i, 0] += null_a
            rows[i, 1] += null_b
            continue
        x = (a ^ words[i]) * uint64(0xC2B2AE3D27D4EB4F)
        y = (b + words[i]) * uint64(0x165667B19E3779F9)
        rows[i, 0] += _mix((x ^ x >> uint64(47)) * uint64(0xC2B2AE3D27D4EB4F))
        rows[i, 1] += _mix((y ^ y >> uint64(31)) * uint64(0x165667B19E3779F9))


@njit(nogil=True, cache=True)
def _fold(rows, column):
    """Fold a column's hashes into the rows' hashes; a sum, so that the order of columns does not matter."""
    for i in range(rows.shape[0]):
        rows[i, 0] += column[i, 0]
        rows[i, 1] += column[i, 1]


@njit(nogil=True, cache=True)
def _fold_lists(elements, offsets, valid, seed, out):
    """out[i] = hash of the sequence elements[offsets[i]:offsets[i + 1]], where order matters."""
    for i in range(out.shape[0]):
        a, b = seed, seed + _PRIME
        if not valid[i]:
            out[i, 0], out[i, 1] = _mix(a ^ _NULL), _mix(b + _NULL)
            continue
        for j in range(offsets[i], offsets[i + 1]):
            a = _mix(a ^ elements[j, 0])
            b = _mix(b + elements[j, 1])
        out[i, 0], out[i, 1] = _mix(a ^ uint64(offsets[i + 1] - offsets[i])), _mix(b)


def row_hashes(table: pa.Table, leave_out: frozenset[str] = frozenset()) -> U64:
    """Two 64-bit hashes per row, shape (rows, 2), over all columns but those of `leave_out`."""
    rows = np.zeros((table.num_rows, 2), np.uint64)
    for name in table.column_names:
        if name not in leave_out and table.num_rows:
            column = table.column(name).combine_chunks()
            if isinstance(column, pa.ChunkedArray):
                column = pa.concat_arrays(column.chunks)
            _fold_column(rows, column, name)
    return rows


def _fold_column(rows: U64, column: pa.Array, name: str) -> None:
    """Fold a column's hashes into the rows' hashes."""
    if (words := _words(column)) is None:
        _fold(rows, _column_hashes(column, name))
        return
    valid = np.asarray(column.is_valid()) if column.null_count else _ALL_VALID
    _fold_numbers(words, valid, _seed(name), rows)


@cache
def _seed(name: str) -> np.uint64:
    return np.uint64(xxhash.xxh3_64_intdigest(name.encode()))


def _column_hashes(column: pa.Array, name: str) -> U64:
    """Hashes of one column, shape (rows, 2). Integers hash by value, floats by their IEEE bits as float64."""
    seed, out = _seed(name), np.zeros((len(column), 2), np.uint64)
    if _words(column) is not None:
        _fold_column(out, column, name)
        return out
    valid = np.asarray(column.is_valid()) if column.null_count else np.ones(len(column), np.bool_)
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_struct(column.type):
        out[:] = seed
        for field, child in zip(column.type, column.flatten(), strict=True):
            _fold_column(out, child, f"{name}.{field.name}")
        out[~valid] = _NULL ^ seed
    elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        offsets = np.asarray(column.offsets, np.int64)
        values = column.values
        _fold_lists(_column_hashes(values, name), offsets, valid, seed, out)
    else:
        data, offsets = _leaf_bytes(column)
        _hash_bytes(data, offsets, valid, seed, out)
    return out


def _words(column: pa.Array) -> U64 | None:
    """The 8 bytes of each number of a column, whatever is null; None for a column of something else."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        column = column if kind == pa.int64() else column.cast(pa.int64())
    elif pa.types.is_floating(kind):
        column = column if kind == pa.float64() else column.cast(pa.float64())
    else:
        return None
    words = np.frombuffer(column.buffers()[1] or b"", np.uint64)[column.offset : column.offset + len(column)]
    words.flags.writeable = False  # as Arrow's own are: of mutable ones Numba would compile a second kernel
    return words


def _leaf_bytes(column: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of a leaf column that holds no numbers, and where each row's lie."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = column.cast(pa.large_binary())
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        column = column.cast(pa.large_binary())
    if not pa.types.is_large_binary(column.type):
        raise TypeError(f"no digest is defined for a column of type {kind}")
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data or b"", np.uint8), ends


def as_binary(hashes: U64) -> pa.Array:
    """Row hashes as a fixed-size binary(16) column."""
    return pa.Array.from_buffers(pa.binary(16), len(hashes), [None, pa.py_buffer(np.ascontiguousarray(hashes))])


@dataclass(frozen=True)
class TableDigest:
    """The sum of row hashes modulo 2^128, and how many there are; digests of parts add up."""

    total: int = 0
    n_rows: int = 0

    def __add__(self, other: "TableDigest") -> "TableDigest":
        """The digest of two parts of a table taken together."""
        return TableDigest((self.total + other.total) % 2**128, self.n_rows + other.n_rows)

    @property
    def hex(self) -> str:
        """32 hexadecimal digits."""
        return xxhash.xxh3_128_hexdigest(self.total.to_bytes(16, "little") + self.n_rows.to_bytes(8, "little"))

    @staticmethod
    def of(table: pa.Table, leave_out: frozenset[str] = frozenset()) -> "TableDigest":
        """The digest of a table, or of a part of one."""
        hashes = row_hashes(table, leave_out)
        low, high = (int(part) for part in _exact_sums(hashes))
        return TableDigest((low + (high << 64)) % 2**128, len(hashes))


def _exact_sums(hashes: U64) -> list[int]:
    """Column sums as Python integers: 32-bit halves are summed apart, since uint64 would wrap."""
    halves = [(hashes & np.uint64(0xFFFFFFFF)).sum(axis=0), (hashes >> np.uint64(32)).sum(axis=0)]
    return [int(low) + (int(high) << 32) for low, high in zip(*halves, strict=True)]
