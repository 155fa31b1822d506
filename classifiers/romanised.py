"""Is a text Korean written in Latin letters? A naive Bayes model of letter trigrams.

The table (`models/romanised.tsv`, made by `benchmarks/language_fit.py`) holds, for each two symbols (rows) and the
one that follows (columns), ten times ln P(trigram | romanised Korean) / P(trigram | other languages in Latin script).
It knows the Revised Romanisation, with and without its sound changes; other systems only so far as they look like it.
"""

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from classifiers.scripts import Bytes, Offsets, text_buffers

TABLE = Path(__file__).parent / "models" / "romanised.tsv"
SYMBOLS = "_abcdefghijklmnopqrstuvwxyz*"  # _ stands for everything ASCII between words, * for every other character
N_SYMBOLS = len(SYMBOLS)
BOUNDARY, FOREIGN = 0, N_SYMBOLS - 1
SCALE = 10  # the table's integers are tenths of a nat
Evidence = npt.NDArray[np.float32]


def romanised_evidence(samples: pa.LargeStringArray) -> tuple[Evidence, Offsets]:
    """Mean log-odds per trigram that each text is romanised Korean (nats; 0 where there is none), and n trigrams."""
    n_trigrams = np.zeros(len(samples), np.int64)
    log_odds = np.zeros(len(samples), np.int64)
    _sum_log_odds(*text_buffers(samples), load_table(), log_odds, n_trigrams)
    return (log_odds / np.maximum(n_trigrams, 1) / SCALE).astype(np.float32), n_trigrams


@cache
def load_table() -> npt.NDArray[np.int16]:
    """The shipped table, (N_SYMBOLS ** 3,): trigram number t = (first * N_SYMBOLS + second) * N_SYMBOLS + third."""
    rows = [line.split("\t")[1:] for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    return np.array(rows, np.int16).ravel()


def count_trigrams(samples: pa.LargeStringArray) -> npt.NDArray[np.int64]:
    """How often each trigram occurs in all texts together, (N_SYMBOLS ** 3,); what the table is made from."""
    counts = np.zeros(N_SYMBOLS**3, np.int64)
    _count(*text_buffers(samples), counts)
    return counts


@njit(nogil=True, cache=True, inline="always")
def _symbol(byte: int) -> int:
    if 97 <= byte <= 122:
        return byte - 96
    if 65 <= byte <= 90:
        return byte - 64
    return FOREIGN if byte >= 0x80 else BOUNDARY


@njit(nogil=True, cache=True)
def _sum_log_odds(
    utf8: Bytes, offsets: Offsets, table: npt.NDArray[np.int16], log_odds: Offsets, n_trigrams: Offsets
) -> None:
    for d in range(offsets.shape[0] - 1):
        a = b = BOUNDARY
        for i in range(offsets[d], offsets[d + 1] + 1):
            byte = int(utf8[i]) if i < offsets[d + 1] else 32
            c = _symbol(byte)
            if byte & 0xC0 == 0x80 or (b == c == BOUNDARY):
                continue
            if b != BOUNDARY:  # the trigram around each letter
                log_odds[d] += table[(a * N_SYMBOLS + b) * N_SYMBOLS + c]
                n_trigrams[d] += 1
            a, b = b, c


@njit(nogil=True, cache=True)
def _count(utf8: Bytes, offsets: Offsets, counts: Offsets) -> None:
    for d in range(offsets.shape[0] - 1):
        a = b = BOUNDARY
        for i in range(offsets[d], offsets[d + 1] + 1):
            byte = int(utf8[i]) if i < offsets[d + 1] else 32
            c = _symbol(byte)
            if byte & 0xC0 == 0x80 or (b == c == BOUNDARY):
                continue
            if b != BOUNDARY:
                counts[(a * N_SYMBOLS + b) * N_SYMBOLS + c] += 1
            a, b = b, c
