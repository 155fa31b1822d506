"""What a run read that its record does not name: sets by which models are measured, models, texts of a tokenizer."""

from collections.abc import Iterator

from manifests.schema_experiments import NewTokenizer
from manifests.schema_training import BASE, TrainingManifest
from manifests.store import resolve
from training.evaluating.ask import data_of
from training.experiments.chain import Run
from training.experiments.outcome import manifest_of, model_folder
from training.experiments.step_kinds import tokenizer_files
from training.inputs import Digests, joined
from training.measuring.validation_sets import data_digest


def also_read(run: Run, digests: Digests) -> Iterator[tuple[str, str]]:
    """Path and digest of each; the run is finished, and what it read is still there.

    Args:
        run: of any kind; most have all that they read in their record.
        digests: of files that are known.
    """
    manifest = manifest_of(run)
    if isinstance(manifest, NewTokenizer):
        for text in manifest.text:
            files = tokenizer_files(manifest.model_copy(update={"text": [text]}), run.base)
            yield resolve(text, run.base), joined(map(digests.of_file, files))
    elif isinstance(manifest, TrainingManifest):
        yield from _of_training(manifest, run, digests)


def _of_training(manifest: TrainingManifest, run: Run, digests: Digests) -> Iterator[tuple[str, str]]:
    base = model_folder(run.folder, BASE)
    yield base, digests.of_model(base)
    if manifest.prompts is not None:
        path = resolve(manifest.prompts.path, run.base)
        yield path, digests.of_rows(path)
    for item in manifest.validation:
        path = next(path for path in (item.text, item.mixture, item.choices) if path is not None)
        yield resolve(path, run.base), data_digest(item, run.base, lambda files: joined(map(digests.of_file, files)))
    for _, path in data_of(manifest.evaluation) if manifest.evaluation else ():
        yield resolve(path, run.base), digests.of_rows(resolve(path, run.base))
