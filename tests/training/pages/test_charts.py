"""Charts of a training: spikes stay, what is drawn lies where it should, and nothing else comes into a page."""

import math
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.pages.charts import (
    BOTTOM_Y,
    HEIGHT,
    LEFT_X,
    RIGHT_X,
    SMOOTHED_FRAC,
    TOP_Y,
    WIDTH,
    Chart,
    Line,
    curve,
    harmless,
    line_chart,
    line_charts,
    pareto,
    smoothed,
    thin,
    tick_label,
    ticks_between,
)

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


def path_points(svg: str) -> list[tuple[float, float]]:
    """Of the last line that is drawn."""
    drawn = [element.get("d") or "" for element in ET.fromstring(svg) if element.tag == "path"]
    line = next(d for d in reversed(drawn) if "A" not in d)
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", line)]


@settings(max_examples=60, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=600), st.integers(1, 40))
def test_thinned_curves_keep_the_extremes_of_each_column(values: list[float], n_columns: int) -> None:
    points = [(float(k), value) for k, value in enumerate(values)]
    kept = thin(points, n_columns)
    assert kept == [point for point in points if point in set(kept)]  # in order, nothing new
    assert kept[0] == points[0] and kept[-1] == points[-1]
    assert len(kept) <= max(4 * n_columns, 1)
    span = points[-1][0] or 1
    for column in range(n_columns):
        found = [
            [y for x, y in of if min(int(x / span * n_columns), n_columns - 1) == column] for of in (points, kept)
        ]
        if found[0]:
            assert (min(found[1]), max(found[1])) == (min(found[0]), max(found[0]))


def test_a_spike_of_one_step_is_drawn() -> None:
    points = [(float(k), 9.0 if k == 61_234 else 2.0 + 0.1 * math.sin(k)) for k in range(100_000)]
    svg = line_chart(Chart([Line(points)]))
    drawn = path_points(svg)
    assert len(drawn) <= 4 * WIDTH
    top = min(y for _, y in drawn)
    [spike] = [x for x, y in drawn if y == top]
    assert spike == pytest.approx(LEFT_X + (RIGHT_X - LEFT_X) * 0.61234, abs=1)
    assert sorted(y for _, y in drawn)[1] > top + 50


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.tuples(NUMBERS, NUMBERS | st.just(math.nan)), max_size=70), max_size=4))
def test_all_lies_within_the_image(series: list[list[tuple[float, float]]]) -> None:
    lines = [Line(sorted(points), "a", has_dots=True) for points in series]
    svg = line_chart(Chart(lines, "step", "loss", levels=[(1.0, "at most")], rules=[(2.0, "here")]))
    root = ET.fromstring(svg)
    assert "nan" not in svg
    for text in root.iter("text"):
        assert -8 <= float(text.get("x") or -99) <= WIDTH + 8 and 0 <= float(text.get("y") or -99) <= HEIGHT
    for x, y in re.findall(r"translate\(([-\d.]+),([-\d.]+)\)", svg):
        assert LEFT_X <= float(x) <= RIGHT_X and TOP_Y <= float(y) <= BOTTOM_Y


def test_charts_drawn_together_are_those_drawn_alone() -> None:
    one = Chart(curve([(k, math.sin(k / 9)) for k in range(200)]), "step", "loss")
    two = Chart(
        [Line([(0, 1), (1, 3)], "ko", has_dots=True), Line([(0, 2), (1, 2.5)], "en", "dropped", dash=(4, 3))],
        places=["base", "cpt"],
        levels=[(2.2, "teacher")],
    )
    nothing = Chart([Line([])], "step", "loss")
    charts = [one, two, nothing, one]
    assert line_charts(charts) == [line_chart(chart) for chart in charts]
    assert line_charts([]) == []


def test_one_point_is_a_dot() -> None:
    assert line_chart(Chart([Line([(3, 4.0)])])).count("<path") == 1
    assert line_chart(Chart([Line([(3, math.inf)])])).count("<path") == 0


def test_a_noisy_curve_is_pale_below_its_mean() -> None:
    few, many = [(k, float(k)) for k in range(20)], [(k, (-1.0) ** k) for k in range(500)]
    assert [line.width for line in curve(few)] == [line.width for line in curve(many, is_noisy=False)] == [1.6]
    pale, mean = curve(many, label="loss")
    assert (pale.color, mean.color, pale.label, mean.label) == ("passing", "kept", "", "loss")
    assert max(abs(y) for _, y in list(mean.points)[20:-20]) < 0.3


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=300))
def test_the_mean_is_of_those_around(values: list[float]) -> None:
    half = int(SMOOTHED_FRAC * len(values) / 2)
    found = smoothed([(float(k), value) for k, value in enumerate(values)])
    for k, (x, mean) in enumerate(found):
        around = values[max(k - half, 0) : k + half + 1]
        assert x == k and mean == pytest.approx(math.fsum(around) / len(around), abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_pareto_front_is_what_nothing_is_better_than(points: list[tuple[int, int]]) -> None:
    best = {
        point
        for point in points
        if not any(other != point and other[0] <= point[0] and other[1] <= point[1] for other in points)
    }
    assert pareto(points) == sorted(best)


@given(NUMBERS, st.floats(1e-9, 1e7), st.integers(2, 7))
def test_ticks_are_few_and_in_range(low: float, width: float, n_most: int) -> None:
    found = ticks_between(low, low + width, n_most)
    assert len(found) <= n_most + 1
    slack = 1e-6 * max(abs(low), width, 1e-3)
    assert all(low - slack <= tick <= low + width + slack for tick in found)
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    ("value", "step", "label"),
    [
        (0, 1, "0"),
        (0.25, 0.05, "0.25"),
        (12, 2, "12"),
        (20_000, 1e4, "20k"),
        (2e-6, 1e-6, "2e-6"),
        (1.5e-6, 5e-7, "1.5e-6"),
        (0.0005, 5e-4, "5e-4"),
        (0.001, 5e-4, "1e-3"),
        (1.0003, 1e-4, "1.0003"),
        (5.0, 0, "5"),
        (-3.5, 0.5, "−3.5"),
    ],
)
def test_labels_are_short(value: float, step: float, label: str) -> None:
    assert tick_label(value, step) == label


def test_names_of_places_do_not_touch() -> None:
    places = ["base", "continued-pretraining", "instructions-korean", "reward", "merged-with-sibling", "online-dpo"]
    svg = line_chart(Chart([Line([(k, float(k)) for k in range(6)])], places=places))
    shown = [element for element in ET.fromstring(svg).iter("text") if float(element.get("y") or 0) > BOTTOM_Y + 10]
    rows: dict[str, list[tuple[float, int]]] = {}
    for text in shown:
        rows.setdefault(text.get("y") or "", []).append((float(text.get("x") or 0), len(text.text or "")))
    assert len(rows) == 2 and len(shown) == 6
    for row in rows.values():
        for (x, n), (after, n_after) in pairwise(row):
            assert after - x >= 5 * (n + n_after) / 2


def test_what_is_put_into_a_page_only_draws() -> None:
    ours = line_chart(Chart([Line([(0, 1.0), (1, 2.0)], "</text><script>alert(1)</script>")], y_title="<b>"))
    assert "<script" not in ours and harmless(ours) == ours
    hostile = (
        '<svg xmlns="http://www.w3.org/2000/svg" onload="x()"><script>1</script><path d="M0,0" onclick="x()" '
        'style="a" fill="url(http://a)"/><foreignObject><a href="b"/></foreignObject><text>a &lt;i&gt;</text></svg>'
    )
    assert harmless(hostile) == '<svg><path d="M0,0" /><text>a &lt;i&gt;</text></svg>'
    for none in ("", "<svg>", "<p/>", "text"):
        assert harmless(none) == ""
