"""What runs a step of each kind, and what is looked at before: the same functions that the commands call.

Trainings and evaluations work in processes of their own, so several may run at once. The others work in this one, and
use all its cores: they take turns.
"""

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from classifiers.rows import input_files
from manifests.engine import HERE, Progress
from manifests.errors import RequestError, RunError
from manifests.load import Manifest
from manifests.record import RECORD
from manifests.schema import CorpusManifest
from manifests.schema_classifier import ClassifierManifest
from manifests.schema_evaluation import EvaluationManifest
from manifests.schema_experiments import NewTokenizer
from manifests.schema_mixture import MixtureManifest
from manifests.schema_synthesis import SynthesisManifest
from manifests.schema_training import TrainingManifest
from manifests.store import Folder, resolve

LEARNED = "training.json"
"""What `onggi tokenizer train` writes last."""
DOCUMENTS = "documents"
"""Of a run of `onggi curate`: what a tokenizer learns from."""
_ONE = threading.Lock()
"""Held by a step that works in this process."""


def run_step(
    manifest: Manifest | NewTokenizer,
    base: str,
    folder: Path,
    store: Path,
    progress: Progress,
    n_processes: int | None,
) -> None:
    """Run the step of a manifest; one that was killed goes on, and one that is finished is not done again.

    Args:
        manifest: with every path resolved.
        base: where relative paths start.
        folder: of the run.
        store: where trainings keep their stages.
        progress: is told of it.
        n_processes: that train together; None is one per GPU, or one.

    Raises:
        RequestError: it asks for what is not there.
        RunError: it failed.
    """
    if isinstance(manifest, TrainingManifest):
        from training.stages import train

        train(manifest, base, str(folder), progress, n_processes, store, stops=False)
    elif isinstance(manifest, EvaluationManifest):
        from training.evaluating.evaluation import evaluate

        evaluate(manifest, base, str(folder), progress)
    else:
        with _ONE:
            _run_here(manifest, base, folder, progress)


def _run_here(manifest: Manifest | NewTokenizer, base: str, folder: Path, progress: Progress) -> None:
    if isinstance(manifest, NewTokenizer):
        _train_tokenizer(manifest, base, folder, progress)
    elif isinstance(manifest, MixtureManifest):
        from curation.mixture.pipeline import mix
        from curation.mixture.survey import prepare

        mix(prepare(manifest, base, str(folder)), progress)
    elif isinstance(manifest, CorpusManifest):
        _curate(manifest, base, folder, progress)
    elif isinstance(manifest, ClassifierManifest):
        from synth.annotations.classifier_run import run_classifier

        run_classifier(manifest, base, str(folder), HERE, _in_notes(progress))
    elif isinstance(manifest, SynthesisManifest):
        _synthesize(manifest, base, folder, progress)
    else:
        raise AssertionError(f"{manifest.kind} is no kind of a step")


def _in_notes(progress: Progress) -> Any:
    """For what always has a note."""
    return lambda step, done, total, note="": progress(step, done, total, note)


def _curate(manifest: CorpusManifest, base: str, folder: Path, progress: Progress) -> None:
    from curation.pipeline import curate, prepare
    from curation.plan_disk import check_disk

    job = prepare(manifest, base, str(folder))
    if not (folder / RECORD).is_file():
        check_disk(job)
    curate(job, progress)


def _synthesize(manifest: SynthesisManifest, base: str, folder: Path, progress: Progress) -> None:
    from synth.pipeline import synthesize

    record, _ = synthesize(manifest, base, str(folder), progress)
    if record.n_unanswered:
        raise RunError(
            f"{record.n_unanswered:,} samples have no answer ({record.unanswered_why}); run the same command again "
            "to ask for them"
        )


def _train_tokenizer(wanted: NewTokenizer, base: str, folder: Path, progress: Progress) -> None:
    """Learn a tokenizer aside, and put it in its place when it is whole."""
    from curation.tokens.train import Recipe, train_tokenizer

    recipe = Recipe(
        vocab_size=wanted.vocab_size,
        korean_frac=wanted.korean,
        bytes_max=wanted.bytes_max,
        digits=wanted.digits,
        special_tokens=tuple(wanted.special),
    )
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.parent.mkdir(parents=True, exist_ok=True)
    train_tokenizer(tokenizer_files(wanted, base), Folder(str(aside)), recipe, progress)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)


def tokenizer_files(wanted: NewTokenizer, base: str) -> list[str]:
    """The files that a tokenizer learns from; of a run of `onggi curate` its documents.

    Raises:
        RequestError: there are none.
    """
    found = list[str]()
    for path in (resolve(text, base) for text in wanted.text):
        is_run = Path(path, RECORD).is_file() and Path(path, DOCUMENTS).is_dir()
        found += input_files(f"{path}/{DOCUMENTS}" if is_run else path)
    return found


def problems_of(manifest: Manifest | NewTokenizer, base: str, folder: Path) -> list[str]:
    """What is wrong with a step as far as it can be told before any work: what it names and is not there.

    Steps that read what others make are told of that, too; whoever asks knows what is to come.
    """
    if isinstance(manifest, TrainingManifest):
        from training.outlook import outlook

        return outlook(manifest, base, str(folder), done={}).problems
    found = list[str]()
    for look in _looks(manifest, base, folder):
        try:
            look()
        except (RequestError, RunError) as error:
            found += str(error).splitlines()
    return found


def _looks(manifest: Manifest | NewTokenizer, base: str, folder: Path) -> Iterator[Callable[[], object]]:
    """What is looked at of a step, one by one: where one is to come, the others are looked at all the same."""
    if isinstance(manifest, NewTokenizer):
        for text in manifest.text:
            yield partial(tokenizer_files, manifest.model_copy(update={"text": [text]}), base)
    elif isinstance(manifest, MixtureManifest):
        from curation.mixture.survey import MixJob, checked_slices

        job = MixJob(manifest, base, str(folder))
        yield lambda: job.tokenizer
        yield from (partial(checked_slices, source, job) for source in manifest.sources)
    elif isinstance(manifest, CorpusManifest):
        from curation.pipeline import prepare

        yield partial(prepare, manifest, base, str(folder))
    elif isinstance(manifest, SynthesisManifest):
        from synth.seeds import seed_files

        yield partial(seed_files, manifest.seeds, base)
    elif isinstance(manifest, EvaluationManifest):
        from training.evaluating.ask import check_data
        from training.flops import read_config

        yield partial(check_data, manifest, base)
        yield from (partial(read_config, Path(resolve(model.path, base))) for model in manifest.models)
