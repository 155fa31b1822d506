"""The grid as a heat map of each language: lengths across, depths down, one beside or below the other for each model.

Colours run from 0 to 1 in all charts: orange where little is found, pale at one half, blue green where all is. The
page's style sheet recolours them (`curation.charts.COLORS`), so that strength is opacity. Each cell says its figure
too; one that was not measured is empty and has a dash.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.charts import COLORS, Text, draw, image, layer
from training.evaluating.results import GridCell

LANGUAGES = {"ko": "Korean", "en": "English"}
WIDTH = 700
LEFT, GAP_X = 44, 22
"""Room for the depths before a grid, and after it."""
TOP, BOTTOM = 40, 34
"""Room above a grid for its model and the lengths, and below it."""
CELL_HEIGHT, CELL_WIDTHS = 22, (34, 62)
"""A cell is as wide as it can be between these where all models are side by side."""
INSET = 0.75
"""Half of what parts two cells."""
STRONG = 0.62
"""Opacity above which what is written is pale."""
SIZE, NAME_SIZE = 11, 12
CHAR_WIDTH = 6.6
"""Of a name, in pixels, about."""
LEGEND_X, LEGEND_CELL, LEGEND_HEIGHT = LEFT, 16, 12
LEGEND_STEPS = 11

LAYERS = {
    name: layer({"type": "rect", "color": COLORS[color]}, x="x", x2="x2", y="y", y2="y2")
    for name, color in (("ground", "shade"), ("low", "dropped"), ("high", "kept"))
}
for _name in ("low", "high"):
    LAYERS[_name]["encoding"]["fillOpacity"] = {"field": "strength", "type": "quantitative", "scale": None}


@dataclass
class _Drawing:
    rows: dict[str, list[dict[str, Any]]]
    texts: list[Text]


def grid_charts(grids: Mapping[str, Sequence[GridCell]]) -> dict[str, str]:
    """An SVG image for each language that any model was asked in, by its title.

    Args:
        grids: cells by the name of the model.
    """
    languages = dict.fromkeys(cell.language for cells in grids.values() for cell in cells)
    ordered = sorted(languages, key=lambda language: [*LANGUAGES, language].index(language))
    return {f"Found in {LANGUAGES.get(language, language)}": _chart(grids, language) for language in ordered}


def _chart(grids: Mapping[str, Sequence[GridCell]], language: str) -> str:
    of_language = {name: [cell for cell in cells if cell.language == language] for name, cells in grids.items()}
    shown = {name: cells for name, cells in of_language.items() if cells}
    lengths = sorted({cell.length for cells in shown.values() for cell in cells})
    depths = sorted({cell.depth for cells in shown.values() for cell in cells})
    n_across, cell_width = _across(len(shown), len(lengths))
    panel_width = LEFT + cell_width * len(lengths) + GAP_X
    panel_height = TOP + CELL_HEIGHT * len(depths) + BOTTOM
    drawing = _Drawing({name: [] for name in LAYERS}, [])
    for number, (name, cells) in enumerate(shown.items()):
        x, y = LEFT + number % n_across * panel_width, TOP + number // n_across * panel_height
        _add_grid(drawing, cells, lengths, depths, x, y, cell_width)
        drawing.texts.append(Text(_short(name, panel_width - GAP_X), x, y - 24, "start", NAME_SIZE, "ink"))
        _add_axes(drawing, lengths, depths, x, y, cell_width, is_first=number % n_across == 0)
    bottom = math.ceil(len(shown) / n_across) * panel_height
    _add_legend(drawing, bottom)
    width, height = max(n_across * panel_width, 260), bottom + LEGEND_HEIGHT + 22
    drawn = draw(LAYERS, drawing.rows, width, height)
    return image([element for part in drawn for element in part], drawing.texts, max(width, WIDTH), height)


def _across(n_models: int, n_lengths: int) -> tuple[int, int]:
    """How many grids stand side by side, and how wide their cells are."""
    least, most = CELL_WIDTHS
    n_across = max(1, min(n_models, WIDTH // (LEFT + GAP_X + least * n_lengths)))
    room = (WIDTH / n_across - LEFT - GAP_X) / n_lengths
    return n_across, int(min(max(room, least), most))


def _add_grid(
    drawing: _Drawing,
    cells: Sequence[GridCell],
    lengths: Sequence[int],
    depths: Sequence[float],
    x: float,
    y: float,
    width: float,
) -> None:
    for cell in cells:
        left, top = x + width * lengths.index(cell.length), y + CELL_HEIGHT * depths.index(cell.depth)
        is_strong = _add_colour(drawing, cell.score, left, top, width, CELL_HEIGHT)
        middle, color = left + width / 2, "shade" if is_strong else "ink" if cell.n else "faint"
        drawing.texts.append(Text(_figure(cell.score), round(middle, 1), top + 15, "middle", SIZE, color))


def _add_colour(drawing: _Drawing, score: float, x: float, y: float, width: float, height: float) -> bool:
    """Colour a cell; whether it is a strong colour."""
    place = {"x": x + INSET, "x2": x + width - INSET, "y": y + INSET, "y2": y + height - INSET}
    if not math.isfinite(score):
        return False
    drawing.rows["ground"].append(place)
    strength = round(abs(2 * score - 1), 3)
    if strength:
        drawing.rows["high" if score > 0.5 else "low"].append(place | {"strength": strength})
    return strength > STRONG


def _figure(score: float) -> str:
    return f"{score:.2f}" if math.isfinite(score) else "–"


def _add_axes(
    drawing: _Drawing,
    lengths: Sequence[int],
    depths: Sequence[float],
    x: float,
    y: float,
    width: float,
    *,
    is_first: bool,
) -> None:
    for k, length in enumerate(lengths):
        drawing.texts.append(Text(_tokens(length), round(x + width * (k + 0.5), 1), y - 7, "middle", SIZE, "faint"))
    for k, depth in enumerate(depths):
        drawing.texts.append(Text(f"{depth:.0%}", x - 6, y + CELL_HEIGHT * k + 15, "end", SIZE, "faint"))
    if is_first:
        below = y + CELL_HEIGHT * len(depths) + 16
        drawing.texts.append(Text("tokens across, depth of the needle down", x, below, "start", SIZE, "faint"))


def _tokens(length: int) -> str:
    """A length as people say it: 512, 4K, 32K; 1,500 stays as it is."""
    return f"{length // 1024}K" if length >= 1024 and length % 1024 == 0 else f"{length:,}"


def _short(name: str, width: float) -> str:
    """A name that fits, cut in its middle where it is too long."""
    n_most = max(int(width / CHAR_WIDTH), 5)
    half = (n_most - 1) // 2
    return name if len(name) <= n_most else f"{name[:half]}…{name[-half:]}"


def _add_legend(drawing: _Drawing, y: float) -> None:
    for k in range(LEGEND_STEPS):
        x = LEGEND_X + LEGEND_CELL * k
        _add_colour(drawing, k / (LEGEND_STEPS - 1), x, y, LEGEND_CELL, LEGEND_HEIGHT)
    end = LEGEND_X + LEGEND_CELL * LEGEND_STEPS
    drawing.texts.append(Text("0", LEGEND_X - 6, y + 10, "end", SIZE, "faint"))
    drawing.texts.append(Text("1, share of needles found", end + 6, y + 10, "start", SIZE, "faint"))
