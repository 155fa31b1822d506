"""A benchmark as a task of lm-eval, whose prompts, examples and log-likelihoods are then lm-eval's."""

import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from lm_eval.api.samplers import ContextSampler
from lm_eval.api.task import ConfigurableTask

from training.benchmarks.task import Task
from training.evaluating.local_data import Question, group_of

ASKED = "asked"
"""Split of the questions."""
WRITTEN = "written"
"""Metric of answers, which are marked afterwards, all at once."""
Wrapped = Mapping[str, Any]
"""What lm-eval takes for a row: `doc`, the row itself; `description`, what stands before all; `begin`, of its answer,
empty where the model writes all of it; `number`, its place."""


class Rows(list[Wrapped]):
    """Rows as lm-eval reads them: a dataset would fill columns that a row lacks, and change types."""

    features: Mapping[str, None] = dict.fromkeys(("doc", "description", "begin", "number"))


def as_lm_eval(
    task: Task, rows: Sequence[Question], pool: Sequence[Question], shots: int, max_new_tokens: int, seed: int
) -> ConfigurableTask:
    """The benchmark with its questions and its examples.

    Args:
        task: the benchmark.
        rows: what is asked.
        pool: where examples come from.
        shots: examples before a question.
        max_new_tokens: longest answer.
        seed: of the examples that are drawn.
    """
    asked, examples = _wrapped(task, rows), _wrapped(task, pool)
    config: dict[str, Any] = {
        "task": task.name,
        "custom_dataset": lambda **more: {ASKED: asked},
        "test_split": ASKED,
        "fewshot_split": ASKED,  # so that the sampler is told which question is asked
        "fewshot_config": {"sampler": _sampler(task, seed), "process_docs": lambda split: examples},
        "num_fewshot": shots,
        "description": "description",
        "gen_prefix": "begin" if task.begin is not None else None,
        "doc_to_text": lambda row: task.ask(row["doc"]),
        "target_delimiter": task.delimiter,
        "fewshot_delimiter": task.between,
        "metadata": {"version": task.version},
    }
    config |= _choices(task) if task.form == "choices" else _generation(task, max_new_tokens)
    made = ConfigurableTask(config=config)
    made.set_fewshot_seed(seed)
    return made


def _wrapped(task: Task, rows: Sequence[Question]) -> Rows:
    describe, begin = task.describe or (lambda doc: task.description), task.begin or (lambda doc: "")
    return Rows(
        {"doc": row.doc, "description": describe(row.doc), "begin": begin(row.doc), "number": n}
        for n, row in enumerate(rows)
    )


def _choices(task: Task) -> dict[str, Any]:
    of = task.choices
    assert of is not None
    return {
        "output_type": "multiple_choice",
        "doc_to_choice": lambda row: list(of(row["doc"])),
        "doc_to_target": lambda row: task.right(row["doc"]),
        "metric_list": [
            {"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm")
        ],
    }


def _generation(task: Task, max_new_tokens: int) -> dict[str, Any]:
    return {
        "output_type": "generate_until",
        "doc_to_target": lambda row: str(task.right(row["doc"])),
        "process_results": lambda row, results: {WRITTEN: 1.0},
        "metric_list": [{"metric": WRITTEN, "aggregation": "mean", "higher_is_better": True}],
        "generation_kwargs": {"until": list(task.stop), "max_gen_toks": max_new_tokens, "do_sample": False},
    }


def _sampler(task: Task, seed: int) -> type[ContextSampler]:
    """How lm-eval is to choose examples: as it does itself, but never the question, and of its group."""

    class Sampler(ContextSampler):  # type: ignore[misc]
        def __init__(self, df: Iterable[Wrapped] | None = None, **more: Any) -> None:
            super().__init__(list(df or ()), **more)
            self._pools, self._draws = dict[str, _Pool](), dict[str, random.Random]()
            for row in self.df:
                self._pools.setdefault(group_of(task, row["doc"]), []).append((task.ask(row["doc"]), row))
            self._asked = {group: {text for text, _ in pool} for group, pool in self._pools.items()}

        def sample(self, n: int, eval_doc: Wrapped | None = None, df: Any = None, **more: Any) -> Sequence[Wrapped]:
            assert eval_doc is not None
            group, asked = group_of(task, eval_doc["doc"]), task.ask(eval_doc["doc"])
            pool = self._pools.get(group, [])
            if task.sampler == "first":
                return list(islice((row for text, row in pool if text != asked), n))
            # a stream for each group, as lm-eval has one for each of its tasks
            draws = self._draws.setdefault(group, random.Random(seed))
            if asked not in self._asked.get(group, ()):
                return [row for _, row in draws.sample(pool, n)]
            return _drawn_without(asked, draws, pool, n)

    return Sampler


_Pool = list[tuple[str, Wrapped]]
"""Examples, each with what it asks."""


def _drawn_without(asked: str, draws: random.Random, pool: _Pool, n: int) -> list[Wrapped]:
    """n examples from a pool that has the question: as lm-eval does it, one more is drawn, and it is left out."""
    found = [row for text, row in draws.sample(pool, n + 1) if text != asked] if n < len(pool) else []
    if len(found) < n:  # it is there more than once
        found = [row for _, row in draws.sample([one for one in pool if one[0] != asked], n)]
    return found[:n]
