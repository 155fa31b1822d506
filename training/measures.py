"""What is measured of models: loss on held-out text, multiple-choice accuracy, answers to prompts and their rewards.

It runs in a process of its own, with torch; the process that runs the stages is told plain figures
(`training.measure_jobs`). What a model came to on a set is kept in a folder by the digests of both, so that no model
is measured twice.
"""

from collections.abc import Callable
from math import isfinite
from time import monotonic

import torch
import transformers

from manifests.engine import Progress
from manifests.schema_training_gates import Validation
from training.measure_cache import Cache
from training.measure_jobs import Measured, MeasureJob, MeasuresResult
from training.open_model import OpenModel
from training.set_measures import Found, measure_set
from training.validation_sets import data_digest


def measure(job: MeasureJob, progress: Progress) -> MeasuresResult:
    """Measure all models of a job: on its sets, and by their answers to its prompts.

    Raises:
        RequestError: a model or a set cannot be read.
    """
    transformers.utils.logging.disable_progress_bar()
    if job.threads:
        torch.set_num_threads(job.threads)
    result = MeasuresResult()
    for name, folder in job.models.items():
        began = monotonic()
        model = OpenModel(folder, job.precision)
        result.models[name] = validation_measures(model, job, progress, name)
        result.seconds[name] = monotonic() - began
    return result


def validation_measures(model: OpenModel, job: MeasureJob, progress: Progress, name: str = "") -> Measured:
    """What a model comes to on all sets of a job.

    Raises:
        RequestError: the model or a set cannot be read; names the set, the file and the field.
    """
    measured, cache = Measured(), Cache(job.cache)
    for settings in job.validations:
        matters = settings.model_dump(include={"column", "form", "cue", "window", "limit"})
        key = cache.key(
            "set",
            model.digest,
            data_digest(settings, job.manifest_base),
            {**matters, "kind": _kind(settings), "device": model.device, "precision": model.precision},
        )
        found = cache.get(key)
        if found is None:
            found = _checked(measure_set(model, settings, job.manifest_base, _teller(progress, name, settings.name)))
            cache.put(key, found)
        if why := found.get("why"):
            measured.not_measured[settings.name] = why
        else:
            measured.measures[settings.name] = found["figures"]
            measured.units[settings.name] = found["units"]
    return measured


def _kind(settings: Validation) -> str:
    return "text" if settings.text is not None else "mixture" if settings.mixture is not None else "choices"


def _teller(progress: Progress, model: str, name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(f"measure {model}", done, total, name)


def _checked(found: Found) -> Found:
    """What was found, or that a figure is no number, which no gate can judge."""
    for name, value in found.get("figures", {}).items():
        if not isfinite(value):
            return {"why": f"its {name} is {value}: weights or activations of the model are not finite"}
    return found
