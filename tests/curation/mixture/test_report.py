"""The report of a mixture says what its summary holds, and shows texts of strangers as they are."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from curation.charts_areas import OTHERS, PALETTE
from curation.mixture.report import render
from curation.mixture.summary import MixtureSummary
from tests.curation import test_report_browser as browser
from tests.curation.mixture.summaries import HOSTILE, made_up

RECORD = {
    "created": "2026-11-30T19:30:00+00:00",
    "onggi_version": "0.9",
    "folder": "out/<mix>",
    "manifest": {"kind": "mixture", "sources": [{"name": "위키", "where": "a < 3 and b = '<script>'"}]},
}


@pytest.fixture(scope="module")
def page() -> str:
    return render(made_up(), RECORD)


def rows_of(page: str, section: str) -> list[list[str]]:
    """The cells of all tables of a section, as a reader sees them."""
    html = re.search(rf'<section id="{section}">(.*?)</section>', page, re.DOTALL)[1]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", html, re.DOTALL)
    return [
        [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in rows
    ]


def test_what_was_asked_and_taken_is_told(page: str) -> None:
    stages = rows_of(page, "stages")
    assert [
        "en_web",
        "50.0%",
        "50.0%",
        "",
        "+0.001",
        "7,372,373",
        "10,531",
        "0.12",
        "0.14",
        "1.00",
        "60,000,000",
    ] in stages
    assert "law: 법령" in [row[0] for row in stages]  # a category of one source is one row
    parts = [
        row
        for row in stages
        if row[0] in ("ko_web", "한국어 위키", "&lt;script&gt;alert(&#39;s&#39;)&lt;/script&gt;")
    ]
    assert [row[1] for row in parts[:3]] == ["25.0%", "17.5%", "7.5%"]
    assert int(parts[0][5].replace(",", "")) == sum(int(row[5].replace(",", "")) for row in parts[1:3])
    assert ["edu", "edu", "0.25", "", "4.00", "2,016,961", "8,000,000", "2,881", "11,428", "40", "0"] in rows_of(
        page, "sources"
    )


def test_all_that_is_known_is_shown(page: str) -> None:
    for text in (
        "20,682,400", "10,100 sequences of 2,048", "3.44 / 4.46", "0.003", "2,400 of 20,684,800 places",
        "12 documents were cut", "151,669 ids", "gigatoken", "&lt;|endoftext|&gt;", "-1,000", "2,048,000", "19.5%",
        "1,402", "deny: *-NC-*", "not known", "40,100", "across languages", "1,348 tokens from 2,048 on",
        "7 more.", "옹기는 질그릇과", "2026-11-30 19:30 UTC",
    ):  # fmt: skip
        assert text in page, text
    overlap = rows_of(page, "overlap")
    assert overlap[1:4] == [["edu", "", "7.1%", "–"], ["en_web", "0.91%", "", "–"], ["code", "–", "0.01%", ""]]
    assert overlap[5] == ["edu", "en_web", "812", "7.1%", "", "1,402"]


def test_everything_shown_is_escaped(page: str) -> None:
    for tag in ("<script", "<img", "<b>20M", "<mix>", "<i>", "<2>", "\x1b", "\u202e", 'lang="en&', 'lang="en\\"'):
        assert tag not in page, tag
    assert "&lt;/p&gt;&lt;/style&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert 'href="javascript' not in page
    tags = re.findall(r"<[a-z][^>]*>", page)
    assert not [tag for tag in tags if re.search(r"\s(src|style|on\w+)=|url\(", tag)]
    assert [tag for tag in tags if tag.startswith("<link")] == ['<link rel="icon" href="data:,">']


def test_every_text_is_escaped_wherever_it_stands() -> None:
    """Every string of the summary but those that are looked up replaced by an attack."""
    attacked = MixtureSummary.model_validate(with_attacks(made_up().model_dump()))
    page = render(attacked, RECORD)
    assert "<script" not in page and "<img" not in page
    assert page.count("&lt;script&gt;") > 40


def with_attacks(value: object, number: int = 0) -> object:
    if isinstance(value, dict):
        return {key: with_attacks(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_attacks(item) for item in value]
    return value + HOSTILE if isinstance(value, str) else value  # the same for the same name, so that names agree


def test_page_is_the_same_to_the_byte(page: str) -> None:
    again = MixtureSummary.model_validate_json(made_up().model_dump_json())
    assert render(again, RECORD) == page


def test_charts_are_images(page: str) -> None:
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    images = [ET.fromstring(image) for figure in figures for image in re.findall(r"<svg.*?</svg>", figure, re.DOTALL)]
    assert len(images) == 4
    filled = {element.get("fill") for element in images[0].iter()}
    assert set(PALETTE[:6]) <= filled
    assert "anneal <2>" in [element.text for element in images[0].iter()]


def test_many_categories_share_a_colour() -> None:
    plain = made_up().model_dump()
    names = [f"c{number}" for number in range(12)]
    first = plain["courses"][0] | {"asked_frac": [1 / 12] * len(plain["courses"][0]["asked_frac"])}
    courses = [first | {"category": name} for name in names]
    sources = [plain["sources"][0] | {"name": name, "category": name} for name in names]
    taken = plain["stages"][0]["taken"][0]
    stage = plain["stages"][0] | {
        "taken": [taken | {"source": n, "category": n, "n_tokens": 1000 + k} for k, n in enumerate(names)]
    }
    page = render(made_up(courses=courses, sources=sources, stages=[stage], samples=[]), RECORD)
    legend = re.search(r'<ul class="legend">(.*?)</ul>', page, re.DOTALL)[1]
    assert re.findall(r"</svg>(\S+) ", legend) == ["c5", "c6", "c7", "c8", "c9", "c10", "c11", "others"]
    assert legend.count(OTHERS) == 1


def test_little_is_known() -> None:
    """A summary without anything that may be absent, and an empty record."""
    absent = {
        name: []
        for name in (
            "courses", "course_edges", "languages", "spans_per_sequence", "tokens_per_document",
            "overlaps", "licenses", "validation", "samples", "stages", "sources",
        )
    }  # fmt: skip
    page = render(made_up(**absent, n_tokens=0, n_sequences=0, n_padding=0), {})
    sections = re.findall(r'<section id="(\w+)">', page)
    assert sections == ["stages", "sources", "sequences"]
    assert re.findall(r'<a href="#(\w+)">', page) == sections


@pytest.mark.skipif(browser.CHROMIUM is None, reason="no chromium on PATH: install Debian's package `chromium`")
def test_in_a_browser(page: str, tmp_path: Path) -> None:
    assert browser.title(browser.browse(page, tmp_path)) == "ko-en <b>20M</b> · Onggi mixture"
    for width, narrow in ((360, "block"), (1200, "none")):
        found = browser.measured(page, tmp_path, width=width)
        assert found["scroll_width"] <= width and found["narrow"] == narrow
