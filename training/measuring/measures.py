"""What is measured of models: loss on held-out text, multiple-choice accuracy, answers to prompts and their rewards.

It runs in a process of its own, with torch; the process that runs the stages is told plain figures
(`training.measuring.jobs`). What a model came to on a set is kept in a folder by the digests of both, so that no
model is measured twice.
"""

from collections.abc import Callable
from functools import cached_property
from math import isfinite
from typing import Any

import torch
import transformers

from manifests.engine import Progress
from manifests.schema_training_gates import ANSWERS, Validation
from manifests.store import resolve
from training.inputs import row_files
from training.measuring.answers import answer_figures, answers, prompts_of, rewards
from training.measuring.cache import Cache, digest_of, key_of
from training.measuring.jobs import Measured, MeasureJob, MeasuresResult
from training.measuring.open_model import OpenModel
from training.measuring.set_measures import Found, measure_set
from training.measuring.validation_sets import data_digest
from training.preferences.reward_model import RewardModel
from training.summary_models import Answer

MATTERS = {"column", "form", "cue", "window", "limit"}
"""Fields of a set that its figures depend on."""


def measure(job: MeasureJob, progress: Progress) -> MeasuresResult:
    """Measure all models of a job: on its sets, and by their answers to its prompts.

    Raises:
        RequestError: a model or a set cannot be read.
        RunError: the disk is full.
    """
    transformers.utils.logging.disable_progress_bar()
    if job.threads:
        torch.set_num_threads(job.threads)
    measuring, result = _Measuring(job, progress), MeasuresResult()
    for name, folder in job.models.items():
        result.models[name] = measuring.of(name, folder)
    measuring.cache.digests.keep()
    return result


class _Measuring:
    """What the models of a job share: the cache, the prompts, the model that scores their answers."""

    def __init__(self, job: MeasureJob, progress: Progress) -> None:
        self._job, self._progress = job, progress
        self.cache = Cache(job.cache)

    def of(self, name: str, folder: str) -> Measured:
        """What a model comes to."""
        model = OpenModel(folder, self.cache.digests.of_model(folder), self._job.precision)
        measured = Measured()
        for settings in self._job.validations:
            found = self._set(model, settings, name)
            if why := found.get("why"):
                measured.not_measured[settings.name] = why
            else:
                measured.measures[settings.name] = found["figures"]
                measured.units[settings.name] = found["units"]
        if self._job.prompts is not None:
            measured.answers = self._answers(model, name)
            measured.measures[ANSWERS] = answer_figures(measured.answers)
        return measured

    def _set(self, model: OpenModel, settings: Validation, name: str) -> Found:
        data = data_digest(settings, self._job.manifest_base, self.cache.of_files)
        kind = "text" if settings.text is not None else "mixture" if settings.mixture is not None else "choices"
        matters = settings.model_dump(include=MATTERS) | model.numbers

        def told(done: int, total: int) -> None:
            self._progress(f"measure {name}", done, total, settings.name)

        return self._kept(  # type: ignore[no-any-return]
            key_of(kind, model.digest, data, matters),
            lambda: _checked(measure_set(model, settings, self._job.manifest_base, told)),
        )

    def _kept(self, key: str, find: Callable[[], Any]) -> Any:
        """What the cache has, or what is found now."""
        found = self.cache.get(key)
        if found is None:
            found = find()
            self.cache.put(key, found)
        return found

    # Answers

    @cached_property
    def _asked(self) -> Any:
        assert self._job.prompts is not None
        return prompts_of(self._job.prompts, self._job.manifest_base)

    @cached_property
    def _reward_model(self) -> RewardModel:
        assert self._job.reward is not None
        return RewardModel(self._job.reward, precision=self._job.precision)

    @cached_property
    def _prompts_digest(self) -> str:
        assert self._job.prompts is not None
        return self.cache.of_files(row_files(resolve(self._job.prompts.path, self._job.manifest_base)))

    def _answers(self, model: OpenModel, name: str) -> list[Answer]:
        """Answers, with rewards where the job names a model for them."""
        settings = self._job.prompts
        assert settings is not None
        self._progress(f"measure {name}", 0, 1, ANSWERS)
        matters = settings.model_dump(include={"limit", "max_new_tokens", "temperature"}) | model.numbers
        matters |= {"seed": self._job.seed if settings.temperature else 0}
        found = self._kept(
            key_of("answers", model.digest, self._prompts_digest, matters),
            lambda: [one.model_dump() for one in answers(model, self._asked, settings, self._job.seed)],
        )
        answered = [Answer.model_validate(one) for one in found]
        scores = self._rewards(answered, model.numbers) if self._job.reward else [None] * len(answered)
        pairs = zip(answered, scores, strict=True)
        return [one.model_copy(update={"reward": score}) for one, score in pairs]

    def _rewards(self, answered: list[Answer], numbers: dict[str, str]) -> list[float | None]:
        """Rewards; None for one that is no number."""
        assert self._job.reward is not None
        texts = digest_of([self._prompts_digest, [[one.prompt, one.answer] for one in answered]])
        key = key_of("rewards", self.cache.digests.of_model(self._job.reward), texts, numbers)
        found = self._kept(
            key,
            lambda: [s if isfinite(s) else None for s in rewards(self._reward_model, self._asked, answered)],
        )
        return list(found)


def _checked(found: Found) -> Found:
    """What was found, or that a figure is no number, which no gate can judge."""
    for name, value in found.get("figures", {}).items():
        if not isfinite(value):
            return {"why": f"its {name} is {value}: weights or activations of the model are not finite"}
    return found
