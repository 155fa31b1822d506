"""The stages of a training in their order, without any training: what is measured, and with which reward model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from manifests.engine import silent
from manifests.errors import RequestError
from manifests.schema_training import TrainingManifest
from training import stages
from training.jobs import Job, Made
from training.measuring.jobs import Measured, MeasureJob, MeasuresResult
from training.stage_plan import plan_stages
from training.summary_models import Answer

PAIRS = {"data": [{"path": "pairs.jsonl"}]}
GATED = {"gates": [{"gate": "length_bias", "max_growth": 9.0}]}
TWO_JUDGES = [
    {"name": "rm1", "kind": "reward", **PAIRS},
    {"name": "dpo1", "kind": "dpo", **PAIRS, **GATED},
    {"name": "rm2", "kind": "reward", **PAIRS, "margin": True},
    {"name": "dpo2", "kind": "dpo", **PAIRS, **GATED},
]
Load = Callable[..., TrainingManifest]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/config.json").write_bytes(b"{}")
    (tmp_path / "base/model.safetensors").write_bytes(b"base")
    (tmp_path / "pairs.jsonl").write_bytes(orjson.dumps({"prompt": ""}))

    def loaded(listed: list[Any], **more: Any) -> TrainingManifest:
        settings = {"kind": "training", "name": "t", "base": "base", "stages": listed, "output": "out"}
        return TrainingManifest.model_validate(settings | more)

    return loaded


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What processes were asked for; each does at once what little is looked at."""
    jobs = list[Any]()

    def run(job: Any, folder: Path, *_: Any) -> bytes:
        jobs.append(job)
        if isinstance(job, MeasureJob):
            score = float(len(job.reward or ""))
            answers = [Answer(prompt="?", answer="!", n_tokens=1, ended=True, reward=score)]
            measured = dict.fromkeys(job.models, Measured(measures={"answers": {}}, answers=answers))
            return MeasuresResult(models=measured).model_dump_json().encode()
        assert isinstance(job, Job)
        job.model_path.mkdir(parents=True)
        (job.model_path / "config.json").write_text("{}")
        (folder / "made.json").write_text(Made().model_dump_json())
        return b""

    monkeypatch.setattr(stages, "run", run)
    monkeypatch.setattr(stages, "count_parameters", lambda _: 1)
    monkeypatch.setattr(stages._Training, "_show", lambda *_, **__: None)
    return jobs


def judges(asked: list[Any], stage: str) -> list[str]:
    """Which reward models scored a stage's answers, in the order in which they did."""
    measured = [job for job in asked if isinstance(job, MeasureJob) and stage in job.models]
    return [Path(job.reward or "").parent.name.split("-")[0] for job in measured]


def test_gates_judge_by_the_reward_model_that_was_there_then(tmp_path: Path, load: Load, asked: list[Any]) -> None:
    """So a run that goes on finds what it found before: a later reward model gives other rewards."""
    (tmp_path / "prompts.jsonl").write_bytes(b"{}")
    manifest = load(TWO_JUDGES, prompts="prompts.jsonl")
    found = []
    for _ in range(2):
        asked.clear()
        training = stages._Training(plan_stages(manifest, str(tmp_path)), silent, 1)
        training.run()
        by_name = {stage.name: stage for stage in training.summaries}
        found.append([gate.found for name in ("dpo1", "dpo2") for gate in by_name[name].gates])
        assert judges(asked, "dpo1")[-2:] == ["rm1", "rm2"] and judges(asked, "dpo2")[-1] == "rm2"
    assert found[0] == found[1]


def test_without_prompts_no_reward_model_makes_work(tmp_path: Path, load: Load, asked: list[Any]) -> None:
    (tmp_path / "ko.jsonl").write_bytes(b"{}")
    sets = [{"name": "ko", "text": "ko.jsonl"}]
    manifest = load([{"name": "rm1", "kind": "reward", **PAIRS}], validation=sets)
    stages._Training(plan_stages(manifest, str(tmp_path)), silent, 1).run()
    assert [type(job).__name__ for job in asked] == ["MeasureJob", "Job"]


def test_more_processes_than_gpus_are_refused(
    tmp_path: Path, load: Load, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(RequestError, match="--processes 4: there are 2 GPUs"):
        stages.train(load(TWO_JUDGES[:1]), str(tmp_path), n_processes=4)
    assert not asked
