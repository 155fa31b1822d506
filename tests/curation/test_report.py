"""The report: what it says is what the summary holds, and nothing in a document can do anything there."""

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from curation.charts import Histogram, Line, histograms
from curation.report import render
from curation.report_values import duration, moment, number, percent, size, visible, web_link
from curation.summary import bins_of, summarize
from curation.summary_models import EDGES, Distribution, Summary
from tests.curation.judged_rows import RULES, judged_rows, rule

VOID = {"meta", "link", "br", "img", "input", "hr"}
ATTACKS = (
    "<script>document.title='ran'</script>",
    "</p></li></style><svg onload=alert(1)>",
    "<img src=https://evil.example/x onerror=alert(1)>",
    "{{ 7 * 7 }} {% raw %} &lt;b&gt; \x00\x1b\u202e",
)
RECORD = {
    "name": "small",
    "onggi_version": "0.1.0",
    "created": "2026-11-21T04:01:12+00:00",
    "manifest": {"kind": "corpus", "name": "small", "output": {"path": "out/small run"}, "inputs": []},
    "inputs": [{"source": "web", "path": f"{i}.warc.gz", "size_bytes": 1000, "digest": "d"} for i in range(40)],
    "outputs": [{"path": "documents", "size_bytes": 5, "rows": 3, "digest": ""}],
    "counts": {"read": 300},
    "timings": {"measure": 12.0, "decide": 1.0, "measure.signals": 3.5},
    "throughput": {"measure.text_mb_s": 8.25},
    "peak_memory_bytes": 612_000_000,
    "digests": {"documents": "aa", "ledger": "bb"},
}


class Page(HTMLParser):
    """The tags, attributes and text of a page; fails where tags are not balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summarize(judged_rows(300), RULES)


@pytest.fixture(scope="module")
def page(summary) -> Page:
    return Page(render(summary, RECORD))


@pytest.fixture(scope="module")
def attacked() -> Page:
    attack = pl.Series([ATTACKS[i % len(ATTACKS)] for i in range(200)])
    rows = judged_rows(200).with_columns(
        attack.alias("text"), source=attack, url="javascript:" + attack, file=attack, detail=attack
    )
    return Page(render(summarize(rows, RULES), RECORD | {"name": ATTACKS[0], "previous": ATTACKS[1], "counts": {}}))


def test_documents_cannot_make_elements(attacked, page):
    assert set(attacked.tags) <= set(page.tags)
    assert attacked.tags["script"] == attacked.tags["img"] == 0
    assert not [name for _, name, _ in attacked.attributes if name.startswith("on") or name == "style"]


def test_document_text_is_shown_as_it_is(attacked):
    assert ATTACKS[0] in attacked.text and ATTACKS[1] in attacked.text and ATTACKS[2] in attacked.text
    assert "{{ 7 * 7 }} {% raw %} &lt;b&gt; ␀␛" in attacked.text and "\u202e" not in attacked.text


def test_links_lead_to_the_page_itself_or_the_web(attacked, page):
    links = [value for tag, name, value in attacked.attributes if tag == "a" and name == "href"]
    assert links and all(link.startswith("#") for link in links)
    links = {value for tag, name, value in page.attributes if tag == "a" and name == "href"}
    assert {link for link in links if not link.startswith("#")} == {"https://example.com/a"}


def test_every_anchor_leads_somewhere(page):
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.values("href") if link.startswith("#")} <= set(ids)


def test_policy_allows_this_style_sheet_only(summary):
    html = render(summary, RECORD)
    css = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert policy.split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    assert "url(" not in css and "@import" not in css


def test_headline_adds_up(summary, page):
    n_docs = Counter()
    for tally in summary.tallies:
        n_docs[tally.verdict] += tally.n_docs
    total = f"{n_docs['kept']} kept + {n_docs['dropped']} dropped + {n_docs['failed']} failed = 300"
    assert total in page.text and "= all that was read." in page.text
    assert "does not add up" in Page(render(summary, RECORD | {"counts": {"read": 301}})).text


def test_funnel_ends_with_what_is_kept(summary, page):
    taken = [int(n) for n in re.findall(r"− (\d+)  \(", page.text)]
    kept = sum(tally.n_docs for tally in summary.tallies if tally.verdict == "kept")
    assert sum(taken) == 2 * (300 - kept)  # one drawing for screens, one for phones
    assert page.text.count(f"{kept}  ({percent(kept, 300)})") == 2


def test_reasons_show_what_only_they_drop(summary):
    html = render(summary, RECORD).partition('id="reasons"')[2]
    for of in summary.rules:
        row = re.search(rf"<tr[^>]*><th[^>]*>(<a[^>]*>)?{re.escape(of.name)}<.*?</tr>", html, re.DOTALL)[0]
        assert re.findall(r'class="num">(\d+)</td>', row)[1:3] == [str(of.n_failing), str(of.n_only)]


def test_each_threshold_says_how_to_change_it(page):
    assert "onggi decide 'out/small run' --set language=0.65" in page.text
    assert "onggi decide 'out/small run' --set gopher.lines=0.3" in page.text
    assert "the rule names this column twice" in page.text


def test_column_is_named_where_a_rule_has_several():
    rules = [rule("both", "language_score >= 0.5 and signals.word_count >= 3")]
    text = Page(render(summarize(judged_rows(50, rules=rules), rules), {})).text
    assert "onggi decide RUN --set both.language_score=0.5" in text
    assert "onggi decide RUN --set both.word_count=3" in text


def test_run_is_told(page):
    for told in ("2026-11-21 04:01 UTC", "12.0 s", "8.2 MB/s", "612.0 MB", "25 others", "out/small run"):
        assert told in page.text


def test_nothing_at_all_is_a_page_too():
    assert "0 kept + 0 dropped + 0 failed = 0" in Page(render(Summary(), {})).text


def test_preview_is_extrapolated(summary):
    text = Page(render(summary, RECORD | {"sample_frac": 0.01})).text
    assert "about 30,000 records" in text


def test_languages_and_sources_beyond_the_first_are_summed_up(summary):
    tallies = [tally.model_copy(update={"source": f"s{i}"}) for i in range(30) for tally in summary.tallies]
    page = Page(render(summary.model_copy(update={"tallies": tuple(tallies)}), {}))
    assert "15 others" in page.text and "4,500" in page.text


def test_size_of_the_page_is_bounded():
    rules = [rule(f"gopher.words_{i}", f"signals.word_count >= {i}") for i in range(100)]
    rows = judged_rows(400, rules=rules).with_columns(text=pl.lit("가" * 400), exact_group=None)
    assert len(render(summarize(rows, rules), RECORD).encode()) < 5_000_000


def test_histograms_do_not_mix():
    n_bins = len(EDGES["fraction"])
    cells = []
    for i in range(3):
        counts = tuple(10 * (bin_ == 50 * i) for bin_ in range(n_bins))
        distribution = Distribution(scale="fraction", kept=counts, dropped=(0,) * n_bins, n_missing=0)
        cells.append(Histogram(distribution, tuple(Line("<=", 0.1 * j, f"line {i}.{j}") for j in range(i))))
    images = histograms(cells)
    assert [re.findall(r"line (\d\.\d)", image) for image in images] == [[], ["1.0"], ["2.0", "2.1"]]
    assert [image.count("<path") - len(cell.lines) for image, cell in zip(images, cells, strict=True)] == [2, 2, 2]
    assert all(">0<" in image for image in images)


@pytest.mark.parametrize(("highest", "ticks"), [(0.99, "0 0.2 0.4 0.6 0.8 1"), (3.2, "0 1 2 3 4 5")])
def test_scores_are_drawn_as_probabilities_or_as_grades(highest, ticks):
    bins = bins_of(np.linspace(0, highest, 400), "grade")
    counts = tuple(np.bincount(bins, minlength=len(EDGES["grade"])).tolist())
    distribution = Distribution(scale="grade", kept=counts, dropped=(0,) * len(counts), n_missing=0)
    (image,) = histograms([Histogram(distribution, (Line(">=", highest / 2, "half"),))])
    assert re.findall(r">([0-9.]+)<", image) == ticks.split()


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://example.com/a?b=c", True),
        ("HTTP://EXAMPLE.COM", True),
        ("javascript:alert(1)", False),
        (" https://example.com", False),
        ("https://example.com/\njavascript:", False),
        ("data:text/html,x", False),
        (None, False),
    ],
)
def test_web_links(url, linked):
    assert (web_link(url) == url) == (linked or url is None)


def test_values_are_written_for_people():
    shares = [(0, 0), (1, 1), (1, 3), (1, 300), (1, 100_000), (99_999, 100_000)]
    assert [percent(*share) for share in shares] == ["0.0%", "100.0%", "33.3%", "0.33%", "<0.01%", ">99.99%"]
    assert [size(n) for n in (0, 999, 1_000, 12_345_678, 5e12)] == ["0 B", "999 B", "1.0 kB", "12.3 MB", "5.0 TB"]
    assert [duration(s) for s in (0.123, 12.34, 59.97, 245, 12_000)] == [
        "0.12 s",
        "12.3 s",
        "1 min 00 s",
        "4 min 05 s",
        "3 h 20 min",
    ]
    assert [number(x) for x in (2_000_000.0, 1234.56, 0.37412, 3)] == ["2,000,000", "1,234.6", "0.3741", "3"]
    assert moment("2026-11-21T04:01:12+09:00") == "2026-11-21 04:01+09:00"
    assert visible("a\tb\nc\r\x07\x7f\u202e가") == "a\tb\nc␍␇가"
