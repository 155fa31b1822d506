"""The page of a training: all of it is there, what models wrote is text only, and what is missing is left out."""

import base64
import hashlib
import math
import re
from typing import Any

import pytest

from tests.synth.test_report import Page
from tests.training.summarized import HOSTILE, RECORD, summary
from training.jobs import Made, Table
from training.pages.report import account, render, stage_flops
from training.summary_models import Answer, StageSummary, TrainingSummary, Verdict

SECTIONS = ("glance", "measures", "gates", "stages", "answers", "compute", "left-out", "environment", "manifest")


@pytest.fixture(scope="module")
def found() -> tuple[TrainingSummary, str]:
    made = summary()
    return made, render(made, RECORD)


def test_everything_is_there(found: tuple[TrainingSummary, str]) -> None:
    page = Page(found[1])
    assert page.open == []
    for name in SECTIONS:
        assert ("id", name) in page.attributes and ("href", f"#{name}") in page.attributes
    for words in (
        "dna-small",
        "5 of 6",
        "36.1M",
        "2.91×10¹⁶",
        "The run stopped after online.",
        "The reward pays for length",
        "1.31 → 1.09 −16.8%",
        "30.2% → 29.8% −0.4 points",
        "−1.4 → −1.1 +0.3",
        "4.9M of them trained (3.6%)",
        "resumed 1 time",
        "too_long 41",
        "Leave one domain out",
        "Its walls hold tiny pores",
        "bits per byte",
        "cpu, 2 threads",
        "models/base",
    ):
        assert words in page.text, words


def test_published_shares_are_told(found: tuple[TrainingSummary, str]) -> None:
    text = Page(found[1]).text
    assert "saved 11.06% of the FLOPs" in text and "took 6.67% of them" in text


def test_curves_are_drawn_by_kind(found: tuple[TrainingSummary, str]) -> None:
    html = found[1]
    _, *parts = html.split('<article class="trained" id="s-')
    titles = {part.split('"')[0]: re.findall(r"<h4>(.*?)</h4>", part) for part in parts}
    assert titles["cpt"] == ["loss", "learning rate", "norm of the gradient"]
    assert titles["dpo"][:5] == [
        "loss", "learning rate", "accuracy of preferences", "margin of rewards", "implicit rewards"
    ]  # fmt: skip
    assert {"reward of drawn answers", "length of drawn answers, tokens"} <= set(titles["online"])
    assert "log-probability of both answers" in titles["dpo"]
    assert "my own" in titles["online"]  # nothing that was logged is lost
    assert titles["merged"] == ["angles", "angle between the parents, degrees", "sweep of t: Korean against English"]
    assert html.count('<article class="card wide-card">') == 1  # too wide for a card


def test_a_page_is_of_bounded_size(found: tuple[TrainingSummary, str]) -> None:
    """A curve of 20,000 lines takes as much as its pixels."""
    whole = found[0]
    [cpt] = [stage for stage in whole.stages if stage.name == "cpt"]
    curve = [{"step": k, "loss": 2 + (k * 7919 % 1000) / 1000, "learning_rate": 1e-4} for k in range(20_000)]
    long = whole.model_copy(update={"stages": [cpt.model_copy(update={"curve": curve})]})
    assert len(render(long, {})) < 120_000


def test_anchors_lead_somewhere(found: tuple[TrainingSummary, str]) -> None:
    page = Page(found[1])
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for name, value in page.attributes if name == "href" and value and value[0] == "#"} <= set(ids)


def hostile() -> TrainingSummary:
    """Each text of a summary that others may have written is an attack."""
    answer = Answer(prompt=HOSTILE, answer=HOSTILE, n_tokens=1, ended=True, reward=0.5)
    made = Made(
        counts={"tokens": 10, HOSTILE: 1},
        figures={HOSTILE: 1.0},
        left_out={HOSTILE: 2},
        tables=[Table(title=HOSTILE, columns=[HOSTILE], rows=[[HOSTILE]], note=HOSTILE)],
        charts={HOSTILE: f'<svg onload="alert(3)"><script>alert(4)</script><text>{"a"}</text></svg>', "b": HOSTILE},
    )
    gate = Verdict(gate=HOSTILE, passed=False, found=HOSTILE, advice=HOSTILE, figures={HOSTILE: 1.0})
    base = StageSummary(name="base", kind="base", folder="", answers=[answer], measures={HOSTILE: {"loss": 2.0}})
    stage = StageSummary(
        name=HOSTILE,
        kind=HOSTILE,
        folder=HOSTILE,
        starts_from=["base", HOSTILE],
        made=made,
        curve=[{"step": 1, "loss": 1.0, HOSTILE: 3.0}, {"step": 2, "loss": 2.0, "text": HOSTILE}],
        measures={HOSTILE: {"loss": 1.0}},
        answers=[answer],
        gates=[gate],
    )
    return TrainingSummary(name=HOSTILE, stages=[base, stage], stopped_at=HOSTILE)


def test_texts_are_text_only() -> None:
    record: dict[str, Any] = {"manifest": {"name": HOSTILE, "base": HOSTILE}, "environment": {HOSTILE: HOSTILE}}
    html = render(hostile(), record | {"folder": HOSTILE, "onggi_version": HOSTILE})
    page = Page(html)
    assert page.open == []
    assert not {"script", "img", "iframe", "object", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text  # shown as it is
    assert "{{ 7 * 7 }}" in page.text
    assert "\u202e" not in html and "\x07" not in html
    links = {value for name, value in page.attributes if name in ("src", "href")}
    assert all(value and (value[0] == "#" or value == "data:,") for value in links)


def test_policy_allows_the_one_style_and_nothing_else(found: tuple[TrainingSummary, str]) -> None:
    html = found[1]
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert "default-src 'none'" in html and f"style-src 'sha256-{digest}'" in html
    assert ' style="' not in html
    assert "prefers-color-scheme: dark" in style and "max-width: 46rem" in style


def test_the_same_again(found: tuple[TrainingSummary, str]) -> None:
    again = TrainingSummary.model_validate_json(found[0].model_dump_json())
    assert render(again, RECORD) == found[1]


def test_nothing_done_yet() -> None:
    base = StageSummary(name="base", kind="base", folder="m")
    for stages in ([], [base]):
        page = Page(render(TrainingSummary(name="none", stages=stages), {}))
        assert page.open == [] and "No stage is done yet." in page.text
        there = {value for name, value in page.attributes if name == "id"}
        assert there & set(SECTIONS) == {"glance", "compute"}
        assert not re.search(r"\bnan\b|None|Undefined", page.text)


def test_a_stage_of_which_nothing_is_known() -> None:
    stages = [
        StageSummary(name="base", kind="base", folder="m"),
        StageSummary(name="a", kind="sft", folder="a"),
    ]
    page = Page(render(TrainingSummary(name="bare", stages=stages), {}))
    assert page.open == [] and "sft" in page.text
    assert not re.search(r"\bnan\b|None|Undefined", page.text)


def test_account_adds_up(found: tuple[TrainingSummary, str]) -> None:
    whole = account(found[0])
    assert whole.n_tokens == 24_576_000 + 4_100_000 + 1_900_000 + 3_300_000 + 2_200_000
    assert sum(item.frac for item in whole.items) == pytest.approx(1)
    assert whole.flops == pytest.approx(6 * 134_515_008 * whole.n_tokens)
    counted = StageSummary(name="a", kind="sft", folder="", n_parameters=10, made=Made(counts={"tokens": 7}))
    assert stage_flops(counted) == 420
    assert stage_flops(counted.model_copy(update={"flops": 5.0})) == 5.0


def test_long_answers_lose_their_middle() -> None:
    answer = Answer(prompt="p", answer="a" * 9000 + "end", n_tokens=1, ended=False)
    base = StageSummary(name="base", kind="base", folder="", answers=[answer])
    page = Page(render(TrainingSummary(name="long", stages=[base]), {}))
    assert "[…]" in page.text and "aend" in page.text and "did not end by itself" in page.text
    assert page.text.count("a" * 2001) == 0


def test_figures_that_are_no_numbers_can_be_read_and_shown() -> None:
    """JSON has no word for them; a stage that is done must not become one that cannot be read."""
    odd = {"margin": float("nan"), "reward": float("inf")}
    table = Table(title="Odd", columns=["figure"], rows=[[value] for value in odd.values()])
    made = Made(figures=odd, counts={"tokens": 5}, tables=[table])
    verdict = Verdict(gate="reward_drift", passed=False, found="cannot be judged", figures=odd)
    measures = {"ko": {"loss": float("nan"), "n_tokens": 5.0}}
    stage = StageSummary(name="rm", kind="reward", folder="rm", made=made, gates=[verdict], measures=measures)
    base = StageSummary(name="base", kind="base", folder="base", measures=measures)
    whole = TrainingSummary(name="t", stages=[base, stage])
    read = TrainingSummary.model_validate_json(whole.model_dump_json())
    assert math.isnan(read.stages[1].made.figures["margin"]) and math.isnan(read.stages[1].measures["ko"]["loss"])
    for summary_ in (whole, read):
        page = render(summary_, RECORD)
        assert "no number" in page
