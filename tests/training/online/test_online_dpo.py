"""The stage from its manifest to its model: how old its batches are, resuming, LoRA, and what goes wrong."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from manifests.errors import RequestError, RunError
from tests.training import planted, tiny
from training.checkpoints import read_curve
from training.jobs import CHECKPOINTS, Job, Made
from training.online import online_dpo
from training.online.batches import Batch, Drawer
from training.online.generators import ModelGenerator
from training.online.online_dpo import run
from training.online.trainer import OnlineDpoTrainer

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return planted.save_reward_model(tmp_path_factory.mktemp("reward") / "model")


def quiet(*_: Any) -> None:
    """Progress that nobody watches."""


def digest(model: Any) -> str:
    """Of weights."""
    found = hashlib.sha256()
    for name, weight in sorted(model.named_parameters()):
        found.update(name.encode() + weight.detach().numpy().tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_run_from_manifest_to_model(
    tiny_model: Path, reward: Path, tmp_path: Path, asynchronous: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How old a batch is, is compared by the weights that drew it, not by the number that it carries."""
    updates, draws = [], []
    get_batch_samples, drawn = OnlineDpoTrainer.get_batch_samples, Drawer.drawn

    def noting_update(self: OnlineDpoTrainer, *args: Any) -> Any:
        updates.append(digest(self.model))
        return get_batch_samples(self, *args)

    def noting_draw(self: Drawer, step: int) -> Batch:
        assert isinstance(self.generator, ModelGenerator)
        draws.append(digest(self.generator.model))
        return drawn(self, step)

    monkeypatch.setattr(OnlineDpoTrainer, "get_batch_samples", noting_update)
    monkeypatch.setattr(Drawer, "drawn", noting_draw)
    job = planted.online_job(tmp_path, tiny_model, reward, asynchronous=asynchronous)
    made = run(job, quiet)

    lines = read_curve(job.path / "curve.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert len(set(updates)) == 4
    last = digest(AutoModelForCausalLM.from_pretrained(job.model_path))
    assert draws == [updates[k] for k in ((0, 0, 1, 2) if asynchronous else (0, 1, 2, 3))] + [last]
    assert [line["staleness"] for line in lines] == ([0, 1, 1, 1] if asynchronous else [0, 0, 0, 0])
    assert lines[0]["loss"] == pytest.approx(np.log(2), abs=1e-7)
    assert lines[0]["kl"] == 0
    assert (made.counts["steps"], made.counts["prompts"], made.counts["answers"]) == (4, 24, 32)
    assert made.counts["pairs"] + sum(made.left_out.values()) == 16
    assert made.figures["staleness"] == (1 if asynchronous else 0)
    assert [row[0] for row in made.tables[0].rows] == ["before", "after"]
    assert Path(job.model_path, "tokenizer.json").is_file()


class Killed(Exception):
    """The run ends here."""


def kept(job: Job) -> tuple[bytes, dict[str, torch.Tensor]]:
    """Curve and weights."""
    return (job.path / "curve.jsonl").read_bytes(), load_file(job.model_path / "model.safetensors")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param({"asynchronous": False, "n": 3, "batch": 2}, marks=pytest.mark.slow),
        pytest.param(
            {"lora": {"rank": 2, "dropout": 0.5}, "refresh_reference": 2, "loss": "ipo"}, marks=pytest.mark.slow
        ),
    ],
)
def test_a_run_that_was_stopped_ends_with_the_same_bits(
    tiny_model: Path, reward: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    job = planted.online_job(tmp_path / "whole", tiny_model, reward, **changes)
    whole = run(job, quiet)
    again = planted.online_job(tmp_path / "stopped", tiny_model, reward, **changes)

    def stop_after(n_steps: int) -> Any:
        def progress(_: str, done: float, total: float, note: str = "") -> None:
            if done == n_steps and note:
                raise Killed

        return progress

    with pytest.raises(Killed):
        run(again, stop_after(4))
    assert not (again.path / CHECKPOINTS / "checkpoint-4").exists()  # the last step has no checkpoint yet
    resumed = run(again, quiet)
    (curve, weights), (curve_again, weights_again) = kept(job), kept(again)
    assert curve == curve_again
    assert weights.keys() == weights_again.keys()
    assert all(torch.equal(weights[name], weights_again[name]) for name in weights)
    assert without_time(resumed) == without_time(whole)


def without_time(made: Made) -> dict[str, Any]:
    """What does not depend on the machine."""
    values = made.model_dump()
    values["figures"].pop("waited_frac", None)
    return values


def test_low_rank_adaptation_is_held_to_the_model_below_it(tiny_model: Path, reward: Path, tmp_path: Path) -> None:
    job = planted.online_job(
        tmp_path, tiny_model, reward, lora={"rank": 2}, learning_rate=1e-2, checkpoints={"every": 100}
    )
    made = run(job, quiet)
    lines = read_curve(job.path / "curve.jsonl")
    assert lines[0]["kl"] == 0
    assert lines[-1]["kl"] != 0
    assert [line["staleness"] for line in lines] == [0, 1, 1, 1]
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_model, job.model_path))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("proj" in name for name in changed)
    adapter = load_file(job.path / "adapter" / "adapter_model.safetensors")
    assert made.counts["trained_parameters"] == sum(one.numel() for one in adapter.values())


def test_what_is_left_out_is_counted(tiny_model: Path, reward: Path, tmp_path: Path) -> None:
    job = planted.online_job(tmp_path, tiny_model, reward, steps=1, max_prompt_length=60, batch=6)
    rows: list[dict[str, Any]] = [{"prompt": f"why {letter}"} for letter in "abc"]
    rows += [{"prompt": "so long " * 20}, {"prompt": " "}, {"messages": tiny.conversation("who", "he")}]
    tiny.write_jsonl(Path(job.manifest_base) / "prompts.jsonl", rows)
    made = run(job, quiet)
    assert made.counts["prompts"] == 4
    assert made.left_out["too_long"] == 1
    assert made.left_out["empty_prompt"] == 1
    assert made.counts["answers"] == 12


# What goes wrong


def test_answers_that_never_differ_say_what_to_do(tiny_model: Path, reward: Path, tmp_path: Path) -> None:
    job = planted.online_job(tmp_path, tiny_model, reward, steps=2, temperature=1e-4)
    with pytest.raises(RunError, match=r"in 2 steps no prompt.*identical 8 times.*`temperature` \(it is 0.0001\)"):
        run(job, quiet)


def test_a_reference_of_another_vocabulary_is_refused(tiny_model: Path, reward: Path, tmp_path: Path) -> None:
    other = tiny.save_model(tmp_path / "other", special=("<|new|>", *tiny.SPECIAL))
    job = planted.online_job(tmp_path, tiny_model, reward, reference="other")
    job = job.model_copy(update={"models": {**job.models, "other": str(other)}})
    with pytest.raises(RequestError, match=r"reference: .*other has another vocabulary.*leave it out"):
        run(job, quiet)


def test_another_reference_is_held_to(tiny_model: Path, reward: Path, tmp_path: Path) -> None:
    other = tiny.save_model(tmp_path / "other", seed=5)
    job = planted.online_job(tmp_path, tiny_model, reward, steps=1, reference="other")
    run(job.model_copy(update={"models": {**job.models, "other": str(other)}}), quiet)
    assert read_curve(job.path / "curve.jsonl")[0]["kl"] != 0


def test_what_is_no_reward_model_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    job = planted.online_job(tmp_path, tiny_model, tiny_model)
    with pytest.raises(RequestError, match=r"is no reward model.*stage of kind `reward`"):
        run(job, quiet)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "no prompt is left to train on; the first that was left out: there are no rows"),
        ([{"prompt": "so long " * 20}], r"prompts.jsonl:1: has \d+ tokens; `max_prompt_length` is 40"),
        ([{"text": "x"}], r"prompts: .*has no column `prompt` or `messages`"),
        ([{"messages": [{"role": "assistant", "content": "x"}]}], "prompts: no row of the file can be used"),
    ],
)
def test_prompts_that_are_none_are_refused(
    tiny_model: Path, reward: Path, tmp_path: Path, rows: list[dict[str, Any]], said: str
) -> None:
    job = planted.online_job(tmp_path, tiny_model, reward, max_prompt_length=40)
    tiny.write_jsonl(Path(job.manifest_base) / "prompts.jsonl", rows)
    with pytest.raises(RequestError, match=said):
        run(job, quiet)


def test_a_reward_that_is_no_number_stops_the_run(tiny_model: Path, reward: Path, tmp_path: Path) -> None:
    broken = planted.save_reward_model(tmp_path / "broken", scale=float("nan"))
    with pytest.raises(RunError, match=r"the reward model gives nan for the answer '.*' to the prompt '\d+'"):
        run(planted.online_job(tmp_path, tiny_model, broken), quiet)


def test_a_checkpoint_of_other_processes_is_refused(tiny_model: Path, reward: Path, tmp_path: Path) -> None:
    job = planted.online_job(tmp_path, tiny_model, reward, steps=2)
    run(job, quiet)
    extra = next((job.path / CHECKPOINTS).glob("checkpoint-2/extra-0.json"))
    written = orjson.loads(extra.read_bytes())
    extra.write_bytes(orjson.dumps(written | {"n_processes": 2}))
    with pytest.raises(RunError, match="the checkpoint is not of 1 processes"):
        run(job, quiet)
    extra.write_bytes(orjson.dumps(written | {"places": written["places"][::-1]}))
    with pytest.raises(RunError, match="the checkpoint is of another `micro_batch`"):
        run(job, quiet)


def test_the_policy_itself_draws_where_nothing_is_drawn_ahead(tiny_model: Path, reward: Path, tmp_path: Path) -> None:
    copied = []
    for ahead in (True, False):
        job = planted.online_job(tmp_path / str(ahead), tiny_model, reward, asynchronous=ahead)
        trainer = online_dpo._trainer(job, job.stage, [], 1, online_dpo.load_tokenizer(str(tiny_model)))  # type: ignore[arg-type]
        copied.append(trainer.drawer.generator.size_bytes)  # type: ignore[attr-defined]
        trainer.drawer.close()
    assert copied == [sum(one.numel() * 4 for one in trainer.model.parameters()), 0]
