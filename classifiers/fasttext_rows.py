"""Which rows of a fastText model stand for a word and for its n-grams: the dictionary and the buckets, as kernels."""

from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import int8, njit, uint32, uint64, uintp

from classifiers.fasttext_file import N_CENTROIDS, Matrix, ModelFile
from classifiers.scripts import Bytes, Offsets

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

OPEN, CLOSE = ord("<"), ord(">")
FNV_START, FNV_PRIME = uint32(2166136261), uint32(16777619)

kernel = partial(njit, nogil=True, cache=True, _nrt=False)  # they allocate nothing, so nothing counts references


class Names(NamedTuple):
    """The dictionary: words, then labels; name i is content[starts[i] : ends[i]]."""

    content: Bytes
    starts: Offsets
    ends: Offsets
    hashes: npt.NDArray[np.uint32]
    slots: Ints  # names by hash, open addressing; -1 where empty


class Buckets(NamedTuple):
    """How n-grams are hashed to rows of the input matrix."""

    minn: int  # characters of a subword
    maxn: int
    n_buckets: int
    inverse: float  # 1 / n_buckets
    first_row: int
    kept: npt.NDArray[np.uint64]  # of a pruned model: a bit per bucket, set where it has a row; else empty
    n_kept: Ints  # bits set before each 64
    kept_rows: Ints  # the row of each set bit


def new_names(model: ModelFile) -> Names:
    """The dictionary of a model with its hash table."""
    n_names = len(model.starts)
    slots = np.full(1 << max(4, (2 * n_names).bit_length()), -1, np.int32)
    names = Names(model.content, model.starts, model.ends, np.empty(n_names, np.uint32), slots)
    _hash_names(names)
    return names


def new_buckets(model: ModelFile) -> Buckets:
    """The buckets of a model."""
    n_buckets = max(model.bucket, 1)
    buckets, rows = model.pruned.T if model.pruned is not None else np.empty((2, 0), np.int32)
    bits = np.zeros(-(-n_buckets // 64) * 64 if model.pruned is not None else 0, np.uint8)
    bits[buckets] = 1
    n_set = np.cumsum(bits.reshape(-1, 64).sum(axis=1, dtype=np.int32), dtype=np.int32)
    return Buckets(
        model.minn, model.maxn, n_buckets, 1 / n_buckets, model.n_words,
        np.packbits(bits, bitorder="little").view(np.uint64),
        np.concatenate([np.zeros(1, np.int32), n_set]),
        model.n_words + rows[np.argsort(buckets)].astype(np.int32),
    )  # fmt: skip


@kernel()
def _hash_names(names: Names) -> None:
    """Fills in `hashes` and `slots`."""
    mask = len(names.slots) - 1
    for i in range(len(names.starts)):
        h = FNV_START
        for at in range(names.starts[i], names.ends[i]):
            h = hash_byte(h, names.content[at])
        names.hashes[i] = h
        slot = h & mask
        while names.slots[slot] >= 0:
            slot = (slot + 1) & mask
        names.slots[slot] = i


@kernel()
def hash_byte(h: np.uint32, byte: np.uint8) -> np.uint32:
    """FNV-1a, but that fastText takes bytes from 128 on for negative numbers."""
    return uint32((h ^ uint32(int8(byte))) * FNV_PRIME)


@kernel()
def begins_with(token: Bytes, size: int, prefix: Bytes) -> bool:
    """Whether token[1 : 1 + size] does."""
    at = 0
    while at < size and at < len(prefix) and token[1 + at] == prefix[at]:
        at += 1
    return at == len(prefix)


@kernel()
def find_word(names: Names, token: Bytes, size: int, h: np.uint32) -> int:
    """The number of the name token[1 : 1 + size] with hash h; -1: there is none."""
    mask = len(names.slots) - 1
    slot = h & mask
    while names.slots[slot] >= 0:
        i: int = names.slots[slot]
        if names.hashes[i] == h and names.ends[i] - names.starts[i] == size:
            at = 0
            while at < size and names.content[names.starts[i] + at] == token[1 + at]:
                at += 1
            if at == size:
                return i
        slot = (slot + 1) & mask
    return -1


@kernel()
def rows_of_word(buckets: Buckets, word: int, token: Bytes, size: int, is_end: bool, rows: Ints) -> int:
    """rows: that of the word, unless it is -1, and those of the n-grams of characters of <token>; returns how many.

    The token is token[1 : 1 + size]; a byte before and after it is overwritten.
    """
    n_rows = 0
    if word >= 0:
        rows[0] = word
        n_rows = 1
    if is_end or buckets.maxn <= 0:
        return n_rows
    token[0], token[size + 1] = OPEN, CLOSE
    end = size + 2
    for i in range(end):
        if token[i] & 0xC0 == 0x80:
            continue
        h, at, n_chars = FNV_START, i, 0
        while at < end and n_chars < buckets.maxn:
            h = hash_byte(h, token[at])
            at += 1
            while at < end and token[at] & 0xC0 == 0x80:
                h = hash_byte(h, token[at])
                at += 1
            n_chars += 1
            if n_chars >= buckets.minn and not (n_chars == 1 and (i == 0 or at == end)):
                row = row_of_bucket(buckets, _remainder(h, buckets))
                rows[n_rows] = row
                n_rows += row >= 0
    return n_rows


@kernel()
def _remainder(h: np.uint32, buckets: Buckets) -> int:
    """h % n_buckets without the division, which costs more than everything else about an n-gram."""
    remainder = int(h) - int(float(h) * buckets.inverse) * buckets.n_buckets
    if remainder < 0:
        return remainder + buckets.n_buckets
    return remainder - buckets.n_buckets if remainder >= buckets.n_buckets else remainder


@kernel()
def row_of_bucket(buckets: Buckets, bucket: int) -> int:
    """The row of a bucket; -1: it is pruned."""
    if len(buckets.kept) == 0:
        return buckets.first_row + bucket
    bits, bit = buckets.kept[bucket >> 6], uint64(1) << uint64(bucket & 63)
    if bits & bit == 0:
        return -1
    row: int = buckets.kept_rows[buckets.n_kept[bucket >> 6] + _count_bits(bits & (bit - uint64(1)))]
    return row


@kernel()
def _count_bits(bits: np.uint64) -> int:
    n_bits = 0
    while bits:
        bits &= bits - uint64(1)
        n_bits += 1
    return n_bits


@kernel()
def add_rows(matrix: Matrix, rows: Ints, n_rows: int, total: Floats) -> None:
    """Adds rows of the input matrix to total, in the order in which fastText adds them."""
    if len(matrix.codes) == 0:
        for i in range(n_rows):
            row = uintp(rows[i])  # outside the inner loop and never negative: only so does the loop become vectors
            for j in range(len(total)):
                total[j] += matrix.values[row, j].value
        return
    for i in range(n_rows):
        norm = matrix.norms[rows[i]]
        for part in range(matrix.codes.shape[1]):
            first = part * matrix.part_size
            size = min(matrix.part_size, len(total) - first)
            at = first * N_CENTROIDS + matrix.codes[rows[i], part] * size
            for j in range(size):
                total[first + j] += norm * matrix.centroids[at + j]
