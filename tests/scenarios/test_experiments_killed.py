"""`onggi ablate` with processes of its own, killed with -9 and gone on with: the same figures as one that was not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

pytest.importorskip("trl")

from tests.scenarios.training_runs import ROOT
from tests.training.experiments.small_experiments import MIXTURE, ablation, cpt, lay_out, training, written
from training.experiments.summary_models import SUMMARY, ExperimentSummary

pytestmark = pytest.mark.slow
STEPS = [
    {"name": "mix", "manifest": MIXTURE},
    {
        "name": "train",
        "manifest": training(cpt("pre", steps=8), cpt("on"), cpt("off", model="pre", learning_rate=9e-3)),
    },
]
ARMS = [{"name": "on"}, {"name": "off", "of": "train.off"}]


def onggi(*arguments: str) -> "subprocess.Popen[bytes]":
    """The command, in a group of processes of its own."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "onggi", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finished(*arguments: str) -> ExperimentSummary:
    process = onggi(*arguments, "--json")
    said, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors.decode()
    return ExperimentSummary.model_validate(orjson.loads(said))


def figures(summary: ExperimentSummary) -> list[Any]:
    return [(arm.name, arm.figures, arm.differences) for arm in summary.arms]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest."""
    folder = lay_out(tmp_path_factory.mktemp("killed"))
    return written(folder, ablation(steps=STEPS, arms=ARMS, of="train.on"))


@pytest.fixture(scope="module")
def whole(place: Path) -> ExperimentSummary:
    found = finished("ablate", str(place), "--jobs", "2")
    assert len(found.runs) == 6 and not any(run.is_reused for run in found.runs)
    return found


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_experiment_goes_on_to_the_same_figures(
    place: Path, whole: ExperimentSummary, tmp_path: Path, how: signal.Signals
) -> None:
    path, output = place, tmp_path / "killed"
    process = onggi("ablate", str(path), "-o", str(output), "--jobs", "2")
    while not list(output.glob("stages/*/made.json")):
        assert process.poll() is None
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(how)  # the command alone: what it started ends with it
    process.communicate(timeout=60)
    assert process.returncode == (1 if how == signal.SIGINT else -how)
    assert not psutil.wait_procs(workers, timeout=30)[1]
    assert not (output / "run.json").exists()

    again = finished("ablate", str(path), "-o", str(output))
    assert figures(again) == figures(whole)
    assert any(run.is_reused for run in again.runs), "the mixtures at least"
    assert ExperimentSummary.model_validate_json((output / SUMMARY).read_bytes()).arms == again.arms


def test_a_second_command_is_refused(place: Path, tmp_path: Path) -> None:
    arguments = ("ablate", str(place), "-o", str(tmp_path / "out"))
    first = onggi(*arguments)
    while not (tmp_path / "out/runs").is_dir():
        assert first.poll() is None
        time.sleep(0.05)
    second = onggi(*arguments)
    _, errors = second.communicate(timeout=120)
    assert second.returncode == 2 and b"another `onggi ablate` works in it" in errors
    first.kill()
    first.communicate()
