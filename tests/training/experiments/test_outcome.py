"""Whether a run is as it would be made now: its inputs, and the models that it shares with others."""

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.training.experiments.small_experiments import cpt, ladder, training
from training.experiments import run as running
from training.experiments.chain import Run, plan_chains
from training.experiments.outcome import is_done, set_stamp, stamp_of
from training.experiments.run import run_all
from training.summary_models import SUMMARY, StageSummary, TrainingSummary

WORDS = {"name": "words", "tokenizer": {"text": ["ko.jsonl"], "vocab_size": 400}}
TRAIN = {"name": "train", "manifest": training(cpt("cpt", mixture="mix"))}


def run_of(folder: Path, step: dict[str, Any]) -> Run:
    (folder / "ko.jsonl").write_text('{"text": "옹기"}\n')
    rungs = [{"name": "one", "of": step["name"]}]
    (shared,) = plan_chains(ladder(folder, steps=[step], rungs=rungs, seeds=[0]), str(folder)).runs
    return shared.run


@pytest.mark.parametrize("changes", [False, True])
def test_an_input_that_changes_while_a_run_goes_on_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: bool
) -> None:
    run_of(tmp_path, WORDS)
    wanted = ladder(tmp_path, steps=[WORDS], rungs=[{"name": "one", "of": "words"}])
    chains = plan_chains(wanted, str(tmp_path))

    def learn(_: Any, __: str, folder: Path, *___: Any) -> None:
        folder.mkdir(parents=True)
        if changes:
            (tmp_path / "ko.jsonl").write_text('{"text": "another"}\n')
        (folder / "training.json").write_text("{}")

    monkeypatch.setattr(running, "run_step", learn)
    assert not run_all(chains.runs, tmp_path).failed
    assert is_done(chains.runs[0].run) != changes


def finished(run: Run, folder: Path) -> None:
    """What a training leaves: its record, and models in folders that it shares."""
    for model in (folder / "base", folder / "stages/cpt-1/model"):
        model.mkdir(parents=True)
        (model / "config.json").write_text("{}")
    run.folder.mkdir(parents=True)
    base = StageSummary(name="base", kind="base", folder=str(folder / "base"))
    (run.folder / SUMMARY).write_text(TrainingSummary(name="t", stages=[base]).model_dump_json())
    (run.folder / "run.json").write_bytes(orjson.dumps({"models": {"cpt": "../../../stages/cpt-1/model"}}))
    set_stamp(run, stamp_of(run))


@pytest.mark.parametrize("lost", ["base", "stages/cpt-1"])
def test_a_training_whose_models_are_gone_is_not_done(tmp_path: Path, lost: str) -> None:
    run = run_of(tmp_path, TRAIN)
    finished(run, tmp_path)
    assert is_done(run)
    shutil.rmtree(tmp_path / lost)
    assert not is_done(run)
