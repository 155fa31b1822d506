"""The gate `repetition`: answers do not go round in circles.

What repeats by nature is left out: code, formulas, tables, and rules that part what is above from what is below.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from curation.signals import measure_signals
from manifests.schema_synthesis import RepetitionGate
from synth.gates.gate import BatchGate, Passed, Verdict
from synth.gates.prose import prose, spoken, without_tables
from synth.samples import Rejection, Sample

LINES_MIN = 5
"""Lines from which on repeated ones are a sign."""

PIECE_CHARS_MAX = 20
"""Longest piece whose repetition makes a run."""

CHARS_AT_ONCE = 1 << 21
"""Characters in which runs are looked for together; four bytes each, and some arrays as long beside them."""

_SPACE = re.compile(r"\s+")


class Repetition(BatchGate):
    """Measures repeated n-grams and lines as rules of a corpus do, and the longest run of one piece."""

    name = "repetition"

    def __init__(self, settings: RepetitionGate) -> None:
        self._settings = settings

    def judge_batch(self, batch: Sequence[Sample]) -> Iterable[Verdict]:
        """The verdicts of some samples."""
        texts = [_bare(spoken(sample)) for sample in batch]
        signals = measure_signals(pa.array(texts, pa.large_string()))
        columns = [signals.field(name).to_pylist() for name in _SIGNALS]
        runs = longest_runs(texts, self._settings.max_run_chars)
        for n_grams, lines, n_lines, run in zip(*columns, runs, strict=True):
            yield (
                self._above("repeated_ngrams", n_grams or 0.0, self._settings.max_dup_ngram_frac)
                or self._above("repeated_lines", _frac(lines, n_lines), self._settings.max_dup_line_frac)
                or self._above("run", run, self._settings.max_run_chars)
                or Passed(n_grams or 0.0)
            )

    def _above(self, reason: str, value: float, most: float) -> Rejection | None:
        return Rejection(self.name, reason, value, most) if value > most else None


def _bare(text: str) -> str:
    """The lines that count; those that were code or a table must not be left as equal blank ones."""
    lines = map(str.strip, without_tables(prose(text)).splitlines())
    return "\n".join(line for line in lines if line)


def _frac(lines: float | None, n_lines: int) -> float:
    """Of repeated lines, where there are enough to tell."""
    return lines if lines is not None and n_lines >= LINES_MIN else 0.0


_SIGNALS = ("dup_5_gram_char_frac", "dup_line_frac", "nonblank_line_count")


def longest_runs(texts: Sequence[str], longer_than: int) -> list[int]:
    """Of each text the characters of its longest run that only repeats a piece of up to PIECE_CHARS_MAX characters.

    White space counts as one character however much there is.

    Args:
        texts: without lone surrogates.
        longer_than: what is not longer counts as 0.
    """
    bare = [_SPACE.sub(" ", text) for text in texts]
    return [run for some in _some(bare) for run in _runs(some, longer_than)]


def _some(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts, a bounded number of characters at a time."""
    some, n_chars = list[str](), 0
    for text in texts:
        if some and n_chars + len(text) > CHARS_AT_ONCE:
            yield some
            some, n_chars = [], 0
        some.append(text)
        n_chars += len(text)
    if some:
        yield some


def _runs(texts: Sequence[str], longer_than: int) -> list[int]:
    """A run of pieces of p characters is a stretch in which each character equals the one p before it."""
    codes = np.frombuffer(
        "".join(f"{text}{_APART}" for text in texts).encode("utf-32-le", "surrogatepass"), np.uint32
    )
    ends = np.cumsum([len(text) + len(_APART) for text in texts])
    longest = np.zeros(len(texts), np.int64)
    for period in range(1, PIECE_CHARS_MAX + 1):
        equal = np.concatenate([[False], codes[period:] == codes[:-period], [False]])
        firsts, lasts = np.flatnonzero(np.diff(equal.view(np.int8))).reshape(-1, 2).T
        n_chars = lasts - firsts + period
        is_run = (n_chars > longer_than) & (n_chars >= 2 * period)
        np.maximum.at(longest, np.searchsorted(ends, firsts[is_run], "right"), n_chars[is_run])
    return [int(run) for run in longest]


_APART = "".join(chr(0xD800 + number) for number in range(PIECE_CHARS_MAX + 1))
"""Stands between texts, so that no run goes from one to the next: lone surrogates, no two alike within a period."""
