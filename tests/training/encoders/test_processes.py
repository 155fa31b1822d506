"""Contrastive training by two processes is that of one: each question is told apart from the texts of both."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from manifests.engine import silent
from tests.training import tiny
from tests.training.encoders.planted_texts import job, planted
from training import launch
from training.checkpoints import read_curve
from training.jobs import Made

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_two_processes_are_one(tmp_path: Path, tiny_model: Path, micro_batch: int | None) -> None:
    """Also where rows have unequal numbers of negatives, so that processes have unequal numbers of texts."""
    rows = planted(40)
    for number, row in enumerate(rows):
        row["negative"] = row["negative"] * (number % 3)
    tiny.write_jsonl(tmp_path / "texts.jsonl", rows)
    stage: dict[str, Any] = {
        "kind": "contrast", "batch": 8, "steps": 4, "learning_rate": 1e-3, "max_length": 48, "held_out": 0.1,
        "data": [{"path": "texts.jsonl", "negative": "negative"}], "micro_batch": micro_batch,
    }  # fmt: skip
    made = list[Made]()
    for n_processes in (1, 2):
        folder = tmp_path / str(n_processes)
        asked = job(folder, tiny_model, stage).model_copy(update={"threads": 1})
        made.append(Made.model_validate_json(launch.run(asked, folder, n_processes, silent)))
    one, two = (load_file(tmp_path / name / "model" / "model.safetensors") for name in "12")
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 2e-5
    losses = [[float(line["loss"] or 0) for line in read_curve(tmp_path / name / "curve.jsonl")] for name in "12"]
    assert torch.allclose(*map(torch.tensor, losses), atol=1e-4) and len(losses[1]) == 4
    assert made[0].counts == made[1].counts
    assert made[0].figures["ndcg_after"] == pytest.approx(made[1].figures["ndcg_after"], abs=0.05)
