"""How often each document stands in one epoch of its source: whole copies, and a chance for the rest.

Rehydration (FineWeb-2) repeats what survived deduplication by the size of its near-duplicate cluster: pages that were
copied a few times are better than pages that nobody copied, and better than boilerplate that stands everywhere.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from manifests.errors import RunError

REPEAT_MAX = 1_000_000
"""More repeats than this are taken for a mistake in the expression."""

FINEWEB2 = """\
CASE WHEN near_cluster_size >= 1000 THEN 1
     WHEN near_cluster_size >= 100 THEN 8
     WHEN near_cluster_size >= 5 THEN 5
     WHEN near_cluster_size >= 3 THEN 3
     WHEN near_cluster_size >= 2 THEN 2
     ELSE 1 END"""
"""The weights that FineWeb-2 publishes for all languages: {1: 1, 2: 2, 3: 3, 5: 5, 100: 8, 1000: 1}, each from that
cluster size on."""

KOREAN = "CASE WHEN near_cluster_size >= 90 THEN 1 ELSE least(near_cluster_size, 5) END"
"""For Korean: at most 5 times, and once from 90 on. FineWeb-2's filters removed 77% of Korean singletons, 49% of
clusters of 10, 66% of 75, 71% of 100 and 75% of 177 and more (its kor_Hang rehydration curve), so 8 times from 100 on
would repeat the worse half most."""

_SALT = np.uint64(0x7265_6879_6472_6174)
_PRIME = np.uint64(0x9E37_79B9_7F4A_7C15)
_SPREAD = np.uint64(0xD6E8_FEB8_6659_FD93)


def repeat_counts(values: pl.Series, ids: npt.NDArray[np.uint64], seed: int = 0) -> npt.NDArray[np.int64]:
    """Copies of each document in one epoch, int64 (n_docs,), 0 where it is left out.

    `values` are those of `Source.repeat` (`expressions.parse_expression`), float64 (n_docs,); one that is missing
    counts as 1, since a document whose cluster is not known is as good as any other. `ids` are the first 8 bytes of
    the documents' ids, most significant byte first. A value of 2.3 is 2, and with a chance of 0.3 one more, which the
    id and the seed decide alone: the same in every run, order and slice.

    Raises:
        RunError: a value is negative, not finite, or more than REPEAT_MAX; names the document.
    """
    repeats = values.cast(pl.Float64).fill_null(1.0).to_numpy()
    _check(repeats, ids)
    whole = np.floor(repeats)
    counts: npt.NDArray[np.int64] = whole.astype(np.int64) + (_chances(ids, seed) < repeats - whole)
    return counts


def _check(repeats: npt.NDArray[np.float64], ids: npt.NDArray[np.uint64]) -> None:
    wrong = ~((repeats >= 0) & (repeats <= REPEAT_MAX))  # NaN is in neither
    if wrong.any():
        first = int(wrong.argmax())
        more = f" ({int(wrong.sum()):,} documents are such)" if wrong.sum() > 1 else ""
        raise RunError(
            f"repeat: the document whose id begins with {int(ids[first]):016x} would stand {repeats[first]:g} times "
            f"in an epoch{more}; valid: 0 to {REPEAT_MAX:,}"
        )


def _chances(ids: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each id, in steps of 2^-53; other uses of the same seed and ids see other numbers."""
    start = np.uint64((seed * int(_PRIME) + int(_SALT)) % 2**64)
    mixed = _mix(ids ^ _mix(np.full(1, start)))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A bijection on 64 bits in which every input bit moves every output bit (as `kernels.hashing.mix`)."""
    shift = np.uint64(32)
    for _ in range(2):
        hashes = (hashes ^ (hashes >> shift)) * _SPREAD
    return hashes ^ (hashes >> shift)
