"""The page of an experiment: all of it is there, each number leads to its run, and text of strangers stays text."""

import math
import re

import pytest

from tests.synth.test_report import Page
from tests.training.experiments.made_up import ablation, interval, ladder
from tests.training.summarized import HOSTILE
from training.experiments.page import render
from training.experiments.summary_models import Expectation, ExperimentSummary, Failed, Interval, RungRow
from training.experiments.words import table_of


def one_seed(summary: ExperimentSummary) -> ExperimentSummary:
    """The same with its first seed alone, as one runs it to try something."""

    def first(found: dict[str, Interval]) -> dict[str, Interval]:
        return {name: interval(item.values[0]) for name, item in found.items()}

    arms = [
        arm.model_copy(update={"figures": first(arm.figures), "differences": first(arm.differences)})
        for arm in summary.arms
    ]
    kept = [point for point in summary.points if point.seed == 0]
    return summary.model_copy(update={"arms": arms, "points": kept, "seeds": [0], "runs": summary.runs[:1]})


EMPTY = ExperimentSummary(kind="ablation", name="nothing", seeds=[0], confidence=0.95, columns=[])
ALL = {"ladder": ladder(), "ablation": ablation(), "one seed": one_seed(ablation()), "empty": EMPTY}


@pytest.mark.parametrize("name", ALL)
def test_a_page_is_whole_and_harmless(name: str) -> None:
    html = render(ALL[name])
    page = Page(html)
    assert page.open == []
    assert "script" not in page.tags and "img" not in page.tags
    assert not [key for key, _ in page.attributes if key.startswith("on") or key == "style"]
    assert not [
        value for key, value in page.attributes if key in ("href", "src") and not re.match("#|data:,", value or "")
    ]
    assert render(ALL[name]) == html


@pytest.mark.parametrize("name", ALL)
def test_each_link_leads_somewhere_once(name: str) -> None:
    page = Page(render(ALL[name]))
    ids = [value for key, value in page.attributes if key == "id"]
    assert len(ids) == len(set(ids))
    targets = {(value or "")[1:] for key, value in page.attributes if key == "href" and value != "data:,"}
    assert targets <= set(ids)


def test_a_rung_says_what_was_before_and_after() -> None:
    page = Page(render(ladder()))
    for words in (
        "1 of 2 in two thirds of the seeds or more",
        "ko bits per byte lower is better",
        "−0.203",
        "lower: held in 3 of 3 seeds, surely",
        "Did not hold: ko.bits_per_byte was to be lower; it did not hold: in 1 of 3 seeds only.",
        "Kanana, table 3",
        "against 6.00×10¹² : 0.5×",
        "Nothing was measured.",
        "torch 2.13",
        "intervals at 95% over seeds",
    ):
        assert words in page.text, words


def test_what_was_not_measured_did_not_hold() -> None:
    lost = Expectation(measure="ko.bits_per_byte", expected="lower", holds_in=0, n_seeds=0, is_sure=False)
    first, *_ = ladder().rungs
    summary = ladder(rungs=[first, RungRow(name="lost", of="a", against="b", expectations=[lost])])
    text = Page(render(summary)).text
    assert "1 of 2 in two thirds of the seeds or more; 1 not measured" in text
    assert "Did not hold: ko.bits_per_byte was to be lower; it was not measured." in text
    assert [row[5] for row in table_of(summary)[1]][-1] == "lower: not measured"


def test_numbers_lead_to_models_and_these_to_runs_with_digests() -> None:
    html = render(ladder())
    mean = re.search(r'<a class="from" href="#(model-\d+)">2.41</a>', html)
    assert mean
    model = html.partition(f'id="{mean[1]}"')[2].partition("</article>")[0]
    first = re.search(r'<a class="from" href="#(run-\d+)">2.4</a>', model)
    assert first and "train.stage2" in model
    of_run = html.partition(f'id="{first[1]}"')[2].partition("</article>")[0]
    assert "0123456789abcde0" in of_run and "11ab" in of_run and "22cd" in of_run and "seed: 0" in of_run


def test_only_the_sure_is_bold_and_the_best_is_marked() -> None:
    html = render(ablation())
    assert re.search(r'<span class="verdict kept">−0.203</span>', html)
    assert re.search(r'<span class="verdict unsure">0 points</span>', html)
    best = re.findall(r'<b class="best"[^>]*>★ (?:<a[^>]*>)?([^<]+)', html)
    assert sorted(best) == ["2.41", "30%", "30%"]  # of the second measure two are equally good


def test_what_is_no_number_is_said_and_not_drawn() -> None:
    html = render(ablation())
    assert "no number" in Page(html).text
    assert "nan" not in re.sub(r"[a-z]+nan|nan[a-z]+", "", html.lower())
    plots = html.partition('id="plots"')[2].partition("</section>")[0]
    assert "broken" not in plots and "edu" in plots


def test_one_seed_has_no_interval_and_nothing_is_sure() -> None:
    html = render(one_seed(ablation()))
    assert "one seed tells no interval" in html
    assert 'class="verdict kept"' not in html and 'class="interval"' not in html


def test_what_failed_is_said_and_why() -> None:
    failed = [Failed(step="train", arms=["edu"], seeds=[1], why=f"no disk {HOSTILE}")]
    first, *others = ablation().points
    gated = first.model_copy(update={"gates_failed": ["ko: loss rose"]})
    summary = ablation(failed=failed, notes=["Mind the gap."], points=[gated, *others])
    page = Page(render(summary))
    assert page.open == [] and "script" not in page.tags
    assert "train, edu, seed 1: no disk </p><script>" in page.text
    assert "Mind the gap." in page.text
    assert "Seed 0: a gate failed, and the run went on. ko: loss rose" in page.text


def test_a_stage_that_arms_share_is_counted_once() -> None:
    summary = ablation()
    shared = [point.model_copy(update={"arm": "other"}) for point in summary.points if point.arm == "raw"]
    both = summary.model_copy(update={"points": [*summary.points, *shared]})
    assert "9.00×10¹²" in render(summary) and "9.00×10¹²" in render(both)


def test_figures_that_are_null_in_the_file_come_back_as_no_number() -> None:
    again = ExperimentSummary.model_validate_json(ablation().model_dump_json())
    assert math.isnan(again.arms[2].figures["ko.bits_per_byte"].mean)
    assert render(again) == render(ablation())
