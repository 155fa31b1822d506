"""The report's charts: Vega-Lite specifications, rendered to SVG offline by vl-convert.

To begin a rendering costs as much as to draw dozens of charts, so all histograms are drawn by one specification, cut
apart afterwards. Positions are computed here, in pixels, which leaves Vega no scales to work out. Texts are written
here too: Vega would measure each of them, which takes longer than all that it draws.
The page's style sheet recolours the images by their fill and stroke attributes (see COLORS).
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import vl_convert
from numpy.typing import NDArray

from curation.summary_models import BINS_PER_UNIT, EDGES, Distribution, Scale

_NOT_DRAWN = frozenset({"font-family", "role", "class", "aria-roledescription", "aria-hidden"})
SVG = "http://www.w3.org/2000/svg"
COLORS = {
    "kept": "#2b7a78",
    "dropped": "#c8643c",
    "failed": "#6a5590",
    "passing": "#b4d0cb",
    "ink": "#2b2620",
    "faint": "#756c62",
    "shade": "#f3e6da",
}
"""A blue green and an orange, which colour-blind eyes tell apart too; charts also keep them apart by place."""

WIDTH, HEIGHT = 320, 134
LABEL_Y, TOP_Y, MIDDLE_Y, BOTTOM_Y, TICKS_Y = 11, 20, 76, 118, 129


TAIL_FRAC = 0.003
"""Share of the documents that may lie beyond either end of a histogram; its outermost bars hold them too."""
STEPS: dict[Scale, dict[tuple[int, int], int]] = {
    "fraction": {(0, 10): 5, (0, 20): 5, (0, 40): 10, (0, 100): 20, (100, 200): 20, (0, 200): 50},
    "grade": {(0, 100): 20, (0, 500): 100},
}
"""Ranges that a histogram of such numbers can show and the distance of its ticks, in bins; narrowest first."""
N_BARS_MAX = 50
TICK_GAP = 26


@dataclass(frozen=True)
class Text:
    """A text in an image: its place in pixels, and which side of it lies there."""

    text: str
    x: float
    y: float
    anchor: Literal["start", "middle", "end"]
    size: int
    color: str


@dataclass(frozen=True)
class Drawing:
    """What an image holds: rows of data for Vega by the layer that draws them, and texts."""

    rows: dict[str, list[dict[str, float]]]
    texts: list[Text]


@dataclass(frozen=True)
class Line:
    """A threshold in a histogram: documents pass where `value op threshold`."""

    op: str
    threshold: float
    label: str


@dataclass(frozen=True)
class Histogram:
    """Kept documents upwards, dropped ones downwards; heights go with the square root, so that tails can be seen."""

    distribution: Distribution
    lines: tuple[Line, ...] = ()
    beside: tuple[Distribution, ...] = ()
    """Distributions of the same column that are shown beside this one, and so on the same range."""


@dataclass(frozen=True)
class FunnelLayout:
    """Where the parts of a funnel lie, in pixels; `name_y` and `bar_y` count from the top of a step."""

    width: int
    step_height: int
    bars_x: int
    bars_width: int
    bar_y: int
    name_x: int
    name_y: int
    name_anchor: Literal["start", "end"]


WIDE = FunnelLayout(700, 25, bars_x=206, bars_width=380, bar_y=5, name_x=196, name_y=17, name_anchor="end")
NARROW = FunnelLayout(356, 42, bars_x=0, bars_width=236, bar_y=21, name_x=0, name_y=15, name_anchor="start")
"""For a phone: names above the bars."""
BAR_HEIGHT = 15


@dataclass(frozen=True)
class Step:
    """A bar of the funnel: how many records reach this step, and how many it takes away, which then are `verdict`."""

    name: str
    n_before: int
    n_removed: int
    verdict: str
    label: str


@cache
def warm_up() -> None:
    """Load Vega, once: half a second at the first drawing of a process, in which other threads can do their work."""
    draw(_HISTOGRAM_LAYERS, {part: [] for part in _HISTOGRAM_LAYERS}, WIDTH, HEIGHT)


def histograms(cells: Sequence[Histogram]) -> list[str]:
    """One SVG image per histogram, in their order.

    They are drawn over each other and told apart by the order of the elements, which is that of the rows.
    """
    if not cells:
        return []
    drawings = [_cell(cell) for cell in cells]
    parts = {
        part: [row | {"cell": i} for i, drawing in enumerate(drawings) for row in drawing.rows.get(part, [])]
        for part in _HISTOGRAM_LAYERS
    }
    images: list[list[ET.Element]] = [[] for _ in cells]
    for part, elements in zip(parts, draw(_HISTOGRAM_LAYERS, parts, WIDTH, HEIGHT), strict=True):
        owners = [int(row["cell"]) for row in parts[part]]
        for cell, element in zip(dict.fromkeys(owners) if part in _AREAS else owners, elements, strict=True):
            images[cell].append(element)
    return [image(elements, drawing.texts, WIDTH, HEIGHT) for elements, drawing in zip(images, drawings, strict=True)]


def funnel(steps: Sequence[Step], layout: FunnelLayout) -> str:
    """What each step lets through and what it removes, as one SVG image."""
    per_record = layout.bars_width / max(1, *(step.n_before for step in steps))
    bars: dict[str, list[dict[str, float]]] = {part: [] for part in _FUNNEL_LAYERS}
    texts = []
    for i, step in enumerate(steps):
        top = layout.step_height * i
        y, end = top + layout.bar_y, layout.bars_x + step.n_before * per_record
        cut = end - step.n_removed * per_record
        through = "kept" if i == len(steps) - 1 else "passing"
        bars[through].append({"x": layout.bars_x, "x2": cut, "y": y, "y2": y + BAR_HEIGHT})
        bars[step.verdict].append({"x": cut, "x2": end, "y": y, "y2": y + BAR_HEIGHT})
        texts.append(Text(step.name, layout.name_x, top + layout.name_y, layout.name_anchor, 13, "ink"))
        texts.append(Text(step.label, round(end + 8, 1), y + 12, "start", 12, "faint"))
    height = layout.step_height * len(steps)
    elements = [element for part in draw(_FUNNEL_LAYERS, bars, layout.width, height) for element in part]
    return image(elements, texts, layout.width, height)


# what is drawn of one histogram, in pixels


def _cell(cell: Histogram) -> Drawing:
    distribution, edges = cell.distribution, EDGES[cell.distribution.scale]
    kept, dropped = np.array(distribution.kept), np.array(distribution.dropped)
    lines = [(line, _boundary(line, distribution.scale)) for line in cell.lines]
    shown = sum((np.array(other.kept) + np.array(other.dropped) for other in cell.beside), kept + dropped)
    low, high = _range(shown, distribution.scale, [_bin_at(at, edges) for _, at in lines])

    def x_of(value: float) -> float:
        return round(WIDTH * min(max((_bin_at(value, edges) - low) / (high - low), 0), 1), 1)

    drawing = Drawing(_bars(kept, dropped, low, high), [])
    for line, at in lines:
        _add_line(drawing, line, x_of(at))
    whole = 0.5 if distribution.scale == "count" else 0  # a bin of one whole number is named at its middle
    ticks = [(x_of(value + whole * (value < 8)), value) for value in _ticks(distribution.scale, low, high)]
    for x, value in _apart(ticks, TICK_GAP if lines else 4 * TICK_GAP):
        drawing.texts.append(Text(short(value), x, TICKS_Y, "middle", 10, "faint"))
    return drawing


def _apart(ticks: list[tuple[float, float]], gap: float) -> list[tuple[float, float]]:
    """The ticks that keep their distance from the one before."""
    kept: list[tuple[float, float]] = []
    for tick in ticks:
        if not kept or tick[0] - kept[-1][0] >= gap:
            kept.append(tick)
    return kept


def _bin_at(value: float, edges: NDArray[np.float64]) -> float:
    """The place of a value on an axis on which all bins are equally wide."""
    return float(np.interp(value, np.append(edges, np.inf), np.arange(len(edges) + 1)))


def _boundary(line: Line, scale: Scale) -> float:
    """Where passing begins or ends: for whole numbers, <= 3 ends where 4 begins."""
    return line.threshold + (scale == "count" and line.op in ("<=", ">"))


def _range(counts: NDArray[np.int64], scale: Scale, lines: list[float]) -> tuple[int, int]:
    """The bins to show, [low, high): all but the tails, and every line."""
    below = np.cumsum(counts) / max(counts.sum(), 1)
    low, high = int(np.searchsorted(below, TAIL_FRAC)), int(np.searchsorted(below, 1 - TAIL_FRAC)) + 1
    low, high = int(min([low, *lines])), int(np.ceil(max([high, *lines])))
    if scale in STEPS:
        return next((a, b) for a, b in STEPS[scale] if (a <= low and high <= b) or (a, b) == (0, len(counts)))
    low, high = max(low - 1, 0), min(max(high + 1, low + 12), len(counts))
    return (low, high) if high - low <= N_BARS_MAX else (low, high + (high - low) % 2)


def _bars(
    kept: NDArray[np.int64], dropped: NDArray[np.int64], low: int, high: int
) -> dict[str, list[dict[str, float]]]:
    """The outlines of the bars, upwards and downwards from the middle."""
    merged = -(-(high - low) // N_BARS_MAX)
    up, down = (_visible(counts, low, high).reshape(-1, merged).sum(axis=1) for counts in (kept, dropped))
    tallest = max(up.max(), down.max(), 1)
    return {
        "up": _outline(MIDDLE_Y - (MIDDLE_Y - TOP_Y) * np.sqrt(up / tallest)),
        "down": _outline(MIDDLE_Y + (BOTTOM_Y - MIDDLE_Y) * np.sqrt(down / tallest)),
    }


def _outline(ends: NDArray[np.float64]) -> list[dict[str, float]]:
    """Where bars begin that end at these heights; equal bars side by side are one."""
    outline = np.column_stack([np.linspace(0, WIDTH, len(ends) + 1), np.append(ends, ends[-1])]).round(1)
    steps = np.diff(outline[:, 1]) != 0
    return [{"x": x, "y": y} for x, y in outline[np.concatenate([[True], steps[:-1], [True]])].tolist()]


def _visible(counts: NDArray[np.int64], low: int, high: int) -> NDArray[np.int64]:
    """The bins to show, what is beyond them added to the outermost."""
    visible = np.zeros(high - low, dtype=np.int64)
    np.add.at(visible, np.clip(np.arange(len(counts)), low, high - 1) - low, counts)
    return visible


def _add_line(drawing: Drawing, line: Line, x: float) -> None:
    """The threshold, its label towards the wider side, and a shade over where documents fail."""
    left = x < WIDTH / 2
    drawing.rows.setdefault("line", []).append({"x": x})
    drawing.texts.append(Text(line.label, x + 5 if left else x - 5, LABEL_Y, "start" if left else "end", 11, "ink"))
    if line.op in (">", ">=", "<", "<="):
        ends = {"x": 0, "x2": x} if line.op in (">", ">=") else {"x": x, "x2": WIDTH}
        drawing.rows.setdefault("shade", []).append(ends)


def _ticks(scale: Scale, low: int, high: int) -> list[float]:
    """Round values to write below the axis: decades, and finer where these are few."""
    if scale in STEPS:
        return [bin_ / BINS_PER_UNIT[scale] for bin_ in range(low, high + 1, STEPS[scale][low, high])]
    first, last = EDGES[scale][low], EDGES[scale][min(high, len(EDGES[scale]) - 1)]
    powers = [10.0**power for power in (range(13) if scale == "count" else range(-3, 7))]
    fine = [digit * power for power in powers for digit in (1, 2, 5)]
    decades, finer = ([value for value in values if first <= value <= last] for values in (powers, fine))
    return [0.0] * (low == 0) + (decades if len(decades) >= 3 else finer)


def short(value: float) -> str:
    """A number as an axis shows it: 0.25, 50, 20k, 1M."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


# Vega-Lite


def layer(mark: dict[str, Any], **channels: str | float) -> dict[str, Any]:
    """A layer; channels are fields by name, or constants, all in pixels."""
    encoding: dict[str, Any] = {}
    for name, channel in channels.items():
        encoding[name] = {"field": channel, "type": "nominal"} if isinstance(channel, str) else {"value": channel}
        if name[0] in "xy" and isinstance(channel, str):
            encoding[name] = {"field": channel}
        if name in ("x", "y") and isinstance(channel, str):
            encoding[name] |= {"type": "quantitative", "scale": None, "axis": None, "stack": None}
    return {"mark": mark, "encoding": encoding}


def _area(color: str) -> dict[str, Any]:
    mark = {"type": "area", "interpolate": "step-after", "color": COLORS[color]}
    return layer(mark, x="x", y="y", y2=MIDDLE_Y, detail="cell")


_AREAS = ("up", "down")
"""Layers that draw one element of all rows of a cell."""
_HISTOGRAM_LAYERS = {
    "shade": layer({"type": "rect", "color": COLORS["shade"]}, x="x", x2="x2", y=TOP_Y, y2=BOTTOM_Y),
    "up": _area("kept"),
    "down": _area("dropped"),
    "line": layer({"type": "rule", "color": COLORS["ink"], "strokeWidth": 1.5}, x="x", y=2, y2=BOTTOM_Y),
}
_FUNNEL_LAYERS = {
    part: layer({"type": "rect", "color": COLORS[part]}, x="x", x2="x2", y="y", y2="y2")
    for part in ("passing", "kept", "dropped", "failed")
}
_CONFIG = {"background": None, "view": {"stroke": None}, "aria": False}


def draw(
    layers: dict[str, dict[str, Any]], rows: dict[str, list[dict[str, float]]], width: int, height: int
) -> list[list[ET.Element]]:
    """What Vega draws of the rows of each layer."""
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": _CONFIG,
        "width": width,
        "height": height,
        "layer": [{"data": {"values": rows[part]}, **layer} for part, layer in layers.items()],
    }
    return _layers(ET.fromstring(vl_convert.vegalite_to_svg(spec)), len(layers))


def _layers(svg: ET.Element, n_layers: int) -> list[list[ET.Element]]:
    """The drawn elements of each layer, in the order of their rows; of an area, one per path."""
    layers: list[list[ET.Element]] = [[] for _ in range(n_layers)]
    for group in svg.iter(f"{{{SVG}}}g"):
        found = re.search(r"\blayer_(\d+)_marks", group.get("class", ""))
        if found:
            layers[int(found[1])].extend(group)
    return layers


def image(elements: list[ET.Element], texts: list[Text], width: int, height: int) -> str:
    """An SVG image that the page can size, of these elements of Vega's drawing and texts over them."""
    svg = ET.Element("svg", {"viewBox": f"-8 0 {width + 16} {height}", "aria-hidden": "true"})
    for element in elements:
        drawn = {name: value for name, value in element.attrib.items() if name not in _NOT_DRAWN}
        drawn.setdefault("fill", "none")  # as Vega's group says, which is left behind
        ET.SubElement(svg, element.tag.removeprefix(f"{{{SVG}}}"), drawn)
    for text in texts:
        place = {"x": f"{text.x:g}", "y": f"{text.y:g}", "text-anchor": text.anchor}
        ET.SubElement(
            svg, "text", place | {"font-size": f"{text.size}px", "fill": COLORS[text.color]}
        ).text = text.text
    return ET.tostring(svg, encoding="unicode")
