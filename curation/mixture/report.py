"""The report of a mixture: one HTML file that stands alone and runs nothing, as that of a corpus."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from curation.charts import COLORS
from curation.charts_areas import NARROW, OTHERS, PALETTE, WIDE, Stretch, area_chart, column_chart
from curation.mixture.summary import MixtureSummary, Overlap, StageSummary, Taken
from curation.report import LANGUAGE_NAMES, environment, manifest_text

N_MATRIX_MAX = 12
"""Sources up to which overlaps are shown as a matrix, too (from 3 on)."""
N_OVERLAPS = 40
"""Rows of the list of overlaps."""


@dataclass(frozen=True)
class Row:
    """A category of a stage, or one of its sources: asked for and taken."""

    name: str
    color: str
    is_part: bool
    asked_frac: float
    n_tokens: int
    stage_tokens: int
    n_documents: int
    epochs: float | None
    """None for a category of several sources, which go round at their own pace."""
    epochs_total: float | None
    epochs_max: float | None
    n_available: int

    @property
    def frac(self) -> float:
        """Share of the stage's tokens."""
        return self.n_tokens / self.stage_tokens if self.stage_tokens else 0.0

    @property
    def points_off(self) -> float:
        """By how many percentage points the share is above what was asked for."""
        return 100 * (self.frac - self.asked_frac)


def render(summary: MixtureSummary, record: Mapping[str, Any]) -> str:
    """The report as one HTML page; the same summary and record give the same bytes.

    Args:
        summary: what the mixture came to.
        record: run.json as a dictionary; whatever is missing there is left out of the page.
    """
    css = environment().get_template("report.css").render(colors=COLORS)
    colors = _colors(summary)
    rows = [(stage, _rows(summary, stage, colors)) for stage in summary.stages]
    return (
        environment()
        .get_template("mixture.html")
        .render(
            css=Markup(css),
            css_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
            record=record,
            summary=summary,
            stages=rows,
            most_off=max((abs(row.points_off) for _, of in rows for row in of if not row.is_part), default=0.0),
            legend=_legend(summary, colors),
            color_of={source.name: colors[source.category] for source in summary.sources},
            charts={name: Markup(chart) for name, chart in _charts(summary, colors).items()},
            epochs_scale=max([1e-9, *(max(source.epochs, source.epochs_max) for source in summary.sources)]),
            overlaps=sorted(summary.overlaps, key=lambda of: (-of.frac, of.source, of.other)),
            matrix=_matrix(summary.overlaps),
            n_overlaps=N_OVERLAPS,
            language_names=LANGUAGE_NAMES | {"other": "other languages"},
            manifest=manifest_text(record["manifest"]) if record.get("manifest") else "",
        )
    )


def _colors(summary: MixtureSummary) -> dict[str, str]:
    """A colour for each category; past the palette the smaller ones share one."""
    sizes: dict[str, int] = {source.category: 0 for source in summary.sources}
    for stage in summary.stages:
        for taken in stage.taken:
            sizes[taken.category] = sizes.get(taken.category, 0) + taken.n_tokens
    largest = sorted(sizes, key=lambda name: -sizes[name])
    shown = largest if len(largest) <= len(PALETTE) else largest[: len(PALETTE) - 1]
    by_place = {name: PALETTE[place] for place, name in enumerate(name for name in sizes if name in shown)}
    return {name: by_place.get(name, OTHERS) for name in sizes}


def _legend(summary: MixtureSummary, colors: Mapping[str, str]) -> list[tuple[str, str, int]]:
    """Name, colour and tokens of what the chart shows, from the top down."""
    sizes: dict[tuple[str, str], int] = {}
    for category, color in colors.items():
        key = ("others", color) if color == OTHERS else (category, color)
        n_tokens = sum(t.n_tokens for stage in summary.stages for t in stage.taken if t.category == category)
        sizes[key] = sizes.get(key, 0) + n_tokens
    ordered = sorted(sizes, key=lambda key: key[1] == OTHERS)
    return [(name, color, sizes[name, color]) for name, color in ordered]


def _rows(summary: MixtureSummary, stage: StageSummary, colors: Mapping[str, str]) -> list[Row]:
    """The categories of a stage, each followed by its sources where it has several."""
    rows: list[Row] = []
    for category in dict.fromkeys(taken.category for taken in stage.taken):
        parts = [_row(summary, stage, taken, colors) for taken in stage.taken if taken.category == category]
        rows += [_sum(category, parts), *parts] if len(parts) > 1 else [_alone(category, parts[0])]
    return rows


def _row(summary: MixtureSummary, stage: StageSummary, taken: Taken, colors: Mapping[str, str]) -> Row:
    source = next(source for source in summary.sources if source.name == taken.source)
    return Row(
        name=taken.source,
        color=colors[taken.category],
        is_part=True,
        asked_frac=taken.asked_frac,
        n_tokens=taken.n_tokens,
        stage_tokens=stage.n_tokens,
        n_documents=taken.n_documents,
        epochs=taken.epochs,
        epochs_total=source.epochs,
        epochs_max=source.epochs_max,
        n_available=source.n_tokens,
    )


def _sum(category: str, parts: Sequence[Row]) -> Row:
    return Row(
        name=category,
        color=parts[0].color,
        is_part=False,
        asked_frac=sum(part.asked_frac for part in parts),
        n_tokens=sum(part.n_tokens for part in parts),
        stage_tokens=parts[0].stage_tokens,
        n_documents=sum(part.n_documents for part in parts),
        epochs=None,
        epochs_total=None,
        epochs_max=None,
        n_available=sum(part.n_available for part in parts),
    )


def _alone(category: str, part: Row) -> Row:
    name = category if part.name == category else f"{category}: {part.name}"
    return Row(**{**vars(part), "name": name, "is_part": False})


def _charts(summary: MixtureSummary, colors: Mapping[str, str]) -> dict[str, str]:
    charts = {}
    if summary.courses and len(summary.course_edges) > 1:
        order = [color for _, color, _ in _legend(summary, colors)]
        n_tokens, asked = np.zeros((2, len(order), len(summary.course_edges) - 1))
        for course in summary.courses:
            n_tokens[order.index(colors[course.category])] += course.n_tokens
            asked[order.index(colors[course.category])] += course.asked_frac
        fracs = n_tokens / np.maximum(n_tokens.sum(axis=0), 1)
        for name, layout in (("wide", WIDE), ("narrow", NARROW)):
            charts[name] = area_chart(summary.course_edges, fracs, asked, order, _stretches(summary), layout)
    for name, counts in (("spans", summary.spans_per_sequence), ("documents", summary.tokens_per_document)):
        if counts:
            charts[name] = column_chart([_binary(power) for power in range(len(counts))], counts)
    return charts


def _stretches(summary: MixtureSummary) -> list[Stretch]:
    stretches, start = [], 0
    for stage in summary.stages:
        stretches.append(Stretch(stage.name, start, start + stage.transition_tokens))
        start += stage.n_tokens
    return stretches


def _binary(power: int) -> str:
    """2^power as an axis shows it: 512, 1Ki, 2Mi."""
    return f"{2 ** (power % 10)}{('', 'Ki', 'Mi', 'Gi', 'Ti')[power // 10]}"


def _matrix(overlaps: Sequence[Overlap]) -> tuple[list[str], dict[tuple[str, str], Overlap]] | None:
    """The sources, and what is known of each pair of them; None where that is no more than the list, or vast."""
    names = list(dict.fromkeys(name for of in overlaps for name in (of.source, of.other)))
    return (names, {(of.source, of.other): of for of in overlaps}) if 3 <= len(names) <= N_MATRIX_MAX else None
