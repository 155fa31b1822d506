"""A folder of stages that trainings share: what they have in common is made once, also at the same time."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from manifests.schema_training import TrainingManifest
from training import stages
from training.jobs import Job, Made
from training.measuring.jobs import Measured, MeasureJob, MeasuresResult
from training.stages import train

SHARED = {"name": "shared", "kind": "dpo", "data": [{"path": "pairs.jsonl"}]}
Train = Callable[..., Path]


class Runs:
    """What processes were asked for, by the folder in which they work."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.at_once: dict[str, int] = {}
        self.most_at_once: dict[str, int] = {}
        self.seconds = 0.0
        self._lock = threading.Lock()

    def run(self, job: Any, folder: Path, *_: Any) -> bytes:
        """Instead of a process: what little is looked at is written."""
        if isinstance(job, MeasureJob):
            measured = dict.fromkeys(job.models, Measured(measures={}, answers=[]))
            return MeasuresResult(models=measured).model_dump_json().encode()
        assert isinstance(job, Job)
        name = job.stage.name
        with self._lock:
            self.begun.append(name)
            self.at_once[name] = self.at_once.get(name, 0) + 1
            self.most_at_once[name] = max(self.most_at_once.get(name, 0), self.at_once[name])
        time.sleep(self.seconds)
        job.model_path.mkdir(parents=True)
        (job.model_path / "config.json").write_text("{}")
        (folder / "made.json").write_text(Made().model_dump_json())
        with self._lock:
            self.at_once[name] -= 1
        return b""


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    found = Runs()
    monkeypatch.setattr(stages, "run", found.run)
    monkeypatch.setattr(stages, "count_parameters", lambda _: 1)
    monkeypatch.setattr(stages._Training, "_show", lambda *_, **__: None)
    monkeypatch.setattr(stages._Training, "finish", lambda self: self)
    return found


@pytest.fixture
def trained(tmp_path: Path) -> Train:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/config.json").write_bytes(b"{}")
    (tmp_path / "base/model.safetensors").write_bytes(b"base")
    (tmp_path / "pairs.jsonl").write_bytes(orjson.dumps({"prompt": ""}))

    def trained(name: str, own: dict[str, Any], shared: dict[str, Any] = SHARED) -> Path:
        listed = [shared, {"name": "own", "kind": "dpo", "data": [{"path": "pairs.jsonl"}], **own}]
        settings = {"kind": "training", "name": name, "base": "base", "stages": listed, "output": name}
        manifest = TrainingManifest.model_validate(settings)
        train(manifest, str(tmp_path), store=tmp_path / "store")
        return tmp_path / name

    return trained


def test_what_two_have_in_common_is_made_once(tmp_path: Path, runs: Runs, trained: Train) -> None:
    trained("a", {"beta": 0.1})
    trained("b", {"beta": 0.2})
    assert runs.begun == ["shared", "own", "own"]
    folders = sorted(path.name.rsplit("-", 1)[0] for path in (tmp_path / "store/stages").iterdir())
    assert folders == ["own", "own", "shared"]
    assert not list((tmp_path / "a").glob("stages")) and not list((tmp_path / "b").glob("stages"))
    trained("c", {"beta": 0.2})  # all of it is there
    assert len(runs.begun) == 3
    trained("d", {"beta": 0.2}, SHARED | {"beta": 0.5})  # another first stage, so another second one
    assert runs.begun[3:] == ["shared", "own"]


def test_at_the_same_time_one_waits(runs: Runs, trained: Train) -> None:
    runs.seconds = 0.3
    failed: list[BaseException] = []

    def one(name: str, beta: float) -> None:
        try:
            trained(name, {"beta": beta})
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=one, args=(f"run{n}", 0.1 * (n + 1))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert sorted(runs.begun) == ["own"] * 4 + ["shared"]
    assert runs.most_at_once["shared"] == 1
    assert runs.most_at_once["own"] > 1, "those of their own wait for nobody"


def test_a_stage_that_was_killed_is_begun_by_the_next(tmp_path: Path, runs: Runs, trained: Train) -> None:
    trained("a", {"beta": 0.1})
    [shared] = (tmp_path / "store/stages").glob("shared-*")
    for path in (shared / "made.json", shared / "model/config.json"):
        path.unlink()
    (shared / "model").rmdir()
    trained("b", {"beta": 0.2})
    assert runs.begun == ["shared", "own", "shared", "own"]
