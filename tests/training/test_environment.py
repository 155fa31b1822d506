"""What a training ran on is told as far as it can be found out."""

import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from training import environment as place


def test_versions_and_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: A Processor: fast\nmodel name\t: Another\n")
    for number, model in enumerate(["H", "H", "A"]):
        (tmp_path / "gpus" / f"{number}").mkdir(parents=True)
        (tmp_path / "gpus" / f"{number}" / "information").write_text(f"Model: \t {model}\nIRQ: 3\n")
    monkeypatch.setattr(place, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(place, "GPUS", tmp_path / "gpus")
    found = place.environment(2, 3)
    assert (found["CPU"], found["GPU"], found["Python"]) == (
        "A Processor: fast", "2 × H, A", platform.python_version()
    )  # fmt: skip
    assert found["processes"] == "2, threads of each: 3"
    assert found["transformers"] == version("transformers")


def test_nothing_that_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "CPU_INFO", tmp_path / "none")
    monkeypatch.setattr(place, "GPUS", tmp_path / "none")
    monkeypatch.setattr(place, "PACKAGES", ("torch", "no-such-package"))
    monkeypatch.setattr(platform, "processor", lambda: "")
    found = place.environment(1)
    assert set(found) == {"Python", "torch", "processes"}
