"""Tasks of lm-eval itself: by the name of one that it ships, or a YAML file that runs no code of its own."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any

import datasets
import lm_eval.tasks
from jinja2.exceptions import SecurityError
from lm_eval.api.samplers import ContextSampler
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks._index import Kind
from lm_eval.tasks._yaml_loader import load_yaml

from manifests.errors import OnggiError, RequestError
from manifests.schema_evaluation import Benchmark
from manifests.store import resolve
from training.chat.rows import content_hash
from training.evaluating.chat_models import NO_TEMPLATE
from training.evaluating.engine import Engine, Told
from training.evaluating.harness_models import answer_tokens
from training.evaluating.harness_runs import Sample, logged, notes_of
from training.evaluating.intervals import mean_of_groups, score_of
from training.evaluating.local_data import Question, file_rows
from training.evaluating.results import Evaluated, Item, Score
from training.evaluating.task_files import check_dataset, check_metrics, check_no_code, sandboxed_templates

TASKS_VERSION = 1
"""Raised where the same task would be asked or scored otherwise."""
YAML_ENDINGS = (".yaml", ".yml")
Tasks = dict[str, Any]


def run_lm_eval_task(
    engine: Engine, benchmark: Benchmark, chat: bool, base: str, seed: int, told: Told | None
) -> tuple[Evaluated, list[Item]]:
    """What a model comes to on a task, group or tag of lm-eval.

    Raises:
        RequestError: there is no such task, its data cannot be had, or it would run code; says which.
    """
    at = f"benchmarks.{benchmark.name}.lm_eval"
    is_file = str(benchmark.lm_eval).endswith(YAML_ENDINGS)
    with sandboxed_templates(f"{at}: {benchmark.lm_eval}") if is_file else nullcontext():
        return _run(engine, benchmark, chat, base, seed, told, at)


def _run(
    engine: Engine, benchmark: Benchmark, chat: bool, base: str, seed: int, told: Told | None, at: str
) -> tuple[Evaluated, list[Item]]:
    tasks, groups = _opened(benchmark, base, at)
    for task in tasks.values():
        _settle(task, benchmark, seed, at)
        _check_enough(task, at)
    in_chat = _is_in_chat(tasks, benchmark, chat)
    if in_chat and engine.tokenizer.chat_template is None:
        return Evaluated(name=benchmark.name, kind="benchmark", side=benchmark.side or "core", why=NO_TEMPLATE), []
    limited = {name: _lowest(task, benchmark.limit) for name, task in tasks.items()} if benchmark.limit else None
    samples, found = logged(engine, tasks, in_chat, seed, told, groups, limited)
    result = Evaluated(
        name=benchmark.name,
        kind="benchmark",
        side=benchmark.side or "core",
        settings={
            "task": str(benchmark.lm_eval),
            "shots": ", ".join(sorted({str(task.config.num_fewshot) for task in tasks.values()})),
            "form": ", ".join(sorted({str(task.OUTPUT_TYPE) for task in tasks.values()})),
            "chat": "yes" if in_chat else "no",
            "version": ", ".join(sorted({str(task.VERSION) for task in tasks.values()})),
            "lm_eval": version("lm_eval"),
            "seed": seed,
        },
        notes=[note for task, of in samples.items() for note in notes_of(engine, of, _answer_tokens(tasks[task]))],
    )
    if benchmark.limit:
        result.settings["limit"] = benchmark.limit if len(tasks) == 1 else f"{benchmark.limit} of each task"
    return _scored(result, tasks, groups, samples, found)


# Which tasks


def _opened(benchmark: Benchmark, base: str, at: str) -> tuple[Tasks, Mapping[str, Any]]:
    """The tasks by name, and the groups that they are in."""
    named = str(benchmark.lm_eval)
    try:
        if named.endswith(YAML_ENDINGS):
            task = _from_yaml(Path(resolve(named, base)).resolve(), benchmark, base, at)
            return {task.task_name: task}, {}
        return _shipped(named, benchmark, base, at)
    except (OnggiError, SecurityError):
        raise
    except Exception as error:  # lm-eval and the hub's client raise errors of many kinds
        said = next(iter(str(error).splitlines()), "")
        raise RequestError(
            f"{at}: `{named}` cannot be opened: {type(error).__name__}: {said}. Where the hub cannot be reached, "
            "name `data`: Parquet or JSONL in the columns of the task's dataset"
        ) from error


def _from_yaml(path: Path, benchmark: Benchmark, base: str, at: str) -> ConfigurableTask:
    if not path.is_file():
        raise RequestError(f"{at}: {path}: there is no such file; name a YAML file, or a task that lm-eval ships")
    check_no_code(path, at)
    check_dataset(load_yaml(path, resolve_func=False), path, at)
    config = load_yaml(path)
    check_metrics(config, path, at)
    if not isinstance(config.get("task"), str):
        raise RequestError(
            f"{at}: {path}: `task`: expected the name of one task; groups are those that lm-eval ships"
        )
    return _made(config, benchmark, base, at)


def _shipped(named: str, benchmark: Benchmark, base: str, at: str) -> tuple[Tasks, Mapping[str, Any]]:
    manager = lm_eval.tasks.TaskManager()
    entry = manager.task_index.get(named)
    if entry is None:
        near = ", ".join(name for name in manager.all_tasks if named.lower() in name.lower()) or "`lm-eval ls tasks`"
        raise RequestError(f"{at}: lm-eval ships no task `{named}`; see {near[:300]}")
    if entry.kind == Kind.TASK and entry.yaml_path is not None:
        task = _made(load_yaml(entry.yaml_path), benchmark, base, at)
        return {task.task_name: task}, {}
    if benchmark.data is not None:
        raise RequestError(f"{at}: `{named}` is several tasks; `data` takes the place of one task's dataset")
    loaded = manager.load([named])
    return loaded["tasks"], loaded.get("groups", {})


def _made(config: dict[str, Any], benchmark: Benchmark, base: str, at: str) -> ConfigurableTask:
    """A single task, with the files of the manifest in the place of its dataset."""
    for name in ("tag", "group", "task_list"):
        config.pop(name, None)
    if benchmark.data is not None:
        config |= _from_files(config, benchmark, base, at)
    return ConfigurableTask(config=config)


def _from_files(config: Mapping[str, Any], benchmark: Benchmark, base: str, at: str) -> dict[str, Any]:
    of_config = config.get("fewshot_config") or {}
    asked = config.get("test_split") or config.get("validation_split")
    splits = {config.get(name) for name in ("training_split", "validation_split", "test_split", "fewshot_split")}
    others = {split for split in (*splits, of_config.get("split")) if split not in (None, asked)}
    shots = config.get("num_fewshot") if benchmark.shots is None else benchmark.shots
    rows = _dataset(_read(benchmark.data, base, at), at)
    if shots and others and benchmark.examples is None and not of_config.get("samples"):
        raise RequestError(f"{at}: {shots} shots; name `examples`, a file with the same columns, or `shots: 0`")
    examples = _dataset(_read(benchmark.examples, base, at), at) if benchmark.examples else rows
    there = {asked: rows} | dict.fromkeys(others, examples)
    return {"custom_dataset": lambda **more: there, "dataset_kwargs": None}


def _read(path: str | None, base: str, at: str) -> list[Question]:
    assert path is not None
    found = list(file_rows(path, base, at))
    if not found:
        raise RequestError(f"{at}: {path}: holds no row")
    return found


def _dataset(rows: Sequence[Question], at: str) -> datasets.Dataset:
    try:
        return datasets.Dataset.from_list([dict(row.doc) for row in rows])
    except Exception as error:  # a column of several types
        raise RequestError(f"{at}: {rows[0].place} and after it: {error}") from error


def _settle(task: Any, benchmark: Benchmark, seed: int, at: str) -> None:
    """Shots, length of answers and seed, as lm-eval's command line would set them."""
    if getattr(task, "UNSAFE_CODE", False):
        raise RequestError(
            f"{at}: `{task.task_name}` runs what the model writes, outside any sandbox; name the benchmark of Onggi "
            "instead (`humaneval`, `mbpp`, ...)"
        )
    if getattr(task, "MULTIMODAL", False):
        raise RequestError(f"{at}: `{task.task_name}` shows images or sounds; models of text are evaluated")
    if benchmark.shots is not None:
        task.set_config("num_fewshot", benchmark.shots)
    elif task.config.num_fewshot is None:
        task.set_config("num_fewshot", 0)
    if benchmark.max_new_tokens is not None and task.OUTPUT_TYPE == "generate_until":
        task.set_config("generation_kwargs", {"max_gen_toks": benchmark.max_new_tokens}, update=True)
    task.set_fewshot_seed(seed)


def _check_enough(task: Any, at: str) -> None:
    """Check that each question has its examples, itself not among them.

    Raises:
        RequestError: there are too few; says how many there are.
    """
    shots = task.config.num_fewshot
    if not shots:
        return
    pool = list(task.sampler.df) if hasattr(task, "sampler") else []
    is_own = task.fewshot_cfg.split == task.config.test_split  # then lm-eval leaves the question out
    draws_more = is_own and bool(pool) and type(task.sampler) is ContextSampler
    copies = Counter(content_hash(dict(doc)) for doc in pool) if is_own else Counter[int]()
    n_own = max((copies[content_hash(dict(doc))] for doc in task.eval_docs), default=0) if is_own else 0
    there = len(pool) - max(n_own, int(draws_more))
    if there < shots:
        beside = " beside the question itself" if is_own else ""
        raise RequestError(
            f"{at}: `{task.task_name}`: {shots} shots, and there are {there} examples{beside}; name fewer "
            "`shots`, or files with more rows"
        )


def _is_in_chat(tasks: Tasks, benchmark: Benchmark, chat: bool) -> bool:
    writes = all(task.OUTPUT_TYPE == "generate_until" for task in tasks.values())
    return benchmark.chat if benchmark.chat is not None else chat and writes


def _lowest(task: Any, limit: int) -> list[int]:
    """Places of the rows whose contents hash lowest."""
    hashed = sorted((content_hash(dict(doc)), place) for place, doc in enumerate(task.eval_docs))
    return sorted(place for _, place in hashed[:limit])


def _answer_tokens(task: Any) -> int:
    """Longest answer; 0 where none is written."""
    if task.OUTPUT_TYPE != "generate_until":
        return 0
    return answer_tokens(task.config.generation_kwargs)


# Scores


def _scored(
    result: Evaluated,
    tasks: Tasks,
    groups: Mapping[str, Any],
    samples: Mapping[str, Sequence[Sample]],
    found: Mapping[str, Any],
) -> tuple[Evaluated, list[Item]]:
    values = dict[str, dict[str, list[Any]]]()  # by score, by task
    for name, of_task in samples.items():
        for sample in of_task:
            for metric in sample["metrics"]:
                values.setdefault(_score_name(metric, sample["filter"]), {}).setdefault(name, []).append(
                    sample[metric]
                )
    result.main = next(iter(values))
    for score, by_task in values.items():
        key = score if "," in score else f"{score},none"
        result.scores[score] = _overall(key, by_task, tasks, groups, found)
    main = values[result.main]
    if len(tasks) > 1:
        key = result.main if "," in result.main else f"{result.main},none"
        result.groups = {name: _of_task(key, name, main[name], tasks[name], found) for name in main}
    if not isfinite(result.scores[result.main].value):
        result.why = f"its {result.main} is no number: weights or activations of the model are not finite"
        return result, []
    if all(isinstance(one, int | float) for of in main.values() for one in of):
        result.units = [float(one) for of in main.values() for one in of]
    return result, _items(result.main, samples, len(tasks) > 1)


def _score_name(metric: str, by_filter: str) -> str:
    return metric if by_filter == "none" else f"{metric},{by_filter}"


def _of_task(key: str, name: str, values: Sequence[Any], task: Any, found: Mapping[str, Any]) -> Score:
    """A task's score, which lm-eval made; with an interval where it is the mean of plain numbers."""
    value = float(found["results"][name][key])
    is_better = bool(task.higher_is_better().get(key.split(",")[0], True))
    if all(isinstance(one, int | float) for one in values):
        score = score_of([float(one) for one in values])
        if abs(score.value - value) < 1e-9:
            return score.model_copy(update={"more_is_better": is_better})
    return Score(value=value, n=len(values), more_is_better=is_better)


def _overall(
    key: str, by_task: Mapping[str, Sequence[Any]], tasks: Tasks, groups: Mapping[str, Any], found: Mapping[str, Any]
) -> Score:
    """Of the one task, of the group as lm-eval means it, or the mean over all questions."""
    scores = {name: _of_task(key, name, values, tasks[name], found) for name, values in by_task.items()}
    if len(scores) == 1:
        return next(iter(scores.values()))
    more_is_better = next(iter(scores.values())).more_is_better
    n = sum(score.n for score in scores.values())
    top: Mapping[str, Any] = next((found["groups"][name] for name in groups if name in found.get("groups", {})), {})
    plain = all(isinstance(one, int | float) for values in by_task.values() for one in values)
    lists = [[float(one) for one in values] for values in by_task.values()] if plain else []
    pooled = score_of([one for of in lists for one in of]) if plain else None
    value = top.get(key)
    if value is None:
        value = pooled.value if pooled else sum(score.value * score.n for score in scores.values()) / n
    if pooled is not None and abs(pooled.value - value) < 1e-9:
        return pooled.model_copy(update={"more_is_better": more_is_better})
    if plain and abs(sum(score.value for score in scores.values()) / len(scores) - value) < 1e-9:
        return mean_of_groups(lists, float(value)).model_copy(update={"more_is_better": more_is_better})
    return Score(value=float(value), n=n, more_is_better=more_is_better)


def _items(main: str, samples: Mapping[str, Sequence[Sample]], has_groups: bool) -> list[Item]:
    metric, _, by_filter = main.partition(",")
    items = list[Item]()
    for name, of_task in samples.items():
        for sample in of_task:
            if sample["filter"] != (by_filter or "none") or metric not in sample:
                continue
            doc, value = dict(sample["doc"]), sample[metric]
            items.append(
                Item(
                    id=Question(doc, "").id,
                    group=name if has_groups else "",
                    prompt=str(sample["arguments"][0][0]),
                    expected=str(sample["target"]),
                    answer=_answer(sample),
                    score=float(value) if isinstance(value, int | float) else float("nan"),
                )
            )
    return items


def _answer(sample: Sample) -> str:
    """What was written, or which of several continuations was the likeliest."""
    first = sample["filtered_resps"][0]
    if isinstance(first, str):
        return first
    if len(sample["filtered_resps"]) > 1:
        likelihoods = [float(value) for value, *_ in sample["filtered_resps"]]
        return str(sample["arguments"][likelihoods.index(max(likelihoods))][1]).strip()
    return str(first)
