"""What an engine is started with, and that it never outlives who started it, whichever way that ends."""

import contextlib
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from manifests.errors import RequestError
from manifests.house import HOME
from manifests.schema_teacher import OfflineEngine
from manifests.schema_teacher import Teacher as Settings
from synth.teacher import Teacher
from synth.teachers.engine import arguments, environment, flags, located
from tests.synth.teachers.fake_engine import Backend, all_end, ask, run_of, settings, started

BACKENDS: list[Backend] = ["serve", "offline"]


def test_flags_are_as_the_command_line_has_them() -> None:
    said = flags(
        {
            "max_model_len": 2048,
            "enforce_eager": True,
            "enable_prefix_caching": False,
            "quantization": None,
            "structured_outputs_config": {"backend": "xgrammar"},
            "middleware": ["one", "two"],
            "gpu_memory_utilization": 0.2,
        }
    )
    assert said == [
        *("--max-model-len", "2048", "--enforce-eager", "--no-enable-prefix-caching"),
        *("--structured-outputs-config", '{"backend": "xgrammar"}', "--middleware", "one", "two"),
        *("--gpu-memory-utilization", "0.2"),
    ]


def test_paths_start_at_the_manifest(tmp_path: Path) -> None:
    def engine(weights: str, python: str | None = None) -> OfflineEngine:
        given = Settings.model_validate({"model": "m", "offline": {"weights": weights, "python": python}})
        found = located(given, str(tmp_path)).offline
        assert found
        return found

    (tmp_path / "there").mkdir()
    assert engine("there").weights == str(tmp_path / "there")
    assert engine("Qwen/Qwen3-8B").weights == "Qwen/Qwen3-8B"
    assert engine("./absent").weights == str(tmp_path / "absent")
    assert engine("there").python == sys.executable
    assert engine("there", ".venv-vllm/bin/python").python == str(tmp_path / ".venv-vllm/bin/python")
    assert engine("there", "python3").python == "python3"


def test_the_environment_has_no_way_to_our_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HOME), "/theirs"]))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    found = environment(OfflineEngine(weights=str(tmp_path), env={"VLLM_CPU_KVCACHE_SPACE": "1"}))
    assert found["PYTHONPATH"] == "/theirs"
    assert (found["HF_HUB_OFFLINE"], found["VLLM_CPU_KVCACHE_SPACE"]) == ("1", "1")
    assert "HF_HUB_OFFLINE" not in environment(OfflineEngine(weights="Qwen/Qwen3-8B"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_cannot_be_started_is_said_before(backend: Backend, tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, object], str]] = [
        ({"weights": "./absent"}, f"teacher.{backend}.weights: {tmp_path}/absent is no folder"),
        ({"env": {}}, f"teacher.{backend}.python: {sys.executable} has no vLLM"),
        ({"python": "./absent"}, f"teacher.{backend}.python: {tmp_path}/absent is no Python that runs"),
        ({"python": "/bin/true"}, f"teacher.{backend}.python: /bin/true is no Python that runs"),
    ]
    for fields, message in wrong:
        given = located(settings(backend, tmp_path, **fields), str(tmp_path))
        with pytest.raises(RequestError) as error:
            arguments(getattr(given, backend), f"teacher.{backend}")
        assert message in str(error.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_flag_that_this_version_lacks(backend: Backend, tmp_path: Path) -> None:
    given = settings(backend, tmp_path, args={"max_mode_len": 5})
    with pytest.raises(RequestError) as error, Teacher(given, str(tmp_path), str(tmp_path)) as teacher:
        ask(teacher, ["a"])
    assert "did not start (exit code 2); this vLLM has no such flag: they change between versions" in str(error.value)
    assert "error: unrecognized arguments: --max-mode-len 5" in str(error.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_started_where_all_is_kept(backend: Backend, tmp_path: Path) -> None:
    with Teacher(settings(backend, tmp_path), str(tmp_path), str(tmp_path)) as teacher:
        ask(teacher, ["a", "b"])
    (tmp_path / "server.log").unlink()
    with Teacher(settings(backend, tmp_path, env={}), str(tmp_path), str(tmp_path)) as teacher:
        ask(teacher, ["b", "a"])
        assert teacher.usage.n_kept == 2
    assert not (tmp_path / "server.log").exists()


SIGNALS = {"by an error": signal.SIGTERM, "by Ctrl-C": signal.SIGINT, "by kill -9": signal.SIGKILL}


@pytest.mark.parametrize(
    ("backend", "ends"),
    [
        ("serve", "in peace"),
        ("offline", "by an error"),
        ("serve", "by Ctrl-C"),
        ("serve", "by kill -9"),
        ("offline", "by kill -9"),
        ("offline", "with its courier"),
    ],
)
def test_it_never_outlives_the_run(backend: Backend, ends: str, tmp_path: Path) -> None:
    with run_of(settings(backend, tmp_path), tmp_path) as run:
        engine = started(tmp_path)
        assert len(engine) == 2
        if ends == "in peace":
            assert run.stdin
            run.stdin.close()
        elif ends == "with its courier":
            psutil.Process(run.pid).children()[0].kill()
        else:
            os.killpg(run.pid, SIGNALS[ends])
        assert all_end(engine)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_start_that_nobody_waits_for_is_given_up(backend: Backend, tmp_path: Path) -> None:
    given = settings(backend, tmp_path, fake="deaf", startup_s=600)
    with run_of(given, tmp_path, until="core") as run:
        engine = started(tmp_path)
        assert len(engine) == 2
        run.kill()
        assert all_end(engine)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_it_ends_with_its_guard(tmp_path: Path) -> None:
    with run_of(settings("serve", tmp_path), tmp_path) as run:
        engine = started(tmp_path)
        try:
            (courier,) = psutil.Process(run.pid).children()
            (guard,) = courier.children()
            (server,) = guard.children()
            guard.kill()
            assert all_end([server])
        finally:
            for process in engine:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
