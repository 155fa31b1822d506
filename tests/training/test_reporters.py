"""What curves are reported to is there before anything is trained, or is asked for by name."""

import importlib.util

import pytest

from manifests.errors import RequestError
from training.reporters import check_reporters


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found.append(name))
    with pytest.raises(RequestError, match="package `wandb` is not installed: pip install wandb"):
        check_reporters(["wandb"])
    with pytest.raises(RequestError, match="`tensorboard` is not installed"):
        check_reporters(["tensorboard"])
    assert found == ["wandb", "tensorboard", "tensorboardX"]


def test_what_is_there_passes() -> None:
    check_reporters([])
    check_reporters(["tensorboard"])


def test_an_unknown_name() -> None:
    with pytest.raises(RequestError, match="'mlflow' is not known; valid: tensorboard, wandb"):
        check_reporters(["mlflow"])
