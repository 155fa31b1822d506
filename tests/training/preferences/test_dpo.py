"""The stage `dpo`: what it begins with, how it ends, killed and resumed, and what it refuses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from manifests.errors import RequestError, RunError
from tests.training import tiny
from tests.training.preferences.planted_pairs import Killed, job, killed_at, planted, silent
from training.chat.rows import Left
from training.checkpoints import read_curve
from training.jobs import Made
from training.preferences import dpo, reward
from training.preferences.dpo_trainer import PairTrainer, pair_trainer
from training.preferences.pairs import PairSet, read_pairs
from training.trainers import load_tokenizer, n_steps_of, rows_in_order

PAIRS = {"path": "pairs.jsonl"}
DPO = {"kind": "dpo", "learning_rate": 1e-3, "steps": 6, "checkpoints": {"every": 2}}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    tiny.write_jsonl(tmp_path / "pairs.jsonl", planted(24))
    return tmp_path


def _logps(folder: Path, pairs: PairSet) -> np.ndarray:
    """The oracle: log-probabilities of each answer alone, by transformers, summed in float64."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    found = []
    for pair in pairs.trained:
        for answer in (pair.chosen, pair.rejected):
            ids = torch.tensor(np.concatenate([pair.prompt, answer])[None].astype(np.int64))
            with torch.no_grad():
                scores = model(ids).logits[0, :-1].log_softmax(-1)
            each = scores.gather(1, ids[0, 1:, None])[:, 0]
            found.append(float(each[len(pair.prompt) - 1 :].sum()))
    return np.array(found).reshape(-1, 2)


def _trainer(made: Any, tiny_model: Path) -> tuple[PairTrainer, PairSet]:
    tokenizer = load_tokenizer(str(tiny_model))
    pairs = read_pairs(made.stage.data, made.manifest_base, tokenizer, Left(), max_length=300)
    order = rows_in_order(made.stage, len(pairs.trained), made.seed)
    n_steps = n_steps_of(made.stage, len(pairs.trained))
    return pair_trainer(made, silent, pairs, order, tokenizer, n_steps), pairs


@pytest.mark.parametrize("other", [False, True])
def test_the_reference_says_what_it_says_alone(base: Path, tiny_model: Path, other: bool) -> None:
    stage = DPO | ({"reference": "./other"} if other else {}) | {"steps": 12}
    folder = tiny.save_model(base / "other", seed=9) if other else tiny_model
    made = job(base / "stage", {"model": tiny_model, "./other": folder}, stage)
    trainer, pairs = _trainer(made, tiny_model)
    said = torch.stack([trainer.said["train.chosen"], trainer.said["train.rejected"]], 1).numpy()
    first = list(dict.fromkeys(rows_in_order(made.stage, 24, made.seed).tolist()))  # type: ignore[arg-type]
    assert said == pytest.approx(_logps(folder, pairs)[first], abs=1e-3)
    assert trainer.ref_model is None
    rows = trainer.train_dataset
    for place, number in enumerate(rows_in_order(made.stage, 24, made.seed).tolist()):  # type: ignore[arg-type]
        assert rows[place]["chosen_ids"] == pairs.trained[number].chosen.tolist()
        assert rows[place]["ref_rejected_logps"] == pytest.approx(float(said[first.index(number), 1]))


def test_it_begins_as_the_reference_and_its_figures_are_those_of_what_it_saves(base: Path, tiny_model: Path) -> None:
    """Held-out figures against the oracle, which reads the saved model."""
    made = job(base / "stage", {"model": tiny_model}, DPO | {"epochs": 2, "steps": None, "held_out": 0.25})
    done = dpo.run(made, silent)
    first, *_, last = read_curve(base / "stage/curve.jsonl")
    assert first["loss"] == pytest.approx(np.log(2), abs=1e-7)
    assert first["rewards/margins"] == first["rewards/chosen"] == 0.0
    assert float(last["rewards/margins"] or 0) > 0.1 and float(last["loss"] or 1) < 0.65
    assert {"logps/chosen", "logps/rejected", "rewards/accuracies", "lengths/chosen", "lengths/rejected"} <= set(last)
    assert done.counts["held_out_pairs"] == 6 and done.counts["examples"] == 36 and done.counts["steps"] == 9
    assert done.figures["margin_before"] == 0 and done.figures["accuracy_before"] == 0.5
    assert done.tables[0].title == "Held-out pairs" and done.tables[0].rows[0][:2] == ["chat", 6]
    stage: Any = made.stage
    options: dict[str, Any] = {"max_length": 300, "held_out": 0.25, "seed": made.seed}
    pairs = read_pairs(stage.data, str(base), load_tokenizer(str(made.model_path)), Left(), **options)
    held = PairSet(pairs.held_out, [])
    moved = _logps(made.model_path, held) - _logps(tiny_model, held)
    margins = 0.1 * (moved[:, 0] - moved[:, 1])
    assert margins.mean() > 0.05
    assert done.figures["margin"] == pytest.approx(margins.mean(), abs=1e-4)
    assert done.figures["accuracy"] == pytest.approx((margins > 0).mean())
    assert done.figures["chosen_logp_change"] == pytest.approx(moved[:, 0].mean(), abs=1e-3)


ALL_AT_ONCE = {"lora": {"rank": 4, "dropout": 0.1}, "loss": {"sigmoid": 1, "sft": 0.2}, "micro_batch": 2}


@pytest.mark.parametrize(
    "more",
    [
        ALL_AT_ONCE,
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"reference": "base"}, marks=pytest.mark.slow),
    ],
)
def test_killed_and_resumed_it_gives_the_same_bits(base: Path, tiny_model: Path, more: dict[str, Any]) -> None:
    models, weights = {"model": tiny_model, "base": tiny_model}, "model/model.safetensors"
    made = dpo.run(job(base / "whole", models, DPO | more), silent)
    with pytest.raises(Killed):
        dpo.run(job(base / "killed", models, DPO | more), killed_at(5))
    dpo.run(job(base / "killed", models, DPO | more), silent)
    assert (base / "whole/curve.jsonl").read_bytes() == (base / "killed/curve.jsonl").read_bytes()
    assert (base / "whole" / weights).read_bytes() == (base / "killed" / weights).read_bytes()
    before, after = load_file(tiny_model / "model.safetensors"), load_file(base / "whole" / weights)
    changed = [name for name, one in before.items() if not torch.equal(one, after[name])]
    if "lora" in more:  # merged, and the adapter stays beside the model
        assert changed and all("proj" in name for name in changed) and before.keys() == after.keys()
        adapter = load_file(base / "whole/adapter/adapter_model.safetensors")
        assert made.counts["trained_parameters"] == sum(one.numel() for one in adapter.values())
    else:
        assert len(changed) == len(before)


def test_dropout_is_the_same_where_the_reference_was_asked_before(base: Path) -> None:
    """Killed before its first checkpoint, it does not ask the reference again, which takes random numbers."""
    models = {"model": tiny.save_model(base / "model", attention_dropout=0.3)}
    dpo.run(job(base / "whole", models, DPO | {"steps": 2}), silent)
    with pytest.raises(Killed):
        dpo.run(job(base / "killed", models, DPO | {"steps": 2}), killed_at(1))
    dpo.run(job(base / "killed", models, DPO | {"steps": 2}), silent)
    assert (base / "whole/curve.jsonl").read_bytes() == (base / "killed/curve.jsonl").read_bytes()


def test_what_the_reference_said_of_other_pairs_does_not_count(base: Path, tiny_model: Path) -> None:
    made = job(base / "stage", {"model": tiny_model}, DPO)
    _trainer(made, tiny_model)
    before = load_file(base / "stage/reference.safetensors")["train.chosen"]
    tiny.write_jsonl(base / "pairs.jsonl", planted(24, seed=1))
    _trainer(made, tiny_model)
    assert not torch.equal(load_file(base / "stage/reference.safetensors")["train.chosen"], before)
    (base / "stage/reference.safetensors").write_bytes(b"damaged")
    _trainer(made, tiny_model)
    assert len(load_file(base / "stage/reference.safetensors")) == 2


@pytest.mark.parametrize("kind", ["dpo", "reward"])
def test_a_last_step_that_is_not_full_does_not_depend_on_pieces(base: Path, tiny_model: Path, kind: str) -> None:
    stage = {
        "kind": kind,
        "learning_rate": 1e-3,
        "epochs": 1,
        "batch": 6,
        "held_out": 0,
        "data": [PAIRS | {"limit": 10}],
    }
    made, norms = [], []
    for micro in (6, 3):
        given = job(base / f"by-{micro}", {"model": tiny_model}, stage | {"micro_batch": micro})
        made.append((dpo if kind == "dpo" else reward).run(given, silent))
        norms.append([line["grad_norm"] for line in read_curve(given.path / "curve.jsonl")])
    assert norms[0] == pytest.approx(norms[1], rel=1e-3) and len(norms[0]) == 2
    assert [one.counts["examples"] for one in made] == [12, 12]


@pytest.mark.slow
def test_pieces_of_a_batch_give_the_same_steps(base: Path, tiny_model: Path) -> None:
    dpo.run(job(base / "whole", {"model": tiny_model}, DPO), silent)
    dpo.run(job(base / "pieces", {"model": tiny_model}, DPO | {"micro_batch": 1}), silent)
    for one, other in zip(
        read_curve(base / "whole/curve.jsonl"), read_curve(base / "pieces/curve.jsonl"), strict=True
    ):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dpo", "reward"])
def test_two_processes_are_one(base: Path, tiny_model: Path, kind: str) -> None:
    """Figures of the same global batch, through gloo: the reference is asked by both, and counted once."""
    stage = DPO | {"kind": kind, "held_out": 0.2}
    found = {}
    for n in (1, 2):
        made = job(base / f"of-{n}", {"model": tiny_model}, stage)
        (made.path / "job.json").write_text(made.model_copy(update={"threads": 1}).model_dump_json())
        worker = ["-m", "training.worker", str(made.path / "job.json")]
        several = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"] if n == 2 else []
        environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, *several, *worker], check=True, capture_output=True, env=environment)
        found[n] = (
            read_curve(made.path / "curve.jsonl"),
            Made.model_validate_json((made.path / "made.json").read_text()),
        )
    for one, other in zip(found[1][0], found[2][0], strict=True):
        assert one.keys() == other.keys()
        numbers = {name: value for name, value in one.items() if isinstance(value, float)}
        assert {name: other[name] for name in numbers} == pytest.approx(numbers, abs=1e-4)
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-5)
    assert found[2][1].figures == pytest.approx(found[1][1].figures, abs=1e-4)


def test_a_reference_of_another_vocabulary_is_refused(base: Path, tiny_model: Path) -> None:
    other = tiny.save_model(base / "other", special=tiny.SPECIAL[:2], template=None)
    made = job(base / "stage", {"model": tiny_model, "./other": other}, DPO | {"reference": "./other"})
    with pytest.raises(RequestError, match=r"other has another vocabulary.*tokens differ.*same tokenizer"):
        dpo.run(made, silent)


def test_nothing_to_learn_is_refused(base: Path, tiny_model: Path) -> None:
    made = job(base / "stage", {"model": tiny_model}, DPO)
    tiny.write_jsonl(base / "pairs.jsonl", [row | {"rejected": row["chosen"]} for row in planted(4)])
    with pytest.raises(RequestError, match=r"no row of the file can be used.*are equal"):
        dpo.run(made, silent)
    (base / "pairs.jsonl").write_bytes(b"")
    with pytest.raises(RequestError, match="no pair is left"):
        dpo.run(made, silent)


def test_weights_that_are_no_numbers_are_refused(base: Path, tiny_model: Path) -> None:
    broken = base / "broken"
    shutil.copytree(tiny_model, broken)
    model = AutoModelForCausalLM.from_pretrained(broken)
    model.lm_head.weight.data[:] = torch.nan
    model.save_pretrained(broken)
    with pytest.raises(RunError, match=r"log-probability of pair 0 .* is nan: its weights are damaged"):
        dpo.run(job(base / "stage", {"model": broken}, DPO), silent)


def test_a_learning_rate_that_is_too_high_ends_with_advice(base: Path, tiny_model: Path) -> None:
    made = job(base / "stage", {"model": tiny_model}, DPO | {"learning_rate": 1e38, "schedule": "constant"})
    with pytest.raises(RunError, match="smaller `learning_rate`"):
        dpo.run(made, silent)


def test_the_output_layer_cannot_be_adapted(base: Path, tiny_model: Path) -> None:
    made = job(base / "stage", {"model": tiny_model}, DPO | {"lora": {"targets": ["lm_head"]}})
    with pytest.raises(RequestError, match="`lm_head` cannot be adapted"):
        dpo.run(made, silent)


@pytest.mark.slow
def test_margins_rise_by_more_than_the_seeds_differ(base: Path) -> None:
    tiny.write_jsonl(base / "pairs.jsonl", planted(400))
    margins, accuracies = [], []
    for seed in range(3):
        model = tiny.save_model(base / f"model-{seed}", seed=seed)
        stage = DPO | {"steps": None, "epochs": 2, "batch": 8, "learning_rate": 5e-4, "held_out": 0.2}
        done = dpo.run(job(base / f"stage-{seed}", {"model": model}, stage, seed=seed), silent)
        margins.append(done.figures["margin"] - done.figures["margin_before"])
        accuracies.append(done.figures["accuracy"])
    print(margins, accuracies)
    assert min(margins) > max(margins) - min(margins)
    assert min(accuracies) > 0.9
