"""Asks a model the questions of a benchmark through lm-eval, and scores what it says."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from math import isfinite, nan

from manifests.errors import RequestError
from manifests.schema_evaluation import Benchmark
from training.benchmarks.catalogue import task_of
from training.benchmarks.means import CHOSEN
from training.benchmarks.task import Marked, Task
from training.evaluating.chat_models import NO_TEMPLATE
from training.evaluating.engine import Engine, Told
from training.evaluating.harness_runs import Sample, logged, notes_of
from training.evaluating.harness_tasks import as_lm_eval
from training.evaluating.intervals import aggregated, by_group, means, score_of
from training.evaluating.lm_eval_tasks import run_lm_eval_task
from training.evaluating.local_data import Question, check_enough, examples_of, questions_of
from training.evaluating.results import Evaluated, Item
from training.jobs import Cell

NOT_FINITE = "a log-likelihood is no number: weights or activations of the model are not finite"


def run_benchmark(
    engine: Engine, benchmark: Benchmark, chat: bool, base: str, seed: int, told: Told | None = None
) -> tuple[Evaluated, list[Item]]:
    """What a model comes to on a benchmark, and each question with what was said.

    Args:
        engine: the model.
        benchmark: of the manifest.
        chat: whether it is asked in its chat template where the benchmark leaves that open.
        base: where relative paths start.
        seed: of examples that are drawn.
        told: is told how many prompts are done, of how many.

    Returns:
        The scores, or `why` there are none, as of a model without a chat template that is to be asked in one.

    Raises:
        RequestError: the data is not what the benchmark needs, or answers are longer than the model's window.
        RunError: a server ended.
    """
    if benchmark.lm_eval is not None:
        return run_lm_eval_task(engine, benchmark, chat, base, seed, told)
    return run_task(engine, task_of(benchmark.task or benchmark.name), benchmark, chat, base, seed, told)


def run_task(
    engine: Engine, task: Task, benchmark: Benchmark, chat: bool, base: str, seed: int, told: Told | None = None
) -> tuple[Evaluated, list[Item]]:
    """See `run_benchmark`; of a known benchmark."""
    shots = task.shots if benchmark.shots is None else benchmark.shots
    max_new_tokens = benchmark.max_new_tokens or task.max_new_tokens
    rows = questions_of(task, benchmark, base)
    pool = examples_of(task, benchmark, base, shots)
    check_enough(task, benchmark, rows, pool, shots)
    in_chat = is_in_chat(task, benchmark, chat)
    if in_chat and engine.tokenizer.chat_template is None:
        side = benchmark.side or task.side
        return Evaluated(name=benchmark.name, kind="benchmark", side=side, why=NO_TEMPLATE), []
    if task.form == "generation" and max_new_tokens >= engine.window:
        raise RequestError(
            f"benchmarks.{benchmark.name}: answers of {max_new_tokens} tokens, and the model reads {engine.window} "
            "together with the prompt; set a smaller `max_new_tokens`"
        )
    asked = as_lm_eval(task, rows, pool, shots, max_new_tokens, seed)
    samples = logged(engine, {task.name: asked}, in_chat, seed, told)[0][task.name]
    settings: dict[str, Cell] = {
        "task": task.name,
        "shots": shots,
        "form": "log-likelihood" if task.form == "choices" else "generation",
        "chat": "yes" if in_chat else "no",
        "version": task.version,
        "lm_eval": version("lm_eval"),
        "data": benchmark.data or f"hub: {task.hub[0]}",
        **task.settings,
    }
    if shots and task.sampler == "random":
        settings["seed"] = seed
    if benchmark.limit is not None:
        settings["limit"] = benchmark.limit
    if task.source:
        settings["source"] = task.source
    result = Evaluated(
        name=benchmark.name,
        kind="benchmark",
        side=benchmark.side or task.side,
        main=task.main,
        settings=settings,
        notes=notes_of(engine, samples, 0 if task.form == "choices" else max_new_tokens),
    )
    if task.form == "choices":
        return _chosen(result, task, rows, samples)
    result.settings |= {"max_new_tokens": max_new_tokens, "decoding": "greedy"}
    if task.is_instruct and not in_chat:
        result.notes.append("made for chat models, and asked without a chat template")
    return _marked(result, task, rows, samples)


def is_in_chat(task: Task, benchmark: Benchmark, chat: bool) -> bool:
    """Whether questions are asked in the chat template: as the benchmark says, else by what it is made for."""
    if benchmark.chat is not None:
        return benchmark.chat
    return task.form != "choices" and (chat or task.is_instruct)


# Choices


def _chosen(
    result: Evaluated, task: Task, rows: Sequence[Question], samples: Sequence[Sample]
) -> tuple[Evaluated, list[Item]]:
    """Accuracy of the likeliest choice, as a whole and per character."""
    assert task.choices is not None
    result.settings |= {"acc": "likeliest choice", "acc_norm": "likeliest choice per character"}
    likelihoods = [[float(value) for value, _ in sample["filtered_resps"]] for sample in samples]
    if not all(isfinite(value) for of in likelihoods for value in of):
        result.why = NOT_FINITE
        return result, []
    items = list[Item]()
    for row, sample, of in zip(rows, samples, likelihoods, strict=True):
        choices, right = task.choices(row.doc), task.right(row.doc)
        assert isinstance(right, int)
        scores = [value / len(text) for value, text in zip(of, choices, strict=True)] if _is_norm(task) else of
        items.append(
            Item(
                id=row.id,
                group=task.group(row.doc) if task.group else "",
                prompt=str(sample["arguments"][0][0]),
                expected=choices[right],
                answer=choices[scores.index(max(scores))],
                score=float(sample[task.main]),
            )
        )
    scored = [
        {"acc": float(sample["acc"]), "acc_norm": float(sample["acc_norm"]), CHOSEN: float(of.index(max(of)))}
        for sample, of in zip(samples, likelihoods, strict=True)
    ]
    return _scored(result, task, rows, scored), items


def _is_norm(task: Task) -> bool:
    return task.main == "acc_norm"


# Generation


def _marked(
    result: Evaluated, task: Task, rows: Sequence[Question], samples: Sequence[Sample]
) -> tuple[Evaluated, list[Item]]:
    """What the benchmark's own marking makes of the answers, all at once."""
    assert task.mark is not None
    answers = [str(sample["filtered_resps"][0]) for sample in samples]
    marks = task.mark([row.doc for row in rows], answers)
    items = [
        Item(
            id=row.id,
            group=task.group(row.doc) if task.group else "",
            prompt=str(sample["arguments"][0][0]),
            expected=str(task.right(row.doc)),
            answer=answer,
            score=float(mark.scores[task.main]),
            note=_note(mark),
        )
        for row, sample, answer, mark in zip(rows, samples, answers, marks, strict=True)
    ]
    return _scored(result, task, rows, [mark.scores for mark in marks]), items


def _note(mark: Marked) -> str:
    return "; ".join(filter(None, [mark.note, f"read: {mark.read}" if mark.read else ""]))


# Scores


def _scored(
    result: Evaluated, task: Task, rows: Sequence[Question], scores: Sequence[Mapping[str, float]]
) -> Evaluated:
    """The scores of all questions, of each group, and of each question."""
    docs = [row.doc for row in rows]
    values = means(scores)
    result.scores = {name: score_of(of) for name, of in values.items() if name != CHOSEN}
    result.units = task.units(docs, scores) if task.units is not None else values[task.main]
    if task.aggregate is not None:
        together = task.aggregate
        for name, value in together(docs, scores).items():

            def again(places: Sequence[int], name: str = name) -> float:
                return together([docs[place] for place in places], [scores[place] for place in places]).get(name, nan)

            result.scores[name] = aggregated(value, len(docs), again)
    if task.group is not None:
        result.groups = by_group([task.group(doc) for doc in docs], values[task.main])
    return result
