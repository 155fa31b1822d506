"""The report in a real browser: nothing runs, nothing is loaded, and it fits on a phone, in the dark too."""

import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape, unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from curation.report import render
from curation.summary import summarize
from tests.curation.dedup.test_semantic_summary import grouped_rows
from tests.curation.judged_rows import RULES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
DARK = "--blink-settings=preferredColorScheme=0"
MEASURE = """<script>addEventListener('load', () => { setTimeout(() => {
  const style = (selector, name) => getComputedStyle(document.querySelector(selector))[name];
  const target = location.hash && document.getElementById(location.hash.slice(1));
  top.document.title = JSON.stringify({
    width: document.documentElement.clientWidth,
    scroll_width: document.documentElement.scrollWidth,
    paper: style('body', 'backgroundColor'),
    ink: style('body', 'color'),
    chart: style('.card figure svg path[fill="#2b7a78"]', 'fill'),
    narrow: style('.funnel .narrow', 'display'),
    revealed: target ? target.getClientRects().length : null,
  }); }, 50) })</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: install Debian's package `chromium`")


@dataclass
class Site:
    """A web server on this machine that remembers what was asked of it."""

    url: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *args):
            pass

    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Site(f"http://127.0.0.1:{server.server_address[1]}", asked)
    server.shutdown()
    server.server_close()


def attack(site: Site, name: str) -> str:
    """HTML that would run a script and load from the site, if it were more than text."""
    return (
        f"</p></style></svg><script>document.title='ran {name}'</script><img src={site.url}/{name}-image>"
        f"<style>@import '{site.url}/{name}-style';</style><svg onload=\"document.title='ran {name}'\"/>"
        f"<iframe src={site.url}/{name}-frame></iframe>한글 문서"
    )


@pytest.fixture(scope="module")
def report(site) -> str:
    rows = grouped_rows(300).with_columns(text=pl.lit(attack(site, "text")), url=pl.lit(f"{site.url}/link"))
    return render(summarize(rows, RULES), {"name": "browser", "created": "2026-11-21T04:01:12+00:00"})


def browse(html: str, folder: Path, *flags: str, anchor: str = "") -> str:
    """The page as the browser has it after it was loaded."""
    file = folder / "page.html"
    file.write_text(html)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [CHROMIUM, *FLAGS, *flags, f"--user-data-dir={profile}", "--window-size=1280,900"]
        url = f"{file.as_uri()}{'#' + anchor if anchor else ''}"
        done = subprocess.run(
            [*command, "--virtual-time-budget=2000", "--dump-dom", url], capture_output=True, timeout=120
        )
    return done.stdout.decode()


def title(dom: str) -> str:
    return unescape(re.search(r"<title>(.*?)</title>", dom, re.DOTALL)[1])


def measured(report: str, folder: Path, *flags: str, width: int | None = None, anchor: str = "") -> dict:
    """What a script finds in the page, which therefore comes without its policy; in a frame `width` pixels wide.

    The frame is there because a window of this browser is at least 500 pixels wide.
    """
    html = POLICY.sub("", report).replace("</body>", MEASURE + "</body>")
    if width:
        html = f'<title></title><iframe width={width} height=800 frameborder=0 srcdoc="{escape(html)}"></iframe>'
    return json.loads(title(browse(html, folder, *flags, anchor=anchor)))


def test_the_attack_works_on_a_page_without_defence(site, tmp_path):
    dom = browse(f"<title>still</title><p>{attack(site, 'bare')}", tmp_path)
    assert title(dom) == "ran bare"
    assert {"/bare-image", "/bare-style", "/bare-frame"} <= set(site.asked)


def test_document_text_is_inert(report, site, tmp_path):
    dom = browse(report, tmp_path)
    assert title(dom) == "browser · Onggi report"
    assert "<script" not in dom and "&lt;script&gt;" in dom
    assert not [path for path in site.asked if "text" in path or "link" in path]


def test_policy_holds_where_escaping_would_not(report, site, tmp_path):
    dom = browse(report.replace("<main>", "<main>" + attack(site, "raw")), tmp_path)
    assert "<script" in dom
    assert title(dom) == "browser · Onggi report"
    assert not [path for path in site.asked if "raw" in path]


@pytest.mark.parametrize(("width", "narrow"), [(360, "block"), (1200, "none")])
def test_page_fits_its_window(report, tmp_path, width, narrow):
    found = measured(report, tmp_path, width=width)
    assert found["width"] == width and found["scroll_width"] <= width
    assert found["narrow"] == narrow


def test_light_and_dark(report, tmp_path):
    light, dark = measured(report, tmp_path), measured(report, tmp_path, DARK)
    assert brightness(light["paper"]) > 240 > 120 > brightness(light["ink"])
    assert brightness(dark["paper"]) < 40 < 200 < brightness(dark["ink"])
    assert brightness(light["chart"]) < brightness(dark["chart"])


def brightness(color: str) -> float:
    return sum(map(float, re.findall(r"[\d.]+", color)[:3])) / 3


def test_link_to_samples_opens_them(report, tmp_path):
    assert measured(report, tmp_path, anchor="r-rules-words")["revealed"] > 0
