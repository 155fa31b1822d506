"""Continued pre-training by several processes: the same as by one."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from manifests.engine import silent
from manifests.schema_training_stages import Cpt
from tests.training.small_mixtures import make_mixture
from training import launch
from training.checkpoints import read_curve
from training.jobs import Job, Made
from training.trainers import load_model

pytestmark = pytest.mark.slow

Trained = tuple[Made, list[dict[str, Any]], Path]
Train = Callable[..., Trained]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Train:
    """Runs a stage in processes of its own."""
    root = tmp_path_factory.mktemp("processes")
    mixture = make_mixture(root / "mixture", tiny_model, n=60)

    def run(name: str, n_processes: int, **settings: Any) -> Trained:
        defaults = {"mixture": str(mixture), "batch": 4, "learning_rate": 1e-3, "z_loss": 1e-3}
        defaults["optimizer"] = {"weight_decay": 1e-2, "decay": "independent"}
        stage = Cpt.model_validate({"kind": "cpt", "name": name, **defaults, **settings})
        folder = root / name
        models = {"model": str(tiny_model)}
        job = Job(stage=stage, folder=str(folder), manifest_base=str(root), models=models, seed=5, threads=1)
        made = Made.model_validate_json(launch.run(job, folder, n_processes, silent))
        return made, read_curve(folder / "curve.jsonl"), folder

    return run


@pytest.fixture
def sharded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes share out weights, gradients and the optimiser's state."""
    command = launch.command

    def sharding(job_file: Path, n_processes: int, is_sharded: bool = True) -> list[str]:
        found = command(job_file, n_processes, is_sharded)
        return [*found[: found.index("training.worker") - 1], "-m", "tests.training.sharding_worker", str(job_file)]

    monkeypatch.setattr(launch, "command", sharding)


@pytest.fixture(scope="module")
def alone(train: Train) -> Trained:
    """By one process."""
    return train("alone", 1)


def assert_same(found: Trained, wanted: Trained) -> None:
    """Loss, gradients, counts and weights, to 1e-5."""
    assert found[0].counts == wanted[0].counts
    for one, other in zip(found[1], wanted[1], strict=True):
        for name in ("loss", "z_loss", "lse", "grad_norm", "learning_rate"):
            assert one[name] == pytest.approx(other[name], abs=1e-5), (one["step"], name)
        assert one["tokens"] == other["tokens"]
    weights = [load_model(str(of[2] / "model")).state_dict() for of in (found, wanted)]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-5) for name in weights[1])


@pytest.mark.parametrize("micro_batch", [None, 1])
def test_two_processes_are_one(train: Train, alone: Trained, micro_batch: int | None) -> None:
    found = train(f"two{micro_batch}", 2, micro_batch=micro_batch)
    assert len(list((found[2] / "checkpoints").glob("*/rng_state_*.pth"))) >= 2  # there were two
    assert_same(found, alone)


def test_sharded_processes_are_one(train: Train, alone: Trained, sharded: None) -> None:
    """FSDP2 through accelerate, as on GPUs, from the check of isolation to the files of the model."""
    found = train("sharded", 2, micro_batch=1)
    assert (found[2] / "checkpoints" / f"checkpoint-{len(found[1])}" / "pytorch_model_fsdp.bin").is_file()
    assert_same(found, alone)


def test_a_sharded_training_goes_on(train: Train, sharded: None) -> None:
    settings = {"checkpoints": {"every": 3}, "steps": 8}
    made, curve, folder = train("stopped", 2, **settings)
    weights = (folder / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(folder / "model")
    for path in (folder / "checkpoints").glob("checkpoint-*"):
        if path.name != "checkpoint-6":
            shutil.rmtree(path)
    again, resumed, _ = train("stopped", 2, **settings)
    assert again.counts == made.counts
    for name in ("loss", "grad_norm", "tokens"):
        assert [line[name] for line in resumed] == [line[name] for line in curve]
    assert (folder / "model" / "model.safetensors").read_bytes() == weights
