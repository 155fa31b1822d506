"""The benchmarks that are known, by their names, and the page about them (docs/benchmarks.md)."""

from collections.abc import Callable, Mapping
from importlib import import_module

from manifests.errors import RequestError
from manifests.schema_evaluation import BENCHMARKS
from training.benchmarks.task import Task

MODULES = {
    "choices_knowledge": ("mmlu", "kmmlu", "haerae", "click"),
    "choices_reading": (
        "kobest-boolq",
        "kobest-copa",
        "kobest-wic",
        "kobest-hellaswag",
        "kobest-sentineg",
        "belebele-en",
        "belebele-ko",
    ),
    "knowledge_answers": ("mmlu-cot", "kmmlu-cot", "haerae-cot"),
    "reasoning": ("mmlu-pro", "bbh"),
    "maths": ("gsm8k", "gsm8k-cot", "math", "math-cot"),
    "code": ("humaneval", "humaneval-instruct", "humaneval-plus", "humaneval-plus-instruct", "mbpp", "mbpp-plus"),
    "ifeval": ("ifeval", "ifeval-ko"),
}
"""Which module has which benchmark, in its `TASKS`; a module is imported when one of its benchmarks is asked for."""
PLACES = {name: module for module, names in MODULES.items() for name in names}


def task_of(name: str) -> Task:
    """The benchmark of that name.

    Raises:
        RequestError: there is none; or it needs an extra that is not installed.
    """
    if name not in PLACES:
        raise RequestError(f"`{name}` is no benchmark; valid: {', '.join(BENCHMARKS)}")
    tasks: Mapping[str, Task | Callable[[], Task]] = import_module(f"training.benchmarks.{PLACES[name]}").TASKS
    found = tasks[name]
    return found if isinstance(found, Task) else found()
