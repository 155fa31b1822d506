"""Distillation by several processes, and shared out over them: the same as by one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from manifests.engine import silent
from tests.training import tiny
from tests.training.distilling.students import job, save_pair
from tests.training.small_mixtures import make_mixture
from training import launch
from training.checkpoints import read_curve
from training.jobs import Made
from training.trainers import load_model

pytestmark = pytest.mark.slow

Trained = tuple[Made, list[dict[str, Any]], Path]
Train = Callable[..., Trained]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Runs a stage in processes of its own."""
    root = tmp_path_factory.mktemp("processes")
    pair = save_pair(root)
    make_mixture(root / "mixture", pair[0], n=40, validation={"frac": 0.2})
    tiny.write_jsonl(root / "chats.jsonl", tiny.chats(24))

    def run(name: str, n_processes: int, **settings: Any) -> Trained:
        asked = job(root, *pair, name=name, **settings)
        folder = root / name
        asked = asked.model_copy(update={"folder": str(folder)})
        made = Made.model_validate_json(launch.run(asked, folder, n_processes, silent))
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


def assert_same(found: Trained, wanted: Trained) -> None:
    """Loss, gradients, counts, held-out figures and weights."""
    assert found[0].counts == wanted[0].counts
    assert found[0].figures == pytest.approx(wanted[0].figures, abs=1e-4)
    for one, other in zip(found[1], wanted[1], strict=True):
        for name in ("loss", "divergence", "grad_norm"):
            assert one[name] == pytest.approx(other[name], abs=1e-4), (one["step"], name)
    weights = [load_model(str(of[2] / "model")).state_dict() for of in (found, wanted)]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-4) for name in weights[1])


MIXED: dict[str, Any] = {"mixture": "mixture/out", "steps": 4, "ce_weight": 0.2}


@pytest.fixture(scope="module")
def alone(train: Train) -> Trained:
    """By one process."""
    return train("alone", 1, **MIXED)


def test_two_processes_are_one(train: Train, alone: Trained) -> None:
    assert_same(train("two", 2, **MIXED, micro_batch=1), alone)


def test_sharded_processes_are_one(train: Train, alone: Trained, sharded: None) -> None:
    """FSDP2 through accelerate, as on GPUs; the teacher is whole in each."""
    assert_same(train("sharded", 2, **MIXED, micro_batch=1), alone)


def test_sharded_students_draw(train: Train, sharded: None) -> None:
    """Answers are drawn by whole copies; the scheduler takes the same steps in all processes, and all go as often
    through the weights where the answers of some fill more rows."""
    off_policy = {"start": 0.6, "every": 2, "capacity": 8, "max_new_tokens": 40, "replay": "constant"}
    settings: dict[str, Any] = {"data": [{"path": "chats.jsonl"}], "held_out": 0.1, "off_policy": off_policy}
    made, curve, _ = train("drawing", 2, **settings, steps=6, micro_batch=1)
    assert made.counts["drawn_steps"] + made.counts["replayed_steps"] > 1
    assert len(curve) == 6 and made.counts["student_answers"] > 4
