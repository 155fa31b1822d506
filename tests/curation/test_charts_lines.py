"""Line charts: points lie where their values say, and nothing is filled."""

import xml.etree.ElementTree as ET

from curation.charts_lines import BOTTOM_Y, LEFT_X, RIGHT_X, TOP_Y, Axis, Series, line_chart

SVG = "{http://www.w3.org/2000/svg}"
X = Axis("labels", 0, 100, [0, 50, 100])
Y = Axis("recall", 0, 1, [0, 0.5, 1])


def drawn(series: list[Series], rules: list[tuple[float, str]] | None = None) -> ET.Element:
    return ET.fromstring(line_chart(series, X, Y, rules or []))


def test_a_line_goes_through_its_points() -> None:
    svg = drawn([Series([(0, 0), (50, 1), (100, 0.5)])])
    (line,) = [element for element in svg.iter() if element.tag.endswith("path")]
    middle = (LEFT_X + RIGHT_X) / 2
    numbers = line.get("d", "").replace("M", " ").replace("L", " ").replace(",", " ").split()
    assert [float(number) for number in numbers] == [LEFT_X, BOTTOM_Y, middle, TOP_Y, RIGHT_X, (TOP_Y + BOTTOM_Y) / 2]
    assert line.get("fill") == "none"


def test_values_beyond_the_axis_lie_on_its_end() -> None:
    assert X.place(-5, LEFT_X, RIGHT_X) == LEFT_X
    assert X.place(1e9, LEFT_X, RIGHT_X) == RIGHT_X
    assert Axis("flat", 3, 3, []).place(3, 0, 10) == 5


def test_titles_ticks_and_rules_are_written() -> None:
    svg = drawn([Series([(0, 0), (100, 1)], has_dots=True)], [(50, "best <F1>")])
    texts = [element.text for element in svg.iter() if element.tag.endswith("text")]
    assert {"labels", "recall", "0", "50", "100", "0.5", "best <F1>"} <= set(texts)
    assert b"<F1>" not in ET.tostring(svg)
