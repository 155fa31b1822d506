"""Recipes of evaluations say what both reports publish."""

from typing import Any

import pytest

from manifests.load import load_kind
from manifests.recipes import find_manifest, list_recipes, read_recipe
from manifests.schema_evaluation import EvaluationManifest

RECIPES = [recipe.name for recipe in list_recipes() if recipe.kind == "evaluation"]
PUBLISHED: dict[str, dict[str, int]] = {
    "kanana-eval": {"mmlu": 5, "kmmlu": 5, "haerae": 5, "humaneval": 0, "mbpp": 3, "gsm8k": 5}
    | dict.fromkeys(("mmlu-cot", "kmmlu-cot", "haerae-cot", "gsm8k-cot", "math-cot"), 0),
    "dna-eval": {"kmmlu": 5, "belebele-ko": 0, "mmlu": 5, "mmlu-pro": 5, "gsm8k": 5}
    | {f"kobest-{name}": 5 for name in ("boolq", "copa", "wic", "hellaswag", "sentineg")},
}
"""Shots: papers' tables, and DNA's model card."""
JUDGE = "gpt-4o-2024-08-06"


def manifest(name: str, *overrides: Any) -> EvaluationManifest:
    return load_kind(EvaluationManifest, find_manifest(name), list(overrides))


@pytest.mark.parametrize("name", RECIPES)
def test_shots_are_those_that_were_published(name: str) -> None:
    shots = {item.name: item.shots for item in manifest(name).benchmarks}
    assert {benchmark: shots.get(benchmark) for benchmark in PUBLISHED[name]} == PUBLISHED[name]


def test_both_reports_have_one() -> None:
    assert set(RECIPES) == set(PUBLISHED)


def test_kanana_is_judged_by_one_judge() -> None:
    judged = manifest("kanana-eval").judged
    assert {item.form for item in judged} == {"mt-bench", "logickor", "komt-bench", "wildbench"}
    assert {item.judge.model for item in judged} == {JUDGE}


def test_kanana_states_its_answer_forms() -> None:
    text = read_recipe("kanana-eval")
    for said in (
        "Therefore, the answer is: X",
        "따라서, 정답은: X",
        r"Put your final answer within \boxed{}. {question}",
    ):
        assert said in text


def test_dna_hides_sentences_up_to_32k() -> None:
    needle = manifest("dna-eval").needle
    assert needle is not None and max(needle.lengths) == 32_768 and needle.languages == ["ko", "en"]


@pytest.mark.parametrize("name", RECIPES)
def test_an_evaluation_points_at_the_models_of_its_user(name: str) -> None:
    found = manifest(name, "models.0.path=mine/model", "engine=transformers", "output=elsewhere")
    assert (found.models[0].path, found.engine, found.output.path) == ("mine/model", "transformers", "elsewhere")
    assert all(not model.path.startswith("/") for model in found.models)
