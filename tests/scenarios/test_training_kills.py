"""`onggi train`, killed with -9 in every kind of stage: the same bits as a run that was not."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

pytest.importorskip("trl")

from tests.scenarios.training_runs import KINDS, made_by, onggi, write_training
from training.checkpoints import read_curve
from training.stages import HISTORY, History

pytestmark = pytest.mark.slow

STEPS = 10
TIMEOUT_S = 900


def finish(path: Path, *options: str) -> None:
    process = onggi(path, *options)
    _, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, said.decode()


def kill_in(path: Path, run: Path, name: str, step: int, whole_group: bool) -> None:
    """Start the command and kill it once a stage has come to a step, alone or with its processes."""
    process = onggi(path, "-o", str(run))
    until = time.monotonic() + TIMEOUT_S
    while not begun(run, name, step):
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < until
        time.sleep(0.01)
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()
    with_processes(process)


def begun(run: Path, name: str, step: int) -> bool:
    """Whether a stage has come to a step; a merge has no steps, and is killed as it begins."""
    for folder in (run / "stages").glob(f"{name}-*"):
        if name == "merged":
            return (folder / "job.json").is_file()
        return len(read_curve(folder / "curve.jsonl")) >= step
    return False


def with_processes(process: "subprocess.Popen[bytes]") -> None:
    """Wait until no process of its session is left: those of a stage end by themselves."""
    until = time.monotonic() + 10
    while running(process.pid):
        assert time.monotonic() < until, "the process of a stage outlived the command"
        time.sleep(0.05)


def running(group: int) -> list[int]:
    """Processes of a group that run, and are not just waiting to be taken note of."""
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except ProcessLookupError:
            continue
    return found


def test_killed_in_each_stage(tmp_path: Path) -> None:
    path = write_training(tmp_path, steps=STEPS)
    finish(path)
    draw = random.Random(7)  # not near the end: what is killed without its processes lives on for some .2 s
    killed = tmp_path / "killed"
    for number, name in enumerate(KINDS):
        kill_in(path, killed, name, draw.randint(1, STEPS // 2), whole_group=number % 2 == 0)
    finish(path, "-o", str(killed))
    whole = made_by(tmp_path / "run")
    assert len(whole) == 9 + 8 and made_by(killed) == whole
    for folder in (killed / "stages").iterdir():
        history = History.model_validate_json((folder / HISTORY).read_bytes())
        assert history.n_started == 2, folder.name


def test_interrupted_it_says_how_to_go_on(tmp_path: Path) -> None:
    path = write_training(tmp_path, steps=STEPS)
    process = onggi(path)
    while not begun(tmp_path / "run", "cpt", 1):
        assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and b"stopped; the same command goes on from here" in said, said.decode()
    with_processes(process)
