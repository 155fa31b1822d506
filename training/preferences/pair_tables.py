"""What held-out pairs say of a model, as figures and tables: all together and by domain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.chat.rows import Left
from training.jobs import Cell, Table
from training.preferences.pairs import PairIds

FLOATS = NDArray[np.float64]


def accuracy(margins: FLOATS) -> float:
    """Share of pairs whose chosen answer is preferred; one that is not decided counts half."""
    return float(np.mean(np.where(margins > 0, 1.0, np.where(margins == 0, 0.5, 0.0))))


def domains_of(pairs: Sequence[PairIds]) -> dict[str, NDArray[np.int64]]:
    """Numbers of the pairs of each domain; `all` first where there are several."""
    names = list(dict.fromkeys(pair.domain for pair in pairs))
    found = {name: np.array([n for n, pair in enumerate(pairs) if pair.domain == name], np.int64) for name in names}
    return ({"all": np.arange(len(pairs))} if len(names) != 1 else {}) | found


@dataclass(frozen=True)
class Column:
    """A figure of each pair, and how it is summed up."""

    title: str
    values: FLOATS
    is_share: bool = False
    """A share that is preferred, of margins; else a mean."""


def table_of(title: str, pairs: Sequence[PairIds], columns: Sequence[Column], note: str = "") -> Table:
    """A row per domain."""
    rows: list[list[Cell]] = []
    for name, places in domains_of(pairs).items():
        summed = [
            accuracy(one.values[places]) if one.is_share else float(one.values[places].mean()) for one in columns
        ]
        rows.append([name, len(places), *(round(one, 4) for one in summed)])
    return Table(title=title, columns=["domain", "pairs", *(one.title for one in columns)], rows=rows, note=note)


def left_out_table(left: Left) -> Table | None:
    """Rows that are not trained on, by reason, with the first one that is at fault."""
    if not left.counts:
        return None
    rows: list[list[Cell]] = [[reason, count, left.examples.get(reason, "")] for reason, count in left.counts.items()]
    return Table(title="Rows left out", columns=["reason", "rows", "the first one"], rows=rows)


def counts_of(pairs: Sequence[PairIds], order: NDArray[np.int64], n_steps: int, n_held_out: int) -> dict[str, int]:
    """What was gone through: `tokens` that were read, `trained_tokens` that a loss was counted on."""
    read = np.array([pair.n_tokens for pair in pairs])
    trained = np.array([len(pair.chosen) + len(pair.rejected) for pair in pairs])
    return {
        "steps": n_steps,
        "examples": len(order),
        "pairs": len(pairs),
        "held_out_pairs": n_held_out,
        "tokens": int(read[order].sum()),
        "trained_tokens": int(trained[order].sum()),
    }


def losses_of(curve: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """`loss_first` and `loss_last` of a curve."""
    losses = [float(line["loss"]) for line in curve if "loss" in line]
    return {"loss_first": losses[0], "loss_last": losses[-1]} if losses else {}
