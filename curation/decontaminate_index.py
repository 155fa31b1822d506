"""Benchmark items as an index, and the documents that hold them: where, and how surely.

An item is found by its n-grams, folded so that spaces, particles and numbers do not matter
(`kernels/contamination.py`), each weighted by how rare it is, in the corpus and among the items: "다음 중 옳은 것은?"
weighs next to nothing. What is found is a stretch of a document, little longer than the item, with much of its
weight.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from classifiers.scripts import text_buffers
from curation.benchmarks import Item
from curation.decontaminate_targets import ENOUGH, Target, targets_of
from curation.kernels.characters import Bytes, Hashes, Offsets
from curation.kernels.contamination import (
    POWERS,
    RING,
    Found,
    Ids,
    Index,
    Scratch,
    Weights,
    count_documents,
    find_targets,
    folds,
    hash_grams,
    place_keys,
)
from curation.kernels.hashing import SPREAD

SCORE_MIN = 0.4
"""What scores less is not reported; no threshold can be lower."""

POSTINGS_MAX = 256
"""An n-gram of more targets than this tells none from another, and weighs nothing."""

SHOWN_CHARS = 400
"""Of a span and of an item, what is kept to be shown side by side."""

BITS_PER_GRAM = 16
"""Of the bitmap, in which an n-gram of no target then finds a bit set once in sixteen times."""

NUMBER = "0123456789,."

ROWS_AT_ONCE = 1 << 14

HITS = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),  # of the texts
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("part", pa.string(), nullable=False),  # question or choices
        pa.field("score", pa.float64(), nullable=False),
        pa.field("contained_frac", pa.float64(), nullable=False),  # of the part's weight
        pa.field("numbers_frac", pa.float64()),  # of the part's numbers; null where it has fewer than two
        pa.field("answer_near", pa.bool_(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),  # of the span, in characters
        pa.field("end", pa.int64(), nullable=False),
        pa.field("found", pa.string(), nullable=False),  # the span's text, cut at SHOWN_CHARS
        pa.field("wanted", pa.string(), nullable=False),  # the item's, cut likewise
    ]
)
"""One row per place of an item in a text."""

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Grams:
    """The n-grams of targets."""

    keys: Hashes
    """Hashes of all distinct ones, ascending; an n-gram's number is its place here."""
    units: Weights
    """Of each one's last character."""
    of_target: list[Ids]
    """The distinct ones of each target."""
    widths: Ids
    """Folded characters in which a target is looked for: a quarter more than it has."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> "_Grams":
        hashed = [_hashed(text) for text in texts]
        hashes, units = (np.concatenate(column) if texts else np.empty(0) for column in zip(*hashed, strict=True))
        keys, firsts = np.unique(hashes, return_index=True)
        of_target = [np.searchsorted(keys, np.unique(mine)).astype(np.int32) for mine, _ in hashed]
        widths = np.array([16 + len(mine) * 5 // 4 for mine, _ in hashed], np.int32)
        return cls(keys, units[firsts].astype(np.float32), of_target, widths)

    def n_targets(self) -> Counts:
        """How many targets have each n-gram."""
        return np.bincount(np.concatenate(self.of_target), minlength=len(self.keys)).astype(np.int64)


@dataclass(frozen=True)
class ContaminationIndex:
    """The items of benchmarks, ready to be found in texts."""

    targets: list[Target]
    index: Index
    totals: Weights
    """The weight of each target."""
    too_short: npt.NDArray[np.bool_]
    """Targets that nothing can show a document to hold: shorter than an n-gram, or as common as one."""

    @classmethod
    def build(cls, items: Sequence[Item], sample: pa.LargeStringArray | None = None) -> "ContaminationIndex":
        """Index the items, of which there is at least one.

        Args:
            items: of all benchmarks together; what many of them share weighs less.
            sample: texts of the corpus, by which the n-grams are weighed; without them none is common there.
        """
        n_sample = 0 if sample is None else len(sample)
        counts = count_in_documents(items, sample) if n_sample else np.empty(0, np.int64)
        return cls.build_counted(items, counts, n_sample)

    @classmethod
    def build_counted(cls, items: Sequence[Item], counts: Counts, n_sample: int) -> "ContaminationIndex":
        """Index the items with what `count_in_documents` gave for a sample of `n_sample` texts."""
        targets, grams = _targets_and_grams(items)
        n_targets = grams.n_targets()
        rarity = _rarity(n_targets - 1, len(targets))
        if n_sample:
            rarity *= _rarity(counts, n_sample)
        weights = np.where(n_targets > POSTINGS_MAX, 0, grams.units * rarity)
        totals = np.array([weights[mine].sum() for mine in grams.of_target], np.float32)
        too_short = totals + [target.answer_units for target in targets] < SCORE_MIN * ENOUGH
        index = _index(grams, weights, n_targets)
        floors = np.where(too_short, np.inf, SCORE_MIN * totals).astype(np.float32)
        return cls(targets, index._replace(floors=floors), totals, too_short)

    @cached_property
    def n_too_short(self) -> dict[str, int]:
        """By benchmark, how many items have no part that can be found."""
        findable = {
            (t.item.benchmark, t.item.id) for t, lost in zip(self.targets, self.too_short, strict=True) if not lost
        }
        items = dict.fromkeys((target.item.benchmark, target.item.id) for target in self.targets)
        names = dict.fromkeys(benchmark for benchmark, _ in items)
        return {name: sum(key[0] == name and key not in findable for key in items) for name in names}

    def find(self, texts: pa.LargeStringArray) -> pa.Table:
        """Where the items stand in the texts: a table as HITS, ordered by text and place; nulls hold none."""
        utf8, offsets = text_buffers(texts)
        hits = []
        for row, places in groupby(_places(self.index, utf8, offsets), itemgetter(0)):
            document = utf8[offsets[row] : offsets[row + 1]]
            n_before = np.cumsum((document & 0xC0) != 0x80) - 1  # characters before the one of each byte
            found = (self._hit(document, n_before, *place) for place in places)
            hits += [{"row": row, **hit} for hit in found if hit["score"] >= SCORE_MIN]
        table = pa.Table.from_pylist(hits, schema=HITS)
        keys = ("row", "start", "end", "benchmark", "item", "part")
        return table.sort_by([(key, "ascending") for key in keys])

    def _hit(
        self, document: Bytes, n_before: Counts, _: int, number: int, weight: float, start: int, end: int
    ) -> dict[str, Any]:
        target = self.targets[number]
        while end < len(document) and chr(document[end]) in NUMBER:  # of a number at the end, folding saw one digit
            end += 1
        while start > 0 and chr(document[start - 1]) in NUMBER:
            start -= 1
        reach = 4 * target.answer_reach
        found = document[start:end].tobytes().decode()
        before = document[max(0, start - reach) : start].tobytes().decode(errors="ignore")[-target.answer_reach :]
        after = document[end : end + reach].tobytes().decode(errors="ignore")[: target.answer_reach]
        judged = target.judge(weight, float(self.totals[number]), found, before, after)
        found += target.tail(after)
        return {
            "benchmark": target.item.benchmark,
            "item": target.item.id,
            "part": target.part,
            **judged.__dict__,
            "start": int(n_before[start]),
            "end": int(n_before[start]) + len(found),
            "found": found[:SHOWN_CHARS],
            "wanted": target.text[:SHOWN_CHARS],
        }


def _hashed(text: str) -> tuple[Hashes, Bytes]:
    """The hash of each n-gram of a text, and the units of its last character."""
    utf8 = np.frombuffer(text.encode(), np.uint8)
    hashes, units = np.empty(len(utf8) + RING, np.uint64), np.empty(len(utf8), np.uint8)
    n = hash_grams(utf8, folds(), POWERS, hashes, units)
    return hashes[:n].copy(), units[:n].copy()


def _rarity(counts: Counts, n: int) -> npt.NDArray[np.float64]:
    """1 for what occurs in none of n texts, nearly 0 for what occurs in all: an IDF over its largest value."""
    rarity: npt.NDArray[np.float64] = np.log((n + 1) / (counts + 1)) / np.log(n + 1)
    return rarity


def _index(grams: _Grams, weights: npt.NDArray[np.floating], n_targets: Counts) -> Index:
    """The tables that the kernels read; no target is reported before it has a floor."""
    n_grams = len(grams.keys)
    bits_log2, slots_log2 = max(10, (BITS_PER_GRAM * n_grams).bit_length()), max(4, (2 * n_grams).bit_length())
    places = (grams.keys * SPREAD) >> np.uint64(64 - bits_log2)
    bits = np.zeros(1 << (bits_log2 - 6), np.uint64)
    np.bitwise_or.at(bits, places >> np.uint64(6), np.uint64(1) << (places & np.uint64(63)))
    table, numbers = np.zeros(1 << slots_log2, np.uint64), np.zeros(1 << slots_log2, np.int32)
    place_keys(grams.keys, np.uint64(64 - slots_log2), table, numbers)
    members, sizes = np.concatenate(grams.of_target), np.array([len(mine) for mine in grams.of_target])
    tell = n_targets[members] <= POSTINGS_MAX
    order = np.argsort(members[tell], kind="stable")
    return Index(
        bits=bits,
        bits_shift=np.uint64(64 - bits_log2),
        keys=table,
        keys_shift=np.uint64(64 - slots_log2),
        ids=numbers,
        weights=weights.astype(np.float32),
        posting_starts=_starts(np.bincount(members[tell], minlength=n_grams)),
        postings=np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[tell][order],
        target_starts=_starts(sizes),
        target_grams=members,
        floors=np.full(len(sizes), np.inf, np.float32),
        widths=grams.widths,
    )


def _starts(sizes: Counts) -> Offsets:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _scratch(index: Index, offsets: Offsets) -> Scratch:
    """Memory for the longest of the texts; pages that no text touches cost none."""
    n_hits, n_grams, n_targets = int(np.diff(offsets).max(initial=0)), len(index.weights), len(index.floors)
    return Scratch(
        ring=np.empty(RING, np.uint64),
        gram=np.empty(n_hits, np.int32),
        place=np.empty(n_hits, np.int32),
        first=np.empty(n_hits, np.int64),
        past=np.empty(n_hits, np.int64),
        counts=np.zeros(n_grams, np.int32),
        is_member=np.zeros(n_grams, np.uint8),
        seen_at=np.full(n_targets, -1, np.int32),
        run_weight=np.zeros(n_targets, np.float32),
        run_first=np.zeros(n_targets, np.int32),
        run_last=np.zeros(n_targets, np.int32),
    )


def count_in_documents(items: Sequence[Item], texts: pa.LargeStringArray) -> Counts:
    """In how many of the texts each n-gram of the items occurs, in the order of their hashes."""
    _, grams = _targets_and_grams(items)
    index = _index(grams, grams.units, grams.n_targets())
    utf8, offsets = text_buffers(texts)
    n_documents, last = np.zeros(len(grams.keys), np.int64), np.full(len(grams.keys), -1, np.int32)
    count_documents(utf8, offsets, folds(), POWERS, index, _scratch(index, offsets), last, n_documents)
    return n_documents


def _targets_and_grams(items: Sequence[Item]) -> tuple[list[Target], _Grams]:
    targets = [target for item in items for target in targets_of(item)]
    return targets, _Grams.of([target.text for target in targets])


def _places(index: Index, utf8: Bytes, offsets: Offsets) -> Iterator[tuple[int, int, float, int, int]]:
    """(text, target, weight, first byte, byte after) of every stretch that reaches a target's floor, text by text.

    Bytes are counted from the start of their text.
    """
    scratch, n_rows, document = _scratch(index, offsets), ROWS_AT_ONCE, 0
    while document < len(offsets) - 1:
        ids, bounds = np.empty((2, n_rows), np.int32), np.empty((2, n_rows), np.int64)
        found = Found(ids[0], ids[1], np.empty(n_rows, np.float32), bounds[0], bounds[1])
        n, reached = find_targets(utf8, offsets, document, folds(), POWERS, index, scratch, found)
        firsts = offsets[found.document[:n]]
        found.start[:n] -= firsts
        found.end[:n] -= firsts
        yield from zip(*(column[:n].tolist() for column in found), strict=True)
        n_rows, document = (2 * n_rows if reached == document else n_rows), reached
