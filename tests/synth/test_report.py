"""The report of synthetic data: all of it is there, and nothing that samples hold is more than text."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from synth.report import render
from synth.summary import summarize
from synth.summary_models import SynthesisSummary
from tests.synth.summarized import GATES, HOSTILE, summary_at, synthesis

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Tags that are open, and all that a page holds."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[SynthesisSummary, str]:
    summary, manifest = summary_at(tmp_path_factory.mktemp("run"))
    record = {
        "created": "2026-11-30T22:00:00+00:00",
        "onggi_version": "1",
        "manifest": manifest.model_dump(mode="json"),
    }
    return summary, render(summary, record | {"timings": {"ask": 75.0}, "peak_memory_bytes": 3e8, "folder": "out"})


def test_everything_is_there(found: tuple[SynthesisSummary, str]) -> None:
    summary, html = found
    page = Page(html)
    assert page.open == []
    for name in ("funnel", "cost", "difficulty", "lengths", "languages", "gates", "samples", "prompts", "tables"):
        assert ("id", name) in page.attributes and ("href", f"#{name}") in page.attributes
    for words in (
        f"{summary.n_kept:,}",
        "reasoning/solve_ko 0123456789abcdef teacher",
        "이 문장 때문입니다.",
        "a<b>&teacher",
        "CC-BY-4.0",
        "ask 1 min 15 s",
        "Korean",
        *GATES,
        *(table.digest for table in summary.tables),
    ):
        assert words in page.text, words
    assert html.count("<svg") > 20 and "pass rate" in page.text


def test_anchors_lead_somewhere(found: tuple[SynthesisSummary, str]) -> None:
    page = Page(found[1])
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for name, value in page.attributes if name == "href" and value and value[0] == "#"} <= set(ids)


def test_samples_are_text_only(found: tuple[SynthesisSummary, str]) -> None:
    summary, html = found
    assert any(HOSTILE in reason.examples[0].answer for stage in summary.stages for reason in stage.reasons)
    page = Page(html)
    assert not {"script", "img", "iframe", "object", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text  # shown as it is
    assert "{{ 7 * 7 }}" in page.text
    assert "\u202e" not in html and "\x07" not in html
    assert "default-src 'none'" in html
    links = {value for name, value in page.attributes if name in ("src", "href")}
    assert all(value and (value[0] == "#" or value == "data:,") for value in links)


def test_the_same_again(found: tuple[SynthesisSummary, str]) -> None:
    assert render(found[0], {}) == render(SynthesisSummary.model_validate_json(found[0].model_dump_json()), {})


def test_without_a_sample() -> None:
    nothing = summarize([], synthesis(), gates=["length"], n_seeds=0, n_items=0, usage={}, written=[])
    page = Page(render(nothing, {}))
    assert page.open == []
    for words in (
        "No sample was made: there was no item of work.",
        "Nobody was asked.",
        "No answer to measure.",
        "None",
    ):
        assert words in page.text
    assert not re.search(r"\bnan\b|None of|Undefined", page.text)


def test_all_rejected(tmp_path: Path) -> None:
    summary, _ = summary_at(tmp_path, 0)
    nothing = summary.model_copy(update={"n_kept": 0, "kept": (), "numbers": ()})
    page = Page(render(nothing, {}))
    assert page.open == [] and ("id", "samples") not in page.attributes
