"""What a merge did, tensor by tensor: `merge.json`, tables for the page, and in words."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from manifests.schema_merge import MergeRule
from training.jobs import Cell, Table
from training.merging.arithmetic import COLLINEAR

REPORT = "merge.json"
MOSTLY = 0.5
"""Share of the parameters that says what a merge is."""
NARROW = 5.0
"""Degrees below which arc and straight line are the same to 0.1%, halfway between tensors of equal norm."""
ROWS_MAX = 40


class TensorRecord(BaseModel):
    """How a tensor came about."""

    name: str
    layer: int | None
    module: str
    shape: list[int]
    dtype: str
    n_numbers: int
    path: str
    """`slerp`, `linear` (of the method slerp: its fallback), `same` (to the bit, in all models), `copied` (whole
    numbers), or the name of the method."""
    weights: list[float] = Field(default_factory=list)
    """What each model is multiplied with."""
    t: float | None = None
    cosine: float | None = None
    """Of the angle between two models' tensors."""
    angle: float | None = None
    """In degrees."""


class Part(BaseModel):
    """Tensors and parameters that took a path."""

    n_tensors: int = 0
    n_parameters: int = 0


class MergeReport(BaseModel):
    """What a merge did."""

    rule: MergeRule
    seed: int
    n_parameters: int
    n_bytes: int
    paths: dict[str, Part]
    words: list[str]
    notes: list[str]
    """What was settled where models differ."""
    tensors: list[TensorRecord]

    def share(self, path: str) -> float:
        """Share of the parameters that took a path."""
        return self.paths.get(path, Part()).n_parameters / max(self.n_parameters, 1)


def report_of(rule: MergeRule, seed: int, tensors: list[TensorRecord], n_bytes: int, notes: list[str]) -> MergeReport:
    """The report of a merge, from what became of each tensor."""
    paths: dict[str, Part] = {}
    for record in tensors:
        part = paths.setdefault(record.path, Part())
        part.n_tensors += 1
        part.n_parameters += record.n_numbers
    n_parameters = sum(part.n_parameters for part in paths.values())
    report = MergeReport(
        rule=rule, seed=seed, n_parameters=n_parameters, n_bytes=n_bytes, paths=paths, words=[], notes=notes,
        tensors=tensors,
    )  # fmt: skip
    return report.model_copy(update={"words": in_words(report)})


def in_words(report: MergeReport) -> list[str]:
    """What the figures say."""
    angles = [record for record in report.tensors if record.angle is not None and record.path != "same"]
    said = []
    if report.rule.method == "slerp":
        said += _slerp_in_words(report)
    if report.share("same") > 0:
        said.append(
            f"{report.share('same'):.1%} of the parameters are the same to the bit in both models, and stay so."
        )
    if angles:
        least, most = (pick(angles, key=lambda record: record.angle or 0.0) for pick in (min, max))
        said.append(
            f"Angles between tensors: {_degrees(least.angle)} ({least.name}) to {_degrees(most.angle)} ({most.name})."
        )
    return said


def _slerp_in_words(report: MergeReport) -> list[str]:
    share, line = report.share("slerp"), report.share("linear")
    said = [
        f"{share:.1%} of the parameters were merged along the arc (SLERP)"
        + (
            f", {line:.1%} along the straight line, because their tensors' cosine is beyond {COLLINEAR}."
            if line
            else "; none fell back to the straight line."
        )
    ]
    slerped = [record for record in report.tensors if record.path == "slerp" and record.weights]
    excess = max((sum(record.weights) - 1 for record in slerped if (record.cosine or 0) > 0), default=0.0)
    if excess > 0:
        said.append(
            f"Where it took the arc, the weights of both models add up to {1 + excess:.4f} at most: by so much at "
            "most are tensors of equal norm longer than along the straight line."
        )
    near = [of for of in report.tensors if of.t is not None and of.angle is not None and of.angle < NARROW]
    narrow = sum(record.n_numbers for record in near)
    if narrow / max(report.n_parameters, 1) > MOSTLY:
        said.append(
            f"{narrow / report.n_parameters:.1%} of the parameters lie less than {NARROW:g} degrees apart, where arc "
            "and straight line are the same to 0.1%: this is a linear merge in nearly all but name, as of most "
            "fine-tunes of one base, and a comparison of SLERP with `linear` compares two equal models."
        )
    return said


def tables_of(report: MergeReport) -> list[Table]:
    """Tables for the page: the paths, the modules, what was settled."""
    rows: list[list[Cell]] = [
        [path, part.n_tensors, part.n_parameters, f"{report.share(path):.1%}"] for path, part in report.paths.items()
    ]
    tables = [
        Table(
            title="Which path tensors took",
            columns=["path", "tensors", "parameters", "share"],
            rows=rows,
            note=" ".join(report.words),
        )
    ]
    if any(record.angle is not None for record in report.tensors):
        tables.append(_by_module(report.tensors))
    if report.notes:
        tables.append(
            Table(
                title="What was settled where models differ", columns=["what"], rows=[[note] for note in report.notes]
            )
        )
    return tables


def _by_module(records: Sequence[TensorRecord]) -> Table:
    groups: dict[str, list[TensorRecord]] = defaultdict(list)
    for record in records:
        if record.angle is not None:
            groups[record.module].append(record)
    rows: list[list[Cell]] = []
    for module, group in groups.items():
        angles = [record.angle or 0.0 for record in group]
        n_arc = sum(record.path == "slerp" for record in group)
        values = sorted({round(record.t, 4) for record in group if record.t is not None})
        span = f"{values[0]:g} to {values[-1]:g}" if len(values) > 1 else f"{values[0]:g}" if values else ""
        figures: list[Any] = [round(float(f(angles)), 3) for f in (np.min, np.median, np.max)]
        rows.append([module, len(group), n_arc, *figures, span])
    return Table(
        title="Angles between both models, by module",
        columns=["module", "tensors", "along the arc", "least, degrees", "median", "most", "t"],
        rows=rows[:ROWS_MAX],
        note=f"The fallback begins below {math.degrees(math.acos(COLLINEAR)):.2f} degrees.",
    )


def _degrees(angle: float | None) -> str:
    return f"{angle or 0.0:.3g}°"
