"""Tensors of all models that take part in a merge, read part by part as float32."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from manifests.errors import RequestError
from training.merging.arithmetic import Floats
from training.merging.vocabulary import Rows
from training.safetensors_files import DTYPES, Tensor

PART_NUMBERS = 1 << 17
"""Numbers of each model that are worked on at once: they stay in the cache of a core."""
F16_MAX = 65504.0
FILES_OPEN = 256


@dataclass(frozen=True)
class Inputs:
    """A tensor of each model; the base, where there is one, is the last."""

    tensors: Sequence[Tensor]
    models: Sequence[str]
    shape: tuple[int, ...]
    """Of the result."""
    rows: Sequence[Rows | None] | None = None
    """Of each model, its row for each of the result's; -1 where it has none."""
    has_base: bool = False

    @property
    def n_numbers(self) -> int:
        """Of the result."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def _width(self) -> int:
        return max(self.n_numbers // max(self.shape[0], 1), 1) if self.rows else 1

    def ranges(self) -> list[tuple[int, int]]:
        """The parts, as [start, end) among all numbers; whole rows where rows are mapped."""
        step = max(PART_NUMBERS // self._width, 1) * self._width
        return [(start, min(start + step, self.n_numbers)) for start in range(0, self.n_numbers, step)]

    def parts(self, start: int, end: int) -> list[Floats]:
        """The numbers [start, end) of each model.

        Raises:
            RequestError: one is NaN or infinite; names the tensor, the model and the place.
        """
        if not self.rows:
            return [self._checked(place, numbers_of(t, start, end), start) for place, t in enumerate(self.tensors)]
        first, last = start // self._width, end // self._width
        chosen = [_chosen(rows, first, last) for rows in self.rows]
        found = []
        for place, (tensor, index) in enumerate(zip(self.tensors, chosen, strict=True)):
            numbers = rows_of(tensor, np.maximum(index, 0), self._width)
            numbers[index < 0] = 0
            found.append(self._checked(place, numbers, start))
        _fill(found, [index >= 0 for index in chosen], self.has_base)
        return [numbers.reshape(-1) for numbers in found]

    def lacking(self, start: int, end: int) -> npt.NDArray[np.bool_] | None:
        """At which of the numbers some model has no row; None where all have."""
        if not self.rows:
            return None
        first, last = start // self._width, end // self._width
        absent = np.any([_chosen(rows, first, last) < 0 for rows in self.rows], axis=0)
        return np.repeat(absent, self._width) if absent.any() else None

    def raw_parts(self, start: int, end: int) -> list[npt.NDArray[np.uint8]]:
        """The bytes [start, end) of each model's tensor as they are stored."""
        return [_bytes_of(tensor, start, end) for tensor in self.tensors]

    def _checked(self, place: int, numbers: Floats, start: int) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(np.add.reduce(numbers, axis=None)):
                return numbers
        if (wrong := np.flatnonzero(~np.isfinite(numbers))).size:
            value = numbers.reshape(-1)[wrong[0]]
            raise RequestError(
                f"{self.models[place]}: {self.tensors[place].name} holds {value} at place {start + int(wrong[0]):,}: "
                "a training that went wrong, or a number too large for its dtype; nothing was written"
            )
        return numbers


def _chosen(rows: Rows | None, first: int, last: int) -> Rows:
    return np.arange(first, last) if rows is None else rows[first:last]


def _fill(parts: Sequence[Floats], owned: Sequence[npt.NDArray[np.bool_]], has_base: bool) -> None:
    """Rows that a model lacks: the base's, so that it changes nothing; or the mean of those that have them."""
    if all(mask.all() for mask in owned):
        return
    n_owners = np.sum(owned, axis=0)
    mean = sum(parts[1:], parts[0].copy()) / np.maximum(n_owners, 1)[:, None].astype(np.float32)
    if has_base:
        parts[-1][~owned[-1]] = mean[~owned[-1]]
    filling = parts[-1] if has_base else mean
    for numbers, mask in zip(parts, owned, strict=True):
        numbers[~mask] = filling[~mask]


# From bytes to numbers and back


def numbers_of(tensor: Tensor, start: int, end: int) -> Floats:
    """Numbers [start, end) of a tensor as float32."""
    size = np.dtype(DTYPES[tensor.dtype]).itemsize
    return to_float32(_bytes_of(tensor, start * size, end * size).view(DTYPES[tensor.dtype]), tensor.dtype)


def rows_of(tensor: Tensor, rows: Rows, width: int) -> Floats:
    """Rows of a tensor as float32, shape (rows, width); width in numbers."""
    size = np.dtype(DTYPES[tensor.dtype]).itemsize
    stored = _bytes_of(tensor, 0, tensor.n_bytes).reshape(-1, width * size)[rows]
    return to_float32(stored.view(DTYPES[tensor.dtype]), tensor.dtype)


def to_float32(stored: npt.NDArray[Any], dtype: str) -> Floats:
    """Numbers as they are stored, as float32."""
    if dtype == "BF16":
        wide: npt.NDArray[np.uint32] = np.left_shift(stored, 16, dtype=np.uint32, casting="unsafe")
        return wide.view(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        numbers: Floats = stored.astype(np.float32, copy=False)
    return numbers


def from_float32(numbers: Floats, dtype: str, name: str) -> npt.NDArray[Any]:
    """Numbers as they are stored, rounded to the nearest, ties to even.

    Raises:
        RequestError: one is too large for float16.
    """
    if dtype == "BF16":
        bits = np.ascontiguousarray(numbers).view(np.uint32)
        rounded = np.right_shift(bits, 16)
        rounded &= 1
        rounded += 0x7FFF
        rounded += bits
        rounded >>= 16
        return rounded.astype(np.uint16)
    if dtype == "F16":
        with np.errstate(over="ignore"):
            stored = numbers.astype(np.float16)
        if not np.isfinite(stored).all():
            raise RequestError(
                f"{name}: {float(np.abs(numbers).max()):g} does not fit float16, whose largest number is {F16_MAX:g};"
                " take `dtype: bfloat16` or `float32`"
            )
        return stored
    return numbers.astype(DTYPES[dtype], copy=False)


def _bytes_of(tensor: Tensor, start: int, end: int) -> npt.NDArray[np.uint8]:
    return _mapped(tensor.file)[tensor.begin + start : tensor.begin + end]


@lru_cache(FILES_OPEN)
def _mapped(file: Path) -> npt.NDArray[np.uint8]:
    """A file, mapped: what is read of it counts as the system's cache, not as this process's memory."""
    return np.asarray(np.memmap(file, np.uint8, "r"))


def forget_files() -> None:
    """Let go of all mapped files."""
    _mapped.cache_clear()
