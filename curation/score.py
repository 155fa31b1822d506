"""Scores for documents in any Parquet or JSONL file: the same rows, with two more columns per model.

A file is scored by one task in bounded batches and appears whole or not at all; one that is there already, for the
same input and models, is not scored again.
"""

import contextlib
import gzip
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash
import zstandard
from numpy.typing import NDArray

from classifiers.rows import GZIP, PARQUET, ROWS_AT_ONCE, ZSTD, compression, frames, json_rows
from classifiers.scorer import Scorer, Scores, find_model
from curation.read_stream import digest_range, open_input
from curation.top import TopShare, top_share
from manifests.engine import Engine, map_shards
from manifests.errors import RequestError, RunError
from manifests.store import Folder, resolve

LANGUAGE = "language"
"""Column that says which model of several a text is for, as `onggi curate` writes it; else it is identified."""
NOTES = "scores"
"""Folder of a note per scored file, written after it."""

Progress = Callable[[str, float, float, str], None]


@dataclass(frozen=True)
class Model:
    """A model and what its columns are called: NAME_score and NAME_int_score."""

    name: str
    path: str
    label: str | None = None


@dataclass(frozen=True)
class ScoreTask:
    """One file to score; pickles to a worker."""

    path: str
    output: str
    name: str
    text: str
    models: tuple[Model, ...]

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True)
class Scored:
    """What became of one file."""

    n_docs: int
    n_scored: int
    text_bytes: int
    was_there: bool = False
    seconds: float = 0.0


def models_of(text: str, label: str | None, base: str) -> list[Model]:
    """Models as given on the command line: PATH or NAME=PATH, several by commas; paths start at `base`.

    Raises:
        RequestError: two have one name, or a name cannot be that of a column.
    """
    models = []
    for item in text.split(","):
        name, equals, path = item.rpartition("=")
        path = path.rstrip("/")
        name = name if equals else path.rsplit("/", 1)[-1].split(".")[0]
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise RequestError(f"{item}: {name!r} cannot be the name of a column; give one: NAME={path}")
        models.append(Model(name, find_model(resolve(path, base), path), label))
    names = [model.name for model in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RequestError(f"two models are called {twice[0]}; give them names: NAME=PATH")
    return models


def score_files(
    inputs: Sequence[str],
    output: str,
    models: Sequence[Model],
    text: str = "text",
    engine: Engine | int = 1,
    progress: Progress = lambda step, done, total, note: None,
) -> Scored:
    """Score files into a folder, under their own names.

    Args:
        inputs: paths or fsspec URLs of Parquet and JSONL (.gz, .zst) files, whose names differ.
        output: folder.
        models: at least one.
        text: the column that is scored.
        engine: where to work, or a number of processes.
        progress: is told how many files are done.

    Raises:
        RequestError: a file has no such column, has a column of that name already, is of another format, or lies
            where its scores would.
        RunError: a line is no JSON object, or holds a value of that name already.
    """
    names = [path.rsplit("/", 1)[-1] for path in inputs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RequestError(f"two inputs are called {twice[0]}: score them into folders of their own")
    if own := [path for path, name in zip(inputs, names, strict=True) if _is_same(path, Folder(output).url(name))]:
        raise RequestError(f"{own[0]}: would be replaced by itself with scores; give a folder that holds no input")
    for model in models:
        _scorer(model)  # a model that is not there stops everything, before anything is written
    tasks = [ScoreTask(path, output, name, text, tuple(models)) for path, name in zip(inputs, names, strict=True)]
    done, started = list[Scored](), time.perf_counter()
    progress("score", 0, len(tasks), "")
    for _, scored in map_shards(score_file, tasks, engine):
        done.append(scored)
        progress("score", len(done), len(tasks), f"{sum(part.n_docs for part in done):,} documents")
    return Scored(
        sum(part.n_docs for part in done),
        sum(part.n_scored for part in done),
        sum(part.text_bytes for part in done),
        all(part.was_there for part in done),
        time.perf_counter() - started,
    )


def _is_same(path: str, other: str) -> bool:
    return path == other or ("://" not in path + other and Path(path).resolve() == Path(other).resolve())


def score_shares(names: Sequence[str], output: str, models: Sequence[Model], frac: float) -> dict[str, TopShare]:
    """Where the best `frac` of all scores in files that were scored begins, by the name of the model.

    The scores are held in memory, 8 bytes each.
    """
    shares = {}
    for model in models:
        found = [_scores_in(Folder(output).url(name), f"{model.name}_score") for name in names]
        shares[model.name] = top_share(partial(iter, found), frac)
    return shares


def _scores_in(path: str, column: str) -> NDArray[np.float64]:
    """The scores of a file, nulls left out."""
    parts = [frame[column].cast(pl.Float64).drop_nulls() for frame in frames(path, [column])]
    return pl.concat(parts).to_numpy() if parts else np.empty(0)


def score_file(task: ScoreTask) -> Scored:
    """Score one file."""
    folder, notes = Folder(task.output), Folder(task.output) / NOTES
    with open_input(task.path) as file:
        size_bytes = file.seek(0, 2)
        fingerprint = _fingerprint(task, digest_range(file, 0, size_bytes))
        if folder.exists(task.name) and notes.exists(f"{task.name}.json"):
            note = notes.read_json(f"{task.name}.json")
            if note.pop("fingerprint") == fingerprint:
                return Scored(**{**note, "was_there": True})
        file.seek(0)
        is_parquet = file.read(4) == PARQUET
        with folder.writing(task.name) as path, folder.fs.open(path, "wb") as out:
            scored = _score_parquet(task, file, out) if is_parquet else _score_jsonl(task, file, out)
    notes.write_json(f"{task.name}.json", {**asdict(scored), "fingerprint": fingerprint})
    return scored


def _fingerprint(task: ScoreTask, digest: bytes) -> str:
    models = [[model.name, _scorer(model).fingerprint] for model in task.models]
    return xxhash.xxh3_64_hexdigest(orjson.dumps([digest.hex(), task.text, models]))


@lru_cache(8)
def _scorer(model: Model) -> Scorer:
    return Scorer(model.path, model.label)


def _score_parquet(task: ScoreTask, file: BinaryIO, out: BinaryIO) -> Scored:
    try:
        source = pq.ParquetFile(file)
    except pa.ArrowException as error:
        raise RequestError(f"{task.path}: is no Parquet file that can be read: {error}") from error
    _check_columns(task, source.schema_arrow.names)
    kind = source.schema_arrow.field(task.text).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise RequestError(f"{task.path}: the column {task.text!r} holds {kind}; expected text")
    schema = source.schema_arrow
    for name, column in _columns(task):
        schema = schema.append(pa.field(name, column))
    has_language = LANGUAGE in schema.names and pa.types.is_string(schema.field(LANGUAGE).type)
    total = Scored(0, 0, 0)
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for batch in source.iter_batches(batch_size=ROWS_AT_ONCE):
            texts = batch.column(task.text).cast(pa.large_string())
            languages = batch.column(LANGUAGE) if has_language else None
            scores = [_scorer(model).score(texts, languages) for model in task.models]
            columns = [*batch.columns, *_arrays(scores)]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            total = _added(total, texts, scores)
    return total


def _score_jsonl(task: ScoreTask, file: BinaryIO, out: BinaryIO) -> Scored:
    total, names = Scored(0, 0, 0), [name for name, _ in _columns(task)]
    file.seek(0)
    with _encoded(out, compression(file)) as written:
        for numbers, lines, rows in json_rows(file, task.path):
            if not total.n_docs:
                _check_columns(task, list(rows[0]))
            _check_rows(task, numbers, rows)
            texts = pa.array([row.get(task.text) for row in rows], pa.large_string())
            languages = [found if isinstance(found := row.get(LANGUAGE), str) else None for row in rows]
            known = pa.array(languages, pa.string())
            scores = [_scorer(model).score(texts, known) for model in task.models]
            written.write(b"".join(_with_scores(lines, rows, dict(zip(names, _arrays(scores), strict=True)))))
            total = _added(total, texts, scores)
    return total


def _with_scores(
    lines: Sequence[bytes], rows: Sequence[dict[str, Any]], columns: dict[str, pa.Array]
) -> Iterator[bytes]:
    """The lines as they are to the byte, so that no number is rounded, with more at the end of their objects."""
    scores = pa.RecordBatch.from_pydict(columns).to_pylist()
    for line, row, found in zip(lines, rows, scores, strict=True):
        yield line[:-1] + (b"," if row else b"") + orjson.dumps(found)[1:] + b"\n"


def _check_rows(task: ScoreTask, numbers: Sequence[int], rows: Sequence[dict[str, Any]]) -> None:
    added = {name for name, _ in _columns(task)}
    for number, row in zip(numbers, rows, strict=True):
        if there := sorted(added & row.keys()):
            raise RunError(
                f"{task.path}:{number}: has a value {there[0]} already; call the model otherwise: NAME=MODEL"
            )
        if not isinstance(row.get(task.text), str | None):
            found = type(row[task.text]).__name__
            raise RunError(f"{task.path}:{number}: {task.text!r} holds {found}; expected text")


def _encoded(out: BinaryIO, compressed: bytes) -> Any:
    if compressed == GZIP:
        return gzip.GzipFile("", fileobj=out, mode="wb", mtime=0)  # nor the name of the file aside
    if compressed == ZSTD:
        return zstandard.ZstdCompressor().stream_writer(out, closefd=False)
    return contextlib.nullcontext(out)


def _columns(task: ScoreTask) -> list[tuple[str, pa.DataType]]:
    """Names and types of the columns that are added."""
    kinds = (("score", pa.float64()), ("int_score", pa.int64()))
    return [(f"{model.name}_{name}", kind) for model in task.models for name, kind in kinds]


def _arrays(scores: Sequence[Scores]) -> list[pa.Array]:
    """What stands in the columns that are added."""
    return [column for found in scores for column in (found.score, found.int_score)]


def _check_columns(task: ScoreTask, names: Sequence[str]) -> None:
    if task.text not in names:
        raise RequestError(f"{task.path}: has no column {task.text!r} (--text); found: {', '.join(names)}")
    if there := [name for name, _ in _columns(task) if name in names]:
        raise RequestError(f"{task.path}: has a column {there[0]} already; call the model otherwise: NAME=MODEL")


def _added(total: Scored, texts: pa.LargeStringArray, scores: Sequence[Scores]) -> Scored:
    n_scored = len(texts) - scores[0].score.null_count
    text_bytes = int(pc.sum(pc.binary_length(texts)).as_py() or 0)
    return Scored(total.n_docs + len(texts), total.n_scored + n_scored, total.text_bytes + text_bytes)
