"""Fixtures shared by all tests."""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's threads would fight over the cores with pytest's processes

settings.register_profile("onggi", deadline=None)  # the first call of a kernel compiles it
settings.load_profile("onggi")

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection() -> None:
    """Collect no garbage while modules are loaded and tests are collected: nearly all of it stays."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Let no later garbage collection go through the modules and thousands of tests that were just loaded.

    accelerate asks for one at the end of every training, which took as long as all steps of a tiny model.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Libraries that count what is left at the end find all of it gone."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of development corpora; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("ONGGI_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip("the development corpora are not here")
    return folder


@pytest.fixture(scope="module")
def without_charts() -> Iterator[None]:
    """For modules that run curations again and again: drawing takes a third of a small one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("curation.charts.warm_up", lambda: None)
        patch.setattr("curation.charts.histograms", lambda cells: ["<svg></svg>"] * len(cells))
        patch.setattr("curation.charts.funnel", lambda *_: "<svg></svg>")
        yield


@pytest.fixture(scope="module")
def without_pages() -> Iterator[None]:
    """For modules that never look at a report: making one takes half of a small curation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("curation.charts.warm_up", lambda: None)
        patch.setattr("curation.pipeline.render", lambda *_: "<!doctype html>")
        yield


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line in this process, which has loaded everything: its exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        import onggi

        monkeypatch.setattr("sys.argv", ["onggi", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            onggi.main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return call
