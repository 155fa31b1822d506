"""Charts of a training: curves over steps, measures over stages, points that trade one measure for another.

All charts of a page are drawn by one rendering, as `curation.charts` draws histograms: positions are computed here,
in pixels, and texts are placed by us. Long curves are thinned to what their pixels show, so that no spike is lost.
"""

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from curation.charts import COLORS, SVG, Text, draw, image, layer, short
from curation.charts_lines import Axis

WIDTH, HEIGHT = 340, 206
LEFT_X, RIGHT_X, TOP_Y, BOTTOM_Y = 38, 334, 26, 168
TICKS_Y, TITLE_Y, LEGEND_Y = 182, 199, 10
DOT_SIZE = 26
SMALL = 11
"""Size of texts."""
CHAR_WIDTH = 6.1
"""Of a label, in pixels, about: no font is measured here."""
PADDING_FRAC = 0.06
"""Of the range of values, left free above and below them."""
NAMED_FRAC = 0.16
"""The same where points have names."""
SMOOTHED_FRAC = 0.04
"""Share of a curve's points that each of its smoothed line is the mean of, about."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """Points in the order of x, joined by a line; those whose value is no finite number are left out."""

    points: Points
    label: str = ""
    """What it shows, written over the chart in its colour."""
    color: str = "kept"
    """A name of `curation.charts.COLORS`."""
    width: float = 1.6
    """Of the stroke, in pixels; 0 draws no line."""
    has_dots: bool = False
    dash: tuple[int, int] | None = None
    names: Sequence[str] = ()
    """What is written beside each point."""


@dataclass(frozen=True)
class Chart:
    """Lines over a grid."""

    lines: Sequence[Line]
    x_title: str = ""
    y_title: str = ""
    places: Sequence[str] = ()
    """Names below x = 0, 1, ..., instead of numbers."""
    rules: Sequence[tuple[float, str]] = ()
    """Values of x that are marked, and what is written there."""
    levels: Sequence[tuple[float, str]] = ()
    """Values of y that are marked, and what is written there."""
    low: float | None = None
    """Lower end of y; without it, what the lines need."""
    high: float | None = None


def line_charts(charts: Sequence[Chart]) -> list[str]:
    """One SVG image per chart, in their order, drawn at once; the page's style sheet recolours and sizes them."""
    drawings = [_drawing(chart) for chart in charts]
    layers: dict[str, dict[str, Any]] = {}
    rows: dict[str, list[dict[str, Any]]] = {}
    owners: dict[str, list[int]] = {}
    for name in sorted({name for drawing in drawings for name in drawing.parts}, key=_depth):
        found = [(k, part) for k, drawing in enumerate(drawings) if (part := drawing.parts.get(name))]
        layers[name] = found[0][1].layer
        rows[name] = [row | {"part": k} for k, part in found for row in part.rows]
        owners[name] = [k for k, part in found for _ in range(part.n_elements)]
    images: list[list[ET.Element]] = [[] for _ in charts]
    for name, elements in zip(layers, draw(layers, rows, WIDTH, HEIGHT) if layers else [], strict=True):
        for k, element in zip(owners[name], elements, strict=True):
            images[k].append(element)
    return [image(found, drawing.texts, WIDTH, HEIGHT) for found, drawing in zip(images, drawings, strict=True)]


def line_chart(chart: Chart) -> str:
    """One chart as an SVG image."""
    return line_charts([chart])[0]


def thin(points: Points, n_columns: int) -> list[tuple[float, float]]:
    """Of each of `n_columns` equal ranges of x: its first, lowest, highest and last point.

    Drawn on so many columns of pixels, lines through these cover the very pixels that lines through all points would
    (Jugel et al. 2014, "M4: a visualization-oriented time series data aggregation").
    """
    if len(points) <= 4 * n_columns:
        return list(points)
    xs, ys = np.array(points, np.float64).T
    column = np.minimum(((xs - xs[0]) / (xs[-1] - xs[0] or 1) * n_columns).astype(np.int64), n_columns - 1)
    starts = np.flatnonzero(np.diff(column, prepend=-1)).tolist()
    ends = [*starts[1:], len(xs)]
    kept = {*starts, *(end - 1 for end in ends)}
    for start, end in zip(starts, ends, strict=True):
        kept |= {start + int(ys[start:end].argmin()), start + int(ys[start:end].argmax())}
    return [points[k] for k in sorted(kept)]


def smoothed(points: Points) -> list[tuple[float, float]]:
    """The mean of each value and those around it, about 4% of all; at the ends of fewer."""
    n, half = len(points), int(SMOOTHED_FRAC * len(points) / 2)
    sums = np.concatenate([[0.0], np.cumsum([value for _, value in points])])
    starts, ends = np.maximum(np.arange(n) - half, 0), np.minimum(np.arange(n) + half + 1, n)
    means = (sums[ends] - sums[starts]) / (ends - starts)
    return [(x, value) for (x, _), value in zip(points, means.tolist(), strict=True)]


def curve(points: Points, color: str = "kept", label: str = "", is_noisy: bool = True) -> list[Line]:
    """A curve of a training: all its points in a pale line, and over them their mean where they are many."""
    shown = finite(points)
    if len(shown) < 50 or not is_noisy:
        return [Line(shown, label, color, has_dots=len(shown) <= 12)]
    pale = {"kept": "passing"}.get(color, "shade")
    return [Line(shown, "", pale, 1.0), Line(smoothed(shown), label, color, 1.8)]


def finite(points: Points) -> list[tuple[float, float]]:
    """The points that can be drawn."""
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def pareto(points: Points) -> list[tuple[float, float]]:
    """Those of the points, both of whose values are better the lower they are, that no other is better than.

    In the order of their first value; of equal points one.
    """
    front: list[tuple[float, float]] = []
    for point in sorted(set(finite(points))):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    return front


# What is drawn of one chart, in pixels


@dataclass
class _Part:
    layer: dict[str, Any]
    rows: list[dict[str, Any]]
    n_elements: int
    """That Vega draws of them: one per row, or one of a whole line."""


@dataclass(frozen=True)
class _Drawing:
    parts: dict[str, _Part]
    """By the name of the layer, which tells its depth first."""
    texts: list[Text]


def _depth(name: str) -> tuple[int, str]:
    depth, _, rest = name.partition(" ")
    return int(depth), rest


def _drawing(chart: Chart) -> _Drawing:
    lines = [(line, finite(line.points)) for line in chart.lines]
    x, y = _x_axis(chart, lines), _y_axis(chart, lines)
    drawing = _Drawing({}, [*_axis_texts(chart, x, y), *_legend(chart)])
    _add_grid(drawing, chart, x, y)
    for number, (line, points) in enumerate(lines, 1):
        if points:
            _add_line(drawing, number, line, points, x, y)
    return drawing


def _add_grid(drawing: _Drawing, chart: Chart, x: Axis, y: Axis) -> None:
    grid = layer({"type": "rule", "color": COLORS["shade"]}, x=LEFT_X, x2=RIGHT_X, y="y")
    _add(drawing, "0 grid", grid, [{"y": y.place(tick, BOTTOM_Y, TOP_Y)} for tick in y.ticks])
    level = {"type": "rule", "color": COLORS["faint"], "strokeWidth": 1, "strokeDash": [3, 3]}
    levels = [(y.place(value, BOTTOM_Y, TOP_Y), label) for value, label in chart.levels]
    _add(drawing, "0 level", layer(level, x=LEFT_X, x2=RIGHT_X, y="y"), [{"y": at} for at, _ in levels])
    rule = layer({"type": "rule", "color": COLORS["ink"], "strokeWidth": 1}, x="x", y=TOP_Y, y2=BOTTOM_Y)
    rules = [(x.place(value, LEFT_X, RIGHT_X), label) for value, label in chart.rules]
    _add(drawing, "0 rule", rule, [{"x": at} for at, _ in rules])
    drawing.texts.extend(Text(label, RIGHT_X - 2, at - 3, "end", SMALL, "faint") for at, label in levels)
    for at, label in rules:
        is_left = at < (LEFT_X + RIGHT_X) / 2
        place = at + 4 if is_left else at - 4
        drawing.texts.append(Text(label, place, TOP_Y + 9, "start" if is_left else "end", SMALL, "ink"))


def _add_line(drawing: _Drawing, number: int, line: Line, points: Points, x: Axis, y: Axis) -> None:
    shown = thin(points, RIGHT_X - LEFT_X)
    rows: list[dict[str, Any]] = [
        {"x": x.place(at, LEFT_X, RIGHT_X), "y": y.place(value, BOTTOM_Y, TOP_Y)} for at, value in shown
    ]
    if line.width and len(rows) > 1:
        mark: dict[str, Any] = {"type": "line", "color": COLORS[line.color], "strokeWidth": line.width}
        mark |= {"strokeDash": list(line.dash)} if line.dash else {}
        name = f"{number} line {line.color} {line.width} {line.dash}"
        _add(drawing, name, layer(mark, x="x", y="y", detail="part"), _bends(rows), 1)
    if line.has_dots or len(rows) == 1:
        dot = {"type": "point", "filled": True, "color": COLORS[line.color], "size": DOT_SIZE, "opacity": 1}
        _add(drawing, f"{number} dots {line.color}", layer(dot, x="x", y="y"), rows)
    drawing.texts.extend(_name(name, k, rows) for k, name in enumerate(line.names) if k < len(rows))


def _name(name: str, k: int, rows: list[dict[str, Any]]) -> Text:
    """The name of a point, on the side of it that its line leaves free."""
    x, y = rows[k]["x"], rows[k]["y"]
    found = [rows[other]["y"] for other in (k - 1, k + 1) if 0 <= other < len(rows)] or [y]
    before, after = found[0], found[-1]
    if before < y and after < y:  # a valley: pixels count downwards
        shift, up, anchor = 0, -15, 0.5
    elif (before > y > after) or (before < y < after):
        shift, up, anchor = (-3, 5, 1.0) if before > y else (3, 5, 0.0)
    else:
        shift, up, anchor = 0, 7, 0.5
    width = CHAR_WIDTH * len(name)
    start = min(max(x + shift - anchor * width, LEFT_X), WIDTH - width)
    return Text(name, round(start + width / 2, 1), round(y - up, 1), "middle", SMALL, "ink")


def _add(
    drawing: _Drawing, name: str, of: dict[str, Any], rows: list[dict[str, Any]], n_elements: int | None = None
) -> None:
    if rows:
        drawing.parts[name] = _Part(of, rows, len(rows) if n_elements is None else n_elements)


def _bends(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The points of a line without those in the middle of a level stretch, and without repeated ones."""
    kept = rows[:1]
    for row, after in pairwise(rows[1:]):
        if not kept[-1]["y"] == row["y"] == after["y"]:
            kept.append(row)
    return [*kept, rows[-1]]


# axes and texts


def _x_axis(chart: Chart, lines: Sequence[tuple[Line, Points]]) -> Axis:
    if chart.places:
        last = len(chart.places) - 1
        return Axis(chart.x_title, -0.35, last + 0.35, range(last + 1))
    values = [at for _, points in lines for at, _ in points] or [0.0]
    low, high = min(values), max(values)
    if any(line.names for line in chart.lines):
        margin = PADDING_FRAC * (high - low)
        low, high = low - margin, high + margin
    return Axis(chart.x_title, low, high, ticks_between(low, high, 5))


def _y_axis(chart: Chart, lines: Sequence[tuple[Line, Points]]) -> Axis:
    values = [value for _, points in lines for _, value in points] + [value for value, _ in chart.levels]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    frac = NAMED_FRAC if any(line.names for line in chart.lines) else PADDING_FRAC
    margin = frac * (high - low) or 0.05 * abs(high) or 0.5
    low = low - margin if chart.low is None else chart.low
    high = high + margin if chart.high is None else chart.high
    return Axis(chart.y_title, low, high, ticks_between(low, high, 5))


def ticks_between(low: float, high: float, n_most: int) -> list[float]:
    """Round numbers from `low` to `high`, at most `n_most + 1` of them."""
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / n_most))
    step = next(digit * power for digit in (1, 2, 5, 10, 20) if (high - low) / (digit * power) <= n_most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return sorted({float(f"{k * step:.12g}") for k in range(first, last + 1)})


def tick_label(value: float, step: float) -> str:
    """A number beside an axis whose marks are `step` apart: 0.25, 20k, 2e-6."""
    if value == 0:
        return "0"
    if value < 0:
        return f"−{tick_label(-value, step)}"
    if value >= 1000:
        return short(value)
    if value < 0.001 or (value < 0.01 and 0 < step < 0.001):
        digits, _, power = f"{value:.2e}".partition("e")
        return f"{float(digits):g}e{int(power)}"
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}" if step else f"{value:.3g}"


def _axis_texts(chart: Chart, x: Axis, y: Axis) -> list[Text]:
    step = y.ticks[1] - y.ticks[0] if len(y.ticks) > 1 else 0.0
    texts = [
        Text(tick_label(tick, step), LEFT_X - 5, y.place(tick, BOTTOM_Y, TOP_Y) + 3, "end", SMALL, "faint")
        for tick in y.ticks
    ]
    if chart.places:
        texts += _place_texts(chart.places, x)
    else:
        step = x.ticks[1] - x.ticks[0] if len(x.ticks) > 1 else 0.0
        texts += [
            Text(tick_label(tick, step), x.place(tick, LEFT_X, RIGHT_X), TICKS_Y, "middle", SMALL, "faint")
            for tick in x.ticks
        ]
    if chart.x_title:
        texts.append(Text(chart.x_title, (LEFT_X + RIGHT_X) / 2, TITLE_Y, "middle", SMALL, "ink"))
    if chart.y_title:
        texts.append(Text(chart.y_title, 0, LEGEND_Y, "start", SMALL, "ink"))
    return texts


def _place_texts(places: Sequence[str], x: Axis) -> list[Text]:
    """Names below their places, in two rows where they would touch each other."""
    room = (RIGHT_X - LEFT_X) / (len(places) - 0.3) / CHAR_WIDTH
    in_two = len(places) > 1 and max(map(len, places)) + 1 > room
    n_chars = max(3, int(room * (2 if in_two else 1)) - 1)
    texts = []
    for k, name in enumerate(places):
        shown = name if len(name) <= n_chars else name[: n_chars - 1] + "…"
        at = min(max(x.place(k, LEFT_X, RIGHT_X), CHAR_WIDTH * len(shown) / 2), WIDTH - CHAR_WIDTH * len(shown) / 2)
        texts.append(Text(shown, round(at, 1), TICKS_Y + 12 * (in_two and k % 2), "middle", SMALL, "faint"))
    return texts


def _legend(chart: Chart) -> list[Text]:
    """The labels of the lines at the upper right, each in its line's colour."""
    at, texts = float(RIGHT_X), []
    for line in reversed(chart.lines):
        if line.label:
            texts.append(Text(line.label, round(at, 1), LEGEND_Y, "end", SMALL, line.color))
            at -= CHAR_WIDTH * len(line.label) + 16
    return texts[::-1]


# charts that others drew


_TAGS = {"svg", "g", "path", "rect", "line", "circle", "text", "tspan"}
_ATTRIBUTES = {
    *("viewBox", "aria-hidden", "d", "transform", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "ry"),
    *("width", "height", "fill", "stroke", "opacity", "stroke-width", "stroke-dasharray", "stroke-opacity"),
    *("fill-opacity", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit", "text-anchor", "font-size"),
}


def harmless(svg: str) -> str:
    """An SVG image with nothing but shapes and texts in it, as it may be put into a page; empty where it is none."""
    try:
        root = ET.fromstring(svg)
    except ET.ParseError:
        return ""
    return ET.tostring(_harmless(root), encoding="unicode") if _tag(root) == "svg" else ""


def _harmless(element: ET.Element) -> ET.Element:
    kept = {name: value for name, value in element.attrib.items() if name in _ATTRIBUTES and "url(" not in value}
    copy = ET.Element(_tag(element), kept)
    copy.text = element.text
    for child in element:
        if _tag(child) in _TAGS:
            copy.append(_harmless(child))
    return copy


def _tag(element: ET.Element) -> str:
    return str(element.tag).removeprefix(f"{{{SVG}}}")
