"""A checkpoint made narrower tensor by tensor: neither a model nor a large tensor is ever held in memory.

    scores = measure_importance(model, batches, Importance())
    kept = choose(scores, config, Sizes(hidden_size=1792), Importance())
    prune(Path("model"), kept, Path("narrower"))

All is written to a folder beside the output, which is renamed when it is whole; the same choice gives the same bytes.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from manifests.engine import Progress, silent
from training.merging.beside import ENDINGS, GENERATION, NOT_COPIED
from training.model_files import CONFIG, Checkpoint, open_checkpoint, write_object
from training.pruning.cuts import Cut, Plan, first_kept, plan_cuts
from training.pruning.families import shape_of
from training.pruning.ranking import Kept
from training.safetensors_files import Tensor, to_float, to_stored
from training.safetensors_shards import SHARD_BYTES, Planned, Shard, file_names, open_shard, shards_of, write_index
from training.whole_folders import check_free, new_folder

REPORT = "prune.json"
READ_AT_ONCE = 1 << 22
"""Bytes of a tensor that are worked on at once."""


class PruneReport(BaseModel):
    """What became of a model."""

    model_config = ConfigDict(frozen=True)

    before: dict[str, int]
    """Sizes, by their names in `config.json`."""
    after: dict[str, int]
    parameters_before: int
    """Weights; tied embeddings count once."""
    parameters_after: int
    beside_embeddings_before: int
    beside_embeddings_after: int
    n_bytes: int
    """Of the weights that were written."""
    is_tied: bool
    """Whether output embeddings are the input's."""
    notes: list[str]

    @property
    def cut_share(self) -> float:
        """Share of the weights beside embeddings that is gone."""
        return 1 - self.beside_embeddings_after / self.beside_embeddings_before


def prune(
    model: Path,
    kept: Kept,
    output: Path,
    *,
    tie_embeddings: bool = False,
    counts_from: Path | None = None,
    progress: Progress = silent,
    replaces: bool = False,
    shard_bytes: int = SHARD_BYTES,
) -> PruneReport:
    """Write a narrower model; weights keep their dtype.

    Args:
        model: its folder.
        kept: what stays of it.
        output: the new folder.
        tie_embeddings: whether output and input embeddings become one, their mean.
        counts_from: an earlier model that the report begins with, where layers of it were left out before.
        progress: is told of bytes written.
        replaces: whether an output that exists makes way for the new one.
        shard_bytes: largest file of weights.

    Returns:
        What became of it, as it also lies beside the weights, in `prune.json`.

    Raises:
        RequestError: the model cannot be read or pruned; nothing is written.
        RunError: the disk is full; nothing is left.
    """
    check_free(output, replaces)
    source = open_checkpoint(str(model), model)
    plan = plan_cuts(source, kept, tie_embeddings)
    report = _report(open_checkpoint(str(counts_from), counts_from) if counts_from else source, plan)
    with new_folder(output, report.n_bytes, "model", replaces) as folder:
        _write_weights(plan, folder, shard_bytes, progress)
        _write_beside(source, plan, report, folder)
    return report


def _report(first: Checkpoint, plan: Plan) -> PruneReport:
    before = shape_of(first)
    whole = plan_cuts(first, first_kept(before, {}), tie_embeddings=False)
    return PruneReport(
        before=vars(before),
        after={name: int(plan.config[name]) for name in vars(before)},
        parameters_before=whole.n_weights,
        parameters_after=plan.n_weights,
        beside_embeddings_before=whole.n_beside_embeddings,
        beside_embeddings_after=plan.n_beside_embeddings,
        n_bytes=sum(planned.n_bytes for planned in map(_planned, plan.cuts)),
        is_tied=bool(plan.config.get("tie_word_embeddings", False)),
        notes=plan.notes,
    )


def _write_beside(source: Checkpoint, plan: Plan, report: PruneReport, folder: Path) -> None:
    """Configuration, tokenizer, chat template, and what became of the model."""
    for path in sorted(source.path.iterdir()):
        is_kept = path.name == GENERATION or path.name not in NOT_COPIED
        if path.is_file() and path.name.endswith(ENDINGS) and is_kept:
            shutil.copyfile(path, folder / path.name)
    write_object(folder / CONFIG, plan.config)
    write_object(folder / REPORT, report.model_dump(mode="json"))


def _planned(cut: Cut) -> Planned:
    return Planned(cut.tensor.name, cut.tensor.dtype, cut.shape)


def _write_weights(plan: Plan, folder: Path, shard_bytes: int, progress: Progress) -> None:
    """All files of weights and their index."""
    by_name = {cut.tensor.name: cut for cut in plan.cuts}
    shards = shards_of([_planned(cut) for cut in plan.cuts], shard_bytes)
    total, done = sum(planned.n_bytes for shard in shards for planned in shard), 0
    for file, tensors in zip(file_names(len(shards)), shards, strict=True):
        with open_shard(folder / file, tensors) as shard:
            for planned in tensors:
                progress("prune", done, total, planned.name)
                _write_tensor(by_name[planned.name], shard)
                done += planned.n_bytes
    progress("prune", total, total)
    write_index(folder, shards)


def _write_tensor(cut: Cut, shard: Shard) -> None:
    """A tensor, part by part."""
    n_rows, width = cut.shape[0], int(np.prod(cut.tensor.shape[1:], dtype=np.int64))
    itemsize = cut.tensor.n_bytes // max(cut.tensor.shape[0] * width, 1)
    step = max(READ_AT_ONCE // max(width * itemsize, 1), 1)
    row_bytes = int(np.prod(cut.shape[1:], dtype=np.int64)) * itemsize
    for start in range(0, n_rows, step):
        part = np.ascontiguousarray(_part(cut, start, min(start + step, n_rows)))
        shard.write(cut.tensor.name, start * row_bytes, memoryview(part.data).cast("B"))


def _part(cut: Cut, start: int, end: int) -> NDArray[Any]:
    """Rows [start, end) of what is written, as they are stored."""
    dtype = cut.tensor.dtype
    stored = _sliced(cut, cut.tensor, start, end)
    if cut.factor == 1 and cut.other is None:
        return stored
    numbers = to_float(stored, dtype)
    if cut.other is not None:
        numbers = (numbers + to_float(_sliced(cut, cut.other, start, end), cut.other.dtype)) / 2
    if cut.is_gemma_norm:
        return to_stored((1 + numbers) * cut.factor - 1, dtype)
    return to_stored(numbers * cut.factor, dtype)


def _sliced(cut: Cut, tensor: Tensor, start: int, end: int) -> NDArray[Any]:
    """The numbers of a tensor that are in rows [start, end) of what is written."""
    if cut.rows is None:
        stored = tensor.rows(start, end)
    else:
        chosen = cut.rows[start:end]
        stored = tensor.rows(int(chosen[0]), int(chosen[-1]) + 1)[chosen - chosen[0]]
    return stored if cut.columns is None else stored[:, cut.columns]
