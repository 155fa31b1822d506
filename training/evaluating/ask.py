"""Models are evaluated: each in a process of its own, and then judges are asked. No torch here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from manifests.engine import Progress
from manifests.errors import RequestError
from manifests.schema_evaluation import EvaluatedModel, Evaluations, Judged
from manifests.store import resolve
from training.evaluating.chat_models import NO_TEMPLATE, has_template
from training.evaluating.item_files import write_items
from training.evaluating.jobs import EvaluateJob, EvaluateResult, Transcript
from training.evaluating.results import Evaluated, ModelResults
from training.inputs import row_files
from training.judging.judge import judge
from training.launch import run, waiting

JUDGES = ".judges"
"""Folder of what judges answered; no model can have that name."""


@dataclass(frozen=True)
class Setting:
    """Where an evaluation takes place."""

    output: Path
    """Folder of the run."""
    work: Path
    """Folder of this run alone, in which the process of each model works."""
    cache: Path
    """What was measured before lies there, by the digests of all that it depends on; runs may share it."""
    base: str
    """Where relative paths of data start."""
    seed: int = 0
    threads: int | None = None
    precision: str = "auto"


def ask(
    asked: Evaluations, models: Sequence[EvaluatedModel], setting: Setting, progress: Progress
) -> dict[str, ModelResults]:
    """What models came to, by name, in their order.

    Args:
        asked: by what they are evaluated.
        models: with their folders as absolute paths.
        setting: where.
        progress: is told of questions.

    Raises:
        RequestError: a model or data cannot be read.
        RunError: an engine or a judge failed. What was finished is kept: the same call goes on there.
    """
    found = {model.name: _answered(asked, model, setting, progress) for model in models}
    results = {name: result.model for name, result in found.items()}
    for item in asked.judged:
        answered = {name: result.transcripts[item.name] for name, result in found.items() if result.transcripts}
        judged = _judged(item, answered, setting, progress) if answered else {}
        for name in results:
            none = Evaluated(name=item.name, kind="judged", side="chat", why=NO_TEMPLATE)
            results[name].results.append(judged.get(name, none))
    return {name: in_order(result, asked.names()) for name, result in results.items()}


def check_data(asked: Evaluations, base: str, at: str = "") -> None:
    """That the files are there which benchmarks, the grid and judges read, before any work.

    Raises:
        RequestError: one is not; names the field.
    """
    for field, path in data_of(asked):
        try:
            row_files(resolve(path, base))
        except RequestError as error:
            raise RequestError(f"{at}{field}: {error}") from None


def data_of(asked: Evaluations) -> Iterator[tuple[str, str]]:
    """The files that benchmarks, the grid and judges read: the field of the manifest, and its path."""
    for item in asked.benchmarks:
        named = {"data": item.data, "examples": item.examples}
        yield from ((f"benchmarks.{item.name}.{field}", path) for field, path in named.items() if path is not None)
    yield from ((f"judged.{item.name}.data", item.data) for item in asked.judged)
    if asked.needle:
        yield from ((f"needle.haystack.{language}", path) for language, path in asked.needle.haystack.items())


def _answered(asked: Evaluations, model: EvaluatedModel, setting: Setting, progress: Progress) -> EvaluateResult:
    """What came of the process that a model is asked in."""
    job = EvaluateJob(
        name=model.name,
        folder=model.path,
        chat=model.chat,
        benchmarks=tuple(asked.benchmarks),
        needle=asked.needle,
        judged=tuple(asked.judged) if has_template(model.path) else (),
        engine=asked.engine,
        batch=asked.batch,
        precision=setting.precision,
        manifest_base=setting.base,
        cache=str(setting.cache),
        logs=str(setting.work),
        items=str(setting.output),
        seed=setting.seed,
        threads=setting.threads,
    )
    return EvaluateResult.model_validate_json(run(job, setting.work / model.name, 1, progress))


def _judged(
    asked: Judged, transcripts: Mapping[str, list[Transcript]], setting: Setting, progress: Progress
) -> dict[str, Evaluated]:
    """What a judge said of all models; what it said of each answer goes to the items."""
    folder = setting.cache / JUDGES / asked.name
    with waiting(folder, progress):  # its answers are kept by what was asked, so runs that share them take turns
        found = judge(asked, dict(transcripts), setting.base, str(folder), setting.seed, progress)
    return {
        name: result.model_copy(update={"items": write_items(setting.output, name, asked.name, items)})
        for name, (result, items) in found.items()
    }


def in_order(model: ModelResults, names: Sequence[str]) -> ModelResults:
    """The results in the manifest's order; others first."""
    places = {name: place for place, name in enumerate(names)}
    return model.model_copy(update={"results": sorted(model.results, key=lambda one: places.get(one.name, -1))})
