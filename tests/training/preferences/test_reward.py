"""The stage `reward`: its loss against float64, what is saved, planted preferences, and what it refuses."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForSequenceClassification

from manifests.errors import RequestError
from tests.training import tiny
from tests.training.preferences.planted_pairs import KIND, RUDE, Killed, job, killed_at, planted, silent
from training.chat.rows import Left
from training.checkpoints import read_curve
from training.preferences import reward
from training.preferences.padding import set_padding
from training.preferences.pairs import read_pairs
from training.preferences.reward import new_reward_model, rewards_of
from training.preferences.reward_model import RewardModel
from training.trainers import load_tokenizer, rows_in_order

REWARD = {"kind": "reward", "learning_rate": 1e-3, "steps": 4, "held_out": 0.2, "checkpoints": {"every": 2}}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _loss(chosen: float, rejected: float, margin: float, centering: float) -> float:
    return math.log1p(math.exp(-(chosen - rejected - margin))) + centering * (chosen + rejected) ** 2


def test_the_first_loss_is_bradley_terrys(tmp_path: Path, tiny_model: Path) -> None:
    """The loss of the first batch, margins and centring in it, by rewards that are read one by one in float64."""
    rows = [row | {"margin": 0.1 * n} for n, row in enumerate(planted(20))]
    tiny.write_jsonl(tmp_path / "pairs.jsonl", rows)
    made = job(tmp_path / "stage", {"model": tiny_model}, REWARD | {"margin": True, "centering": 0.3, "steps": 1})
    stage: Any = made.stage
    done = reward.run(made, silent)
    tokenizer = load_tokenizer(str(tiny_model))
    set_padding(tokenizer)
    options: dict[str, Any] = {"max_length": 300, "held_out": 0.2, "seed": made.seed, "margin": True}
    pairs = read_pairs(stage.data, str(tmp_path), tokenizer, Left(), **options).trained
    model = new_reward_model(str(tiny_model), tokenizer, made.seed).double().eval()
    expected = []
    for number in rows_in_order(stage, len(pairs), made.seed):
        pair = pairs[number]
        ids = [torch.tensor(np.concatenate([pair.prompt, one])[None]) for one in (pair.chosen, pair.rejected)]
        with torch.no_grad():
            chosen, rejected = (float(model.score(model.model(one).last_hidden_state[0, -1])) for one in ids)
        expected.append(_loss(chosen, rejected, pair.margin, 0.3))
    assert {round(pair.margin, 4) for pair in pairs} > {0.5}
    assert done.figures["loss_first"] == pytest.approx(np.mean(expected), abs=1e-5)


def test_a_new_head_is_the_seeds(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_model))
    heads = [new_reward_model(str(tiny_model), tokenizer, seed).score.weight for seed in (1, 1, 2)]
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])


def test_what_is_saved_is_a_reward_model(tmp_path: Path, tiny_model: Path) -> None:
    """It loads by itself, and pooling at the last token, as vLLM has it, reads the same rewards."""
    tiny.write_jsonl(tmp_path / "pairs.jsonl", planted(30))
    made = job(tmp_path / "stage", {"model": tiny_model}, REWARD)
    done = reward.run(made, silent)
    config = AutoConfig.from_pretrained(made.model_path)
    assert config.architectures == ["LlamaForSequenceClassification"] and config.num_labels == 1
    loaded = AutoModelForSequenceClassification.from_pretrained(made.model_path).eval()
    model = RewardModel(made.model_path)
    assert model.tokenizer.chat_template == load_tokenizer(str(tiny_model)).chat_template
    stage: Any = made.stage
    options: dict[str, Any] = {"max_length": 300, "held_out": 0.2, "seed": made.seed}
    held = read_pairs(stage.data, str(tmp_path), model.tokenizer, Left(), **options).held_out
    found = []
    for pair in held:
        for one in (pair.chosen, pair.rejected):
            ids = torch.tensor(np.concatenate([pair.prompt, one])[None])
            with torch.no_grad():
                pooled = float(loaded.score(loaded.model(ids).last_hidden_state[0, -1]))
                assert pooled == pytest.approx(float(loaded(ids).logits), abs=1e-5)
            found.append(pooled)
    rewards = np.array(found).reshape(-1, 2)
    assert rewards_of(model, held) == pytest.approx(rewards, abs=1e-5)
    margins = rewards[:, 0] - rewards[:, 1]
    assert done.figures["accuracy"] == pytest.approx((margins > 0).mean())
    assert done.figures["margin"] == pytest.approx(margins.mean(), abs=1e-5)
    assert done.figures["reward_std"] == pytest.approx(rewards.std(), abs=1e-5)
    assert done.counts["held_out_pairs"] == len(held) == 6
    assert done.tables[0].rows[0][:2] == ["chat", 6]


def test_planted_preferences_are_learnt(tmp_path: Path, tiny_model: Path) -> None:
    tiny.write_jsonl(tmp_path / "pairs.jsonl", planted(160))
    made = job(tmp_path / "stage", {"model": tiny_model}, REWARD | {"steps": 24, "batch": 8, "learning_rate": 3e-3})
    done = reward.run(made, silent)
    assert done.figures["accuracy"] > 0.9, done.figures
    curve = read_curve(made.path / "curve.jsonl")
    assert {"accuracy", "margin", "mean_reward", "min_reward", "max_reward"} <= set(curve[-1])


@pytest.mark.parametrize("more", [{"lora": {"rank": 4}, "micro_batch": 2}, pytest.param({}, marks=pytest.mark.slow)])
def test_killed_and_resumed_it_gives_the_same_bits(tmp_path: Path, tiny_model: Path, more: dict[str, Any]) -> None:
    tiny.write_jsonl(tmp_path / "pairs.jsonl", planted(20))
    models, weights = {"model": tiny_model}, "model/model.safetensors"
    whole = reward.run(job(tmp_path / "whole", models, REWARD | more), silent)
    with pytest.raises(Killed):
        reward.run(job(tmp_path / "killed", models, REWARD | more), killed_at(3))
    again = reward.run(job(tmp_path / "killed", models, REWARD | more), silent)
    assert (tmp_path / "whole/curve.jsonl").read_bytes() == (tmp_path / "killed/curve.jsonl").read_bytes()
    assert (tmp_path / "whole" / weights).read_bytes() == (tmp_path / "killed" / weights).read_bytes()
    assert whole.figures == again.figures
    read = load_file(tmp_path / "whole" / ("adapter/adapter_model.safetensors" if "lora" in more else weights))
    assert whole.counts["trained_parameters"] == sum(one.numel() for one in read.values())


def test_domains_and_lengths_are_told_apart(tmp_path: Path, tiny_model: Path) -> None:
    tiny.write_jsonl(tmp_path / "pairs.jsonl", planted(20))
    tiny.write_jsonl(tmp_path / "maths.jsonl", planted(20, seed=1))
    data = [{"path": "pairs.jsonl"}, {"path": "maths.jsonl", "domain": "maths"}]
    done = reward.run(job(tmp_path / "stage", {"model": tiny_model}, REWARD | {"data": data}), silent)
    table = done.tables[0]
    assert [row[0] for row in table.rows] == ["all", "chat", "maths"]
    assert table.columns[-1] == "accuracy of the longer answer"


def test_a_tokenizer_that_knows_more_than_the_model_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    tiny.write_jsonl(tmp_path / "pairs.jsonl", planted(8))
    model = tiny.save_model(tmp_path / "model")
    tokenizer = load_tokenizer(str(model))
    tokenizer.add_tokens(["brand", "new"])
    tokenizer.save_pretrained(model)
    with pytest.raises(RequestError, match="its tokenizer has 602 tokens and the model 600"):
        reward.run(job(tmp_path / "stage", {"model": model}, REWARD), silent)


def test_nothing_to_learn_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    tiny.write_jsonl(tmp_path / "pairs.jsonl", [row | {"chosen": row["rejected"]} for row in planted(4)])
    with pytest.raises(RequestError, match=r"no row of the file can be used.*are equal"):
        reward.run(job(tmp_path / "stage", {"model": tiny_model}, REWARD), silent)


@pytest.mark.slow
def test_planted_preferences_are_learnt_from_any_seed(tmp_path: Path) -> None:
    tiny.write_jsonl(tmp_path / "pairs.jsonl", planted(400))
    accuracies = []
    for seed in range(3):
        model = tiny.save_model(tmp_path / f"model-{seed}", seed=seed)
        stage = REWARD | {"steps": None, "epochs": 2, "batch": 8, "learning_rate": 2e-3}
        made = job(tmp_path / f"stage-{seed}", {"model": model}, stage, seed=seed)
        accuracies.append(reward.run(made, silent).figures["accuracy"])
        scored = RewardModel(made.model_path).score([("뭐라고?", KIND[0]), ("뭐라고?", RUDE[0])])
        assert scored[0] > scored[1]
    print(accuracies)
    assert min(accuracies) > 0.9
