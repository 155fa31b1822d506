"""MinHash signatures: the derived table from which near-duplicates are found.

A signature is kept as the hashes of its bands, which are what is joined, and as a byte of each minimum, from which
the similarity of two texts can be estimated when neither is at hand.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from classifiers.scripts import text_buffers
from curation.derive import Derived
from curation.kernels.shingles import (
    Scratch,
    Shingling,
    folded_letters,
    gather_shingles,
    hash_bands,
    minhash,
    new_scratch,
    new_unit,
)
from manifests.code import code_digest
from manifests.errors import RequestError
from manifests.schema import NearDedup

SIGNATURE_CODE = ("curation/dedup/signatures.py", "curation/kernels/shingles.py")
SEED = 1
"""Of the shipped permutations."""
REPEATS_COPIED = 0.8
"""Share of different texts in a part below which those are copied out before they are signed."""

_UINT64 = 2**64


@dataclass(frozen=True)
class Banding:
    """A signature of `n_bands` bands of `n_rows` minima, over shingles as `ko` and `en` say (`char-5`, `word-5`)."""

    n_bands: int = 14
    n_rows: int = 8
    ko: str = "char-5"
    en: str = "word-5"
    seed: int = SEED

    @staticmethod
    def of(near: NearDedup) -> "Banding":
        """The banding that a manifest asks for; `bands: auto` is datasketch's optimum for its threshold."""
        n_bands, n_rows = near.bands, near.rows
        if n_bands == "auto":
            n_bands, n_rows = optimal_bands(near.jaccard, near.permutations)
        return Banding(n_bands, n_rows, near.shingle.ko, near.shingle.en)

    @property
    def fingerprint(self) -> str:
        """Changes when a signature of the same text would."""
        settings = f"{self.n_bands}x{self.n_rows}-{self.ko}-{self.en}-{self.seed}"
        return xxhash.xxh3_64_hexdigest(f"{settings}-{code_digest(*SIGNATURE_CODE)}".encode())

    @property
    def band_names(self) -> list[str]:
        """Columns of the table, one per band."""
        return [f"band_{k:02d}" for k in range(self.n_bands)]

    @property
    def schema(self) -> pa.Schema:
        """Of the table `signatures`: one row per different text that has any shingle, ordered by its digest."""
        return pa.schema(
            [
                pa.field("text_digest", pa.string(), nullable=False),
                pa.field("n_shingles", pa.int32(), nullable=False),
                *(pa.field(name, pa.uint64(), nullable=False) for name in self.band_names),
                pa.field("sketch", pa.binary(self.n_bands * self.n_rows), nullable=False),
            ]
        )

    @property
    def derived(self) -> Derived:
        """The table `signatures` of a run."""
        columns = ["text_digest", "text"]
        return Derived("signatures", self.fingerprint, columns, self.schema, _SignaturesOf(self), plain=True)


def detection(jaccard: float, n_bands: int = 14, n_rows: int = 8) -> float:
    """The probability that two texts of this similarity share a band: 1 - (1 - s^r)^b (Leskovec et al., §3.4)."""
    return float(1 - (1 - jaccard**n_rows) ** n_bands)


def optimal_bands(jaccard: float, n_permutations: int) -> tuple[int, int]:
    """(bands, rows) of at most `n_permutations` that weigh misses and false alarms alike, by datasketch.

    Raises:
        RequestError: datasketch is not installed.
    """
    try:
        from datasketch.lsh import _optimal_param  # scipy takes a second to import
    except ImportError:
        raise RequestError("dedup.near.bands: `auto` needs datasketch; pip install 'onggi[near]'") from None
    n_bands, n_rows = _optimal_param(jaccard, n_permutations, 0.5, 0.5)
    return int(n_bands), int(n_rows)


@dataclass(frozen=True)
class Signatures:
    """Of n texts: shingles counted with repeats (n,), hashes of bands (n, bands), minima (n, bands * rows)."""

    n_shingles: npt.NDArray[np.int64]
    bands: npt.NDArray[np.uint64]
    minima: npt.NDArray[np.uint32]


def sign(texts: pa.LargeStringArray, banding: Banding) -> Signatures:
    """Signatures of the texts; one without shingles (no letter or digit) has the largest minima."""
    utf8, offsets = text_buffers(texts)
    a, b = _permutations(banding.n_bands * banding.n_rows, banding.seed)
    n_shingles = np.empty(len(texts), np.int64)
    minima = np.empty((len(texts), len(a)), np.uint32)
    bands = np.empty((len(texts), banding.n_bands), np.uint64)
    shingling, scratch = _shingling(banding), _scratch(offsets)
    minhash(utf8, offsets, folded_letters(), shingling, scratch, a, b, n_shingles, minima)
    hash_bands(minima, banding.n_rows, bands)
    return Signatures(n_shingles, bands, minima)


def shingle_sets(texts: pa.LargeStringArray, banding: Banding) -> pa.LargeListArray:
    """The set of shingles of each text, as ascending 32-bit hashes: lists of uint32."""
    utf8, offsets = text_buffers(texts)
    ends = np.empty(len(texts), np.int64)
    found = np.empty(int(offsets[-1] - offsets[0]) + len(texts), np.uint32)
    gather_shingles(utf8, offsets, folded_letters(), _shingling(banding), _scratch(offsets), ends, found)
    bounds = np.concatenate([np.zeros(1, np.int64), ends])
    lists = pa.LargeListArray.from_arrays(pa.array(bounds), pa.array(found[: bounds[-1]]))
    return pl.Series(lists).list.unique().list.sort().to_arrow()


def estimated_jaccard(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """The similarity of texts by their sketches, both (n, permutations): 8-bit minwise hashing (Li & König 2010)."""
    chance = 1 / 256
    estimate: npt.NDArray[np.float64] = np.clip(((a == b).mean(axis=1) - chance) / (1 - chance), 0.0, 1.0)
    return estimate


@dataclass(frozen=True)
class _SignaturesOf:
    banding: Banding

    def __call__(self, part: pa.Table) -> pa.Table:
        part = _different_texts(part)
        texts = part["text"].combine_chunks()
        signed = sign(texts, self.banding)
        table = pa.table(
            [
                part["text_digest"],
                pa.array(np.minimum(signed.n_shingles, 2**31 - 1), pa.int32()),
                *(pa.array(np.ascontiguousarray(column)) for column in signed.bands.T),
                _bytes_column(signed.minima.astype(np.uint8)),
            ],
            schema=self.banding.schema,
        )
        table = table.filter(pc.greater(table["n_shingles"], 0)).sort_by("text_digest")
        first = pl.Series(table["text_digest"]).is_first_distinct().to_arrow()
        return table.filter(first)


def _different_texts(part: pa.Table) -> pa.Table:
    """The rows that have a text, one per text where many repeat: a few are signed sooner than texts are copied."""
    if part["text"].null_count:
        part = part.filter(pc.is_valid(part["text"]))
    rows = pl.Series(part["text_digest"]).arg_unique()
    return part.take(rows.to_arrow()) if len(rows) < REPEATS_COPIED * len(part) else part


def _bytes_column(values: npt.NDArray[np.uint8]) -> pa.Array:
    return pa.Array.from_buffers(
        pa.binary(values.shape[1]), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))]
    )


def _shingling(banding: Banding) -> Shingling:
    units = [spec.split("-") for spec in (banding.ko, banding.en)]
    return Shingling(*(new_unit(kind == "char", int(n)) for kind, n in units))


def _scratch(offsets: npt.NDArray[np.int64]) -> Scratch:
    return new_scratch(int(np.diff(offsets).max(initial=0)))


@cache
def _permutations(n: int, seed: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Odd multipliers and masks by SplitMix64, which no release of a library can change."""
    words: list[int] = []
    state = seed
    while len(words) < n:
        state = (state + 0x9E3779B97F4A7C15) % _UINT64
        z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % _UINT64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % _UINT64
        words.append(z ^ (z >> 31))
    both = np.array(words, np.uint64)
    return (both & np.uint64(0xFFFFFFFF)).astype(np.uint32) | np.uint32(1), (both >> np.uint64(32)).astype(np.uint32)
