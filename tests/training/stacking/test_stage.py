"""The stage `upscale`, what options ask for, and what a plan says before any work."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from manifests.engine import silent
from manifests.errors import RequestError
from manifests.schema_surgery import Upscale
from manifests.schema_training import TrainingManifest
from tests.training import tiny
from training.jobs import Job
from training.model_files import read_object
from training.outlook import outlook
from training.stacking.influence import influence, ranked
from training.stacking.options import asked_of, upscale_folder
from training.stacking.report import StackReport, tables_of
from training.stacking.stage import run


def stage(**asked: Any) -> Upscale:
    return Upscale.model_validate({"kind": "upscale", "name": "deeper", **asked})


def job(folder: Path, model: Path, **asked: Any) -> Job:
    models = {"base": str(model), "model": str(model)}
    return Job(
        stage=stage(**asked),
        folder=str(folder / "stage"),
        manifest_base=str(folder),
        models=models,
        seed=0,
        threads=1,
    )


def test_solar(tmp_path: Path, tiny_model: Path) -> None:
    made = run(job(tmp_path, tiny_model, layers=[[0, 2], [0, 2], 1]), silent)
    assert made.counts["layers_before"] == 2 and made.counts["layers"] == 5
    per_layer = (made.counts["parameters"] - made.counts["parameters_before"]) / 3
    assert made.counts["parameters_before"] == 2 * per_layer + 2 * 600 * 64 + 64
    [table] = made.tables
    assert table.columns[1] == "of base" and not made.charts
    assert table.rows == [
        ["0 to 1", "0 to 1", 2, "first time"],
        ["2 to 3", "0 to 1", 2, "second time"],
        ["4", "1", 1, "third time"],
    ]
    assert read_object(tmp_path / "stage/model/config.json")["num_hidden_layers"] == 5
    again = run(job(tmp_path, tiny_model, drop=0), silent)  # over one that was not finished
    assert again.counts["layers"] == 4 and read_object(tmp_path / "stage/model/config.json")["num_hidden_layers"] == 4


@pytest.mark.parametrize("repeat", ["least", "most"])
def test_by_influence(tmp_path: Path, repeat: Any) -> None:
    model = tiny.save_model(tmp_path / "m", num_hidden_layers=5)
    tiny.write_jsonl(tmp_path / "texts.jsonl", [{"text": text} for text in tiny.KOREAN])
    asked = {"to": 7, "influence": {"text": "texts.jsonl", "length": 16}, "repeat": repeat}
    made = run(job(tmp_path, model, **asked), silent)
    report = StackReport.model_validate(read_object(tmp_path / "stage/model/upscale.json"))
    chosen = stage(**asked).influence
    assert chosen is not None
    measured = influence(model, chosen, str(tmp_path))
    assert report.influences == pytest.approx(measured)
    twice = ranked(measured, repeat)[:2]
    assert report.layers == sorted([*range(5), *twice])
    [chart] = made.charts
    assert chart == "Block influence of each layer"
    by_layer = {row[0]: row[2] for row in made.tables[1].rows}
    assert [layer for layer, n_times in by_layer.items() if n_times == 2] == sorted(twice)


def test_the_table_of_one_layer_again_and_again() -> None:
    report = StackReport(
        model="m", layers=[0, 1, 1, 1, 1, 2], n_layers_before=3, start="identity", silent=[2, 3, 4], n_tensors=1,
        n_parameters_before=3, n_parameters=6, n_bytes=24, notes=["settled"],
    )  # fmt: skip
    layers, notes = tables_of(report)
    assert [row[3] for row in layers.rows] == ["first time", "second time", "third time", "4th time", "first time"]
    assert [row[1] for row in layers.rows] == ["0 to 1", "1", "1", "1", "2"]
    assert layers.rows[0][2] == 2 and "3 of them change nothing at first" in layers.note
    assert notes.rows == [["settled"]]
    assert len(tables_of(report, with_notes=False)) == 1


def test_options() -> None:
    assert asked_of(drop=8) == Upscale(kind="upscale", name="upscale", drop=8)
    assert asked_of(layers="0-24,8-32").layers == [[0, 24], [8, 32]]
    asked = asked_of(to=40, mixture="run", samples=9, repeat="most", start="identity")
    assert asked.influence and asked.influence.mixture
    found = (asked.influence.mixture.path, asked.influence.samples, asked.repeat, asked.start)
    assert found == ("run", 9, "most", "identity")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, r"name one of --drop, --to and --layers; found none"),
        ({"drop": 1, "to": 3}, r"found --drop and --to"),
        ({"to": 3, "text": "a", "mixture": "b"}, r"name one of --text and --mixture"),
        ({"to": 3, "samples": 3}, r"--samples: takes --text or --mixture"),
        ({"to": 3, "repeat": "most"}, r"--repeat: takes --text or --mixture"),
        ({"drop": 3, "text": "a"}, r"--text and --mixture: take --to"),
        ({"layers": "3-1"}, r"--layers\[0\]: found \[3, 1\]; expected \[first, end\)"),
        ({"drop": -1}, r"--drop: Input should be greater than or equal to 0"),
        ({"to": 3, "text": "a", "samples": 0}, r"--samples: Input should be"),
    ],
)
def test_options_that_do_not_go_together(given: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        asked_of(**given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"drop": 1}, r"^--drop: 1 of 2 layers leaves"),
        ({"layers": "0-3"}, r"^--layers\[0\]: found \[0, 3\]"),
        ({"to": 3}, r"^--to: 3 layers are no two copies .* as 4, or --layers, or --text or --mixture"),
        ({"layers": "1,0", "start": "identity"}, r"^--start identity: layers that are there for the first time"),
        ({"to": 3, "text": "none.jsonl"}, r"^--text: "),
    ],
)
def test_messages_name_options(tmp_path: Path, tiny_model: Path, given: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        upscale_folder(asked_of(**given), tiny_model, tmp_path / "out", str(tmp_path), "base", silent)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"drop": 1, "to": 4},
        {"drop": 1, "influence": {"text": "a"}},
        {"to": 4, "repeat": "most"},
        {"to": 4, "influence": {"text": "a", "mixture": "b"}},
        {"layers": [[3, 3]]},
        {"layers": [-1]},
        {"layers": []},
    ],
)
def test_manifests_that_cannot_be(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(**asked)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"drop": 1}, "stage deeper: drop: 1 of 2 layers leaves a model of 2 layers, which is no deeper"),
        ({"to": 5}, "stage deeper: to: 5 layers are more than two copies of 2"),
        ({"layers": [[0, 3]]}, "stage deeper: layers[0]: found [0, 3]; the model has 2 layers"),
        ({"to": 9, "influence": {"text": "t.jsonl"}}, "stage deeper: to: 9 layers are more than two copies"),
        ({"to": 3, "influence": {"text": "none.jsonl"}}, "stage deeper: "),
    ],
)
def test_plans_say_what_cannot_be(tmp_path: Path, tiny_model: Path, asked: dict[str, Any], told: str) -> None:
    tiny.write_jsonl(tmp_path / "t.jsonl", [{"text": "글"}])
    settings = {"kind": "training", "name": "t", "base": str(tiny_model), "output": "out"}
    stages = [{"kind": "upscale", "name": "deeper", **asked}]
    found = outlook(TrainingManifest.model_validate({**settings, "stages": stages}), str(tmp_path))
    assert any(problem.startswith(told) for problem in found.problems), found.problems


def test_a_plan_counts_what_is_made(tmp_path: Path, tiny_model: Path) -> None:
    settings = {"kind": "training", "name": "t", "base": str(tiny_model), "output": "out"}
    stages = [{"kind": "upscale", "name": "deeper", "to": 4}, {"kind": "upscale", "name": "deepest", "drop": 1}]
    found = outlook(TrainingManifest.model_validate({**settings, "stages": stages}), str(tmp_path))
    assert not found.problems
    made = run(job(tmp_path, tiny_model, to=4), silent)
    assert found.stages[0].n_parameters == made.counts["parameters"]
    per_layer = (made.counts["parameters"] - made.counts["parameters_before"]) // 2
    assert found.stages[1].n_parameters == made.counts["parameters"] + 2 * per_layer
