"""A pruning as the page of a training shows it: sizes, what importance stays, and where each axis was cut."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.jobs import Made, Table
from training.pages.charts import Chart, Line, line_charts
from training.pruning.ranking import I64, Kept, shares_kept
from training.pruning.scores import F64, Scores
from training.pruning.slicing import PruneReport
from training.stacking.charts import influence_chart
from training.stacking.influence import ranked

AXES = {"hidden": "Hidden channels", "mlp": "Neurons of MLPs", "heads": "Heads of queries"}
NAMES = {
    "hidden_size": "hidden channels", "intermediate_size": "neurons per layer", "num_hidden_layers": "layers",
    "num_attention_heads": "heads of queries", "num_key_value_heads": "heads of keys and values",
    "head_dim": "width of a head",
}  # fmt: skip
DOTS_MAX = 64
"""Scores that are drawn one by one; more are a line."""


@dataclass(frozen=True, eq=False)
class Pruned:
    """What came of pruning."""

    report: PruneReport
    scores: Scores | None
    """None where no width was cut."""
    kept: Kept
    influences: list[float]
    """Of each layer, where depth was cut."""


def layers_kept(influences: list[float], n_layers: int) -> list[int]:
    """The layers that change most what goes through them, in their order; of equal ones the last."""
    return sorted(ranked(influences, "least")[len(influences) - n_layers :])


def made_of(pruned: Pruned) -> Made:
    """What a stage tells of a pruning."""
    report, scores = pruned.report, pruned.scores
    counts = {"parameters": report.parameters_after, "parameters_before": report.parameters_before}
    figures, charts = {"cut_share": report.cut_share}, dict[str, str]()
    if scores is not None:
        counts |= {"samples": scores.n_samples, "calibration_tokens": scores.n_tokens}
        figures |= {f"{axis}_importance_kept": share for axis, share in importance_kept(pruned, scores).items()}
        charts = importance_charts(scores, pruned.kept)
    if pruned.influences:
        gone = set(range(len(pruned.influences))) - set(_layers(pruned))
        charts["Block influence of each layer"] = influence_chart(pruned.influences, gone, "layers that go")
    tables = tables_of(pruned)
    if report.notes:
        tables.append(Table(title="What was settled", columns=["note"], rows=[[note] for note in report.notes]))
    return Made(counts=counts, figures=figures, tables=tables, charts=charts)


def tables_of(pruned: Pruned) -> list[Table]:
    """Sizes, what importance stays, and the influence of layers, as far as they were measured."""
    tables = [size_table(pruned.report)]
    if pruned.scores is not None:
        tables.append(importance_table(pruned.report, importance_kept(pruned, pruned.scores)))
    if pruned.influences:
        tables.append(_influence_table(pruned))
    return tables


def importance_kept(pruned: Pruned, scores: Scores) -> dict[str, float]:
    """Which share of all importance stays, by axis."""
    return shares_kept(scores, pruned.kept, (len(scores.hidden) - 1) // len(scores.mlp))


def size_table(report: PruneReport) -> Table:
    """Sizes and weights, before and after."""
    rows: list[list[str | int | float | None]] = [
        [title, report.before[name], report.after[name]] for name, title in NAMES.items()
    ]
    rows += [
        ["weights", report.parameters_before, report.parameters_after],
        ["weights beside embeddings", report.beside_embeddings_before, report.beside_embeddings_after],
    ]
    note = f"{report.cut_share:.1%} of the weights beside embeddings are gone."
    return Table(title="Sizes", columns=["of", "before", "after"], rows=rows, note=note)


def importance_table(report: PruneReport, shares: Mapping[str, float]) -> Table:
    """Which share of each axis stays, and which share of its importance."""
    sizes = dict(zip(AXES, ("hidden_size", "intermediate_size", "num_attention_heads"), strict=True))
    rows: list[list[str | int | float | None]] = [
        [title, f"{report.after[sizes[axis]] / report.before[sizes[axis]]:.1%}", f"{shares[axis]:.1%}"]
        for axis, title in AXES.items()
    ]
    note = "Where both shares are alike, what goes is active like what stays, and pruning by importance gains little."
    return Table(title="Importance that stays", columns=["of", "stay", "importance that stays"], rows=rows, note=note)


def importance_charts(scores: Scores, kept: Kept) -> dict[str, str]:
    """Of each axis that was cut, its importance in falling order, and what stays; SVG by title."""
    cut = {
        axis: title for axis, title in AXES.items() if getattr(kept, axis).shape[1] < getattr(scores, axis).shape[1]
    }
    drawn = line_charts([_chart(getattr(scores, axis), getattr(kept, axis)) for axis in cut])
    return {f"{title}, by importance": svg for title, svg in zip(cut.values(), drawn, strict=True)}


def _chart(scores: F64, kept: I64) -> Chart:
    """Falling scores, the greatest as 1: their sum over layers where one choice was made for all of them, else the
    mean of the layers' own orders."""
    n_kept = kept.shape[1]
    if (kept == kept[0]).all():
        total = scores.sum(0)
        order = np.argsort(-total, kind="stable")
        falling, stays = total[order], np.isin(order, kept[0])
    else:
        falling = -np.sort(-scores, axis=1).mean(0)
        stays = np.arange(scores.shape[1]) < n_kept
    values = falling / (falling.max() or 1.0)
    points = [(float(place + 1), float(value)) for place, value in enumerate(values)]
    is_dotted = len(points) <= DOTS_MAX
    lines = [
        Line(
            [point for point, of in zip(points, stays, strict=True) if of == is_kept],
            label,
            color,
            width=0 if is_dotted else 1.6,
            has_dots=is_dotted,
        )
        for is_kept, label, color in ((True, "stay", "kept"), (False, "go", "dropped"))
    ]
    return Chart(lines, x_title="place by importance", y_title="greatest = 1", low=0.0, rules=((n_kept + 0.5, ""),))


def _layers(pruned: Pruned) -> list[int]:
    """Layers that stay."""
    return layers_kept(pruned.influences, pruned.report.after["num_hidden_layers"])


def _influence_table(pruned: Pruned) -> Table:
    stays = _layers(pruned)
    rows: list[list[str | int | float | None]] = [
        [layer, f"{value:.4g}", "stays" if layer in stays else "goes"]
        for layer, value in enumerate(pruned.influences)
    ]
    note = "One minus the cosine of what goes into a layer and what comes out; layers that change least go."
    return Table(title="Influence of layers", columns=["layer", "influence", "it"], rows=rows, note=note)
