"""lm-eval's own tasks over rows of a test's, without the hub: the oracle of prompts and of marks."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from training.benchmarks import shipped
from training.benchmarks.task import Doc, Task

SEED = 1234
SPLITS = ("test", "dev", "train", "validation")


def declared(path: str) -> dict[str, Any]:
    """A shipped YAML file with what it includes; functions stay names."""
    from lm_eval.tasks._yaml_loader import load_yaml

    return load_yaml(shipped.folder("") / path, resolve_func=False)


def files(folder: str) -> list[Path]:
    """YAML files of tasks in a folder."""
    return sorted(path for path in shipped.folder(folder).glob("*.yaml") if not path.name.startswith("_"))


def oracle(path: str, rows: Sequence[Doc], examples: Sequence[Doc]) -> Any:
    """lm-eval's task of a shipped YAML file; all splits but that of the test hold the examples."""
    from datasets import Dataset, DatasetDict
    from lm_eval.api.task import ConfigurableTask

    config = _config(path)
    test = config["test_split"]
    splits = dict.fromkeys(SPLITS, examples) | {test: [*rows, *examples] if _same(config) else rows}

    def dataset(**_: Any) -> DatasetDict:
        return DatasetDict({name: Dataset.from_list([dict(row) for row in part]) for name, part in splits.items()})

    found = ConfigurableTask(config=config | {"custom_dataset": dataset})
    found.set_fewshot_seed(SEED)
    return found


def _same(config: Mapping[str, Any]) -> bool:
    """Whether examples are of the questions' own split."""
    return config.get("fewshot_split") == config["test_split"]


def _config(path: str) -> dict[str, Any]:
    from lm_eval.tasks._yaml_loader import load_yaml

    with pytest.MonkeyPatch.context() as patch:
        if path.startswith("minerva"):  # its module asks for another antlr4, for marks that are not compared here
            patch.setattr(importlib.metadata, "version", lambda name: "4.11.0")
        config = load_yaml(shipped.folder("") / path)
    config["metric_list"] = [one for one in config["metric_list"] if not one.get("hf_evaluate")]  # of the hub
    return {key: value for key, value in config.items() if key not in ("tag", "group")}


def sampled(found: Any, row: Doc, n: int) -> list[Doc]:
    """The examples that lm-eval takes for a row, when it is asked next."""
    found.set_fewshot_seed(SEED)
    is_own = found.fewshot_cfg.split == found.config.test_split
    drawn = list(found.sampler.sample(n=n, eval_doc=row if is_own else None))
    found.set_fewshot_seed(SEED)
    return drawn


def prompt(task: Task, row: Doc, examples: Sequence[Doc]) -> str:
    """A benchmark's question behind examples, by the contract of `Task`."""
    shown = [task.ask(one) + task.delimiter + answer(task, one) + task.between for one in examples]
    return (task.describe(row) if task.describe else task.description) + "".join(shown) + task.ask(row)


def answer(task: Task, row: Doc) -> str:
    """What an example says behind its question."""
    right = task.right(row)
    if isinstance(right, str):
        return right
    assert task.choices
    return task.choices(row)[right]
