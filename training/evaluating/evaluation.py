"""`onggi eval`: models on benchmarks, on held-out text, on hidden sentences, and before a judge; then a page.

What a model came to is kept by the digests of all that it depends on: another model, another benchmark, or a run that
was killed costs only what is not known yet.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import xxhash

from manifests.engine import PeakMemory, Progress, silent
from manifests.errors import RequestError
from manifests.record import RECORD, Entry, write_record
from manifests.schema_evaluation import EvaluatedModel, EvaluationManifest
from manifests.store import Folder, resolve
from training.checkpoints import full_disk
from training.environment import environment
from training.evaluating.ask import Setting, ask, check_data, data_of, in_order
from training.evaluating.from_measures import evaluated_of
from training.evaluating.item_files import ITEMS, read_items
from training.evaluating.record import EvaluationRecord, EvaluationSummary, read_evaluation, record_of
from training.evaluating.results import ModelResults
from training.inputs import Digests, row_files
from training.launch import alone, run
from training.measuring.jobs import MeasureJob, MeasuresResult
from training.pages.evaluation_page import render
from training.summary_models import SUMMARY
from training.whole_files import write

REPORT, CACHE = "report.html", "measures"


def evaluate(
    manifest: EvaluationManifest, base: str, output: str | None = None, progress: Progress = silent
) -> tuple[EvaluationRecord, str]:
    """Evaluate all models of a manifest; the record, and the folder of the run.

    Args:
        manifest: of the evaluation.
        base: the manifest's folder.
        output: instead of the manifest's.
        progress: is told of questions.

    Raises:
        RequestError: the output is no local folder, or a model or data is not there.
        RunError: an engine or a judge failed; what was finished is kept.
    """
    folder = Path(resolve(output or manifest.output.path, base))
    if "://" in str(folder):
        raise RequestError(f"output: {folder}: figures are written to a folder on this machine")
    models = [model.model_copy(update={"path": resolve(model.path, base)}) for model in manifest.models]
    digests = Digests(folder / CACHE / "digests.json")
    of_models = {model.name: _digest(number, model, digests) for number, model in enumerate(models)}
    check_data(manifest, base)
    with full_disk(folder, manifest.name), alone(folder, "onggi eval"):
        (folder / RECORD).unlink(missing_ok=True)
        digests.keep()
        began, memory = time.monotonic(), PeakMemory()
        with memory:
            results = _results(manifest, models, base, folder, progress)
        named = manifest.compare_with or models[0].name
        summary = EvaluationSummary(name=manifest.name, compare_with=named, models=results)
        seconds = {"evaluate": time.monotonic() - began}
        data = list(_data(manifest, base, digests))
        outputs = [_output(folder, path) for path in sorted((folder / ITEMS).rglob("*.jsonl"))]
        record = record_of(manifest, base, summary, of_models, seconds, memory.peak_bytes, data, outputs)
        write(folder / SUMMARY, summary.model_dump_json(indent=1))
        write_page(folder, summary, record)
        write_record(Folder(str(folder)), record)
    return record, str(folder)


def write_page(folder: Path, summary: EvaluationSummary, record: EvaluationRecord) -> str:
    """Write the page of an evaluation; its path."""
    items = {
        (model.name, result.name): read_items(folder, result) for model in summary.models for result in model.results
    }
    threads = EvaluationManifest.model_validate(record.manifest).threads
    around = {"folder": str(folder), "environment": environment(1, threads)}
    write(folder / REPORT, render(summary, items, {**record.model_dump(mode="json"), **around}))
    return str(folder / REPORT)


def write_evaluation_report(folder: Folder) -> str:
    """Write the page of a finished evaluation again; its path.

    Raises:
        RequestError: the folder holds no finished evaluation.
    """
    record = read_evaluation(folder)
    summary = EvaluationSummary.model_validate(folder.read_json(SUMMARY))
    return write_page(Path(folder.path), summary, record)


def _digest(number: int, model: EvaluatedModel, digests: Digests) -> str:
    try:
        return digests.of_model(model.path)
    except RequestError as error:
        raise RequestError(f"models[{number}].path: {error}") from None


def _data(manifest: EvaluationManifest, base: str, digests: Digests) -> Iterator[Entry]:
    """The files that were read, with what they are read for."""
    texts = ((f"validation.{item.name}", item.text or item.choices) for item in manifest.validation)
    for field, path in [*data_of(manifest), *((field, path) for field, path in texts if path)]:
        for file in row_files(resolve(path, base)):
            size = 0 if "://" in file else Path(file).stat().st_size
            yield Entry(path=file, size_bytes=size, digest=digests.of_file(file), source=field)


def _output(folder: Path, path: Path) -> Entry:
    """A file of items."""
    content = path.read_bytes()
    return Entry(
        path=str(path.relative_to(folder)),
        size_bytes=len(content),
        digest=xxhash.xxh3_128_hexdigest(content),
        source=path.parent.name,
        rows=content.count(b"\n"),
    )


def _results(
    manifest: EvaluationManifest, models: Sequence[EvaluatedModel], base: str, folder: Path, progress: Progress
) -> list[ModelResults]:
    """What all models came to: held-out text first, then all else in the manifest's order."""
    setting = Setting(
        output=folder,
        work=folder / CACHE,
        cache=folder / CACHE,
        base=base,
        seed=manifest.seed,
        threads=manifest.threads,
        precision=manifest.precision,
    )
    measured = _measured(manifest, models, setting, progress)
    found = (
        ask(manifest, models, setting, progress)
        if manifest.names()
        else {model.name: ModelResults(name=model.name, folder=model.path) for model in models}
    )
    for name, result in found.items():
        result.results += evaluated_of(measured.models[name], manifest.validation) if manifest.validation else []
    order = [*(item.name for item in manifest.validation), *manifest.names()]
    return [in_order(result, order) for result in found.values()]


def _measured(
    manifest: EvaluationManifest, models: Sequence[EvaluatedModel], setting: Setting, progress: Progress
) -> MeasuresResult:
    """What the models came to on held-out text."""
    if not manifest.validation:
        return MeasuresResult()
    job = MeasureJob(
        models={model.name: model.path for model in models},
        validations=tuple(manifest.validation),
        manifest_base=setting.base,
        cache=str(setting.cache),
        seed=setting.seed,
        threads=setting.threads,
        precision=setting.precision,
    )
    return MeasuresResult.model_validate_json(run(job, setting.cache, 1, progress))
