"""The stage `contrast`: its loss, what it learns, the same bits after a kill, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from manifests.engine import silent
from manifests.errors import RequestError
from tests.training import tiny
from tests.training.encoders.planted_texts import Killed, job, killed_at, planted
from training.checkpoints import read_curve
from training.encoders import contrast
from training.encoders.encoder import EncoderSettings, load_encoder

CONTRAST = {
    "kind": "contrast",
    "data": [{"path": "texts.jsonl"}],
    "batch": 8,
    "steps": 4,
    "learning_rate": 1e-3,
    "max_length": 48,
    "checkpoints": {"every": 2},
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(folder / "model" / "model.safetensors")
    return found


def test_it_learns_what_belongs_together(tmp_path: Path, tiny_model: Path) -> None:
    tiny.write_jsonl(tmp_path / "texts.jsonl", planted(240))
    made = contrast.run(job(tmp_path / "stage", tiny_model, CONTRAST | {"steps": 60, "held_out": 0.2}), silent)
    assert made.figures["loss_last"] < made.figures["loss_first"]
    assert made.figures["ndcg_after"] > made.figures["ndcg_before"] + 0.1
    assert made.counts["held_out"] >= 48 and made.counts["steps"] == 60
    table, of_domains = made.tables
    assert of_domains.rows[0][:2] == ["texts", made.counts["examples"]]
    assert of_domains.rows[0][5] == made.counts["held_out_answers_trained"]
    assert table.rows[0][3:5] == [round(made.figures[f"ndcg_{when}"], 4) for when in ("before", "after")]
    encoder = load_encoder(tmp_path / "stage" / "model")
    assert encoder.is_bidirectional and encoder.settings == EncoderSettings(pooling="mean", max_length=48)


@pytest.mark.parametrize(
    "more", [{}, {"lora": {"rank": 4, "dropout": 0.1}, "micro_batch": 2}, {"bidirectional": False, "pooling": "last"}]
)
def test_killed_it_makes_the_same_bits(tmp_path: Path, tiny_model: Path, more: dict[str, Any]) -> None:
    tiny.write_jsonl(tmp_path / "texts.jsonl", planted(40))
    stage = CONTRAST | more
    made = [contrast.run(job(tmp_path / "whole", tiny_model, stage), silent)]
    with pytest.raises(Killed):
        contrast.run(job(tmp_path / "killed", tiny_model, stage), killed_at(3))
    made.append(contrast.run(job(tmp_path / "killed", tiny_model, stage), silent))
    whole, killed = _weights(tmp_path / "whole"), _weights(tmp_path / "killed")
    assert whole.keys() == killed.keys() and all(torch.equal(whole[name], killed[name]) for name in whole)
    lines = [[line["loss"] for line in read_curve(tmp_path / name / "curve.jsonl")] for name in ("whole", "killed")]
    assert lines[0] == lines[1] and len(lines[0]) == 4
    assert made[0].counts == made[1].counts and made[0].counts["tokens"] > 4 * 8 * 2 * 3


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_activations_that_are_computed_again_change_nothing(tmp_path: Path, tiny_model: Path, precision: str) -> None:
    tiny.write_jsonl(tmp_path / "texts.jsonl", planted(40))
    for name, recompute in (("kept", False), ("again", True)):
        stage = CONTRAST | {"recompute": recompute, "precision": precision, "steps": 2}
        contrast.run(job(tmp_path / name, tiny_model, stage), silent)
    kept, again = _weights(tmp_path / "kept"), _weights(tmp_path / "again")
    assert max(float((kept[name] - again[name]).abs().max()) for name in kept) < 1e-5
    assert all(weight.dtype == torch.float32 for weight in kept.values())


def test_what_is_taken_at_once_changes_nothing(tmp_path: Path, tiny_model: Path) -> None:
    """Gradient caching: a step of eight questions two at a time is the step of all at once."""
    tiny.write_jsonl(tmp_path / "texts.jsonl", planted(40))
    for name, micro in (("whole", None), ("parts", 2)):
        contrast.run(job(tmp_path / name, tiny_model, CONTRAST | {"micro_batch": micro}), silent)
    whole, parts = _weights(tmp_path / "whole"), _weights(tmp_path / "parts")
    assert max(float((whole[name] - parts[name]).abs().max()) for name in whole) < 2e-5
    start = load_file(tiny_model / "model.safetensors")
    assert max(float((whole[name] - start[f"model.{name}"]).abs().max()) for name in whole) > 1e-3


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        ([{"asked": "a", "positive": "b"}], {}, "`query`: is missing"),
        ([{"x": "a"}], {}, "has no column `query` or `positive`"),
        ([{"query": "a", "positive": " "}] * 2, {}, "`positive`: is empty"),
        ([], {}, "no question is left to train on"),
        (planted(4), {"batch": 1}, "batch: 1 has no other answer"),
        ([{"query": str(n), "positive": "b"} for n in range(9)], {}, "'texts': all questions have the same answer"),
        (
            planted(4),
            {"max_length": 8, "data": [{"path": "texts.jsonl", "instruction": "a b c d e f g h i"}]},
            "room|leaves",
        ),
    ],
)
def test_refused(tmp_path: Path, tiny_model: Path, rows: Any, more: dict[str, Any], said: str) -> None:
    tiny.write_jsonl(tmp_path / "texts.jsonl", rows)
    with pytest.raises(RequestError, match=said):
        contrast.run(job(tmp_path / "stage", tiny_model, CONTRAST | more), silent)


def test_an_architecture_that_was_not_tried_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    tiny.write_jsonl(tmp_path / "texts.jsonl", planted(8))
    tiny.save_tokenizer(tmp_path / "gpt2")
    GPT2LMHeadModel(GPT2Config(vocab_size=600, n_embd=32, n_layer=1, n_head=2)).save_pretrained(tmp_path / "gpt2")
    with pytest.raises(RequestError, match="'gpt2' is not known to heed masks"):
        contrast.run(job(tmp_path / "stage", tmp_path / "gpt2", CONTRAST), silent)
    made = contrast.run(job(tmp_path / "stage", tmp_path / "gpt2", CONTRAST | {"bidirectional": False}), silent)
    assert np.isfinite(made.figures["loss_last"])
