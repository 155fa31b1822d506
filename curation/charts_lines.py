"""Line charts of reports: curves, and what happened from round to round, in the manner of the other charts."""

from collections.abc import Sequence
from dataclasses import dataclass

from curation.charts import COLORS, Text, draw, image, layer, short

WIDTH, HEIGHT = 340, 236
LEFT_X, RIGHT_X, TOP_Y, BOTTOM_Y = 30, 332, 24, 196
TICKS_Y, TITLE_Y = 209, 228
DOT_SIZE = 26


@dataclass(frozen=True)
class Series:
    """A line through points, in the order of x."""

    points: Sequence[tuple[float, float]]
    color: str = "kept"
    """A name of `charts.COLORS`."""
    has_dots: bool = False
    dash: tuple[int, int] | None = None


@dataclass(frozen=True)
class Axis:
    """The range that is shown, and where it is marked."""

    title: str
    low: float
    high: float
    ticks: Sequence[float]

    def place(self, value: float, start: float, end: float) -> float:
        """Where a value lies between two pixels; what is beyond the range lies on its end."""
        frac = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(start + (end - start) * min(max(frac, 0.0), 1.0), 1)


def line_chart(series: Sequence[Series], x: Axis, y: Axis, rules: Sequence[tuple[float, str]] = ()) -> str:
    """An SVG image of lines over a grid.

    Args:
        series: what is drawn, the last one on top.
        x: the axis below.
        y: the axis at the left.
        rules: values of x that are marked, and what is written there.
    """
    layers = {"grid": layer({"type": "rule", "color": COLORS["shade"]}, x=LEFT_X, x2=RIGHT_X, y="y")}
    rows: dict[str, list[dict[str, float]]] = {"grid": [{"y": y.place(tick, BOTTOM_Y, TOP_Y)} for tick in y.ticks]}
    layers["rule"] = layer({"type": "rule", "color": COLORS["ink"], "strokeWidth": 1}, x="x", y=TOP_Y, y2=BOTTOM_Y)
    rows["rule"] = [{"x": x.place(value, LEFT_X, RIGHT_X)} for value, _ in rules]
    for number, item in enumerate(series):
        points = [
            {"x": x.place(at, LEFT_X, RIGHT_X), "y": y.place(value, BOTTOM_Y, TOP_Y)} for at, value in item.points
        ]
        mark = {"type": "line", "color": COLORS[item.color], "strokeWidth": 2}
        layers[f"line{number}"] = layer(mark | ({"strokeDash": list(item.dash)} if item.dash else {}), x="x", y="y")
        rows[f"line{number}"] = points
        if item.has_dots:
            mark = {"type": "point", "filled": True, "color": COLORS[item.color], "size": DOT_SIZE, "opacity": 1}
            layers[f"dots{number}"], rows[f"dots{number}"] = layer(mark, x="x", y="y"), points
    elements = [element for part in draw(layers, rows, WIDTH, HEIGHT) for element in part]
    return image(elements, [*_axis_texts(x, y), *_rule_texts(x, rules)], WIDTH, HEIGHT)


def round_ticks(high: float) -> list[float]:
    """Three to six round numbers from 0 on."""
    step = next(digit * 10**power for power in range(18) for digit in (1, 2, 5) if high / (digit * 10**power) <= 6)
    return [float(step * k) for k in range(int(high // step) + 1)]


def _axis_texts(x: Axis, y: Axis) -> list[Text]:
    below = [Text(short(tick), x.place(tick, LEFT_X, RIGHT_X), TICKS_Y, "middle", 10, "faint") for tick in x.ticks]
    beside = [
        Text(short(tick), LEFT_X - 5, y.place(tick, BOTTOM_Y, TOP_Y) + 3, "end", 10, "faint") for tick in y.ticks
    ]
    titles = [
        Text(x.title, (LEFT_X + RIGHT_X) / 2, TITLE_Y, "middle", 11, "ink"),
        Text(y.title, LEFT_X - 24, TOP_Y - 12, "start", 11, "ink"),
    ]
    return [*below, *beside, *titles]


def _rule_texts(x: Axis, rules: Sequence[tuple[float, str]]) -> list[Text]:
    texts = []
    for value, label in rules:
        at = x.place(value, LEFT_X, RIGHT_X)
        is_left = at < (LEFT_X + RIGHT_X) / 2
        texts.append(Text(label, at + 4 if is_left else at - 4, TOP_Y + 10, "start" if is_left else "end", 11, "ink"))
    return texts
