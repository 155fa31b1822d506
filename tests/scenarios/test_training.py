"""`onggi train` from end to end, on models too tiny to learn: what is written, kept, skipped, stopped."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from manifests.errors import RequestError, RunError
from manifests.schema_training import MAKES_POLICY
from manifests.store import Folder
from tests.scenarios.training_runs import KINDS, in_this_process, load, made_by, write_training
from training import stages
from training.record import read_training
from training.summary_models import TrainingSummary

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(stages, "run", in_this_process)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_training(tmp_path_factory.mktemp("training"), steps=4)


@pytest.fixture(scope="module")
def finished(prepared: Path) -> Path:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stages, "run", in_this_process)
        torch.set_num_threads(1)
        stages.train(load(prepared), str(prepared.parent))
    return prepared.parent / "run"


def test_a_whole_training(finished: Path) -> None:
    summary = TrainingSummary.model_validate_json((finished / "summary.json").read_bytes())
    assert [stage.name for stage in summary.stages] == ["base", *KINDS]
    record = read_training(Folder(str(finished)))
    assert set(record.models) == set(KINDS) and all((finished / model).is_dir() for model in record.models.values())
    for stage in summary.stages:
        policy = stage.kind == "base" or stage.kind in MAKES_POLICY
        assert ("ko" in stage.measures and "held_out" in stage.measures) == policy, stage.name
        assert ("reward_mean" in stage.measures.get("answers", {})) == policy, "those before the reward model, too"
        assert len(stage.answers) == (2 if policy else 0)
        assert len(stage.curve) == (0 if stage.kind in ("base", "merge") else 4)
        assert (stage.flops > 0) == (stage.kind not in ("base", "merge"))
    page = (finished / "report.html").read_text()
    assert all(f">{name}<" in page or name in page for name in KINDS) and "<script" not in page
    card = (finished / "README.md").read_text()
    assert "onggi" in card and "load_encoder" in card and "feature-extraction" in card
    assert "Masked tokens" in page and "Held-out questions" in page and "Retrieval" in page
    assert not list(finished.rglob("checkpoint-*")), "they are for killed runs only"
    assert not list(finished.rglob("*.partial"))


def test_each_model_loads_without_onggi(finished: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    for name, model in read_training(Folder(str(finished))).models.items():
        if name == "contrast":  # it has no output layer; see tests/training/encoders
            continue
        kind = AutoModelForSequenceClassification if name == "reward" else AutoModelForCausalLM
        loaded, tokenizer = kind.from_pretrained(finished / model), AutoTokenizer.from_pretrained(finished / model)
        ids = tokenizer.apply_chat_template([{"role": "user", "content": "안녕"}], return_tensors="pt")
        found = loaded(ids if isinstance(ids, torch.Tensor) else ids["input_ids"]).logits
        assert torch.isfinite(found).all(), name


def test_a_second_run_trains_nothing(finished: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, asked = made_by(finished), []

    def counted(job: Any, *others: Any) -> bytes:
        asked.append(type(job).__name__)
        return in_this_process(job, *others)

    monkeypatch.setattr(stages, "run", counted)
    stages.train(load(prepared), str(prepared.parent))
    assert asked == ["MeasureJob"] and made_by(finished) == before


def test_another_setting_keeps_what_was_made(finished: Path, prepared: Path) -> None:
    before = {path.name for path in (finished / "stages").iterdir()}
    record, _ = stages.train(load(prepared, "stages.dpo.beta=0.3"), str(prepared.parent))
    after = {path.name for path in (finished / "stages").iterdir()}
    assert before < after
    assert sorted(name.rsplit("-", 1)[0] for name in after - before) == ["distill", "dpo", "online"]
    assert record.models["dpo"].removeprefix("stages/").removesuffix("/model") in after - before


def test_a_gate_that_fails_stops_the_run_and_keeps_the_stage(tmp_path: Path, prepared: Path) -> None:
    gate = "stages.cpt.gates=[{gate: validation_loss, set: ko, max_rise: -0.9}]"
    manifest = load(prepared, gate)
    with pytest.raises(RunError) as raised:
        stages.train(manifest, str(prepared.parent), str(tmp_path / "run"))
    said = str(raised.value)
    assert said.startswith("cpt: a gate failed") and "validation_loss: ko: loss" in said and "report.html" in said
    assert [path.name[:3] for path in (tmp_path / "run/stages").iterdir()] == ["cpt"]
    summary = TrainingSummary.model_validate_json((tmp_path / "run/summary.json").read_bytes())
    assert summary.stopped_at == "cpt" and not (tmp_path / "run/run.json").exists()
    assert (next((tmp_path / "run/stages").iterdir()) / "model/model.safetensors").is_file()


WRONG = [
    ("base=nowhere", "base: .*nowhere: is no model"),
    ("stages.cpt.mixture=[{path: nowhere}]", "stage cpt: .*nowhere"),
    ("stages.sft.data=[{path: empty.jsonl}]", "empty"),
    ("stages.dpo.data=[{path: empty.jsonl}]", "empty"),
    ("stages.sft.data=[{path: odd.jsonl}]", "messages"),
]


@pytest.mark.parametrize(("override", "said"), WRONG)
def test_what_is_wrong_is_said(prepared: Path, tmp_path: Path, override: str, said: str) -> None:
    (prepared.parent / "empty.jsonl").write_bytes(b"")
    (prepared.parent / "odd.jsonl").write_bytes(b'{"text": "no conversation"}\n' * 3)
    only = override.split(".")[1] if override.startswith("stages") else "sft"
    manifest = load(prepared, override)
    chosen = [stage for stage in manifest.stages if stage.name == only]
    alone = manifest.model_copy(update={"stages": chosen, "prompts": None, "validation": []})
    with pytest.raises((RequestError, RunError), match=said):
        stages.train(alone, str(prepared.parent), str(tmp_path / "run"))
    assert not list(tmp_path.rglob("made.json"))
