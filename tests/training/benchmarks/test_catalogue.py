"""The catalogue is complete, its tasks keep their contract, and the page about them is current."""

import subprocess
import sys

import pytest

from manifests.errors import RequestError
from manifests.house import HOME
from manifests.schema_evaluation import BENCHMARKS
from training.benchmarks import page
from training.benchmarks.catalogue import MODULES, PLACES, task_of
from training.benchmarks.task import Task


def test_benchmarks_of_manifests_are_those_of_the_catalogue() -> None:
    assert set(PLACES) == set(BENCHMARKS) and len(PLACES) == len(BENCHMARKS) == sum(map(len, MODULES.values()))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_task_says_what_it_is(name: str) -> None:
    task = task_of(name)
    assert task.name == name
    assert task.source and task.version >= 1 and task.main and task.columns and "/" in task.hub[0]
    assert (task.choices is None) == (task.form == "generation") == (task.mark is not None)
    assert not task.same_group_examples or task.group
    assert not (task.shots and not task.examples and not task.example_split)
    assert task_of(name) == task


def test_another_name() -> None:
    with pytest.raises(RequestError, match="`hellaswag` is no benchmark; valid: mmlu, mmlu-cot"):
        task_of("hellaswag")


def test_the_catalogue_imports_nothing_heavy() -> None:
    names = ", ".join(f"training.benchmarks.{name}" for name in MODULES)
    code = (
        f"import sys, training.benchmarks.catalogue, {names}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "lm_eval", "datasets", "sympy"} & set(done.stdout.split())


def test_the_page_is_current() -> None:
    said = page.PAGE.read_text("utf-8")
    assert said == page.written(said, map(task_of, BENCHMARKS)), "run `python -m training.benchmarks.page`"


def test_table() -> None:
    task = Task("gsm8k", ("question", "answer"), ("openai/gsm8k", "main"), "generation", str, str, "exact_match")
    *_, row = page.table([task]).splitlines()
    assert row == (
        "| `gsm8k` | written answer | 0 | `exact_match` | `question`, `answer` | `openai/gsm8k`, `main` |  |"
    )
    with pytest.raises(ValueError, match="the page has no lines"):
        page.written("# Benchmarks\n", [])
