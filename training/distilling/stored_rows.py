"""The table `logprobs` of a run of `onggi synth`, as what a student is trained on.

Each row is a prompt and its answer in tokens, with the probabilities of the answer's tokens and of the likeliest at
each of its places. They lie beside the checkpoints as arrays that every process maps into its memory, made once by
the first process.
"""

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from classifiers.rows import input_files
from manifests.contracts import check_version
from manifests.contracts_synthetic import LOGPROBS
from manifests.engine import Progress
from manifests.errors import RequestError
from manifests.schema_distillation import Distill
from manifests.store import resolve
from synth.teachers.tokens import tokenizer_digest
from training.distilling.stored import SUM_MAX
from training.distilling.vocabularies import check_stored
from training.inputs import LOGPROBS as TABLE
from training.jobs import CHECKPOINTS, Job
from training.tuning.examples import ABOUT, FOLDER, WAIT_S, About, Examples
from training.tuning.loss import processes

ROWS_AT_ONCE = 512
ARRAYS = ("ids", "learnt", "bounds", "entry", "prompt_hash")
OF_PLACES = ("stored", "top_ids", "top_logprobs", "logprobs")
I32 = NDArray[np.int32]
F32 = NDArray[np.float32]


@dataclass(frozen=True)
class StoredRows:
    """n places of answers, k likeliest tokens at each."""

    examples: Examples
    stored: NDArray[np.int64]
    """(tokens of all examples): number of the place, -1 for those of prompts."""
    top_ids: I32
    """(n, k): as many as all rows of the table have; what more one has counts among the rest."""
    top_logprobs: F32
    """(n, k)."""
    logprobs: F32
    """(n): of the answer's own token."""


def read_stored(job: Job, stage: Distill, n_ids: int, progress: Progress) -> StoredRows:
    """The rows of a stage, unless they were read before.

    Args:
        job: of the stage.
        stage: of the manifest.
        n_ids: tokens of the vocabulary.
        progress: is told what is read.

    Raises:
        RequestError: there is no such table, it is empty or damaged, or its tokens are not the student's.
    """
    assert stage.logprobs is not None
    folder = job.path / CHECKPOINTS / FOLDER
    if processes().is_main_process and not folder.is_dir():
        path = f"{resolve(stage.logprobs, job.manifest_base)}/{TABLE}"
        model = job.models["model"]
        made = _Made(stage.max_length, n_ids, tokenizer_digest(model))
        for number, (file, table) in enumerate(_tables(path)):
            progress(f"{stage.name}: reading", number, number + 1, file)
            made.take(table, file)
        made.check(path, model)
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        made.write(partial)
        partial.rename(folder)
    while not folder.is_dir():  # not a barrier: those of GPUs give up after some minutes
        time.sleep(WAIT_S)
    about = About.model_validate_json((folder / ABOUT).read_bytes())
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
    of_places = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in OF_PLACES}
    return StoredRows(Examples(**arrays, about=about), **of_places)


def _tables(path: str) -> Iterator[tuple[str, pa.Table]]:
    """Some rows of the table at a time, and their file.

    Raises:
        RequestError: it is not there, or is none.
    """
    try:
        files = input_files(path)
    except RequestError as error:
        raise RequestError(
            f"logprobs: {error}; name the folder of a run of `onggi synth` whose manifest has `teacher.logprobs`"
        ) from None
    for file in files:
        with fsspec.open(file, "rb") as opened:
            try:
                parquet = pq.ParquetFile(opened)
                check_version(parquet.schema_arrow, TABLE, file)
                lacking = [name for name in LOGPROBS.names if name not in parquet.schema_arrow.names]
                if lacking:
                    raise RequestError(f"logprobs: {file}: has no column `{lacking[0]}`; it is no table `{TABLE}`")
                for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=LOGPROBS.names):
                    yield file, pa.Table.from_batches([batch])
            except pa.ArrowException as error:
                raise RequestError(f"logprobs: {file}: is no Parquet file that can be read: {error}") from error


class _Made:
    """Arrays so far."""

    def __init__(self, max_length: int, n_ids: int, tokenizer: str) -> None:
        self._max_length, self._n_ids, self._tokenizer = max_length, n_ids, tokenizer
        self._n_places, self._n_cut = 0, 0
        self._digests, self._left = Counter[str](), Counter[str]()
        self._first = dict[str, str]()
        self._parts: dict[str, list[Any]] = {name: [] for name in ("ids", "learnt", "stored", "prompt_hash")}
        self._tops = list[tuple[I32, F32, F32]]()

    def take(self, table: pa.Table, file: str) -> None:
        for row in table.to_pylist():
            self._digests[row["tokenizer"]] += 1
            if row["tokenizer"] == self._tokenizer:  # others are refused once they are counted
                self._row(row, f"{file}: {row['id']}")

    def _row(self, row: dict[str, Any], place: str) -> None:
        """Add a row, cut at the end; what holds nothing to train on is left out."""
        n_output, top = len(row["output_ids"]), int(row["top"])
        top_ids = np.array(row["top_ids"], np.int32)
        top_logprobs = np.array(row["top_logprobs"], np.float32)
        own = np.array(row["logprobs"], np.float32)
        if top < 1:
            raise RequestError(
                f"logprobs: {place}: no likeliest tokens were kept (`top` is {top}), so there is no distribution to "
                "learn from: run `onggi synth` with `teacher.logprobs.top`, best 20 or more"
            )
        if len(own) != n_output or len(top_ids) != n_output * top or len(top_logprobs) != n_output * top:
            raise RequestError(
                f"logprobs: {place}: {n_output} tokens with {len(own)} probabilities and {len(top_ids)} likeliest "
                f"of `top` {top}; expected {n_output} and {n_output * top}: the table is damaged, run `onggi synth` "
                "again"
            )
        ids = np.array([*row["prompt_ids"], *row["output_ids"]], np.int32)
        n_prompt, length = len(row["prompt_ids"]), min(len(ids), self._max_length)
        top_ids, top_logprobs = top_ids.reshape(-1, top), top_logprobs.reshape(-1, top)
        self._check_values(row, top_ids, top_logprobs, place)
        first = max(1, n_prompt)  # nothing foretells the first token of all
        if length <= first:
            self._left["no_trained_token"] += 1
            said = f"the answer has nothing in the first {self._max_length} tokens (`max_length`)"
            self._first.setdefault("no_trained_token", f"{place}: {said}")
            return
        kept = slice(first - n_prompt, length - n_prompt)
        self._n_cut += len(ids) > length
        n_kept = length - first
        numbers = np.full(length, -1, np.int64)
        numbers[first:] = np.arange(self._n_places, self._n_places + n_kept)
        self._parts["ids"].append(ids[:length])
        self._parts["learnt"].append(np.arange(length) >= first)
        self._parts["stored"].append(numbers)
        self._parts["prompt_hash"].append(xxhash.xxh3_64_intdigest(ids[:n_prompt].tobytes()))
        self._tops.append((top_ids[kept], top_logprobs[kept], own[kept]))
        self._n_places += n_kept

    def _check_values(self, row: dict[str, Any], top_ids: I32, top_logprobs: F32, place: str) -> None:
        """That ids are tokens and logarithms are of probabilities: found out in training, nobody knew of which row.

        Args:
            row: of the table.
            top_ids: (tokens, top), its likeliest.
            top_logprobs: (tokens, top), of these.
            place: of the row, for errors.
        """
        for column in ("prompt_ids", "output_ids", "top_ids"):
            ids = np.array(row[column], np.int64)
            if len(wrong := ids[(ids < 0) | (ids >= self._n_ids)]):
                self._refuse(place, column, f"has the id {wrong[0]}; the student has 0 to {self._n_ids - 1}")
        ordered = np.sort(top_ids, 1)
        if (twice := (ordered[:, 1:] == ordered[:, :-1]).any(1)).any():
            self._refuse(place, "top_ids", f"has an id twice at token {int(twice.argmax())} of the answer")
        sums = np.exp(top_logprobs.astype(np.float64)).sum(1)
        if (wrong := ~(sums <= SUM_MAX)).any():
            at = int(wrong.argmax())
            said = f"are of probabilities that sum to {sums[at]:.6g} at token {at} of the answer, above 1"
            self._refuse(place, "top_logprobs", said)

    def _refuse(self, place: str, column: str, said: str) -> None:
        raise RequestError(f"logprobs: {place}: `{column}` {said}: the table is damaged, run `onggi synth` again")

    def check(self, path: str, model: str) -> None:
        """That there is something, of the student's tokens.

        Raises:
            RequestError: there is nothing, or it is of other tokens.
        """
        check_stored(self._digests, model, path)
        if not self._tops:
            said = next(iter(self._first.values()), "it has no rows")
            raise RequestError(f"logprobs: {path}: there is nothing to train on: {said}")

    def write(self, folder: Path) -> None:
        lengths = [len(ids) for ids in self._parts["ids"]]
        k = min(ids.shape[1] for ids, _, _ in self._tops)
        arrays = {
            "ids": np.concatenate(self._parts["ids"]),
            "learnt": np.concatenate(self._parts["learnt"]),
            "bounds": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            "entry": np.zeros(len(lengths), np.int32),
            "prompt_hash": np.array(self._parts["prompt_hash"], np.uint64),
            "stored": np.concatenate(self._parts["stored"]),
            "top_ids": np.concatenate([ids[:, :k] for ids, _, _ in self._tops]),
            "top_logprobs": np.concatenate([logprobs[:, :k] for _, logprobs, _ in self._tops]),
            "logprobs": np.concatenate([own for _, _, own in self._tops]),
        }
        for name, values in arrays.items():
            np.save(folder / f"{name}.npy", values)
        about = About(
            left_out=dict(self._left),
            left_out_first=self._first,
            n_cut=self._n_cut,
            n_with_control_text=0,
            ends={},
        )
        (folder / ABOUT).write_text(about.model_dump_json(), "utf-8")
