"""Benchmark items from local files: the files that a manifest names, or those of benchmarks known by name."""

import difflib
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import fsspec
import orjson
import polars as pl
import yaml

from manifests.errors import RequestError
from manifests.schema import BenchmarkColumns, BenchmarkFile, Decontaminate
from manifests.store import resolve

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet", ".csv")
TASKS = "benchmark_tasks.yaml"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """One question of a benchmark."""

    benchmark: str
    id: str
    question: str
    choices: tuple[str, ...] = ()
    answer: str = ""


class TaskTable(BenchmarkColumns):
    """Where a named benchmark is published."""

    dataset: str
    """Its name on the hub, OWNER/NAME."""
    subset: str | None = None
    """Part of the dataset: a folder, or a part of the file names."""
    split: str
    """The split that is evaluated on."""


@dataclass(frozen=True)
class _Source:
    """Files of one benchmark that have the same columns."""

    benchmark: str
    files: dict[str, str]
    """Their paths, by the name that rows without one of their own are called by."""
    columns: BenchmarkColumns


def load_items(against: Sequence[str | BenchmarkFile], data_dir: str | None, base: str) -> list[Item]:
    """The items of all benchmarks, in the order of the manifest.

    Args:
        against: names of benchmarks, paths of files, or files with their columns.
        data_dir: folder with the files of named benchmarks.
        base: where relative paths start.

    Raises:
        RequestError: an unknown name, no file, a file without the column, or without a single item.
    """
    sources = [source for entry in against for source in _sources(entry, data_dir, base)]
    of_path = Counter(path for source in sources for path in source.files.values())
    if twice := [path for path, n in of_path.items() if n > 1]:
        raise RequestError(f"decontaminate.against: {twice[0]} is named twice")
    return [item for source in sources for name, path in source.files.items() for item in _items(source, name, path)]


def resolved(settings: Decontaminate, base: str) -> Decontaminate:
    """The settings with absolute paths."""
    against: list[str | BenchmarkFile] = []
    for entry in settings.against:
        if isinstance(entry, BenchmarkFile):
            against.append(entry.model_copy(update={"path": resolve(entry.path, base)}))
        else:
            is_file = entry not in _tasks() and entry.endswith(SUFFIXES)
            against.append(resolve(entry, base) if is_file else entry)
    data_dir = resolve(settings.data_dir, base) if settings.data_dir else None
    return settings.model_copy(update={"against": against, "data_dir": data_dir})


def task_names() -> list[str]:
    """The benchmarks that can be named."""
    return sorted(_tasks())


@cache
def _tasks() -> dict[str, list[TaskTable]]:
    written = yaml.safe_load((files(__package__) / TASKS).read_text(encoding="utf-8"))
    tables = {
        name: [TaskTable.model_validate(table) for table in entry if not isinstance(table, str)]
        for name, entry in written.items()
    }
    groups = {
        name: [table for part in entry if isinstance(part, str) for table in tables[part]]
        for name, entry in written.items()
    }
    return {name: tables[name] + groups[name] for name in written}


def _sources(entry: str | BenchmarkFile, data_dir: str | None, base: str) -> Iterator[_Source]:
    if isinstance(entry, BenchmarkFile):
        path = resolve(entry.path, base)
        name = _stem(posixpath.basename(path))
        yield _Source(entry.name or name, {name: _existing(path)}, entry)
    elif entry in _tasks():
        yield from _task_sources(entry, data_dir, base)
    elif entry.endswith(SUFFIXES):
        path = resolve(entry, base)
        name = _stem(posixpath.basename(path))
        yield _Source(name, {name: _existing(path)}, BenchmarkColumns())
    else:
        close = difflib.get_close_matches(entry.lower(), task_names(), n=1)
        raise RequestError(
            f"decontaminate.against: unknown benchmark {entry!r}; "
            + (f"did you mean {close[0]!r}? " if close else "")
            + f"valid: a file ({', '.join(SUFFIXES)}), or one of {', '.join(task_names())}"
        )


def _task_sources(name: str, data_dir: str | None, base: str) -> Iterator[_Source]:
    if data_dir is None:
        raise RequestError(
            f"decontaminate.against: {name!r} is read from local files: set `decontaminate.data_dir` to the folder "
            f"that holds {_tasks()[name][0].dataset}"
        )
    folder = resolve(data_dir, base)
    for table in _tasks()[name]:
        yield _Source(name, _task_files(name, table, folder), table)


def _task_files(name: str, table: TaskTable, folder: str) -> dict[str, str]:
    """By name, the task's own file in the folder, or the files of its split in a copy of its dataset."""
    fs, root = fsspec.core.url_to_fs(folder)
    alone = [f"{root}/{name}{suffix}" for suffix in SUFFIXES]
    for path in alone:
        if fs.exists(path):
            return {name: fs.unstrip_protocol(path)}
    copies = list(dict.fromkeys([table.dataset, posixpath.basename(table.dataset), name]))
    for copy in copies:
        within = f"{root}/{copy}"
        found = fs.find(within) if fs.isdir(within) else []
        tokens = [token for token in (table.split, table.subset) if token]
        wanted = [
            path for path in found if path.endswith(SUFFIXES) and all(_has(path[len(within) :], t) for t in tokens)
        ]
        if wanted:
            return {_stem(path[len(within) + 1 :]): fs.unstrip_protocol(path) for path in sorted(wanted)}
    part = f" and subset {table.subset!r}" if table.subset else ""
    raise RequestError(
        f"decontaminate.against: {name!r}: no file; looked for {folder}/{name}.jsonl (or {', '.join(SUFFIXES[1:])}), "
        f"and for files of the split {table.split!r}{part} in {', '.join(f'{folder}/{copy}' for copy in copies)}"
    )


def _has(path: str, token: str) -> bool:
    """Whether a path has the token between slashes, dots, hyphens or underscores."""
    return re.search(rf"(?<![^/._-]){re.escape(token)}(?![^/._-])", path) is not None


def _existing(path: str) -> str:
    fs, within = fsspec.core.url_to_fs(path)
    if not fs.isfile(within):
        raise RequestError(f"decontaminate.against: {path}: there is no such file")
    return path


def _stem(path: str) -> str:
    """A path without its suffix, and without the number of its shard if that is the only one."""
    name = next((path.removesuffix(suffix) for suffix in SUFFIXES if path.endswith(suffix)), path)
    return re.sub(r"-00000-of-00001$", "", name)


def _items(source: _Source, file: str, path: str) -> Iterator[Item]:
    columns, n_items = source.columns, 0
    questions = [columns.question] if isinstance(columns.question, str) else columns.question
    choices = [columns.choices] if isinstance(columns.choices, str) else columns.choices
    for number, row in enumerate(_rows(path)):
        if missing := [name for name in [*questions, *choices] if name not in row]:
            raise RequestError(
                f"{path}: row {number} has no column {missing[0]!r}; it has {', '.join(sorted(row))}. Say which "
                "column it is: {path: ..., question: ..., choices: ..., answer: ...}"
            )
        question = "\n".join(_text(row[name]) for name in questions)
        options = tuple(text for name in choices for text in _texts(row[name]))
        name = _text(row.get(columns.id)) or f"{file}/{number}"
        if question.strip() or options:
            n_items += 1
            yield Item(source.benchmark, name, question, options, _answer(row, columns, options))
    if n_items == 0:
        raise RequestError(f"{path}: holds no item: a benchmark without items finds nothing")


def _answer(row: Row, columns: BenchmarkColumns, choices: tuple[str, ...]) -> str:
    """The answer as a text: that of the choice where a letter or a number names one."""
    answer = _text(row.get(columns.answer)).strip() if columns.answer else ""
    if columns.answer_after:
        answer = answer.rsplit(columns.answer_after, 1)[-1].strip()
    if not choices or answer in choices:
        return answer
    place = ord(answer.upper()) - ord("A") if re.fullmatch("[A-Za-z]", answer) else None
    place = int(answer) - columns.first_answer if answer.isdecimal() else place
    return choices[place] if place is not None and 0 <= place < len(choices) else answer


def _texts(value: Any) -> list[str]:
    return [_text(part) for part in value] if isinstance(value, list) else [_text(value)]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(_text(part) for part in value)
    return "" if value is None else str(value)


def _rows(path: str) -> Iterator[Row]:
    try:
        with fsspec.open(path, "rb", compression="infer") as file:
            if path.endswith(".parquet"):
                yield from pl.read_parquet(file).iter_rows(named=True)
            elif path.endswith(".csv"):
                yield from pl.read_csv(file, infer_schema=False).iter_rows(named=True)
            else:
                yield from _json_rows(file, path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise RequestError(f"{path}: cannot be read: {error}") from error


def _json_rows(lines: Iterator[bytes], path: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise RequestError(f"{path}:{number}: is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise RequestError(f"{path}:{number}: expected an object with `question` and `answer`")
        yield row
