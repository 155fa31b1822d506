"""The rows of a benchmark: from Parquet and JSONL files, or from the hub; checked before anything is asked."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from classifiers.rows import PARQUET, input_files, json_rows
from manifests.errors import RequestError, RunError
from manifests.schema_evaluation import Benchmark
from manifests.store import resolve
from training.benchmarks.task import Doc, Task
from training.chat.rows import content_hash

ID_COLUMNS = ("id", "task_id", "question_id", "key")
"""Where datasets keep the name of a question."""
OWN_EXAMPLES = "examples of the benchmark"


@dataclass(frozen=True)
class Question:
    """A row of a benchmark, and where it stands."""

    doc: Doc
    place: str
    """File and record, as errors name it."""

    @property
    def id(self) -> str:
        """Its own name, or a hash of what it holds."""
        named = next((self.doc[name] for name in ID_COLUMNS if self.doc.get(name) is not None), None)
        return str(named) if named is not None else f"{content_hash(self.doc):016x}"


def questions_of(task: Task, benchmark: Benchmark, base: str) -> list[Question]:
    """What is asked, in the order of the files; with a limit, the rows whose contents hash lowest.

    Raises:
        RequestError: there are none, they cannot be read, or one is not what the benchmark needs: names benchmark,
            file, record and column, and the columns that are valid.
    """
    at = f"benchmarks.{benchmark.name}"
    if benchmark.data is not None:
        found = list(file_rows(benchmark.data, base, f"{at}.data"))
    else:
        found = hub_rows(task, task.test_split, at, "data")
    if not found:
        raise RequestError(f"{at}: {benchmark.data or task.hub[0]}: holds no row; {_valid(task)}")
    for row in found:
        check(task, row, at)
    return chosen(found, benchmark.limit)


def examples_of(task: Task, benchmark: Benchmark, base: str, shots: int) -> list[Question]:
    """Where worked examples come from; none where none are shown.

    Raises:
        RequestError: they cannot be read, or the benchmark has none: names what to write.
    """
    at = f"benchmarks.{benchmark.name}"
    if not shots:
        return []
    if benchmark.examples is not None:
        found = list(file_rows(benchmark.examples, base, f"{at}.examples"))
    elif task.examples:
        found = [Question(doc, f"{OWN_EXAMPLES}: {n}") for n, doc in enumerate(task.examples, 1)]
    elif task.example_split is not None:
        found = hub_rows(task, task.example_split, at, "examples")
    else:
        raise RequestError(
            f"{at}: {shots} shots, and the benchmark has no examples of its own; name `examples`, a file with "
            f"{_columns(task)}, or `shots: 0`"
        )
    if not task.examples or benchmark.examples is not None:  # a benchmark's own need not have all columns
        for row in found:
            check(task, row, at)
    return found


def check_enough(
    task: Task, benchmark: Benchmark, rows: Sequence[Question], pool: Sequence[Question], n: int
) -> None:
    """Check that each question has its examples, itself not among them.

    Raises:
        RequestError: one has too few; names it.
    """
    if not n:
        return
    of_group = Counter(group_of(task, row.doc) for row in pool)
    alike = Counter((group_of(task, row.doc), task.ask(row.doc)) for row in pool)
    for row in rows:
        group = group_of(task, row.doc)
        there = of_group[group] - alike[group, task.ask(row.doc)]
        if there < n:
            whose = f" of its group `{group}`" if group else ""
            raise RequestError(
                f"benchmarks.{benchmark.name}: {row.place}: {n} shots, and there are {there} examples{whose} beside "
                "the question itself; name more in `examples`, or fewer `shots`"
            )


def group_of(task: Task, doc: Doc) -> str:
    """The group whose examples a question is shown; empty where that is all of them."""
    return task.group(doc) if task.same_group_examples and task.group is not None else ""


def chosen(rows: list[Question], limit: int | None) -> list[Question]:
    """All rows, or those whose contents hash lowest, in their order."""
    if limit is None or limit >= len(rows):
        return rows
    hashed = ((content_hash(row.doc), number) for number, row in enumerate(rows))
    return [rows[number] for number in sorted(number for _, number in heapq.nsmallest(limit, hashed))]


# Files


def file_rows(path: str, base: str, at: str) -> Iterator[Question]:
    """All columns of the rows of a file, a folder or a glob, in the order of the files.

    Raises:
        RequestError: there is no such file, or it cannot be read; names the field of the manifest.
    """
    try:
        for file in input_files(resolve(path, base)):
            with fsspec.open(file, "rb") as opened:
                is_parquet = opened.read(4) == PARQUET
                opened.seek(0)
                numbered = _parquet_rows(opened) if is_parquet else _json_rows(opened, file)
                for number, doc in numbered:
                    yield Question(doc, f"{file}:{number}")
    except (RequestError, RunError, OSError, pa.ArrowException) as error:
        raise RequestError(f"{at}: {error}") from error


def _parquet_rows(file: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    batches = pq.ParquetFile(file).iter_batches()
    yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)


def _json_rows(file: Any, path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for numbers, _, rows in json_rows(file, path):
        yield from zip(numbers, rows, strict=True)


# The hub


def hub_rows(task: Task, split: str, at: str, instead: str) -> list[Question]:
    """A split of a dataset on the hub, of all configurations that the benchmark reads.

    Args:
        task: names the dataset.
        split: of it.
        at: the benchmark, as errors call it.
        instead: the field that would name files.

    Raises:
        RequestError: it cannot be had; says what to name in its place.
    """
    import datasets

    dataset, config = task.hub
    found = list[Question]()
    try:
        for name in task.configurations or [config]:
            of = {task.configuration_column: name} if task.configuration_column else {}
            rows = datasets.load_dataset(dataset, name, split=split)
            label = f"{dataset}/{name or 'default'}/{split}"
            found += [Question({**of, **row}, f"{label}:{number}") for number, row in enumerate(rows, 1)]
    except Exception as error:  # the hub's client raises errors of many kinds
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise RequestError(
            f"{at}: split `{split}` of the dataset `{dataset}` cannot be had: {said}. Where the hub cannot be "
            f"reached, name `{instead}`: Parquet or JSONL with {_columns(task)}"
        ) from error
    return found


# What a row must hold


def check(task: Task, row: Question, at: str) -> None:
    """Check a row: its columns, and that the benchmark can ask it.

    Raises:
        RequestError: names the record, what is wrong with it, and what would be valid.
    """
    for name in task.columns:
        if row.doc.get(name) is None:
            found = "is null" if name in row.doc else f"is not there; found: {', '.join(row.doc)}"
            raise RequestError(f"{at}: {row.place}: `{name}` {found}; {_valid(task)}")
    try:
        task.ask(row.doc)
        right = task.right(row.doc)
        choices = task.choices(row.doc) if task.choices is not None else []
    except RequestError as error:
        raise RequestError(f"{at}: {row.place}: {error}") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"
        raise RequestError(f"{at}: {row.place}: cannot be asked: {said}; {_valid(task)}") from error
    if task.form == "choices":
        if len(choices) < 2 or not all(isinstance(text, str) and text for text in choices):
            raise RequestError(f"{at}: {row.place}: found the choices {choices!r}; expected two texts or more")
        if isinstance(right, bool) or not isinstance(right, int) or not 0 <= right < len(choices):
            raise RequestError(
                f"{at}: {row.place}: the right choice is {right!r}; expected a place from 0 to {len(choices) - 1}"
            )


def _valid(task: Task) -> str:
    return f"valid for `{task.name}`: {_columns(task)}, as in the dataset `{task.hub[0]}`"


def _columns(task: Task) -> str:
    return "the columns " + ", ".join(f"`{name}`" for name in task.columns)
