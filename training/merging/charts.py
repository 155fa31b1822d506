"""Charts of a merge: the angle between both models by layer and module, and what a sweep of t trades for what."""

from collections.abc import Sequence
from typing import Any

from curation.charts import COLORS, Text, draw, image, layer
from training.merging.report import TensorRecord
from training.pages.charts import Chart, Line, line_chart, pareto

NAMES_WIDTH, CELL_WIDTH_MAX, CELLS_WIDTH, CELL_HEIGHT = 190, 24, 480, 15
TOP_Y, LEGEND_HEIGHT, GAP = 22, 40, 1
SIZE = 11
CHARS_MAX = 30
LABEL_EVERY_PX = 26
STEPS = ((5.0, 0.25), (15.0, 0.45), (45.0, 0.7), (181.0, 1.0))
"""Angles, in degrees, below which a tensor has an opacity."""
_LEGEND = ("arc: below 5°", "5° to 15°", "15° to 45°", "45° and more", "straight line (fallback)", "the same")


def angle_chart(records: Sequence[TensorRecord]) -> str:
    """An SVG image: a row for each module, a column for each layer, coloured by the angle and the path.

    Tensors of no layer have rows of their own, with one cell.
    """
    shown = [record for record in records if record.angle is not None or record.path == "copied"]
    modules = list(dict.fromkeys(record.module for record in sorted(shown, key=lambda of: of.layer is None)))
    n_layers = 1 + max((record.layer for record in shown if record.layer is not None), default=0)
    cell_width = min(CELL_WIDTH_MAX, CELLS_WIDTH / n_layers)
    width = round(NAMES_WIDTH + cell_width * n_layers)
    height = TOP_Y + CELL_HEIGHT * len(modules) + LEGEND_HEIGHT
    kinds = {kind: _layer(kind) for kind in range(len(_LEGEND))}
    rows: dict[str, list[dict[str, float]]] = {str(kind): [] for kind in kinds}
    for record in shown:
        x = NAMES_WIDTH + cell_width * (record.layer or 0)
        y = TOP_Y + CELL_HEIGHT * modules.index(record.module)
        rows[str(_kind(record))].append(_rectangle(x, y, cell_width, CELL_HEIGHT))
    texts = _names(modules, n_layers, cell_width)
    width = max(width, _add_legend(rows, texts, height))
    elements = [e for part in draw({str(k): v for k, v in kinds.items()}, rows, width, height) for e in part]
    return image(elements, texts, width, height)


def _kind(record: TensorRecord) -> int:
    if record.path in ("same", "copied"):
        return 5
    if record.path == "linear" and record.t is not None:
        return 4
    return next(number for number, (below, _) in enumerate(STEPS) if (record.angle or 0.0) < below)


def _layer(kind: int) -> dict[str, Any]:
    color, opacity = ("kept", STEPS[kind][1]) if kind < 4 else ("dropped", 1.0) if kind == 4 else ("shade", 1.0)
    return layer({"type": "rect", "color": COLORS[color], "opacity": opacity}, x="x", x2="x2", y="y", y2="y2")


def _rectangle(x: float, y: float, width: float, height: float) -> dict[str, float]:
    return {"x": round(x, 1), "x2": round(x + width - GAP, 1), "y": y, "y2": y + height - GAP}


def _names(modules: Sequence[str], n_layers: int, cell_width: float) -> list[Text]:
    every = max(1, round(LABEL_EVERY_PX / cell_width))
    texts = [
        Text(str(n), round(NAMES_WIDTH + cell_width * (n + 0.5), 1), TOP_Y - 6, "middle", SIZE, "faint")
        for n in range(0, n_layers, every)
    ]
    texts.append(Text("layer", NAMES_WIDTH - 8, TOP_Y - 6, "end", SIZE, "faint"))
    for row, module in enumerate(modules):
        name = module if len(module) <= CHARS_MAX else "…" + module[1 - CHARS_MAX :]
        texts.append(Text(name, NAMES_WIDTH - 8, TOP_Y + CELL_HEIGHT * row + 11, "end", SIZE, "ink"))
    return texts


def _add_legend(rows: dict[str, list[dict[str, float]]], texts: list[Text], height: int) -> int:
    """What colours mean, below; the width that it takes."""
    for kind, name in enumerate(_LEGEND):
        x, y = (kind % 3) * 170, height - LEGEND_HEIGHT + 8 + 15 * (kind // 3)
        rows[str(kind)].append(_rectangle(x, y, 14, 11))
        texts.append(Text(name, x + 20, y + 9, "start", SIZE, "faint"))
    return 3 * 170


# A sweep


def pareto_chart(losses: Sequence[tuple[str, float, float]], x: str, y: str) -> str:
    """An SVG image: a point for each model, and a line through those that no other beats on both sets.

    Args:
        losses: what a model is called (`t=0.3`), its losses on `x` and on `y`.
        x: name of the one set.
        y: name of the other.
    """
    front = pareto([(a, b) for _, a, b in losses])
    named = {(a, b): name for name, a, b in reversed(losses)}
    others = sorted({(a, b): name for name, a, b in losses if (a, b) not in front}.items())
    lines = [Line(front, "not beaten on both", "kept", has_dots=True, names=[named[point] for point in front])]
    if others:
        points, names = zip(*others, strict=True)
        lines.insert(0, Line(list(points), "beaten", "dropped", width=0, has_dots=True, names=list(names)))
    return line_chart(Chart(lines, f"loss on {x}", f"loss on {y}"))


def loss_chart(losses: Sequence[tuple[float, float]], name: str) -> str:
    """An SVG image: the loss on a set over t."""
    return line_chart(Chart([Line(sorted(losses), "", has_dots=True)], "t", f"loss on {name}"))
