"""Pruning and distillation by turns in one training, and what its plan says before any work."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from manifests.load import load_kind
from manifests.schema_training import TrainingManifest
from manifests.store import Folder
from tests.scenarios.training_runs import in_this_process
from tests.training.small_mixtures import make_mixture
from training import stages
from training.outlook import outlook
from training.record import read_training
from training.summary_models import TrainingSummary
from training.trainers import load_model

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def manifest(folder: Path, *made: dict[str, Any]) -> TrainingManifest:
    path = folder / "train.yaml"
    whole = {"kind": "training", "name": "nano", "base": "base", "threads": 1, "stages": list(made), "output": "run"}
    path.write_text(yaml.safe_dump(whole, sort_keys=False))
    return load_kind(TrainingManifest, str(path))


def prune(name: str, **to: int) -> dict[str, Any]:
    calibration = {"mixture": "mixture/out", "samples": 16, "micro_batch": 8}
    return {"kind": "prune", "name": name, "to": to, "calibration": calibration}


def heal(name: str) -> dict[str, Any]:
    usual = {"steps": 2, "batch": 4, "learning_rate": 1e-3}
    return {"kind": "distill", "name": name, "teacher": "base", "mixture": "mixture/out"} | usual


@pytest.fixture
def here(tmp_path: Path, tiny_model: Path) -> Path:
    (tmp_path / "base").symlink_to(tiny_model)
    make_mixture(tmp_path / "mixture", tiny_model, n=40, validation={"frac": 0.2})
    return tmp_path


def test_prune_and_distill_by_turns(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "run", in_this_process)
    torch.set_num_threads(1)
    first = prune("half", hidden_size=48, num_attention_heads=2)
    second = prune("quarter", intermediate_size=64) | {"tie_embeddings": True}
    asked = manifest(here, first, heal("half-healed"), second, heal("quarter-healed"))
    planned = outlook(asked, str(here))
    assert planned.problems == []
    stages.train(asked, str(here))
    summary = TrainingSummary.model_validate_json((here / "run/summary.json").read_bytes())
    by_name = {stage.name: stage for stage in summary.stages}
    models, sizes = read_training(Folder(str(here / "run"))).models, {}
    for stage in planned.stages:
        model = load_model(str(here / "run" / models[stage.name]))
        assert stage.n_parameters == model.num_parameters(), stage.name
        sizes[stage.name] = (model.config.hidden_size, model.config.intermediate_size, model.config.head_dim)
    assert sizes == {"half": (48, 128, 32), "half-healed": (48, 128, 32), "quarter": (48, 64, 32)} | {
        "quarter-healed": (48, 64, 32)
    }
    assert 0 < by_name["half"].made.figures["cut_share"] < 0.5
    assert by_name["half"].made.counts["calibration_tokens"] > 0
    assert by_name["half"].flops == 0 < by_name["half-healed"].flops, "reading for importance is no training"
    assert read_training(Folder(str(here / "run"))).counts["half"] == 0
    page = (here / "run/report.html").read_text()
    assert "Importance that stays" in page
    assert "Hidden channels, by importance" in page


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ({"num_attention_heads": 3}, "stage p: to.num_attention_heads: 3 heads of queries cannot share 2"),
        ({"hidden_size": 16, "intermediate_size": 32}, "stage p: to: cuts 8"),
    ],
)
def test_a_plan_says_what_cannot_be_pruned(to: dict[str, int], said: str, tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "base").symlink_to(tiny_model)
    (tmp_path / "mixture/out").mkdir(parents=True)
    (tmp_path / "mixture/out/run.json").write_text("{}")
    found, _ = outlook(manifest(tmp_path, prune("p", **to)), str(tmp_path)).problems  # the other is of the mixture
    assert found.startswith(said)
