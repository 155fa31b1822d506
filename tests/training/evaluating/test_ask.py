"""Models that are asked by runs at the same time: what they share is what is known by digests, and nothing else."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manifests.engine import silent
from manifests.schema_evaluation import EvaluatedModel, Evaluations, Judged
from training import launch
from training.evaluating import ask as asking
from training.evaluating.ask import Setting, ask
from training.evaluating.jobs import EvaluateResult, Transcript
from training.evaluating.results import Evaluated, ModelResults

ANSWERS = """
import json, pathlib, sys
job = json.loads(pathlib.Path(sys.argv[1]).read_text())
result = {"model": {"name": job["name"], "folder": job["folder"]}}
pathlib.Path(sys.argv[1]).with_name("made.json").write_text(json.dumps(result))
"""


def at_once(*tasks: Callable[[], Any]) -> list[Any]:
    """What each of several came to, all begun together."""
    found: list[Any] = [None] * len(tasks)

    def one(place: int) -> None:
        found[place] = tasks[place]()

    threads = [threading.Thread(target=one, args=(place,)) for place in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def asked_of(folder: Path, run: str, cache: Path, asked: Evaluations) -> Callable[[], ModelResults]:
    """A run's question to its own model, which all runs call `sft`."""
    model = EvaluatedModel(name="sft", path=str(folder / run / "model"))
    setting = Setting(folder / run, folder / run / "evaluations", cache, str(folder))
    return lambda: ask(asked, [model], setting, silent)["sft"]


def test_runs_of_one_cache_get_the_figures_of_their_own_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_are_told = threading.Barrier(2)

    def command(job_file: Path, *_: Any, **__: Any) -> list[str]:
        both_are_told.wait(10)
        return [sys.executable, "-c", ANSWERS, str(job_file)]

    monkeypatch.setattr(launch, "command", command)
    nothing = Evaluations.model_construct(benchmarks=[], judged=[], needle=None, engine="transformers", batch=1)
    found = at_once(*(asked_of(tmp_path, run, tmp_path / "cache", nothing) for run in "ab"))
    assert [result.folder for result in found] == [str(tmp_path / run / "model") for run in "ab"]


def test_judges_whose_answers_are_shared_are_asked_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, most = 0, 0

    def judge(_: Any, transcripts: dict[str, Any], *__: Any) -> dict[str, Any]:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        time.sleep(0.1)
        at_work -= 1
        return {name: (Evaluated(name="mt", kind="judged", why=said[0].id), []) for name, said in transcripts.items()}

    def run(job: Any, *_: Any) -> bytes:
        said = {"mt": [Transcript(id=job.folder, turns=[])]}
        return (
            EvaluateResult(model=ModelResults(name=job.name, folder=job.folder), transcripts=said)
            .model_dump_json()
            .encode()
        )

    monkeypatch.setattr(asking, "judge", judge)
    monkeypatch.setattr(asking, "run", run)
    construct: Any = Judged.model_construct
    judged = [construct(name="mt")]
    asked = Evaluations.model_construct(benchmarks=[], judged=judged, needle=None, engine="transformers", batch=1)
    found = at_once(*(asked_of(tmp_path, run, tmp_path / "cache", asked) for run in "ab"))
    assert [result.results[0].why for result in found] == [str(tmp_path / run / "model") for run in "ab"]
    assert most == 1
