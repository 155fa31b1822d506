"""`onggi ladder`: the shipped one through the real command, with few steps of each stage, and once more."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from manifests.load import load_kind
from manifests.recipes import find_manifest
from manifests.schema_experiments import LadderManifest
from manifests.schema_training import TrainingManifest
from tests.scenarios.training_runs import ROOT
from tests.synth.test_report import Page

TIMEOUT_S = 1500
STEPS = 2


def recipe() -> LadderManifest:
    return load_kind(LadderManifest, find_manifest("ladder"))


def training() -> dict[str, Any]:
    (step,) = [step for step in recipe().steps if step.name == "train"]
    assert isinstance(step.manifest, dict)
    return step.manifest


def few_steps() -> list[str]:
    """Overrides that leave each stage as it is, but for how long it trains; and one seed."""
    trained = [
        stage["name"] for stage in training()["stages"] if stage["kind"] not in ("init", "merge", "upscale", "prune")
    ]
    settings = ["seeds=[0]", "steps.train.manifest.prompts.limit=4"]
    settings += [f"steps.train.manifest.validation.{name}.limit=2" for name in ("ko", "en", "sums_ko", "sums_en")]
    settings += [f"steps.train.manifest.stages.{name}.steps={STEPS}" for name in trained]
    return [part for setting in settings for part in ("--set", setting)]


def ladder(folder: Path, *options: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "onggi", "ladder", *few_steps(), *options],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_all_that_the_reports_do_is_in_it() -> None:
    manifest = TrainingManifest.model_validate({"name": "train", "output": "out", **training()})
    kinds = {stage.kind for stage in manifest.stages}
    wanted = {"cpt", "upscale", "init", "prune", "distill", "sft", "merge", "reward", "dpo", "online_dpo"}
    assert kinds == wanted
    assert {step.name for step in recipe().steps} >= {"web", "tok", "mix", "train"}


def test_every_expectation_says_where_it_comes_from_or_what_it_cannot_show() -> None:
    for rung in recipe().rungs:
        assert rung.note, rung.name
        assert rung.against is None or rung.expect, rung.name


@pytest.mark.slow
def test_the_shipped_ladder_climbs_and_then_has_nothing_to_do(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    done = ladder(tmp_path, "--json")
    assert done.returncode == 0, done.stderr.decode()
    summary = orjson.loads(done.stdout)
    rungs = {row["name"]: row for row in summary["rungs"]}
    assert list(rungs) == [rung.name for rung in recipe().rungs]
    for rung in recipe().rungs:
        assert set(rung.expect) <= set(rungs[rung.name]["differences"]), rung.name
    page = Page((tmp_path / "ladder" / "report.html").read_text("utf-8"))
    assert page.open == [] and "script" not in page.tags
    ids = {value for key, value in page.attributes if key == "id"}
    assert {
        value[1:] for key, value in page.attributes if key == "href" and re.match("#", value or "") and value
    } <= ids
    again = ladder(tmp_path, "--json")
    assert again.returncode == 0, again.stderr.decode()
    assert all(run["is_reused"] for run in orjson.loads(again.stdout)["runs"])
