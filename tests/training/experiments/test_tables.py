"""Rungs of a ladder from made-up points: which measures they show, and what became of what is expected."""

from pathlib import Path
from typing import Any

import pytest

from manifests.errors import RequestError
from manifests.schema_experiments import LadderManifest
from tests.training.experiments.made_up import points
from tests.training.experiments.small_experiments import MIXTURE, cpt, ladder, lay_out, training
from training.experiments.checks import planned
from training.experiments.results import Results
from training.experiments.tables import not_measured, rung_rows

STEPS = [
    {"name": "mix", "manifest": MIXTURE},
    {"name": "train", "manifest": training(cpt("a"), cpt("b"))},
]
SEEDS = [0, 1, 2]


def results() -> Results:
    """Two models with a measure of text, counts and figures; and a mixture, which has only counts."""
    bits, loss = (2.4, 2.5, 2.6), (1.0, 1.1, 1.3)
    before = points("train.a", SEEDS, ko__bits_per_byte=bits, ko__loss=loss, counts__tokens=(9, 9, 9))
    after = points("train.b", SEEDS, ko__bits_per_byte=bits[::-1], ko__loss=(0.9, 1.0, 1.1), counts__tokens=(9, 8, 7))
    shown = {"train.a": {"ko.bits_per_byte": None}, "train.b": {"ko.bits_per_byte": None}, "mix": {}}
    return Results([*before, *after, *points("mix", SEEDS, counts__tokens=(5, 6, 7))], shown=shown)


def rungs(folder: Path, *listed: dict[str, Any]) -> LadderManifest:
    return ladder(folder, steps=STEPS, rungs=[{"name": f"r{n}", **one} for n, one in enumerate(listed)], seeds=SEEDS)


def against(**more: Any) -> dict[str, Any]:
    return {"of": "train.b", "against": "train.a"} | more


def test_what_is_expected_is_told_though_it_is_not_shown(tmp_path: Path) -> None:
    wanted = rungs(tmp_path, against(expect={"counts.tokens": "lower", "ko.loss": "lower"}))
    (row,) = rung_rows(wanted, results())
    assert list(row.figures) == ["ko.bits_per_byte", "counts.tokens", "ko.loss"]
    assert [(one.holds_in, one.n_seeds) for one in row.expectations] == [(2, 3), (3, 3)]


def test_each_rung_shows_what_it_was_measured_by(tmp_path: Path) -> None:
    mix, train = rung_rows(rungs(tmp_path, {"of": "mix"}, against()), results())
    assert list(mix.figures) == ["counts.tokens"] and list(train.figures) == ["ko.bits_per_byte"]


def test_an_expectation_of_a_run_that_failed_did_not_hold(tmp_path: Path) -> None:
    found = results()
    found.points = [point for point in found.points if point.of != "train.b"]
    wanted = rungs(tmp_path, against(expect={"ko.bits_per_byte": "lower"}))
    (row,) = rung_rows(wanted, found)
    assert [(one.measure, one.holds_in, one.n_seeds) for one in row.expectations] == [("ko.bits_per_byte", 0, 0)]
    assert not_measured(wanted, found) == [], "it is told as a run that failed"


def test_what_nothing_has_is_told_with_what_is_there(tmp_path: Path) -> None:
    wanted = rungs(tmp_path, against(expect={"ko.bits_per_bite": "lower"}), against(measures=["ko.loss"]))
    (first, _), said = rung_rows(wanted, results()), not_measured(wanted, results())
    assert first.expectations[0].n_seeds == 0
    assert said[0].startswith("rungs.r0: 'ko.bits_per_bite' was not measured of train.b; valid: ko.bits_per_byte, ")
    assert len(said) == 2 and "train.a" in said[1]


@pytest.mark.parametrize(
    ("rung", "said"),
    [
        (
            against(measures=["ko.loss", "en.loss"]),
            r"rungs.r0.measures\[1\]: found 'en.loss'; valid: ko.…, figures.…",
        ),
        (against(expect={"no.loss": "lower"}), "rungs.r0.expect.no.loss: found"),
        ({"of": "mix", "measures": ["ko.loss"]}, r"rungs.r0.measures\[0\]: found 'ko.loss'; valid: counts.…"),
    ],
)
def test_sets_that_a_rung_does_not_have_are_told_before_any_work(
    tmp_path: Path, rung: dict[str, Any], said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        planned(rungs(lay_out(tmp_path), rung), str(tmp_path))
