"""Supervised fine-tuning, whole: what it writes, what it counts, that it learns, and that it goes on after a kill."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from manifests.engine import silent
from manifests.errors import RequestError
from manifests.schema_training_stages import Sft
from tests.training import tiny
from training.jobs import Job, Made

pytest.importorskip("trl")

import torch

from training.checkpoints import read_curve
from training.tuning import sft

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
BASE = (tiny.PAD, tiny.END_OF_TEXT)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def job(folder: Path, model: Path, seed: int = 0, **more: Any) -> Job:
    """Of a stage whose data lie in the folder; another folder in it is the stage's."""
    settings = {"name": "sft", "kind": "sft", "learning_rate": 3e-3, "max_length": 96, "batch": 4}
    stage = Sft.model_validate(settings | {"data": [{"path": "chats.jsonl"}]} | more)
    (folder / "stage").mkdir(exist_ok=True)
    return Job(
        stage=stage,
        folder=str(folder / "stage"),
        manifest_base=str(folder),
        models={"model": str(model)},
        seed=seed,
        threads=1,
    )


def run(*given: Any, **more: Any) -> Made:
    return sft.run(job(*given, **more), silent)


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def test_a_model_learns_what_the_assistant_says(tmp_path: Path, tiny_model: Path) -> None:
    bad = [{"messages": tiny.conversation("질문")}, {"messages": 3}, {"messages": tiny.conversation("a" * 200, "b")}]
    long = [{"messages": tiny.conversation("a", "b" * 200)}]
    tiny.write_jsonl(tmp_path / "chats.jsonl", tiny.chats(40) + bad + long)
    made = run(tmp_path, tiny_model, held_out=0.1, epochs=8)
    assert made.left_out == {"no_assistant_turn": 1, "no_messages": 1, "no_trained_token": 1, "held_out": 4}
    assert made.counts["examples"] == 37 and made.counts["cut"] == 1
    assert made.counts["steps"] == -(-made.counts["sequences"] * 8 // 4)
    assert made.figures["held_out_loss"] < made.figures["held_out_loss_before"] - 2
    domains, left_out = made.tables
    assert domains.rows[0][:3] == ["chat", 37, 1.0] and domains.rows[0][5] == 4
    assert 8 * int(domains.rows[0][4] or 0) == made.counts["trained_tokens"]
    assert left_out.rows[0][:2] == ["no_assistant_turn", 1]
    assert str(left_out.rows[0][2]).startswith(f"{tmp_path}/chats.jsonl:41: `messages`: no turn is the assistant's")
    curve = read_curve(tmp_path / "stage" / "curve.jsonl")
    assert curve[-1]["num_tokens"] == made.counts["tokens"] == 8 * int(domains.rows[0][3] or 0)
    assert [line["step"] for line in curve] == list(range(1, made.counts["steps"] + 1))


def test_what_it_writes_answers_and_stops(tmp_path: Path, tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tiny.write_jsonl(tmp_path / "chats.jsonl", [{"prompt": "수도는?", "completion": "서울입니다."}] * 4)
    run(tmp_path, tiny_model, steps=40, packing=False, learning_rate=1e-2, template="llama3")
    folder = tmp_path / "stage" / "model"
    assert (folder / "chat_template.jinja").read_text() == tiny.chat_template("llama3")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "수도는?"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    out = model.generate(**asked, max_new_tokens=30, do_sample=False)
    assert tokenizer.decode(out[0, asked["input_ids"].shape[1] :]) == "서울입니다.<|eot_id|>"
    assert tokenizer.eos_token == "<|eot_id|>"
    assert model.generation_config.eos_token_id == [tokenizer.eos_token_id, 1]
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer) == tiny.VOCABULARY + 3


def test_packed_and_unpacked_steps_are_the_same(tmp_path: Path, tiny_model: Path) -> None:
    """All examples in one step: the same loss to 1e-5, and gradients that lead to the same weights."""
    tiny.write_jsonl(tmp_path / "chats.jsonl", tiny.chats(12))
    found = []
    for packing in (True, False):
        made = run(tmp_path, tiny_model, packing=packing, batch=12, steps=1, micro_batch=3)
        assert made.counts["examples"] == 12 and (made.counts["sequences"] < 12) == packing
        found.append((made.figures["loss_first"], weights(tmp_path / "stage" / "model")))
        shutil.rmtree(tmp_path / "stage")
    (one_loss, one), (other_loss, other) = found
    assert abs(one_loss - other_loss) < 1e-5
    for name, weight in one.items():
        assert torch.allclose(weight, other[name], atol=1e-4)


class Killed(Exception):
    """What stands for `kill -9` at a step."""


@pytest.mark.slow
def test_a_killed_stage_goes_on_to_the_same_bits(tmp_path: Path, tiny_model: Path, monkeypatch: Any) -> None:
    tiny.write_jsonl(tmp_path / "chats.jsonl", tiny.chats(24))
    settings: dict[str, Any] = {"held_out": 0.1, "steps": 8, "checkpoints": {"every": 3}}
    made = run(tmp_path, tiny_model, **settings)
    whole, curve = weights(tmp_path / "stage/model"), (tmp_path / "stage/curve.jsonl").read_bytes()
    shutil.rmtree(tmp_path / "stage")

    log = sft._Trainer.log

    def killed(self: Any, logs: dict[str, float], start_time: float | None = None) -> None:
        log(self, logs, start_time)
        if self.state.global_step == 5:
            raise Killed

    monkeypatch.setattr(sft._Trainer, "log", killed)
    with pytest.raises(Killed):
        run(tmp_path, tiny_model, **settings)
    monkeypatch.setattr(sft._Trainer, "log", log)
    monkeypatch.setattr(sft, "_before", None)  # what was measured and made is not done again
    monkeypatch.setattr("training.tuning.examples.make_examples", None)
    assert run(tmp_path, tiny_model, **settings) == made
    assert (tmp_path / "stage/curve.jsonl").read_bytes() == curve
    assert all(torch.equal(weight, whole[name]) for name, weight in weights(tmp_path / "stage/model").items())


def test_lora_changes_adapted_weights_only(tmp_path: Path, tiny_model: Path) -> None:
    tiny.write_jsonl(tmp_path / "chats.jsonl", tiny.chats(12))
    made = run(tmp_path, tiny_model, lora={"rank": 4}, steps=2)
    assert 0 < made.counts["trained_parameters"] < 30_000
    before, after = weights(tiny_model), weights(tmp_path / "stage/model")
    assert before.keys() == after.keys()
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert changed and all("_proj" in name for name in changed)
    assert (tmp_path / "stage/adapter").is_dir()


def test_lora_cannot_learn_new_control_tokens(tmp_path: Path) -> None:
    tiny.write_jsonl(tmp_path / "chats.jsonl", tiny.chats(4))
    base = tiny.save_model(tmp_path / "base", special=BASE, template=None)
    with pytest.raises(RequestError, match=r"lacks <\|im_start\|>, <\|im_end\|>.* train without `lora`"):
        run(tmp_path, base, lora={}, template="chatml")
    with pytest.raises(RequestError, match="the model has no chat template; name one: `chatml`"):
        run(tmp_path, base)


def test_data_of_which_nothing_can_be_learnt_is_an_error(tmp_path: Path, tiny_model: Path) -> None:
    tiny.write_jsonl(tmp_path / "chats.jsonl", [{"messages": tiny.conversation("a" * 300, "b")}] * 3)
    said = r"data\[0\]: .*no example to learn from: .*chats.jsonl:1: the assistant says nothing in the first 96 of"
    with pytest.raises(RequestError, match=said):
        run(tmp_path, tiny_model)
    tiny.write_jsonl(tmp_path / "chats.jsonl", tiny.chats(3))
    with pytest.raises(RequestError, match=r"no example to learn from: rows left out: {'where': 3}"):
        run(tmp_path, tiny_model, data=[{"path": "chats.jsonl", "where": "messages is null"}])
    with pytest.raises(RequestError, match=r"data\[0\].path: .*nothing: there is no such file"):
        run(tmp_path, tiny_model, data=[{"path": "nothing"}])


# What each domain is worth


SKILLS = {
    "ko": ("번역: ", tiny.KOREAN),
    "en": ("Say: ", tiny.ENGLISH),
    "number": ("Count ", tuple(f"{n} {n + 1} {n + 2} {n + 3}" for n in range(0, 60, 7))),
}
"""Three skills whose answers have hardly a token in common."""


def planted(folder: Path, n: int) -> list[dict[str, Any]]:
    """A file for each skill; entries of data."""
    for name, (ask, answers) in SKILLS.items():
        rows = [{"messages": tiny.conversation(f"{ask}{i}", answers[i % len(answers)])} for i in range(n)]
        tiny.write_jsonl(folder / f"{name}.jsonl", rows)
    return [{"path": f"{name}.jsonl", "domain": name} for name in SKILLS]


@pytest.mark.slow
def test_a_finished_training_without_a_domain_is_kept(tmp_path: Path, tiny_model: Path, monkeypatch: Any) -> None:
    data = planted(tmp_path, 12)
    settings: dict[str, Any] = {"data": data, "held_out": 0.2, "leave_one_out": True, "steps": 3}
    asked = list[str]()
    train = sft.train

    def watched(trainer: Any, arm: Job, progress: Any) -> Any:
        asked.append(arm.stage.name)
        if len(asked) == 3:
            raise Killed
        return train(trainer, arm, progress)

    monkeypatch.setattr(sft, "train", watched)
    with pytest.raises(Killed):
        run(tmp_path, tiny_model, **settings)
    made = run(tmp_path, tiny_model, **settings)
    assert asked == ["sft", "sft without ko", "sft without en", "sft without en", "sft without number"]
    shares, raw = made.tables[-2:]
    assert shares.columns == ["trained on", "ko", "en", "number"]
    assert [row[0] for row in shares.rows] == ["all domains", "without ko", "without en", "without number"]
    assert shares.rows[0][1:] == [1.0, 1.0, 1.0]
    losses = np.array([row[3:] for row in raw.rows], np.float64)
    assert np.allclose(np.array([row[1:] for row in shares.rows], np.float64), losses[0] / losses, atol=1e-3)
    assert (tmp_path / "stage/without/ko/model/config.json").is_file()
    assert not (tmp_path / "stage/without/ko/checkpoints").exists()
    arm = orjson.loads((tmp_path / "stage/without/ko/trained.json").read_bytes())
    assert arm["n_examples"] == 2 * made.counts["examples"] // 3


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path: Path, tiny_model: Path) -> None:
    """Their share of a last batch that is not full, and of what is held out, included."""
    from training import launch

    data, found = planted(tmp_path, 20), []
    for n_processes in (1, 2):
        stage = job(tmp_path, tiny_model, data=data, held_out=0.15, epochs=2, batch=8, micro_batch=2)
        made = Made.model_validate_json(launch.run(stage, stage.path, n_processes, silent))
        found.append((made, weights(stage.model_path), read_curve(stage.path / "curve.jsonl")))
        shutil.rmtree(stage.path)
    (one, one_weights, one_curve), (two, two_weights, two_curve) = found
    assert one.counts == two.counts and one.counts["sequences"] % 8
    assert abs(one.figures["held_out_loss"] - two.figures["held_out_loss"]) < 1e-5
    for a, b in zip(one_curve, two_curve, strict=True):
        assert abs(float(a["loss"] or 0) - float(b["loss"] or 0)) < 1e-5 and a["num_tokens"] == b["num_tokens"]
    assert all(torch.allclose(weight, two_weights[name], atol=1e-5) for name, weight in one_weights.items())


@pytest.mark.slow
def test_what_a_left_out_domain_teaches_falls_most(tmp_path: Path, tiny_model: Path) -> None:
    for seed in range(3):
        made = run(
            tmp_path, tiny_model, seed, data=planted(tmp_path, 60), held_out=0.15, leave_one_out=True, steps=100
        )
        shares = np.array([row[1:] for row in made.tables[-2].rows[1:]], np.float64)
        assert (shares.argmin(0) == np.arange(3)).all() and (shares.argmin(1) == np.arange(3)).all()
        assert np.diag(shares).max() < 0.4
        assert shares[~np.eye(3, dtype=bool)].min() > 0.7
        shutil.rmtree(tmp_path / "stage")
