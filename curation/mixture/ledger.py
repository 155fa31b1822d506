"""The token ledger: what was taken of each source, in which pass, from which range of ids, and where it lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pyarrow as pa

from curation.mixture.plan import Block, Spans
from curation.mixture.token_rows import binary_ids
from manifests.contracts import TOKEN_LEDGER

VALIDATION = "validation"
"""The stage of what is held out."""


@dataclass
class _Entry:
    """What was taken of one lot in one pass, in a stage."""

    id_from: tuple[int, int]
    id_to: tuple[int, int]
    first_sequence: int
    last_sequence: int
    n_documents: int = 0
    n_spans: int = 0
    n_tokens: int = 0
    n_firsts: int = 0


class Ledger:
    """Adds up blocks."""

    def __init__(self, names: Sequence[str], categories: Sequence[str]) -> None:
        self._names, self._categories = names, categories
        self._entries: dict[tuple[str, int, int, int], _Entry] = {}

    def add(self, block: Block) -> None:
        """Take a block into account."""
        spans = block.spans
        order = np.lexsort((spans["id_low"], spans["id_high"], spans["lot"], spans["epoch"], spans["source"]))
        spans = spans[order]
        which = np.stack([spans[name].astype(np.int64) for name in ("source", "epoch", "lot")], axis=1)
        firsts = [0, *(np.flatnonzero((np.diff(which, axis=0) != 0).any(axis=1)) + 1).tolist(), len(spans)]
        for start, end in pairwise(firsts):
            source, epoch, lot = which[start].tolist()
            self._add(self._entries, (block.stage, source, epoch, lot), spans[start:end])

    @staticmethod
    def _add(entries: dict[tuple[str, int, int, int], _Entry], key: tuple[str, int, int, int], spans: Spans) -> None:
        """Take spans of one lot, ordered by id, into account."""
        low, high = (_id(spans, at) for at in (0, -1))
        first, last = int(spans["sequence"].min()), int(spans["sequence"].max())
        entry = entries.setdefault(key, _Entry(low, high, first, last))
        entry.id_from, entry.id_to = min(entry.id_from, low), max(entry.id_to, high)
        entry.first_sequence, entry.last_sequence = min(entry.first_sequence, first), max(entry.last_sequence, last)
        entry.n_documents += int((spans["offset"] == 0).sum())
        entry.n_spans += len(spans)
        entry.n_tokens += int(spans["length"].sum())
        entry.n_firsts += int(((spans["offset"] == 0) & (spans["turn"] == 0) & (spans["epoch"] == 0)).sum())

    def sums(self, of: Literal["n_tokens", "n_documents", "n_spans", "n_firsts"]) -> Mapping[tuple[str, int], int]:
        """Counts by (stage, number of the source); `n_firsts` are documents that come for the first time."""
        sums = dict[tuple[str, int], int]()
        for (stage, source, _, _), entry in self._entries.items():
            sums[stage, source] = sums.get((stage, source), 0) + getattr(entry, of)
        return sums

    def table(self) -> pa.Table:
        """Rows of `contracts.TOKEN_LEDGER`, in the order of training."""
        rows = sorted(self._entries.items(), key=lambda row: (row[1].first_sequence, row[0]))
        entries = [entry for _, entry in rows]
        columns = {
            "stage": [key[0] for key, _ in rows],
            "category": [self._categories[key[1]] for key, _ in rows],
            "source": [self._names[key[1]] for key, _ in rows],
            "epoch": [key[2] for key, _ in rows],
            "id_from": _ids([entry.id_from for entry in entries]),
            "id_to": _ids([entry.id_to for entry in entries]),
            **{
                name: [getattr(entry, name) for entry in entries]
                for name in ("n_documents", "n_spans", "n_tokens", "first_sequence", "last_sequence")
            },
        }
        return pa.table([pa.array(columns[field.name], field.type) for field in TOKEN_LEDGER], schema=TOKEN_LEDGER)


def _id(spans: Spans, at: int) -> tuple[int, int]:
    return int(spans["id_high"][at]), int(spans["id_low"][at])


def _ids(pairs: Sequence[tuple[int, int]]) -> pa.Array:
    numbers = np.array(pairs, np.uint64).reshape(-1, 2)
    return binary_ids(numbers[:, 0], numbers[:, 1])
