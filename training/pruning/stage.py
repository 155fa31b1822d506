"""The stage `prune`: importance on calibration data, what stays by it, and the narrower model.

Depth goes first, by block influence, so that width is measured on the layers that stay. Importance is kept in the
stage's folder, so a stage that was killed measures it once and gives the same bytes.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from manifests.engine import Progress, silent
from manifests.schema_surgery import Calibration, Importance, Prune, Sizes
from training.jobs import Job, Made
from training.measuring.open_model import OpenModel
from training.model_files import CONFIG, open_checkpoint, read_object
from training.pruning.calibration import read_samples
from training.pruning.cuts import first_kept
from training.pruning.families import shape_of
from training.pruning.importance import Batch, Scores, measure_importance
from training.pruning.limits import check_sizes
from training.pruning.ranking import choose
from training.pruning.report import Pruned, layers_kept, made_of
from training.pruning.slicing import prune
from training.stacking.influence import influence
from training.stacking.stack import stack

SCORES = "importance.safetensors"
SHALLOW = "shallow"
"""Folder of a model whose depth is cut and whose width is not yet."""


def run(job: Job, progress: Progress) -> Made:
    """Prune a model of a training.

    Raises:
        RequestError: sizes cannot be reached, or there is no calibration data.
        RunError: the disk is full.
    """
    stage = job.stage
    assert isinstance(stage, Prune)
    if stage.search is not None:
        from training.pruning.search import run_search  # which takes from here how scores are kept

        return run_search(job, progress)
    if job.threads:
        torch.set_num_threads(job.threads)
    model = Path(job.models["model"])
    job.path.mkdir(parents=True, exist_ok=True)
    pruned = prune_model(stage, model, job.model_path, job.path, job.manifest_base, progress, replaces=True)
    return made_of(pruned)


def prune_model(
    stage: Prune, model: Path, output: Path, work: Path, base: str, progress: Progress = silent, *, replaces: bool
) -> Pruned:
    """Prune a model to the sizes that a stage names.

    Args:
        stage: with `to`.
        model: folder of the model.
        output: folder of the new one.
        work: an existing folder for what is made on the way.
        base: where relative paths of calibration data start.
        progress: is told of samples and of bytes.
        replaces: whether an output that exists makes way for the new one.

    Raises:
        RequestError: sizes cannot be reached, or there is no calibration data.
        RunError: the disk is full.
    """
    sizes = stage.to or Sizes()
    source = open_checkpoint(str(model), model)
    check_sizes(source.config, sizes.given(), stage.cut_max, "to")
    before = shape_of(source)
    influences = list[float]()
    if sizes.num_hidden_layers not in (None, before.num_hidden_layers):
        model, influences = _shallow(stage, model, sizes.num_hidden_layers or 0, work / SHALLOW, base, progress)
    scores, kept = None, first_kept(shape_of(open_checkpoint(str(model), model)), {})
    if any(getattr(sizes, name) not in (None, getattr(before, name)) for name in WIDTHS):
        scores = scores_of(model, stage.calibration, stage.importance, base, work / SCORES, progress)
        kept = choose(scores, read_object(model / CONFIG), sizes, stage.importance)
    report = prune(
        model,
        kept,
        output,
        tie_embeddings=stage.tie_embeddings,
        counts_from=source.path,
        progress=progress,
        replaces=replaces,
    )
    shutil.rmtree(work / SHALLOW, ignore_errors=True)
    return Pruned(report, scores, kept, influences)


def _shallow(
    stage: Prune, model: Path, n_layers: int, output: Path, base: str, progress: Progress
) -> tuple[Path, list[float]]:
    """A model without the layers that change least what goes through them; the influence of each layer."""
    influences = influence(model, stage.calibration, base, at="calibration", progress=progress)
    stack(model, layers_kept(influences, n_layers), output, progress=progress, replaces=True)
    return output, influences


WIDTHS = ("hidden_size", "intermediate_size", "num_attention_heads")


def scores_of(
    model: Path, calibration: Calibration, asked: Importance, base: str, keep: Path, progress: Progress = silent
) -> Scores:
    """Importance of all that a model's width is made of; measured once, and kept over kills.

    Args:
        model: its folder.
        calibration: what it is measured on.
        asked: how activations are put together.
        base: where relative paths start.
        keep: file that the scores are kept in.
        progress: is told of samples.

    Raises:
        RequestError: there is no calibration data, or it is not the model's.
    """
    if keep.is_file():
        return Scores.load(keep)
    opened = OpenModel(str(model), precision="float32")
    samples = read_samples(calibration, opened, base)
    n_samples = len(samples.samples)

    def told() -> Iterator[Batch]:
        for number, batch in enumerate(samples.batches(calibration.micro_batch)):
            progress("importance", min(number * calibration.micro_batch, n_samples), n_samples)
            yield batch

    scores = measure_importance(opened.model, told(), asked)
    progress("importance", n_samples, n_samples)
    scores.save(keep)
    return scores
