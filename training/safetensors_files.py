"""Checkpoints in safetensors: read and written tensor by tensor, so that no model has to fit into memory.

A file begins with the length of its header (uint64, little-endian) and the header, a JSON object of each tensor's
dtype, shape and bytes `data_offsets` = [begin, end), counted from the header's end; the bytes follow in that order.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from manifests.errors import RequestError

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""Floats by their names in a header; numpy knows no bfloat16, which is the upper half of a float32."""
ALIGNMENT = 8
COPIED_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int
    """In the file."""
    n_bytes: int

    def rows(self, start: int, end: int) -> npt.NDArray[Any]:
        """Rows [start, end) as they are stored, shape (rows, columns), mapped."""
        width = int(np.prod(self.shape[1:], dtype=np.int64))
        dtype = np.dtype(DTYPES[self.dtype])
        n_rows = max(end - start, 0)
        if not n_rows:
            return np.empty((0, width), dtype)
        begin = self.begin + start * width * dtype.itemsize
        return np.memmap(self.file, dtype, "r", begin, (n_rows, width))


def read_header(path: Path) -> tuple[list[Tensor], dict[str, str]]:
    """The tensors of a file in the order of their bytes, and its metadata.

    Raises:
        RequestError: it is no such file, or one that is cut off.
    """
    size_bytes = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: dict[str, Any] = orjson.loads(file.read(min(length, size_bytes)))
        metadata = header.pop("__metadata__", {})
        tensors = [
            Tensor(name, path, entry["dtype"], tuple(entry["shape"]), 8 + length + begin, end - begin)
            for name, entry in header.items()
            for begin, end in [entry["data_offsets"]]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(f"{path}: is no safetensors file: {error!r}") from error
    if any(tensor.begin + tensor.n_bytes > size_bytes for tensor in tensors):
        raise RequestError(f"{path}: is cut off: it has {size_bytes:,} bytes, fewer than its header says")
    return sorted(tensors, key=lambda tensor: tensor.begin), metadata


def write_file(
    path: Path, tensors: list[Tensor], changed: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]
) -> int:
    """Write tensors in their order, some of them changed (same dtype, other rows); the bytes of all of them.

    Others are copied as they are, byte by byte.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for tensor in tensors:
        new = changed.get(tensor.name)
        shape, n_bytes = (tensor.shape, tensor.n_bytes) if new is None else (new.shape, new.nbytes)
        header[tensor.name] = {"dtype": tensor.dtype, "shape": list(shape), "data_offsets": [at, at + n_bytes]}
        at += n_bytes
    written = orjson.dumps(header)
    written += b" " * (-len(written) % ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(written).to_bytes(8, "little") + written)
        for tensor in tensors:
            new = changed.get(tensor.name)
            for chunk in _chunks(tensor) if new is None else [np.ascontiguousarray(new).data]:
                file.write(chunk)
    return at


def _chunks(tensor: Tensor) -> Iterator[bytes]:
    with tensor.file.open("rb") as file:
        file.seek(tensor.begin)
        left = tensor.n_bytes
        while left:
            chunk = file.read(min(left, COPIED_AT_ONCE))
            left -= len(chunk)
            yield chunk


def to_float(stored: npt.NDArray[Any], dtype: str) -> npt.NDArray[np.float64]:
    """Numbers as they are stored, as float64."""
    if dtype == "BF16":
        return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
    return stored.astype(np.float64)


def to_stored(numbers: npt.NDArray[np.float64], dtype: str) -> npt.NDArray[Any]:
    """Float64 numbers as they are stored, rounded to the nearest, ties to even (by way of float32 for bfloat16)."""
    if dtype != "BF16":
        return numbers.astype(DTYPES[dtype])
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + np.uint64(0x7FFF) + ((bits >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16)
    return rounded.astype(np.uint16)
