"""What became of a model whose layers were put together anew: `upscale.json`, a table, words."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from training.jobs import Cell, Table
from training.stacking.layers import spans

REPORT = "upscale.json"


class StackReport(BaseModel):
    """Which layers a model has, and whose they are."""

    model: str
    """What the model that they are of is called."""
    layers: list[int]
    """Number in that model of each layer, from 0."""
    n_layers_before: int
    start: str
    """`copy`, or `identity`: layers that were there before change nothing at first."""
    silent: list[int]
    """Places of layers that change nothing at first."""
    n_tensors: int
    n_parameters_before: int
    """Numbers of all tensors."""
    n_parameters: int
    n_bytes: int
    notes: list[str] = Field(default_factory=list)
    """What was settled."""
    influences: list[float] | None = None
    """Block influence of each layer of the model, where layers were chosen by it."""

    @property
    def n_layers(self) -> int:
        """Of the new model."""
        return len(self.layers)


def tables_of(report: StackReport, with_notes: bool = True) -> list[Table]:
    """Tables for the page: which layers come from where, by what they were chosen, and what was settled."""
    tables = [
        Table(
            title="Which layers are whose",
            columns=["layers", f"of {report.model}", "how many", "there for the"],
            rows=_rows(report),
            note=_words(report),
        )
    ]
    if report.influences is not None:
        tables.append(_influences(report, report.influences))
    if report.notes and with_notes:
        rows: list[list[Cell]] = [[note] for note in report.notes]
        tables.append(Table(title="What was settled", columns=["what"], rows=rows))
    return tables


def _influences(report: StackReport, influences: Sequence[float]) -> Table:
    return Table(
        title="Block influence",
        columns=[f"layer of {report.model}", "influence", "how often it is there"],
        rows=[[layer, round(value, 5), report.layers.count(layer)] for layer, value in enumerate(influences)],
        note="One minus the cosine of what goes into a layer and what comes out, on the mean of all tokens.",
    )


def _rows(report: StackReport) -> list[list[Cell]]:
    """A row for each stretch of layers that follow each other in both models and are there as often."""
    rows: list[list[Cell]] = []
    seen: dict[int, int] = {}
    at = 0
    for first, end in spans(report.layers):
        times = []
        for layer in range(first, end):
            seen[layer] = seen.get(layer, 0) + 1
            times.append(seen[layer])
        for start, stop in _runs(times):
            rows.append(
                [
                    _between(at + start, at + stop),
                    _between(first + start, first + stop),
                    stop - start,
                    f"{_ordinal(times[start])} time",
                ]
            )
        at += end - first
    return rows


def _runs(values: Sequence[int]) -> list[tuple[int, int]]:
    """Stretches of equal values, as [start, stop)."""
    starts = [place for place, value in enumerate(values) if not place or values[place - 1] != value]
    return list(zip(starts, [*starts[1:], len(values)], strict=True))


def _between(first: int, end: int) -> str:
    return str(first) if end - first == 1 else f"{first} to {end - 1}"


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def _words(report: StackReport) -> str:
    said = (
        f"{report.n_layers_before} layers became {report.n_layers}, and {report.n_parameters_before:,} parameters "
        f"{report.n_parameters:,}. Layers are counted from 0."
    )
    if report.silent:
        said += (
            f" {len(report.silent)} of them change nothing at first, so that the model answers as the one before it."
        )
    return said
