"""Manifests of evaluations, and what trainings and their gates name of them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests.errors import RequestError
from manifests.load import load_kind
from manifests.schema_evaluation import BENCHMARKS, Benchmark, EvaluationManifest
from manifests.schema_training import TrainingManifest

SMALL = {
    "kind": "evaluation",
    "name": "small",
    "models": [{"name": "a", "path": "a"}, {"name": "b", "path": "b"}],
    "benchmarks": ["kmmlu", {"name": "korean-law", "task": "kmmlu", "data": "law.jsonl", "shots": 0}],
    "needle": {"lengths": [1024, 4096]},
    "judged": [
        {"name": "logickor", "form": "logickor", "data": "l.jsonl", "judge": {"model": "j", "url": "http://x"}}
    ],
    "output": "out",
}


def load(folder: Path, **changes: Any) -> EvaluationManifest:
    path = folder / "m.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **changes}))
    return load_kind(EvaluationManifest, str(path))


def test_a_small_one(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert found.names() == ["kmmlu", "korean-law", "logickor", "needle"]
    assert found.benchmarks[0] == Benchmark(name="kmmlu")
    assert found.engine == "transformers"
    assert load(tmp_path, engine="vllm").engine != "transformers"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_can_be_named(name: str, tmp_path: Path) -> None:
    assert load(tmp_path, benchmarks=[name]).benchmarks[0].name == name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"benchmarks": ["kmlu"]}, "benchmarks[0].name: `kmlu` is no benchmark; valid: mmlu,"),
        ({"benchmarks": [{"name": "x", "task": "y"}]}, "benchmarks[0].task: `y` is no benchmark"),
        ({"benchmarks": [{"name": "x", "task": "mmlu", "lm_eval": "mmlu"}]}, "leave `task` out"),
        ({"benchmarks": ["kmmlu", "kmmlu"]}, "`kmmlu` is the name of two results"),
        ({"benchmarks": [{"name": "needle", "task": "mmlu"}]}, "`needle` is the name of two results"),
        ({"benchmarks": [], "needle": None, "judged": []}, "nothing is measured"),
        ({"validation": [{"name": "kmmlu", "text": "x"}]}, "`kmmlu` is the name of two results"),
        ({"models": [{"name": "a", "path": "a"}] * 2}, "'a' is used twice"),
        ({"compare_with": "c"}, "'c' is none of `models`: a, b"),
        ({"needle": {"lengths": [1024, 1024]}}, "name each once"),
        ({"needle": {"lengths": [8]}}, "at least 64"),
        ({"judged": [SMALL["judged"][0] | {"pairwise": "c"}]}, "'c' is none of `models`: a, b"),  # type: ignore[index]
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as error:
        load(tmp_path, **changes)
    assert said in str(error.value)


TRAINING = {
    "kind": "training",
    "name": "t",
    "base": "base",
    "stages": [{"name": "cpt", "kind": "cpt", "mixture": "mix"}],
    "evaluation": {"benchmarks": ["mmlu"], "needle": {"lengths": [1024], "languages": ["en"]}},
    "output": "out",
}


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ({"gate": "score", "of": "mmlu", "max_fall": 0.05}, ""),
        ({"gate": "score", "of": "needle", "min": 0.9}, ""),
        ({"gate": "needle", "min": 0.9, "lengths": [1024]}, ""),
        ({"gate": "score", "of": "kmmlu", "max_fall": 0.05}, "'kmmlu' is no result of the manifest's `evaluation`"),
        ({"gate": "score", "of": "mmlu"}, "name `max_fall`, `min`, or both"),
        ({"gate": "score", "of": "mmlu", "max_fall": 0.05, "against": "sft"}, "valid: before, base"),
        ({"gate": "needle", "min": 0.9, "lengths": [2048]}, "the grid has no length 2048; valid: 1024"),
        ({"gate": "needle", "min": 0.9, "languages": ["ko"]}, "the grid has no ko; valid: en"),
    ],
)
def test_gates_name_what_is_evaluated(gate: dict[str, Any], said: str, tmp_path: Path) -> None:
    manifest = {**TRAINING, "stages": [{**TRAINING["stages"][0], "gates": [gate]}]}  # type: ignore[dict-item]
    path = tmp_path / "t.yaml"
    path.write_text(yaml.safe_dump(manifest))
    if not said:
        assert load_kind(TrainingManifest, str(path)).stages[0].gates
        return
    with pytest.raises(RequestError) as error:
        load_kind(TrainingManifest, str(path))
    assert said in str(error.value)


def test_gates_need_an_evaluation(tmp_path: Path) -> None:
    stage = {**TRAINING["stages"][0], "gates": [{"gate": "needle", "min": 0.5}]}  # type: ignore[dict-item]
    path = tmp_path / "t.yaml"
    path.write_text(yaml.safe_dump({**TRAINING, "evaluation": None, "stages": [stage]}))
    with pytest.raises(RequestError, match=r"it judges `evaluation\.needle`, and there is none"):
        load_kind(TrainingManifest, str(path))


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"teacher": "t", "mixture": "m"}, ""),
        ({"teacher": "./t", "data": [{"path": "x"}], "held_out": 0.1, "off_policy": {}}, ""),
        ({"logprobs": "run"}, ""),
        ({"mixture": "m"}, "name one of `teacher` and `logprobs`"),
        ({"teacher": "./t"}, "name one of `mixture` and `data`"),
        ({"teacher": "./t", "mixture": "m", "off_policy": {}}, "takes `data`"),
        ({"teacher": "./t", "data": [{"path": "x"}], "off_policy": {}}, "set it, as 2%"),
        (
            {"teacher": "./t", "data": [{"path": "x"}], "contrastive": {"student": "y"}, "ce_weight": 0.2},
            "ce_weight: is no part of `contrastive`",
        ),
        (
            {"teacher": "./t", "data": [{"path": "x"}], "held_out": 0.1, "off_policy": {}, "ce_weight": 1},
            "ce_weight: 1 is no distillation",
        ),
        ({"logprobs": "run", "loss": "reverse_kl"}, "valid are forward_kl, skew_kl"),
        ({"teacher": "later", "mixture": "m"}, "'later' is no earlier stage"),
    ],
)
def test_distillation(stage: dict[str, Any], said: str, tmp_path: Path) -> None:
    if stage.get("teacher") == "t":
        stage = stage | {"teacher": "base"}
    manifest = {**TRAINING, "stages": [{"name": "distill", "kind": "distill", **stage}]}
    path = tmp_path / "t.yaml"
    path.write_text(yaml.safe_dump(manifest))
    if not said:
        assert load_kind(TrainingManifest, str(path)).stages[0].kind == "distill"
        return
    with pytest.raises(RequestError) as error:
        load_kind(TrainingManifest, str(path))
    assert said in str(error.value)
