"""Charts of what a mixture is made of: shares along the training as areas on each other, and counts as columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.charts import COLORS, Text, draw, image, layer, short
from curation.charts_lines import Axis, round_ticks

PALETTE = ("#318582", "#d08a3e", "#5d7fb0", "#b8607c", "#8c9a45", "#7d689f", "#a8734d", "#4f9fc0")
"""Of areas, in their order; each is told from those beside it by eyes of any kind, on light and on dark paper."""
OTHERS = "#98907f"

COLUMNS_WIDTH, COLUMNS_HEIGHT = 340, 150
COLUMNS_TOP_Y, COLUMNS_BOTTOM_Y = 20, 130
LABEL_WIDTH = 24
"""Of a label below columns, in pixels, about."""


@dataclass(frozen=True)
class AreasLayout:
    """Where the parts of a chart of areas lie, in pixels."""

    width: int
    height: int
    left_x: int
    top_y: int = 30
    """Of the areas; names of stages stand above."""
    below: int = 36
    """From the areas' lower end to that of the image."""

    @property
    def bottom_y(self) -> int:
        """The lower end of the areas."""
        return self.height - self.below


WIDE = AreasLayout(760, 340, left_x=38)
NARROW = AreasLayout(356, 300, left_x=34)
"""For a phone."""


@dataclass(frozen=True)
class Stretch:
    """A stage on the axis: its name, where it begins, and where its transition ends (or where it begins)."""

    name: str
    start: float
    transition_end: float


def area_chart(
    edges: Sequence[float],
    fracs: NDArray[np.float64],
    asked: NDArray[np.float64],
    colors: Sequence[str],
    stretches: Sequence[Stretch],
    layout: AreasLayout,
) -> str:
    """Shares on each other along an axis, as an SVG image.

    Args:
        edges: (n_bins + 1,) where the bins of the axis begin, and where the last one ends.
        fracs: (n_areas, n_bins) shares of each bin, the uppermost area first.
        asked: (n_areas, n_bins) shares that were asked for, whose boundaries are drawn over the areas.
        colors: (n_areas,) of the areas.
        stretches: stages, in their order.
        layout: sizes.
    """
    x = Axis("tokens trained on", edges[0], edges[-1], round_ticks(edges[-1]))
    y = Axis("", 0, 1, (0, 0.25, 0.5, 0.75, 1))
    xs = [x.place(edge, layout.left_x, layout.width - 8) for edge in edges]
    layers: dict[str, dict[str, Any]] = {}
    rows: dict[str, list[dict[str, float]]] = {}
    tops, asked_tops = _tops(fracs, layout), _tops(asked, layout)
    for number, color in enumerate(colors):
        mark = {"type": "area", "interpolate": "step-after", "color": color}
        layers[f"area{number}"] = layer(mark, x="x", y="y", y2="y2")
        rows[f"area{number}"] = [
            {"x": at, "y": top, "y2": bottom}
            for at, top, bottom in zip(xs, _closed(tops[number]), _closed(tops[number + 1]), strict=True)
        ]
    for number in range(1, len(colors)):
        dashes = {"color": COLORS["ink"], "strokeWidth": 1, "strokeDash": [4, 3]}
        layers[f"asked{number}"] = layer({"type": "line", "interpolate": "step-after"} | dashes, x="x", y="y")
        rows[f"asked{number}"] = [
            {"x": at, "y": top} for at, top in zip(xs, _closed(asked_tops[number]), strict=True)
        ]
    layers["stage"] = layer(
        {"type": "rule", "color": COLORS["ink"], "strokeWidth": 1.5}, x="x", y=8, y2=layout.bottom_y
    )
    starts = [x.place(stretch.start, layout.left_x, layout.width - 8) for stretch in stretches]
    rows["stage"] = [{"x": at} for at in starts]
    layers["transition"] = layer(
        {"type": "rect", "color": COLORS["dropped"]}, x="x", x2="x2", y=layout.top_y - 7, y2=layout.top_y - 2
    )
    ends = [x.place(stretch.transition_end, layout.left_x, layout.width - 8) for stretch in stretches]
    rows["transition"] = [{"x": a, "x2": b} for a, b in zip(starts, ends, strict=True) if b > a]
    elements = [element for part in draw(layers, rows, layout.width, layout.height) for element in part]
    return image(elements, _area_texts(x, y, stretches, starts, layout), layout.width, layout.height)


def _tops(fracs: NDArray[np.float64], layout: AreasLayout) -> NDArray[np.float64]:
    """(n_areas + 1, n_bins) where areas begin, from the top down, and where the last one ends."""
    below = np.vstack([np.zeros(fracs.shape[1]), np.cumsum(fracs, axis=0)]).clip(0, 1)
    return (layout.top_y + (layout.bottom_y - layout.top_y) * below).round(1)


def _closed(values: NDArray[np.float64]) -> list[float]:
    """A value for each edge: that of the last bin holds to its end."""
    found: list[float] = np.append(values, values[-1]).tolist()
    return found


def _area_texts(
    x: Axis, y: Axis, stretches: Sequence[Stretch], starts: Sequence[float], layout: AreasLayout
) -> list[Text]:
    right, bottom = layout.width - 8, layout.bottom_y
    texts = [
        Text(short(tick), x.place(tick, layout.left_x, right), bottom + 14, "middle", 10, "faint") for tick in x.ticks
    ]
    texts.append(Text(x.title, (layout.left_x + right) / 2, bottom + 31, "middle", 11, "ink"))
    for tick in y.ticks:
        at = y.place(tick, bottom, layout.top_y)
        texts.append(Text(f"{100 * tick:.0f}%", layout.left_x - 5, at + 3, "end", 10, "faint"))
    for stretch, start, end in zip(stretches, starts, [*starts[1:], right], strict=True):
        n_chars = int((end - start - 8) // 6.5)
        if n_chars >= 3:
            name = stretch.name if len(stretch.name) <= n_chars else stretch.name[: n_chars - 1] + "…"
            texts.append(Text(name, start + 4, 17, "start", 11, "ink"))
    return texts


def column_chart(labels: Sequence[str], counts: Sequence[int]) -> str:
    """Columns side by side as an SVG image, each with its share of the whole above it."""
    width = COLUMNS_WIDTH / max(len(counts), 1)
    tallest, total = max(counts, default=0) or 1, sum(counts) or 1
    span = COLUMNS_BOTTOM_Y - COLUMNS_TOP_Y
    rows, texts = [], []
    every = max(1, round(LABEL_WIDTH / width + 0.49))
    for k, (label, count) in enumerate(zip(labels, counts, strict=True)):
        top = round(COLUMNS_BOTTOM_Y - span * count / tallest, 1)
        rows.append({"x": round(k * width + 1, 1), "x2": round((k + 1) * width - 1, 1), "y": top})
        middle = round((k + 0.5) * width, 1)
        if k % every == 0:
            texts.append(Text(label, middle, COLUMNS_BOTTOM_Y + 14, "middle", 10, "faint"))
        if count / total >= 0.01:
            texts.append(Text(f"{100 * count / total:.0f}%", middle, top - 4, "middle", 9, "faint"))
    mark = {"type": "rect", "color": COLORS["kept"]}
    layers = {"column": layer(mark, x="x", x2="x2", y="y", y2=COLUMNS_BOTTOM_Y)}
    elements = draw(layers, {"column": rows}, COLUMNS_WIDTH, COLUMNS_HEIGHT)[0]
    return image(elements, texts, COLUMNS_WIDTH, COLUMNS_HEIGHT)
