"""What a stage of continued pre-training reads of its mixtures: no token is lost, and none is counted that is not
read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from manifests.schema_training_stages import Cpt, Replay
from training.jobs import Cell, Table
from training.pretraining.mixtures import Opened, tokens_by_category
from training.pretraining.order import I64, Order, range_of


@dataclass(frozen=True)
class Account:
    """Tokens and sequences of a stage, before it is run."""

    n_tokens: int
    """Without padding."""
    counts: dict[str, int]
    left_out: dict[str, int]
    """Sequences that are never drawn, by what leaves them out."""
    tables: list[Table]


def account(stage: Cpt, mixtures: Sequence[Opened], order: Order) -> Account:
    """Count what an order draws.

    Args:
        stage: of the manifest.
        mixtures: of the order, in its numbers.
        order: without places behind the last sequence.
    """
    drawn = [order.drawn(number, len(one.supply.n_tokens)) for number, one in enumerate(mixtures)]
    n_tokens, length = order.n_tokens([one.supply for one in mixtures]), mixtures[0].dataset.sequence_length
    tables = [_by_mixture(mixtures, drawn, n_tokens), _by_category(mixtures, drawn, n_tokens)]
    tables += [_by_length(one, times) for one, times in zip(mixtures, drawn, strict=True) if one.supply.edges]
    counts = {"sequences": len(order), "padding_tokens": len(order) * length - n_tokens}
    return Account(n_tokens, counts, _left_out(stage, mixtures, drawn), tables)


def _left_out(stage: Cpt, mixtures: Sequence[Opened], drawn: Sequence[I64]) -> dict[str, int]:
    found = dict[str, int]()
    for one, times in zip(mixtures, drawn, strict=True):
        if n_never := int((times == 0).sum()):
            reason = f"{one.field.split(': ')[-1]}: {_reason(stage, one)}"
            found[reason] = n_never
    return found


def _reason(stage: Cpt, one: Opened) -> str:
    """Which setting draws less than everything."""
    if one.supply.edges:
        return "sequences beyond their length's share (`balance_lengths`)"
    if one.field.endswith("replay"):
        return "sequences beyond its `share`"
    if one.supply.tokens is not None:
        return "sequences beyond its `tokens`"
    return f"sequences beyond the stage's `{'steps' if stage.steps else 'epochs'}`"


def _by_mixture(mixtures: Sequence[Opened], drawn: Sequence[I64], n_tokens: int) -> Table:
    rows = [row for one, times in zip(mixtures, drawn, strict=True) for row in _by_stage(one, times, n_tokens)]
    columns = ["mixture", "sequences", "read", "each at most", "tokens", "share"]
    return Table(title="Tokens by mixture", columns=columns, rows=rows, note="Padding is not counted.")


def _by_stage(one: Opened, times: I64, n_tokens: int) -> Iterator[list[Cell]]:
    """A row for each of the mixture's stages that is trained on."""
    for stretch in one.dataset.files.stretches(one.use.stage):
        here = slice(stretch.first - one.dataset.first, stretch.end - one.dataset.first)
        read, tokens = times[here], int(times[here] @ one.supply.n_tokens[here].astype(np.int64))
        name = f"{one.use.path}: {stretch.stage}{' (replay)' if isinstance(one.use, Replay) else ''}"
        share = round(tokens / max(1, n_tokens), 4)
        yield [name, len(read), int(read.sum()), int(read.max(initial=0)), tokens, share]


def _by_category(mixtures: Sequence[Opened], drawn: Sequence[I64], n_tokens: int) -> Table:
    found = dict[str, int]()
    for one, times in zip(mixtures, drawn, strict=True):
        for category, n in tokens_by_category(one, times).items():
            found[category] = found.get(category, 0) + n
    ordered = sorted(found.items(), key=lambda item: -item[1])
    rows: list[list[Cell]] = [[category, n, round(n / max(1, n_tokens), 4)] for category, n in ordered]
    return Table(title="Tokens by category", columns=["category", "tokens", "share"], rows=rows)


def _by_length(one: Opened, times: I64) -> Table:
    """What came of equal shares."""
    supply = one.supply
    assert supply.longest is not None
    of, edges = range_of(supply.longest, supply.edges), [0, *supply.edges]
    tokens = np.bincount(of, times * supply.n_tokens, minlength=len(edges))
    rows: list[list[Cell]] = []
    for number, low in enumerate(edges):
        here = of == number
        name = f"{low:,} to {edges[number + 1] - 1:,}" if number + 1 < len(edges) else f"{low:,} and more"
        most = int(times[here].max()) if here.any() else 0
        rows.append([name, int(here.sum()), int(times[here].sum()), most, int(tokens[number])])
        rows[-1].append(round(float(tokens[number] / max(1, tokens.sum())), 4))
    columns = ["longest document", "sequences", "read", "each at most", "tokens", "share"]
    note = "Of a document that is longer than a sequence, what lies in the sequence counts."
    return Table(title=f"Lengths in {one.label}", columns=columns, rows=rows, note=note)
