"""Measuring several models in one process: what is kept, what is measured again, what cannot be measured."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from manifests.engine import silent
from manifests.errors import RequestError
from manifests.schema_training_gates import LossGate, Prompts, Validation
from tests.curation.mixture.mixtures import write_mixture
from tests.training import tiny
from training.gates.facts import Facts
from training.gates.judge import judge
from training.measuring.jobs import MeasureJob, MeasuresResult
from training.measuring.measures import measure

TEXTS = [*tiny.KOREAN, *tiny.ENGLISH]
PROMPTS = [
    {"prompt": "수도가 어디인가요?"},
    {"messages": tiny.conversation("Hello", "Hi", "And?")},
    {"prompt": "1 + 1"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("measures")
    tiny.write_jsonl(path / "text.jsonl", [{"text": text} for text in TEXTS])
    tiny.write_jsonl(path / "q.jsonl", [{"question": "1+1?", "choices": ["1", "2"], "answer": 1}])
    tiny.write_jsonl(path / "prompts.jsonl", PROMPTS)
    write_mixture(path / "mixture")
    tiny.save_model(path / "base", special=(tiny.PAD, tiny.END_OF_TEXT), template=None, initializer_range=0.2)
    tiny.save_model(path / "sft", seed=1, initializer_range=0.2)
    tiny.save_reward_model(path / "reward", initializer_range=0.2)
    return path


@pytest.fixture
def job_of(folder: Path, tmp_path: Path) -> Callable[..., MeasureJob]:
    def made(**changes: Any) -> MeasureJob:
        values: dict[str, Any] = {
            "models": {"base": str(folder / "base"), "sft": str(folder / "sft")},
            "validations": (Validation(name="t", text="text.jsonl"), Validation(name="q", choices="q.jsonl")),
            "manifest_base": str(folder),
            "cache": str(tmp_path / "cache"),
            "threads": 1,
        }
        return MeasureJob.model_validate(values | changes)

    return made


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the folders whose weights were read."""
    from training.measuring import open_model

    found, load = list[str](), open_model.load_model

    def told(path: str, **options: Any) -> Any:
        found.append(Path(path).name)
        return load(path, **options)

    monkeypatch.setattr(open_model, "load_model", told)
    return found


def test_nothing_is_measured_twice(job_of: Callable[..., MeasureJob], read: list[str]) -> None:
    first = measure(job_of(), silent)
    assert read == ["base", "sft"]
    again = measure(job_of(), silent)
    assert read == ["base", "sft"]
    assert again.models == first.models
    assert MeasuresResult.model_validate_json(first.model_dump_json()) == first
    assert set(first.models["base"].measures) == {"t", "q"}
    assert first.models["base"].measures["t"]["loss"] != first.models["sft"].measures["t"]["loss"]


def test_what_has_changed_is_measured_again(
    folder: Path, job_of: Callable[..., MeasureJob], read: list[str], tmp_path: Path
) -> None:
    def found(**changes: Any) -> float:
        job = job_of(models={"m": str(tmp_path / "m")}, manifest_base=str(tmp_path), **changes)
        return measure(job, silent).models["m"].measures["t"]["loss"]

    shutil.copytree(folder / "base", tmp_path / "m")
    tiny.write_jsonl(tmp_path / "text.jsonl", [{"text": text} for text in TEXTS])
    only = {"validations": (Validation(name="t", text="text.jsonl"),)}
    loss = found(**only)
    assert found(validations=(Validation(name="t", text="text.jsonl", limit=3),)) != loss
    assert found(validations=(Validation(name="t", text="text.jsonl", window=8),)) != loss
    assert len(read) == 3
    tiny.write_jsonl(tmp_path / "text.jsonl", [{"text": text} for text in TEXTS[:5]])
    assert found(**only) != loss
    assert len(read) == 4
    shutil.copyfile(folder / "sft" / "model.safetensors", tmp_path / "m" / "model.safetensors")
    changed = found(**only)
    assert len(read) == 5
    shutil.rmtree(tmp_path / "m")
    shutil.copytree(folder / "base", tmp_path / "m")
    assert found(**only) != changed
    assert len(read) == 5  # as it was before


def test_a_damaged_cache_is_measured_again(
    job_of: Callable[..., MeasureJob], read: list[str], tmp_path: Path
) -> None:
    first = measure(job_of(), silent)
    for path in (tmp_path / "cache").glob("text-*.json"):
        path.write_bytes(path.read_bytes()[:20])
    assert measure(job_of(), silent).models == first.models
    assert len(read) == 4


def test_answers_and_rewards(job_of: Callable[..., MeasureJob], folder: Path, read: list[str]) -> None:
    job = job_of(
        validations=(), prompts=Prompts(path="prompts.jsonl", max_new_tokens=12), reward=str(folder / "reward")
    )
    found = measure(job, silent)
    for measured in found.models.values():
        assert [answer.prompt for answer in measured.answers] == [
            "수도가 어디인가요?",
            "user: Hello\n\nassistant: Hi\n\nuser: And?",
            "1 + 1",
        ]
        figures = measured.measures["answers"]
        assert figures["mean_length"] == pytest.approx(sum(a.n_tokens for a in measured.answers) / 3)
        assert figures["n_answers"] == 3
        rewards = [answer.reward for answer in measured.answers]
        assert figures["reward_mean"] == pytest.approx(sum(r for r in rewards if r is not None) / 3)
        assert len(set(rewards)) == 3
    assert found.models["base"].answers != found.models["sft"].answers
    assert measure(job, silent).models == found.models
    assert read == ["base", "sft"]


def test_new_rewards_of_old_answers(job_of: Callable[..., MeasureJob], folder: Path, read: list[str]) -> None:
    prompts = Prompts(path="prompts.jsonl", max_new_tokens=4)
    without = measure(job_of(validations=(), prompts=prompts), silent)
    assert all(answer.reward is None for answer in without.models["sft"].answers)
    assert "reward_mean" not in without.models["sft"].measures["answers"]
    found = measure(job_of(validations=(), prompts=prompts, reward=str(folder / "reward")), silent)
    assert all(answer.reward is not None for answer in found.models["sft"].answers)
    assert read == ["base", "sft"]


def test_drawn_answers_depend_on_the_seed_alone(
    job_of: Callable[..., MeasureJob], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from training.measuring import answers

    def drawn(seed: int, at_once: int) -> list[str]:
        monkeypatch.setattr(answers, "AT_ONCE", at_once)
        prompts = Prompts(path="prompts.jsonl", max_new_tokens=12, temperature=1.0)
        job = job_of(validations=(), prompts=prompts, seed=seed, cache=str(tmp_path / f"{seed}-{at_once}"))
        return [answer.answer for answer in measure(job, silent).models["sft"].answers]

    assert drawn(0, 1) == drawn(0, 32)
    assert drawn(0, 32) != drawn(1, 32)


def test_a_model_whose_numbers_are_none_passes_no_gate(
    folder: Path, job_of: Callable[..., MeasureJob], tmp_path: Path
) -> None:
    shutil.copytree(folder / "base", tmp_path / "nan")
    weights = load_file(tmp_path / "nan" / "model.safetensors")
    weights["model.norm.weight"].fill_(float("nan"))
    save_file(weights, tmp_path / "nan" / "model.safetensors", metadata={"format": "pt"})
    found = measure(job_of(models={"base": str(folder / "base"), "nan": str(tmp_path / "nan")}), silent).models
    assert found["nan"].measures == {}
    assert found["nan"].not_measured["t"].startswith("its loss is nan: ")
    assert found["nan"].not_measured["q"].startswith("its accuracy is nan: ")
    gate = LossGate(gate="validation_loss", set="t", max_rise=100)
    assert not judge(gate, Facts(kind="cpt", of=found["nan"], models={"before": found["base"]})).passed
    assert judge(gate, Facts(kind="cpt", of=found["base"], models={"before": found["base"]})).passed


def test_a_mixture_of_other_ids_leaves_the_other_sets(job_of: Callable[..., MeasureJob]) -> None:
    sets = (Validation(name="m", mixture="mixture"), Validation(name="t", text="text.jsonl"))
    found = measure(job_of(validations=sets), silent).models["base"]
    assert set(found.measures) == {"t"}
    assert found.not_measured["m"].startswith("mixture: it was made with a tokenizer")


def test_what_cannot_be_read_is_named(job_of: Callable[..., MeasureJob], folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"nowhere: is no model: there is no config\.json"):
        measure(job_of(models={"base": str(tmp_path / "nowhere")}), silent)
    with pytest.raises(RequestError, match=r"^validation\.ko\.text: .*none\.jsonl: there is no such file"):
        measure(job_of(validations=(Validation(name="ko", text="none.jsonl"),)), silent)
    with pytest.raises(RequestError, match=r"^validation\.m\.mixture: .*holds no mixture"):
        measure(job_of(validations=(Validation(name="m", mixture="none"),)), silent)
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(RequestError, match=r"^prompts\.path: .*empty\.jsonl: holds no prompt"):
        measure(job_of(validations=(), prompts=Prompts(path=str(tmp_path / "empty.jsonl"))), silent)
    (tmp_path / "broken.jsonl").write_text('{"prompt": 1')
    with pytest.raises(RequestError, match=r"^prompts\.path: .*broken\.jsonl:1: is no JSON"):
        measure(job_of(validations=(), prompts=Prompts(path=str(tmp_path / "broken.jsonl"))), silent)
    tiny.write_jsonl(tmp_path / "other.jsonl", [{"text": "x"}])
    with pytest.raises(RequestError, match=r"^prompts: .*other\.jsonl: has no column `prompt` or `messages`"):
        measure(job_of(validations=(), prompts=Prompts(path=str(tmp_path / "other.jsonl"))), silent)


def test_progress_names_model_and_set(job_of: Callable[..., MeasureJob]) -> None:
    told = list[tuple[str, float, float, str]]()
    measure(job_of(), lambda *said: told.append(said))  # type: ignore[arg-type]
    assert {(step, note) for step, _, _, note in told} == {
        ("measure base", "t"),
        ("measure base", "q"),
        ("measure sft", "t"),
        ("measure sft", "q"),
    }
    last = [one for one in told if one[0] == "measure base" and one[3] == "t"][-1]
    assert last[1] == last[2]
