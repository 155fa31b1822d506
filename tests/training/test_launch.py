"""Processes of stages: what they tell, how they end, and that none outlives the command."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import TypeAdapter

from manifests.errors import RequestError, RunError
from manifests.schema_training import TrainingStage
from training import launch, worker
from training.jobs import Job
from training.worker import Failure

ROOT = Path(__file__).resolve().parents[2]


def job_in(folder: Path) -> Job:
    stage: Any = TypeAdapter(TrainingStage).validate_python({"name": "cpt", "kind": "cpt", "mixture": "mix"})
    return Job(stage=stage, folder=str(folder), manifest_base=".", models={}, seed=0)


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> tuple[bytes, list[Any]]:
    """The result and the progress of a process that runs a script instead of the worker."""
    monkeypatch.setattr(launch, "command", lambda job, n, is_sharded: [sys.executable, "-c", script, str(job.parent)])
    told: list[Any] = []
    found = launch.run(job_in(folder), folder, 1, lambda *said: told.append(said))
    return found, told


def test_progress_and_result_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "import sys, pathlib; d = pathlib.Path(sys.argv[1]); "
        """(d / 'progress.jsonl').write_text('["cpt",1,2,"loss 3"]\\n["cpt",2,2,""]\\n["cut'); """
        """(d / 'made.json').write_text('{}')"""
    )
    found, told = run(tmp_path, monkeypatch, script)
    assert found == b"{}" and told == [("cpt", 1, 2, "loss 3"), ("cpt", 2, 2, "")]
    assert not (tmp_path / "progress.jsonl").exists()


@pytest.mark.parametrize(("is_request", "kind"), [(True, RequestError), (False, RunError)])
def test_what_went_wrong_is_raised_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_request: bool, kind: type[Exception]
) -> None:
    failure = Failure(is_request=is_request, message="sft: no rows").model_dump_json()
    script = f"import sys; open(sys.argv[1] + '/failure.json', 'w').write({failure!r}); sys.exit(1)"
    with pytest.raises(kind, match="sft: no rows"):
        run(tmp_path, monkeypatch, script)


def test_a_process_that_says_nothing_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match=r"ended with 3 and said nothing[^^]*the last words"):
        run(tmp_path, monkeypatch, "import sys; print('the last words'); sys.exit(3)")


def test_a_killed_process_is_told_from_a_failed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match="was killed, as happens where memory runs out"):
        run(tmp_path, monkeypatch, "import os; os.kill(os.getpid(), 9)")


def test_a_process_that_found_no_room_for_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = launch.shutil.disk_usage(tmp_path)._replace(free=4096)
    monkeypatch.setattr(launch.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(RunError, match=rf"disk of {tmp_path} is full. Make room"):
        run(tmp_path, monkeypatch, "import sys; sys.exit(1)")


@pytest.mark.parametrize("writes", ["stage", "result"])
def test_a_full_disk_anywhere_in_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: str) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, os.strerror(28))

    job_file = tmp_path / "job.json"
    job_file.write_bytes(job_in(tmp_path).model_dump_json().encode())
    monkeypatch.setattr(worker, "_end_with_parent", lambda: None)
    if writes == "stage":
        monkeypatch.setattr(worker, "_run", full)
    else:
        monkeypatch.setattr(worker, "_run", lambda *_: Failure(is_request=True, message=""))
        whole = Path.rename
        monkeypatch.setattr(Path, "rename", lambda self, to: full() if to.name == "made.json" else whole(self, to))
    assert worker.main(str(job_file)) == 1
    said = Failure.model_validate_json((tmp_path / "failure.json").read_bytes())
    assert not said.is_request and said.message.startswith(f"cpt: the disk of {tmp_path} is full. Make room")


def test_what_an_earlier_process_left_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("made.json", "failure.json", "1.failure.json"):
        (tmp_path / name).write_text('{"is_request": true, "message": "old"}')
    with pytest.raises(RunError, match="said nothing"):
        run(tmp_path, monkeypatch, "")


def test_one_command_at_a_time_works_in_a_folder(tmp_path: Path) -> None:
    with (
        launch.alone(tmp_path),
        pytest.raises(RequestError, match="another `onggi train` works in it"),
        launch.alone(tmp_path),
    ):
        pass
    with launch.alone(tmp_path):
        pass


def test_accelerate_is_used_for_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert launch.command(tmp_path / "job.json", 1)[1:] == ["-m", "training.worker", str(tmp_path / "job.json")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "--multi_gpu" in launch.command(tmp_path / "job.json", 2), "`--cpu` alone would start one process"
    assert launch._environment(2)["ACCELERATE_USE_CPU"] == "true"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    found = launch.command(tmp_path / "job.json", 2)
    assert "--use_fsdp" in found and "ACCELERATE_USE_CPU" not in launch._environment(2)
    assert "--use_fsdp" not in launch.command(tmp_path / "job.json", 2, is_sharded=False)


@pytest.mark.parametrize(("visible", "n"), [("", 0), ("0", 1), ("0,1,3", 3), ("-1", 0)])
def test_gpus_are_counted_without_torch(monkeypatch: pytest.MonkeyPatch, visible: str, n: int) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert launch.n_gpus() == n


@pytest.mark.parametrize("is_reaped", [True, False])
def test_the_process_of_a_stage_does_not_outlive_the_command(is_reaped: bool) -> None:
    """Killed with -9, the command cannot end it; it looks whether the command is there. In containers whose first
    process takes no note of children that ended, a killed command stays in the table of processes."""
    child = (
        "import time, sys; from training.worker import _end_with_parent; _end_with_parent(); "
        "print('up', flush=True); time.sleep(60)"
    )
    parent = (
        "import subprocess, sys, time; from training.launch import _environment; "
        f"p = subprocess.Popen([sys.executable, '-c', {child!r}], env=_environment(1), stdout=subprocess.PIPE); "
        "p.stdout.readline(); print(p.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        if is_reaped:
            process.wait()
        until = time.monotonic() + 10
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
                pytest.fail("it still runs")
            time.sleep(0.05)


def test_files_beside_the_user_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m` would look into the folder where the command is given first, for `datasets.py` and the like."""
    (tmp_path / "psutil.py").write_text("raise SystemExit('a file of the user was run')")
    (tmp_path / "job.json").write_bytes(job_in(tmp_path).model_dump_json().encode())
    monkeypatch.chdir(tmp_path)
    found = subprocess.run(
        [sys.executable, "-m", "training.worker", "--none"],
        env=launch._environment(1),
        capture_output=True,
        text=True,
    )
    assert "a file of the user was run" not in found.stderr and "--none" in found.stderr


def test_who_waits_for_another_training_says_so_once(tmp_path: Path) -> None:
    told: list[Any] = []
    with launch.waiting(tmp_path / "sft", lambda *said: told.append(said)):
        waits = threading.Thread(target=enter, args=(tmp_path / "sft", told))
        waits.start()
        time.sleep(0.1)
    waits.join(10)
    assert told == [("sft", 0, 1, f"waits for another training in {tmp_path / 'sft'}")]


def enter(folder: Path, told: list[Any]) -> None:
    with launch.waiting(folder, lambda *said: told.append(said)):
        pass
