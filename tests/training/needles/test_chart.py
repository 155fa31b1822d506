"""The chart of the grid: each cell where it belongs, coloured and named by its figure."""

import re
import xml.etree.ElementTree as ET
from itertools import product
from math import nan

import pytest

from curation.charts import COLORS
from training.evaluating.results import GridCell
from training.needles.chart import CELL_HEIGHT, WIDTH, grid_charts
from training.pages.charts import harmless

LENGTHS, DEPTHS = (512, 1500, 8192, 32768), (0.0, 0.5, 1.0)


def cells(score: float = 0.75, language: str = "ko", lengths: tuple[int, ...] = LENGTHS) -> list[GridCell]:
    return [
        GridCell(language=language, length=length, depth=depth, n=4, score=score)
        for length, depth in product(lengths, DEPTHS)
    ]


def rects(svg: str, color: str) -> list[tuple[float, float, float]]:
    """(x, y, opacity) of what is filled with a colour."""
    found = list[tuple[float, float, float]]()
    for path in ET.fromstring(svg):
        if path.tag == "path" and path.get("fill") == COLORS[color]:
            x, y = map(float, re.findall(r"[\d.]+", path.get("d") or "")[:2])
            found.append((x, y, float(path.get("fill-opacity") or 1)))
    return found


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg) if element.tag == "text"]


def test_a_chart_of_each_language() -> None:
    charts = grid_charts({"a": [*cells(language="en"), *cells(1.0)], "b": cells(0.5)})
    assert list(charts) == ["Found in Korean", "Found in English"]
    korean, english = charts.values()
    assert harmless(korean) == korean
    assert [text for text in texts(korean) if text in "ab"] == ["a", "b"]
    assert [text for text in texts(english) if text in "ab"] == ["a"]
    assert texts(korean).count("1.00") == texts(korean).count("0.50") == 12 and texts(english).count("0.75") == 12


def test_colours_run_from_0_to_1_in_all_charts() -> None:
    def strongest(score: float, color: str) -> list[float]:
        (svg,) = grid_charts({"a": cells(score)}).values()
        highest = max(y for _, y, _ in rects(svg, "shade"))  # the legend
        return sorted({opacity for _, y, opacity in rects(svg, color) if y < highest})

    assert strongest(1.0, "kept") == [1.0] and strongest(1.0, "dropped") == []
    assert strongest(0.75, "kept") == [0.5] and strongest(0.5, "kept") == strongest(0.5, "dropped") == []
    assert strongest(0.1, "dropped") == [0.8] and strongest(0.0, "dropped") == [1.0]


def test_a_dip_is_where_it_belongs() -> None:
    grid = cells(1.0)
    grid[3 * 2 + 1] = grid[3 * 2 + 1].model_copy(update={"score": 0.0})  # 8K, in the middle
    (svg,) = grid_charts({"a": grid}).values()
    dip, *legend = rects(svg, "dropped")
    ground = sorted({(x, y) for x, y, _ in rects(svg, "shade")})
    columns, rows = sorted({x for x, _ in ground if (x, dip[1]) in ground}), sorted({y for _, y in ground})
    assert dip[0] == columns[2] and dip[1] == rows[1] and rows[1] - rows[0] == CELL_HEIGHT
    assert {y for _, y, _ in legend} == {rows[-1]}
    assert [text for text in texts(svg) if text in ("512", "1,500", "8K", "32K")] == ["512", "1,500", "8K", "32K"]
    assert [text for text in texts(svg) if text.endswith("%")] == ["0%", "50%", "100%"]


def test_what_was_not_measured_has_a_dash_and_no_colour() -> None:
    grid = [cell.model_copy(update={"score": nan, "n": 0}) if cell.length > 8192 else cell for cell in cells()]
    (svg,) = grid_charts({"a": grid}).values()
    assert texts(svg).count("–") == 3 and texts(svg).count("0.75") == 9
    assert len(rects(svg, "shade")) == 9 + 11


@pytest.mark.parametrize(("n_models", "n_lengths"), [(1, 1), (2, 4), (3, 6), (5, 9), (2, 24)])
def test_charts_are_as_wide_as_they_need_to_be(n_models: int, n_lengths: int) -> None:
    lengths = tuple(1024 * (n + 1) for n in range(n_lengths))
    (svg,) = grid_charts({f"model {n}": cells(lengths=lengths) for n in range(n_models)}).values()
    _, _, width, _ = map(float, (ET.fromstring(svg).get("viewBox") or "").split())
    assert WIDTH <= width <= max(WIDTH, 34 * n_lengths + 66) + 16
    assert max(x for x, _, _ in rects(svg, "kept")) < width
    assert len(rects(svg, "shade")) == 3 * n_models * n_lengths + 11


def test_nothing_to_draw() -> None:
    assert grid_charts({}) == {} and grid_charts({"a": []}) == {}
