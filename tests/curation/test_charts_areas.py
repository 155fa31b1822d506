"""Areas lie on each other as their shares say, and columns are as tall as their counts."""

import re
import xml.etree.ElementTree as ET

import numpy as np

from curation.charts import COLORS
from curation.charts_areas import COLUMNS_BOTTOM_Y, COLUMNS_TOP_Y, PALETTE, WIDE, Stretch, area_chart, column_chart


def elements_of(image: str, attribute: str, color: str) -> list[ET.Element]:
    return [element for element in ET.fromstring(image).iter() if element.get(attribute) == color]


def numbers_of(element: ET.Element) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+", element.get("d", ""))]


def texts_of(image: str) -> list[str | None]:
    return [element.text for element in ET.fromstring(image).iter() if element.tag.endswith("text")]


FRACS = np.array([[0.25, 0.5], [0.75, 0.5]])
STAGES = [Stretch("one", 0, 0), Stretch("two <b>", 50, 75)]


def test_areas_meet_where_their_shares_do() -> None:
    image = area_chart([0, 50, 100], FRACS, FRACS, PALETTE[:2], STAGES, WIDE)
    span = WIDE.bottom_y - WIDE.top_y
    upper, lower = (set(numbers_of(elements_of(image, "fill", color)[0])) for color in PALETTE[:2])
    boundary = {WIDE.top_y + span / 4, WIDE.top_y + span / 2}
    assert boundary | {WIDE.top_y} <= upper and WIDE.bottom_y not in upper
    assert boundary | {WIDE.bottom_y} <= lower and WIDE.top_y not in lower


def test_stages_and_transitions_are_marked() -> None:
    image = area_chart([0, 50, 100], FRACS, FRACS, PALETTE[:2], STAGES, WIDE)
    assert {"one", "two <b>", "0", "100", "25%"} <= set(texts_of(image)) and "<b>" not in image
    (strip,) = elements_of(image, "fill", COLORS["dropped"])
    width = float(re.search(r"h(-?[\d.]+)", strip.get("d", ""))[1])
    assert abs(width - (WIDE.width - 8 - WIDE.left_x) / 4) < 0.11


def test_a_long_name_is_cut_and_none_is_squeezed_in() -> None:
    stages = [Stretch("a" * 500, 0, 0), Stretch("squeezed", 99.5, 99.5)]
    texts = texts_of(area_chart([0, 50, 100], FRACS, FRACS, PALETTE[:2], stages, WIDE))
    (name,) = [text for text in texts if text and text.startswith("a")]
    assert name.endswith("a…") and "squeezed" not in texts


def test_columns() -> None:
    image = column_chart(["1", "2", "4"], [50, 100, 0])
    heights = sorted(
        float(re.search(r"v(-?[\d.]+)", e.get("d", ""))[1]) for e in elements_of(image, "fill", COLORS["kept"])
    )
    assert heights == [0, (COLUMNS_BOTTOM_Y - COLUMNS_TOP_Y) / 2, COLUMNS_BOTTOM_Y - COLUMNS_TOP_Y]
    assert texts_of(image) == ["1", "33%", "2", "67%", "4"]
