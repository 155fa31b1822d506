"""What pages and servers tell robots, against another parser of HTML, on made-up and on real pages."""

import time
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType
from hypothesis import given
from hypothesis import strategies as st

from curation.addresses.robots import FIELDS, of_headers, of_page, robots_column
from curation.read_http import parse_headers, robots_headers
from manifests.schema_addresses import Robots

ALL = Robots()


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ('<meta name="robots" content="noindex, nofollow">', {"noindex", "nofollow"}),
        ("<META CONTENT=None NAME=GoogleBot>", {"noindex", "nofollow"}),
        ("<meta name='robots' content='NOAI,noimageai'/>", {"noai", "noimageai"}),
        ('<meta name="robots" content="max-snippet: 0, max-image-preview:large">', {"nosnippet"}),
        ('<meta name="robots" content="max-snippet:-1, index, follow">', set()),
        ('<meta name="ccbot" content="nofollow"><meta name="robots" content="noarchive">', {"nofollow", "noarchive"}),
        ('<meta name="otherbot" content="noindex">', set()),
        ('<meta property="robots" content="noindex">', set()),
        ('<meta name="tdm-reservation" content="1">', {"tdm_reserved"}),
        ('<meta name="tdm-reservation" content="0">', set()),
        ('<!-- <meta name="robots" content="noindex"> -->', set()),
        ('<script>\'<meta name="robots" content="noindex">\'</script>', set()),
        ("<script>'</p>'</script><meta name=robots content=noindex>", {"noindex"}),
        ('<meta name="description" content="> name=robots"><meta name="robots" content="nocache">', {"noarchive"}),
        ('<meta name="&#114;obots" content="no&#105;ndex">', {"noindex"}),
        ('<metadata name="robots" content="noindex">', set()),
        ('<meta content=x" name=robots><meta name="robots" content="noai">', {"noai"}),
        ('<!--><meta name="robots" content="noai">-->', {"noai"}),
        ('<meta name="robots" content="noindex"', set()),  # a tag that does not end is none
        ('<meta name="yeti" content="noindex">', {"noindex"}),
    ],
)
def test_meta_tags(page: str, said: set[str]) -> None:
    for content in (page.encode(), f"\ufeff{page}".encode("utf-16-le")):
        columns = robots_column(pa.array([content], pa.large_binary()), pa.array(["html"]), _no_header(), ALL)
        assert {name for name, value in columns.to_pylist()[0].items() if value} == said
        assert of_page(content, ALL) == said


def _no_header() -> pa.StringArray:
    return pa.array([None], pa.string())


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["X-Robots-Tag: noindex, noarchive"], {"noindex", "noarchive"}),
        (["X-Robots-Tag: otherbot: noindex, nofollow", "X-Robots-Tag: nosnippet"], {"nosnippet"}),
        (["X-Robots-Tag: otherbot: noindex, ccbot: nofollow"], {"nofollow"}),
        (["X-Robots-Tag: unavailable_after: 25 Jun 2010 15:00:00 PST, noai"], {"noai"}),
        (["x-robots-tag: ALL", "TDM-Reservation: 1"], {"tdm_reserved"}),
        (["Content-Usage: train-ai=n"], {"noai"}),
        (["Content-Usage: train-ai=y, search=n"], set()),
    ],
)
def test_headers(lines: list[str], said: set[str]) -> None:
    block = "\r\n".join(["HTTP/1.1 200 OK", "Server: x", *lines, "", ""])
    assert of_headers(robots_headers(parse_headers(block.encode(), "latin1")), ALL) == said


def test_only_the_robots_that_are_named_count() -> None:
    page = b'<meta name="googlebot" content="noindex"><meta name="mybot" content="noai">'
    assert of_page(page, Robots(agents=("mybot",))) == {"noai"}


def test_what_can_say_nothing_is_null() -> None:
    contents = pa.array([b"text", b"<meta name=robots content=noai>", None, b"plain"], pa.large_binary())
    kinds, headers = pa.array(["text", "html", "html", "text"]), pa.array([None, None, None, "x-robots-tag: none"])
    rows = robots_column(contents, kinds, headers, ALL).to_pylist()
    assert rows[0] is None and rows[2] is None
    assert rows[1] == dict.fromkeys(FIELDS, False) | {"noai": True}
    assert rows[3] == dict.fromkeys(FIELDS, False) | {"noindex": True, "nofollow": True}


def test_a_page_made_to_take_long_does_not() -> None:
    made = [b"<meta ", b'<meta name="robots" x="', b"<meta x='", b"<!--", b"<script ", b"<script></", b"<meta a=b "]
    for piece in made:  # what is quadratic would take minutes
        of_page(piece * (1_000_000 // len(piece)), ALL)


class _Oracle(HTMLParser):
    """The meta tags that the standard library's parser finds."""

    def __init__(self) -> None:
        super().__init__()
        self.said = set[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(reversed(attrs))
        if tag == "meta" and (found.get("name") or "").strip().lower() in ("robots", *ALL.agents):
            words = {word.strip().lower() for word in (found.get("content") or "").split(",")}
            self.said |= words & set(FIELDS) | ({"noindex", "nofollow"} if "none" in words else set())

    handle_startendtag = handle_starttag


def _said(page: str) -> set[str]:
    oracle = _Oracle()
    oracle.feed(page)
    oracle.close()
    return oracle.said


PIECES = [
    '<meta name="robots" content="{}">', "<meta content='{}' name=googlebot>", "<META  NAME = Robots CONTENT = {} />",
    '<!-- <meta name="robots" content="{}"> -->', '<style>x <meta name="robots" content="{}"></style>',
    '<p class="a>b">{}</p>', "<title>{}</title>", '<meta name="keywords" content="{}">', '<meta charset="utf-8">{}',
]  # fmt: skip
WORDS = st.sampled_from(["noindex", "none", "nofollow,noai", "NoArchive", "index", "noimageai,follow"])


@given(st.lists(st.tuples(st.sampled_from(PIECES), WORDS), max_size=6))
def test_another_parser_agrees(pieces: list[tuple[str, str]]) -> None:
    page = "<html>" + "".join(piece.format(word) for piece, word in pieces)
    assert of_page(page.encode(), ALL) == _said(page)


@pytest.mark.parametrize(
    "tag",
    ["<meta name=" + " " * 1000, "<meta name" + " " * 1000, "<meta " + "name=" * 200, "<meta name=" + "&" * 1000],
)
def test_no_page_takes_longer_than_its_length(tag: str) -> None:
    page = (tag * (1_000_000 // len(tag))).encode()
    started = time.perf_counter()
    assert of_page(page, ALL) == frozenset()
    assert time.perf_counter() - started < 2


def test_real_pages(shared_data: Path) -> None:
    n_pages, n_saying = 0, 0
    paths = [shared_data / "web/wild_pages.warc.gz", *sorted((shared_data / "web/real_crawls").glob("*.warc.gz"))]
    for path in paths:
        with path.open("rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response):
                content = record.reader.read()
                if b"<html" in content[:4096].lower():
                    n_pages += 1
                    said = of_page(content, ALL)
                    assert said - {"tdm_reserved"} == _said(content.decode("latin1"))
                    n_saying += bool(said)
    assert n_pages > 100 and n_saying >= 5
