"""Continued pre-training of a tiny model on mixtures that `onggi mix` made."""

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from manifests.engine import silent
from manifests.errors import RequestError
from manifests.schema_training_stages import Cpt
from tests.training import tiny
from tests.training.small_mixtures import LENGTH, make_mixture
from training.checkpoints import read_curve
from training.flops import lora_parameters, read_config
from training.jobs import Job, Made, Table
from training.pretraining import cpt
from training.schedules import deepseek_law
from training.token_dataset import TokenDataset
from training.trainers import load_model

STAGES = [
    {"name": "broad", "tokens": "3K", "weights": {"ko": 1, "en": 3}},
    {"name": "fine", "tokens": "1K", "weights": {"ko": 3, "en": 1}},
]
Curve = list[dict[str, Any]]
Train = Callable[..., tuple[Made, Curve, Path]]


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """4K tokens in two stages; only read."""
    return make_mixture(tmp_path_factory.mktemp("mixture"), tiny_model, stages=STAGES)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def train(tmp_path: Path, tiny_model: Path, mixture: Path) -> Train:
    """Runs a stage: what it made, its curve, and the folder of its model."""

    def run(model: Path = tiny_model, name: str = "cpt", **settings: Any) -> tuple[Made, Curve, Path]:
        defaults = {"mixture": str(mixture), "batch": 4, "learning_rate": 1e-3, "checkpoints": {"every": 1000}}
        stage = Cpt.model_validate({"kind": "cpt", "name": name, **defaults, **settings})
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        models = {"model": str(model)}
        made = cpt.run(
            Job(stage=stage, folder=str(folder), manifest_base=str(tmp_path), models=models, seed=5), silent
        )
        return made, read_curve(folder / "curve.jsonl"), folder / "model"

    return run


def table(made: Made, title: str) -> Table:
    return next(found for found in made.tables if found.title.startswith(title))


def test_a_stage(train: Train, mixture: Path, tiny_model: Path) -> None:
    made, curve, model = train()
    dataset = TokenDataset(str(mixture), mask_boundaries=True)
    n_tokens = dataset.record.counts["tokens"]
    n_trained = sum(int((item["labels"][1:] != -100).sum()) for item in map(dataset.__getitem__, range(len(dataset))))
    assert made.counts["tokens"] == n_tokens > 4000
    assert made.counts["trained_tokens"] == n_trained
    assert made.counts["sequences"] == len(dataset)
    assert made.counts["padding_tokens"] == len(dataset) * LENGTH - n_tokens
    assert made.counts["steps"] == len(curve) == -(-len(dataset) // 4)
    assert made.left_out == {}
    assert [row[1] for row in table(made, "Tokens by category").rows] == sorted(
        (sum(stage.taken[name] for stage in dataset.record.stages) for name in ("ko", "en")), reverse=True
    )
    assert curve[-1]["tokens"] == n_tokens
    assert curve[-1]["loss"] < curve[0]["loss"] - 0.5
    assert {"learning_rate", "grad_norm", "tokens_per_s", "lse"} <= set(curve[0])
    assert "z_loss" not in curve[0] and "mfu" not in curve[0]
    trained = AutoModelForCausalLM.from_pretrained(model)
    assert not torch.equal(trained.lm_head.weight, load_model(str(tiny_model)).lm_head.weight)
    assert AutoTokenizer.from_pretrained(model).get_vocab() == AutoTokenizer.from_pretrained(tiny_model).get_vocab()


def unpacked_loss(model: Any, dataset: TokenDataset, numbers: list[int]) -> float:
    """Mean loss of the same documents, each alone in a call of its own, by transformers' own loss."""
    total, n_tokens = 0.0, 0
    for item in map(dataset.__getitem__, numbers):
        ids, bounds = torch.from_numpy(item["input_ids"]), [*item["document_starts"].tolist(), item["n_tokens"]]
        for start, end in pairwise(bounds):
            if end - start > 1:
                alone = ids[None, start:end]
                total += float(model(alone, labels=alone).loss) * (end - start - 1)
                n_tokens += end - start - 1
    return total / n_tokens


def test_packed_is_unpacked(train: Train, mixture: Path, tiny_model: Path) -> None:
    """The first step's loss, and its gradient's norm, are those of each document in a row of its own."""
    _, curve, _ = train(batch=6, steps=1)
    model, dataset = load_model(str(tiny_model)), TokenDataset(str(mixture))
    assert sum(len(dataset[number]["document_starts"]) for number in range(6)) > 9
    with torch.no_grad():
        assert curve[0]["loss"] == pytest.approx(unpacked_loss(model, dataset, list(range(6))), abs=1e-5)


def test_a_step_is_the_same_however_it_is_computed(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once, six times one, or all: loss and gradient of a step are over all of its tokens; with logits or
    without."""
    settings = {"batch": 6, "steps": 4, "z_loss": 1e-3}
    curves = [train(name=f"m{micro}", micro_batch=micro, **settings)[1] for micro in (1, 2, 6)]
    monkeypatch.setattr(cpt, "with_head_loss", lambda model: False)
    curves.append(train(name="logits", micro_batch=2, **settings)[1])
    for of in ("loss", "grad_norm", "tokens", "lse", "z_loss"):
        found = [[line[of] for line in curve] for curve in curves]
        assert all(np.allclose(one, found[2], atol=1e-5, rtol=1e-5) for one in found), of


def test_the_last_step_has_no_token_twice(train: Train, mixture: Path) -> None:
    """Places behind the last sequence count in no loss: the step's is that of the sequences that are there."""
    n = len(TokenDataset(str(mixture)))
    _, curve, _ = train(batch=n - 1, learning_rate=1e-30)
    _, alone, _ = train(name="alone", batch=n, learning_rate=1e-30)
    assert len(curve) == 2
    assert curve[-1]["tokens"] == alone[-1]["tokens"]
    tokens = TokenDataset(str(mixture), mask_boundaries=True)
    sizes = [int((tokens[number]["labels"][1:] != -100).sum()) for number in range(n)]
    both = (curve[0]["loss"] * sum(sizes[:-1]) + curve[1]["loss"] * sizes[-1]) / sum(sizes)
    assert both == pytest.approx(alone[0]["loss"], abs=1e-5)


def test_stages_of_a_mixture_one_after_another(train: Train, mixture: Path) -> None:
    """The switch is at the exact sequence: one stage and then the other are both of them at once."""
    parts = [{"path": str(mixture), "stage": name} for name in ("broad", "fine")]
    made, curve, model = train(mixture=parts, name="parts")
    whole, of_whole, of_model = train(name="whole")
    assert made.counts == whole.counts
    assert [line["loss"] for line in curve] == [line["loss"] for line in of_whole]
    assert (model / "model.safetensors").read_bytes() == (of_model / "model.safetensors").read_bytes()
    assert table(made, "Tokens by mixture") == table(whole, "Tokens by mixture")
    assert [row[0] for row in table(made, "Tokens by mixture").rows] == [f"{mixture}: broad", f"{mixture}: fine"]


def test_part_of_a_mixture_and_more_than_it_has(train: Train, mixture: Path) -> None:
    made, _, _ = train(mixture={"path": str(mixture), "stage": "fine", "tokens": 500}, name="part")
    assert 500 <= made.counts["tokens"] < 500 + LENGTH
    assert sum(row[1] for row in table(made, "Tokens by category").rows) == made.counts["tokens"]  # type: ignore[misc]
    assert list(made.left_out) == ["mixture[0]: sequences beyond its `tokens`"]
    n_fine = len(TokenDataset(str(mixture), stage="fine"))
    assert sum(made.left_out.values()) == n_fine - made.counts["sequences"]
    made, _, _ = train(mixture={"path": str(mixture), "stage": "fine", "tokens": "2500"}, name="more")
    assert 2500 <= made.counts["tokens"] < 2500 + LENGTH
    assert made.left_out == {}
    assert table(made, "Tokens by mixture").rows[0][3] == 3  # each at most
    assert sum(row[1] for row in table(made, "Tokens by category").rows) == made.counts["tokens"]  # type: ignore[misc]


def test_replay(train: Train, mixture: Path) -> None:
    replay = {"path": str(mixture), "stage": "broad", "share": "25%"}
    made, _, _ = train(mixture={"path": str(mixture), "stage": "fine"}, replay=replay)
    own, replayed = table(made, "Tokens by mixture").rows
    assert replayed[5] == pytest.approx(0.25, abs=0.05)
    assert own[1] == own[2] and replayed[0] == f"{mixture}: broad (replay)"
    assert made.left_out == {"replay: sequences beyond its `share`": int(replayed[1] or 0) - int(replayed[2] or 0)}
    assert made.counts["tokens"] == int(own[4] or 0) + int(replayed[4] or 0)


def test_documents_that_may_see_each_other(train: Train, tmp_path: Path, tiny_model: Path) -> None:
    """Of sequences that the mixture made for it, only the first token counts in no loss."""
    packing = {"packing": {"cross_lingual": 0.5}, "sequence_length": 256}
    cross = make_mixture(tmp_path / "cross", tiny_model, **packing)
    sequences = list(TokenDataset(str(cross)).files.read())
    crossing = np.concatenate([of.cross_document for of in sequences])
    n_tokens = np.concatenate([of.n_tokens for of in sequences])
    n_documents = np.concatenate([np.diff(of.offsets) for of in sequences])
    assert crossing.any() and not crossing.all()
    made, _, _ = train(mixture=str(cross))
    assert made.counts["trained_tokens"] == int((n_tokens - np.where(crossing, 1, n_documents)).sum())


def test_lengths_are_balanced(train: Train, mixture: Path) -> None:
    made, _, _ = train(mixture={"path": str(mixture), "balance_lengths": [40, 50]})
    rows = table(made, "Lengths in").rows
    assert [row[0] for row in rows] == ["0 to 39", "40 to 49", "50 and more"]
    assert [row[5] for row in rows] == pytest.approx([1 / 3] * 3, abs=0.03)
    assert "`balance_lengths`" in next(iter(made.left_out))


@pytest.mark.slow
def test_z_loss_is_logged_apart_and_keeps_lse_down(train: Train) -> None:
    """Row 32: with the same data and rate, the log of the softmax's sum drifts less than without."""
    _, without, _ = train(name="without", epochs=2)
    _, with_z, _ = train(name="with", epochs=2, z_loss=0.1)
    assert with_z[0]["loss"] == without[0]["loss"]
    assert with_z[0]["lse"] == without[0]["lse"]
    assert with_z[0]["z_loss"] == pytest.approx(0.1 * with_z[0]["lse"] ** 2, rel=0.01)
    assert abs(with_z[-1]["lse"]) < abs(without[-1]["lse"]) - 0.1
    _, faint, _ = train(name="faint", epochs=2, z_loss=5e-6)
    assert [line["loss"] for line in faint] == pytest.approx([line["loss"] for line in without], abs=1e-3)


def test_deepseek_law(train: Train, tiny_model: Path, mixture: Path) -> None:
    made, curve, _ = train(law={"law": "deepseek"}, schedule="constant")
    n_weights = load_model(str(tiny_model)).num_parameters()
    learning_rate, batch_tokens = deepseek_law(6 * n_weights * TokenDataset(str(mixture)).record.counts["tokens"])
    assert curve[0]["learning_rate"] == made.figures["learning_rate"] == pytest.approx(learning_rate)
    assert made.figures["batch"] == round(batch_tokens / LENGTH) > 1
    assert made.figures["law_batch_tokens"] == pytest.approx(batch_tokens)
    made, _, _ = train(name="named", law={"law": "deepseek", "compute": 1e3}, steps=2)
    assert made.figures["batch"] == 1  # never less than a sequence
    assert made.counts["sequences"] == 2


def test_a_longer_context(train: Train, tmp_path: Path, tiny_model: Path) -> None:
    short = tiny.save_model(tmp_path / "short", max_position_embeddings=32)
    with pytest.raises(RequestError, match=r"sequences have 64 tokens, more than the 32 of the context of .*short"):
        train(model=short)
    with pytest.raises(RequestError, match=r"more than the 48 of context\.length"):
        train(model=short, context={"length": 48})
    _, curve, model = train(model=short, context={"length": 64, "rope_theta": 5e4, "yarn": {"factor": 2}}, steps=3)
    config = AutoConfig.from_pretrained(model)
    assert config.max_position_embeddings == 64
    assert config.rope_parameters["rope_type"] == "yarn"
    assert config.rope_parameters["original_max_position_embeddings"] == 32
    assert len(curve) == 3


def test_lora(train: Train, tiny_model: Path) -> None:
    made, curve, model = train(lora={"rank": 4}, recompute=True, learning_rate=1e-2)
    assert made.counts["trained_parameters"] == lora_parameters(read_config(tiny_model), 4, "all-linear")
    assert curve[-1]["loss"] < curve[0]["loss"] - 0.2
    before, after = load_model(str(tiny_model)).state_dict(), load_model(str(model)).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("_proj" in name for name in changed)


def test_another_tokenizer_is_refused(train: Train, tmp_path: Path, mixture: Path, tiny_model: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_model, other)
    file, tokenizer = other / "tokenizer.json", orjson.loads((other / "tokenizer.json").read_bytes())
    file.write_bytes(orjson.dumps(tokenizer))
    train(model=other, steps=1)  # another file, but the same ids
    ids = tokenizer["model"]["vocab"]
    ids["Ġfox"], ids["Ġdog"] = ids["Ġdog"], ids["Ġfox"]
    file.write_bytes(orjson.dumps(tokenizer))
    with pytest.raises(RequestError, match=r"has the id \d+ in the mixture, and \d+ in the model.*tokenizer resize"):
        train(model=other)
    few = tiny.save_model(tmp_path / "few", vocab_size=300)
    with pytest.raises(RequestError, match=r"has 600 ids, the model .* embeddings for 300.*tokenizer resize"):
        train(model=few)


def test_mixtures_that_cannot_be_trained_on(train: Train, tmp_path: Path, mixture: Path, tiny_model: Path) -> None:
    with pytest.raises(RequestError, match=r"cpt: mixture\[0\]: .*nowhere: holds no mixture"):
        train(mixture="nowhere")
    (tmp_path / "begun" / "work").mkdir(parents=True)
    with pytest.raises(RequestError, match=r"begun: is not complete: run the same command again"):
        train(mixture="begun")
    with pytest.raises(RequestError, match=r"replay: .*no stage 'coarse'; valid: broad, fine"):
        train(replay={"path": str(mixture), "stage": "coarse", "share": 0.1})
    longer = make_mixture(tmp_path / "longer", tiny_model, n=20, sequence_length=128)
    with pytest.raises(RequestError, match=r"mixture\[1\]: sequences have 128 tokens, those of cpt: mixture\[0\] 64"):
        train(mixture=[str(mixture), str(longer)])


@pytest.mark.slow
def test_a_stage_goes_on_where_it_was(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after a checkpoint and run again: curve and weights to the bit, and no token counted twice."""
    settings = {"checkpoints": {"every": 3}, "steps": 11, "batch": 2, "micro_batch": 1, "epochs": 2}
    made, curve, model = train(name="whole", **settings)
    from training.pretraining.trainer import CptTrainer

    step = CptTrainer.training_step

    def stop(self: Any, *rest: Any) -> Any:
        if self.state.global_step == 8:
            raise KeyboardInterrupt
        return step(self, *rest)

    monkeypatch.setattr(CptTrainer, "training_step", stop)
    with pytest.raises(KeyboardInterrupt):
        train(**settings)
    monkeypatch.undo()
    again, resumed, of_model = train(**settings)
    timed = {"tokens_per_s"}
    assert [{k: v for k, v in line.items() if k not in timed} for line in resumed] == [
        {k: v for k, v in line.items() if k not in timed} for line in curve
    ]
    assert again.counts == made.counts
    assert (of_model / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    finished, _, _ = train(**settings)  # killed after its last step, before it said what it made
    assert finished.counts == made.counts
