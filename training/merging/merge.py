"""Checkpoints merged tensor by tensor: no model, and no tensor, is ever held in memory.

    merge(MergeRule(models=["a", "b"], t=0.5), {"a": Path("a"), "b": Path("b")}, Path("merged"))

All is written to a folder beside the output, which is renamed when it is whole. What a killed merge left there is
removed by the next one; the same models, rule and seed give the same bytes, whatever the number of threads.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from manifests.engine import Progress, silent
from manifests.errors import RequestError
from manifests.schema_merge import MergeRule
from training.embeddings import EMBEDDING
from training.environment import n_cores
from training.merging.arithmetic import divided
from training.merging.beside import write_beside
from training.merging.config import merged_config, set_everywhere
from training.merging.fits import Fitting, fitting
from training.merging.inputs import Inputs, forget_files, from_float32
from training.merging.passes import Made, Threads, Values, made_of
from training.merging.report import REPORT, MergeReport, TensorRecord, report_of
from training.merging.values import Place, places, values_of
from training.merging.vocabulary import Vocabularies, one_vocabulary
from training.model_files import Checkpoint, open_checkpoint, write_object
from training.safetensors_files import DTYPES
from training.safetensors_shards import SHARD_BYTES, Planned, Shard, file_names, open_shard, shards_of, write_index
from training.whole_folders import check_free, new_folder

STORED_AS = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}


@dataclass(frozen=True)
class _Work:
    """All that is known before the first number is computed."""

    rule: MergeRule
    seed: int
    models: Sequence[Checkpoint]
    """The base last, where there is one."""
    tensors: Sequence[Planned]
    fitting: Fitting
    vocabularies: Vocabularies
    at: Mapping[str, Place]
    values: Mapping[str, Values]
    shard_bytes: int


def merge(
    rule: MergeRule,
    folders: Mapping[str, Path],
    output: Path,
    *,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress = silent,
    shard_bytes: int = SHARD_BYTES,
    replaces: bool = False,
) -> MergeReport:
    """Merge checkpoints into a new one.

    Args:
        rule: what is merged with what, and how.
        folders: of each model, by what the rule calls it.
        output: the new folder.
        seed: of what DARE draws.
        threads: None takes the cores that there are.
        progress: is told of bytes written.
        shard_bytes: largest file of weights.
        replaces: whether an output that exists makes way for the new one.

    Returns:
        What became of each tensor, as it also lies beside the weights, in `merge.json`.

    Raises:
        RequestError: the models do not fit together, or one cannot be read; nothing is written.
        RunError: the disk is full; nothing is left.
    """
    check_free(output, replaces)
    work, config, notes = _planned(rule, folders, seed, shard_bytes)
    n_bytes = sum(tensor.n_bytes for tensor in work.tensors)
    try:
        with new_folder(output, n_bytes, "merge", replaces) as folder:
            records = _write_weights(work, folder, threads or n_cores(), progress)
            n_main = len(rule.models)
            notes += write_beside(work.models[:n_main], work.vocabularies, config, folder)
            report = report_of(rule, seed, records, n_bytes, notes)
            write_object(folder / REPORT, report.model_dump(mode="json"))
    finally:
        forget_files()
    return report


def _planned(
    rule: MergeRule, folders: Mapping[str, Path], seed: int, shard_bytes: int
) -> tuple[_Work, dict[str, object], list[str]]:
    """What will be made; the configuration; what was settled."""
    names = [item.model for item in rule.models] + ([rule.base] if rule.base is not None else [])
    forget_files()
    models = [open_checkpoint(name, folders[name]) for name in names]
    fits = fitting(models)
    vocabularies = one_vocabulary(models, len(rule.models), rule.tokenizer)
    tensors = [_planned_tensor(rule, fits, name, vocabularies) for name in fits.sources]
    floats = [tensor for tensor in tensors if tensor.dtype in DTYPES]
    at = places([tensor.name for tensor in tensors])
    values = _values(rule, [at[tensor.name] for tensor in floats])
    config, notes = merged_config(models, _shares(rule, floats, values))
    if fits.is_tied is not None:
        set_everywhere(config, "tie_word_embeddings", fits.is_tied)
    n_rows = models[0].input_embedding.shape[0]
    if vocabularies.n_rows != n_rows:
        set_everywhere(config, "vocab_size", vocabularies.n_rows)
    if rule.dtype:
        for name in [name for name in ("dtype", "torch_dtype") if name in config] or ["dtype"]:
            set_everywhere(config, name, rule.dtype)
    work = _Work(rule, seed, models, tensors, fits, vocabularies, at, values, shard_bytes)
    return work, config, [*fits.notes, *vocabularies.notes, *notes]


def _planned_tensor(rule: MergeRule, fits: Fitting, name: str, vocabularies: Vocabularies) -> Planned:
    first = fits.sources[name][0]
    dtype = STORED_AS[rule.dtype] if rule.dtype and first.dtype in DTYPES else first.dtype
    is_of_tokens = bool(EMBEDDING.search(name))
    return Planned(name, dtype, (vocabularies.n_rows, *first.shape[1:]) if is_of_tokens else first.shape)


def _values(rule: MergeRule, at: Sequence[Place]) -> dict[str, Values]:
    """The values of the rule at each tensor of floats."""
    t = values_of(rule.t, at, "t") if rule.method == "slerp" else {}
    weights = [values_of(item.weight, at, f"models[{n}].weight") for n, item in enumerate(rule.models)]
    densities = [values_of(item.density, at, f"models[{n}].density") for n, item in enumerate(rule.models)]
    found = {
        place.name: Values(
            t.get(place.name, 0.0), [w[place.name] for w in weights], [d[place.name] for d in densities]
        )
        for place in at
    }
    if rule.method == "linear" and rule.normalizes:
        for name, values in found.items():
            if abs(math.fsum(values.weights)) < 1e-8:
                raise RequestError(
                    f"weights of {name} add up to 0, by which they cannot be divided; `normalize: false`"
                )
    return found


def _shares(rule: MergeRule, tensors: Sequence[Planned], values: Mapping[str, Values]) -> list[float]:
    """How much each model counts, of 1, on the mean of all parameters; the base has what the others leave."""
    total, n_models = 0, len(rule.models)
    sums = [0.0] * n_models
    for tensor in tensors:
        of = values[tensor.name]
        weights = [1 - of.t, of.t] if rule.method == "slerp" else list(of.weights)
        weights = divided(weights) if rule.normalizes else weights
        sums = [so_far + weight * tensor.n_numbers for so_far, weight in zip(sums, weights, strict=True)]
        total += tensor.n_numbers
    shares = [so_far / max(total, 1) for so_far in sums]
    return shares if rule.base is None else [*shares, max(0.0, 1 - sum(shares))]


# Weights


def _write_weights(work: _Work, folder: Path, n_threads: int, progress: Progress) -> list[TensorRecord]:
    """All files of weights and their index."""
    shards = shards_of(work.tensors, work.shard_bytes)
    total, done = sum(tensor.n_bytes for tensor in work.tensors), 0
    records: dict[str, TensorRecord] = {}
    with Threads(n_threads) as threads:
        for file, tensors in zip(file_names(len(shards)), shards, strict=True):
            with open_shard(folder / file, tensors) as shard:
                for tensor in tensors:
                    progress("merge", done, total, tensor.name)
                    records[tensor.name] = _write_tensor(work, tensor, shard, threads)
                    done += tensor.n_bytes
    progress("merge", total, total)
    write_index(folder, shards)
    return [records[tensor.name] for tensor in work.tensors]


def _write_tensor(work: _Work, tensor: Planned, shard: Shard, threads: Threads) -> TensorRecord:
    is_of_tokens = EMBEDDING.search(tensor.name) and any(rows is not None for rows in work.vocabularies.rows)
    inputs = Inputs(
        work.fitting.sources[tensor.name],
        [model.name for model in work.models],
        tensor.shape,
        work.vocabularies.rows if is_of_tokens else None,
        has_base=work.rule.base is not None,
    )
    if tensor.dtype not in DTYPES:
        return _copy(tensor, inputs, work.at[tensor.name], shard, threads)
    values = work.values[tensor.name]
    made = made_of(work.rule, inputs, values, threads, f"{work.seed}:{tensor.name}")
    size = tensor.n_bytes // max(tensor.n_numbers, 1)

    def write(start: int, end: int) -> None:
        stored = from_float32(made.part(start, end), tensor.dtype, tensor.name)
        shard.write(tensor.name, start * size, memoryview(stored.data).cast("B"))

    for _ in threads.over(write, inputs.ranges()):
        pass
    return _record(tensor, work.at[tensor.name], made, values.t if work.rule.method == "slerp" else None)


def _copy(tensor: Planned, inputs: Inputs, place: Place, shard: Shard, threads: Threads) -> TensorRecord:
    """Whole numbers, which have to be the same in all models."""

    def write(start: int, end: int) -> None:
        first, *others = inputs.raw_parts(start, end)
        for model, other in zip(inputs.models[1:], others, strict=True):
            if not (first == other).all():
                raise RequestError(
                    f"{tensor.name} holds whole numbers ({tensor.dtype}), which are not merged, and they are others "
                    f"in {inputs.models[0]} and {model}"
                )
        shard.write(tensor.name, start, memoryview(first.data))

    step = 1 << 20
    parts = [(at, min(at + step, tensor.n_bytes)) for at in range(0, tensor.n_bytes, step)]
    for _ in threads.over(write, parts):
        pass
    return _record(tensor, place, Made(lambda a, b: inputs.parts(a, b)[0], "copied", ()), None)


def _record(tensor: Planned, place: Place, made: Made, t: float | None) -> TensorRecord:
    cosine = made.products.cosine if made.products else None
    return TensorRecord(
        name=tensor.name,
        layer=place.layer,
        module=place.module,
        shape=list(tensor.shape),
        dtype=tensor.dtype,
        n_numbers=tensor.n_numbers,
        path=made.path,
        weights=list(made.weights),
        t=t,
        cosine=cosine,
        angle=None if cosine is None else math.degrees(math.acos(cosine)),
    )


def with_t(rule: MergeRule, t: float) -> MergeRule:
    """The rule at another place between its two models: of `slerp` its t, of `linear` the weights 1 - t and t."""
    if rule.method == "slerp":
        return MergeRule.model_validate({**rule.model_dump(), "t": t})
    first, second = rule.models
    models = [{**item.model_dump(), "weight": weight} for item, weight in ((first, 1 - t), (second, t))]
    return MergeRule.model_validate({**rule.model_dump(), "models": models})
