"""The file of a supervised fastText model, format versions 11 and 12, mapped into memory: no dense matrix is copied.

The layout is that of FastText::saveModel: magic number and version, arguments, dictionary, index of pruned subwords,
input matrix, output matrix. Numbers are little-endian and stand where they fall.
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from classifiers.scripts import Bytes, Offsets

Floats = npt.NDArray[np.float32]

MAGIC, VERSIONS = 793712314, (11, 12)
SUPERVISED = 3
HIERARCHICAL, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL = LOSSES = 1, 2, 3, 4
N_CENTROIDS = 256
LABEL_COUNT_MAX = 10**15  # what fastText puts for infinity where it builds its tree
UNALIGNED = np.dtype([("value", "<f4")])  # a float32 at any address, as one type for kernels whatever the address
LABEL_PREFIX = "__label__"


class Matrix(NamedTuple):
    """Rows of floats, plain (`values`) or as product quantisation leaves them (`codes`, one per part of a row).

    `values` is (n_rows, n_columns), `codes` (n_rows, n_parts); one of them is (0, 0). Part p of row i is `norms[i]`
    times `centroids[p * 256 * part_size + codes[i, p] * size of the part:]`; the last part may be a shorter one.
    """

    values: npt.NDArray[np.void]
    codes: Bytes
    centroids: Floats
    norms: Floats
    part_size: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        n_rows, n_columns = self.values.shape
        return (len(self.codes), len(self.centroids) // N_CENTROIDS) if self.codes.size else (n_rows, n_columns)


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds. `content` is the mapped file; names are `content[starts[i] : ends[i]]`."""

    content: Bytes
    word_ngrams: int
    loss: int
    bucket: int
    minn: int
    maxn: int
    n_words: int
    starts: Offsets
    ends: Offsets
    label_counts: list[int]
    pruned: npt.NDArray[np.int32] | None  # (n, 2): the buckets that are left and the row of each, words not counted
    input: Matrix
    output: Matrix

    @property
    def labels(self) -> list[str]:
        """The names of the labels, prefix included."""
        spans = zip(self.starts[self.n_words :].tolist(), self.ends[self.n_words :].tolist(), strict=True)
        return [self.content[start:end].tobytes().decode("utf-8", "replace") for start, end in spans]


def read_model(path: Path) -> ModelFile:
    """The parts of the model at `path`; ValueError says why it is none, is cut short or contradicts itself."""
    with path.open("rb") as file:
        content = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    reader = _Reader(content)
    magic, version = reader.numbers("<ii")
    if magic != MAGIC:
        raise ValueError("it is not a fastText model")
    if version not in VERSIONS:
        raise ValueError(f"it has format version {version}; 11 and 12 can be read")
    dim, _, _, _, _, word_ngrams, loss, model, bucket, minn, maxn, _, _ = reader.numbers("<12id")
    if model != SUPERVISED:
        raise ValueError("it is not a supervised model, so it has no labels to predict")
    n_entries, n_words, n_labels, _, n_pruned = reader.numbers("<iiiqq")
    starts, ends = reader.names(n_entries)
    types = content[ends + 9]
    is_ordered = n_words + n_labels == n_entries and n_words >= 0 and n_labels > 0
    if not is_ordered or types[:n_words].any() or (types[n_words:] != 1).any():
        raise ValueError("its dictionary does not hold words and then labels")
    label_counts = content[ends[n_words:, None] + np.arange(1, 9)].view("<i8").ravel().tolist()
    pruned = reader.array("<i4", 2 * n_pruned).reshape(-1, 2) if n_pruned >= 0 else None
    is_quantised = reader.flag()
    rows = reader.matrix(is_quantised)
    output = reader.matrix(reader.flag() and is_quantised)
    if reader.at != len(content):
        raise ValueError(f"{len(content) - reader.at:,} bytes follow its end")
    maxn = maxn if version > 11 else 0  # version 11 wrote what it did not use
    model_file = ModelFile(
        content, word_ngrams, loss, bucket, minn, maxn, n_words, starts, ends, label_counts, pruned, rows, output
    )
    _check(model_file, dim)
    return model_file


def _check(model: ModelFile, dim: int) -> None:
    """Kernels look nothing over: every row that a text can ask for must be there."""
    n_labels = len(model.label_counts)
    if model.loss not in LOSSES or dim < 1:
        raise ValueError(f"it has loss {model.loss} and {dim} dimensions; known are losses 1 to 4")
    if min(model.label_counts) < 0 or sum(model.label_counts) >= LABEL_COUNT_MAX:
        raise ValueError("its labels have impossible counts")
    uses_buckets = model.maxn > 0 or model.word_ngrams > 1
    if uses_buckets and model.bucket < 1:
        raise ValueError(f"it has {model.bucket} buckets for its n-grams")
    n_buckets = model.bucket if uses_buckets else 0
    if model.pruned is not None and len(model.pruned):
        buckets, rows = model.pruned[:, 0], model.pruned[:, 1]
        if (
            buckets.min() < 0
            or buckets.max() >= model.bucket
            or rows.min() < 0
            or len(np.unique(buckets)) < len(rows)
        ):
            raise ValueError("its index of pruned n-grams names buckets that there are not, or one twice")
    if model.pruned is not None:
        n_buckets = int(model.pruned[:, 1].max(initial=-1)) + 1
    for name, matrix, n_rows in (
        ("input", model.input, model.n_words + n_buckets),
        ("output", model.output, n_labels),
    ):
        if matrix.shape[1] != dim or matrix.shape[0] < n_rows:
            raise ValueError(f"its {name} matrix is {matrix.shape}; ({n_rows}, {dim}) is needed")


class _Reader:
    """Reads a mapped file from front to back; ValueError where it ends too early."""

    def __init__(self, content: Bytes) -> None:
        self.content = content
        self.at = 0

    def numbers(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self._take(struct.calcsize(layout)).tobytes())

    def flag(self) -> bool:
        return bool(self._take(1)[0])

    def array(self, dtype: npt.DTypeLike, n_items: int) -> npt.NDArray[Any]:
        return np.frombuffer(self._take(n_items * np.dtype(dtype).itemsize), dtype)

    def names(self, n_entries: int) -> tuple[Offsets, Offsets]:
        """Where the names begin and end; each is followed by a zero byte, a count of 8 bytes, a type of 1."""
        starts, ends = np.empty((2, max(n_entries, 0)), np.int64)
        self.at = _find_names(self.content, self.at, starts, ends)
        self._take(0)
        return starts, ends

    def matrix(self, is_quantised: bool) -> Matrix:
        if not is_quantised:
            n_rows, n_columns = self.numbers("<qq")
            return plain_matrix(self.array(UNALIGNED, n_rows * n_columns).reshape(n_rows, n_columns))
        has_norms, n_rows, n_columns, n_codes = self.numbers("<?qqi")
        codes = self.array(np.uint8, n_codes)
        centroids, part_size = self._quantizer(n_columns)
        codes = codes.reshape(n_rows, -(-n_columns // part_size))
        norm_codes = self.array(np.uint8, n_rows) if has_norms else None
        norms = np.ones(n_rows, np.float32) if norm_codes is None else self._quantizer(1)[0][norm_codes]
        return plain_matrix(np.empty((0, 0), UNALIGNED))._replace(
            codes=codes, centroids=centroids, norms=norms, part_size=part_size
        )

    def _quantizer(self, n_columns: int) -> tuple[Floats, int]:
        """The centroids, and how many columns a part has."""
        dimension, n_parts, part_size, last_size = self.numbers("<iiii")
        whole = (n_parts - 1) * part_size + last_size
        if not whole == dimension == n_columns or not 1 <= last_size <= part_size:
            raise ValueError("the parts of a quantised matrix do not add up to its columns")
        return self.array("<f4", dimension * N_CENTROIDS).astype(np.float32), part_size

    def _take(self, n_bytes: int) -> Bytes:
        if not 0 <= n_bytes <= len(self.content) - self.at:
            raise ValueError("it is cut short")
        self.at += n_bytes
        return self.content[self.at - n_bytes : self.at]


def plain_matrix(values: npt.NDArray[np.void]) -> Matrix:
    """A matrix without quantisation; values of type UNALIGNED, (n_rows, n_columns)."""
    values.flags.writeable = False  # as a mapped file is: kernels are compiled for one of the two
    codes = np.frombuffer(b"", np.uint8).reshape(0, 0)
    return Matrix(values, codes, np.empty(0, np.float32), np.empty(0, np.float32), 1)


def expand(matrix: Matrix) -> Floats:
    """The rows as plain floats, (n_rows, n_columns)."""
    if not matrix.codes.size:
        return matrix.values.view(np.float32)
    rows = np.empty(matrix.shape, np.float32)
    for part, codes in enumerate(matrix.codes.T):
        columns = rows[:, part * matrix.part_size : (part + 1) * matrix.part_size]
        first = part * N_CENTROIDS * matrix.part_size
        centroids = matrix.centroids[first : first + N_CENTROIDS * columns.shape[1]].reshape(N_CENTROIDS, -1)
        columns[:] = np.take(centroids, codes, axis=0)  # four times as fast as centroids[codes]
    rows *= matrix.norms[:, None]
    return rows


@njit(nogil=True, cache=True)
def _find_names(content: Bytes, at: int, starts: Offsets, ends: Offsets) -> int:
    """Fills in starts and ends; returns the position after the last entry, past the end where that is cut short."""
    for i in range(len(starts)):
        starts[i] = at
        while at < len(content) and content[at] != 0:
            at += 1
        if at + 10 > len(content):
            return len(content) + 1
        ends[i] = at
        at += 10
    return at
