"""A chart of layers: how much each of them changes what goes through it."""

from collections.abc import Collection, Sequence
from typing import Any

from curation.charts import COLORS, Text, draw, image, layer

LEFT_X, BARS_WIDTH, BAR_WIDTH_MAX, GAP = 46, 560, 24, 2
TOP_Y, BARS_HEIGHT, BELOW = 28, 150, 36
SIZE = 11
LABEL_EVERY_PX = 24


def influence_chart(influences: Sequence[float], marked: Collection[int], label: str) -> str:
    """An SVG image: a bar for each layer, those that are marked in another colour.

    Args:
        influences: block influence of each layer.
        marked: layers that were chosen by it.
        label: what was done with them.
    """
    step = min(BAR_WIDTH_MAX, BARS_WIDTH / len(influences))
    most = max(*influences, 0.0) or 1.0
    base_y = TOP_Y + BARS_HEIGHT
    rows: dict[str, list[dict[str, float]]] = {"grid": [], "passing": [], "kept": []}
    texts = [Text(label, LEFT_X + 20, 14, "start", SIZE, "ink")]
    rows["kept"].append({"x": LEFT_X, "x2": LEFT_X + 14, "y": 5, "y2": 16})
    for share in (0.0, 0.5, 1.0):
        y = round(base_y - BARS_HEIGHT * share, 1)
        rows["grid"].append({"y": y})
        texts.append(Text(f"{most * share:.3g}", LEFT_X - 6, y + 4, "end", SIZE, "faint"))
    every = max(1, -int(-LABEL_EVERY_PX // step))
    for number, value in enumerate(influences):
        x, height = LEFT_X + step * number, BARS_HEIGHT * max(value, 0.0) / most
        bar = {"x": round(x, 1), "x2": round(x + step - GAP, 1), "y": round(base_y - height, 1), "y2": base_y}
        rows["kept" if number in marked else "passing"].append(bar)
        if number % every == 0:
            texts.append(Text(str(number), round(x + step / 2, 1), base_y + 14, "middle", SIZE, "faint"))
    texts.append(Text("layer", LEFT_X, base_y + 30, "start", SIZE, "faint"))
    width, height_px = round(LEFT_X + max(step * len(influences), 200) + 8), base_y + BELOW
    layers = {"grid": _line(width), "passing": _bars("passing"), "kept": _bars("kept")}
    return image([e for part in draw(layers, rows, width, height_px) for e in part], texts, width, height_px)


def _line(width: int) -> dict[str, Any]:
    return layer({"type": "rule", "color": COLORS["shade"]}, x=LEFT_X, x2=width - 8, y="y")


def _bars(color: str) -> dict[str, Any]:
    return layer({"type": "rect", "color": COLORS[color]}, x="x", x2="x2", y="y", y2="y2")
