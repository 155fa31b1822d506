"""Names of the arms of a grid, and which of them is the baseline."""

from pathlib import Path
from typing import Any

import pytest

from manifests.errors import RequestError
from tests.training.experiments.small_experiments import manifest
from training.experiments.arms import arms_of, short_names


def names(folder: Path, **more: Any) -> list[str]:
    return [arm.name for arm in arms_of(manifest(folder, arms=[], **more), "a.yaml")]


def test_every_combination_is_an_arm_named_by_its_values(tmp_path: Path) -> None:
    grid = {"train.stages.cpt.learning_rate": [1e-3, 0.01], "mix.sources.en.where": ["language = 'ko'"]}
    assert names(tmp_path, grid=grid) == [
        "learning_rate=0.001,where=language = 'ko'",
        "learning_rate=0.01,where=language = 'ko'",
    ]


def test_fields_that_end_alike_are_told_apart() -> None:
    fields = ["mix.sources.ko.weight", "mix.sources.en.weight", "train.stages.cpt.weight_decay", "train.seed"]
    assert list(short_names(fields).values()) == ["ko.weight", "en.weight", "weight_decay", "seed"]
    assert short_names(["a.b", "c.a.b"]) == {"a.b": "a.b", "c.a.b": "c.a.b"}


def test_the_baseline_comes_first(tmp_path: Path) -> None:
    grid = {"train.stages.cpt.steps": [1, 2, 3]}
    assert names(tmp_path, grid=grid, baseline="steps=2") == ["steps=2", "steps=1", "steps=3"]
    with pytest.raises(
        RequestError, match=r"a.yaml: baseline: 'steps=4' is no arm; valid: steps=1, steps=2, steps=3"
    ):
        names(tmp_path, grid=grid, baseline="steps=4")


def test_values_that_look_alike_need_names(tmp_path: Path) -> None:
    long = "language = 'ko' and text != 'a document that is long'"
    with pytest.raises(RequestError, match="two arms would be called"):
        names(tmp_path, grid={"mix.sources.en.where": [long + " and 1 = 1", long + " and 2 = 2"]})
