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

from classifiers.fasttext_rows import kernel
from classifiers.scripts import Bytes, Offsets, text_buffers

TABLE = Path(__file__).parent / "models" / "romanised.tsv"
SYMBOLS = "_abcdefghijklmnopqrstuvwxyz*"  # _ stands for everything ASCII between words, * for every other character
N_SYMBOLS = len(SYMBOLS)
BOUNDARY, FOREIGN = 0, N_SYMBOLS - 1
CONTINUES = 255  # a byte that continues a character is no symbol
SCALE = 10  # the table's integers are tenths of a nat
Evidence = npt.NDArray[np.float32]


def romanised_evidence(samples: pa.LargeStringArray) -> tuple[Evidence, Offsets]:
    """Mean log-odds per trigram that each text is romanised Korean (nats; 0 where there is none), and n trigrams."""
    n_trigrams = np.zeros(len(samples), np.int64)
    log_odds = np.zeros(len(samples), np.int64)
    _sum_log_odds(*text_buffers(samples), _symbols(), load_table(), log_odds, n_trigrams)
    return (log_odds / np.maximum(n_trigrams, 1) / SCALE).astype(np.float32), n_trigrams


@cache
def load_table() -> npt.NDArray[np.int16]:
    """The shipped table, (N_SYMBOLS ** 3,): trigram number t = (first * N_SYMBOLS + second) * N_SYMBOLS + third."""
    rows = [line.split("\t")[1:] for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    return np.array(rows, np.int16).ravel()


def count_trigrams(samples: pa.LargeStringArray) -> npt.NDArray[np.int64]:
    """How often each trigram occurs in all texts together, (N_SYMBOLS ** 3,); what the table is made from."""
    counts = np.zeros(N_SYMBOLS**3, np.int64)
    _count(*text_buffers(samples), _symbols(), counts)
    return counts


@cache
def _symbols() -> Bytes:
    """The symbol of each byte."""
    symbols = np.full(256, BOUNDARY, np.uint8)
    symbols[ord("a") : ord("z") + 1] = symbols[ord("A") : ord("Z") + 1] = np.arange(1, 27)
    symbols[128:192] = CONTINUES
    symbols[192:] = FOREIGN
    return symbols


@kernel()
def _sum_log_odds(
    utf8: Bytes,
    offsets: Offsets,
    symbols: Bytes,
    table: npt.NDArray[np.int16],
    log_odds: Offsets,
    n_trigrams: Offsets,
) -> None:
    for d in range(len(offsets) - 1):
        a = b = BOUNDARY
        total = n = 0
        for i in range(offsets[d], offsets[d + 1] + 1):
            c = int(symbols[utf8[i]]) if i < offsets[d + 1] else BOUNDARY
            if c == CONTINUES or (b == c == BOUNDARY):
                continue
            if b != BOUNDARY:  # the trigram around each letter
                total += table[(a * N_SYMBOLS + b) * N_SYMBOLS + c]
                n += 1
            a, b = b, c
        log_odds[d], n_trigrams[d] = total, n


@kernel()
def _count(utf8: Bytes, offsets: Offsets, symbols: Bytes, counts: Offsets) -> None:
    for d in range(len(offsets) - 1):
        a = b = BOUNDARY
        for i in range(offsets[d], offsets[d + 1] + 1):
            c = int(symbols[utf8[i]]) if i < offsets[d + 1] else BOUNDARY
            if c == CONTINUES or (b == c == BOUNDARY):
                continue
            if b != BOUNDARY:
                counts[(a * N_SYMBOLS + b) * N_SYMBOLS + c] += 1
            a, b = b, c
