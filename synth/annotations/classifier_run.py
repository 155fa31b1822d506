"""`onggi classifier`: from a manifest to a classifier, its record and its report."""

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import fsspec
import orjson
import polars as pl
import xxhash

from classifiers.cards import CARD
from classifiers.examples import document_files
from classifiers.loop import Annotate, Learnt, by_known_labels, learn
from classifiers.rounds import Labelling
from classifiers.summary import ClassifierSummary
from curation.report_classifier import render_classifier
from manifests.code import version
from manifests.engine import PeakMemory, Stopwatch, Workers, open_engine
from manifests.errors import RequestError
from manifests.record import RECORD, Entry, RunRecord, now, write_record
from manifests.schema_classifier import ClassifierManifest, Documents
from manifests.store import Folder, resolve
from synth.annotations.labelling import TeacherLabels, agreement_of

SUMMARY, REPORT, LABELS = "summary.json", "report.html", "labels.parquet"

Progress = Callable[[str, int, int, str], None]


def run_classifier(
    manifest: ClassifierManifest, base: str, output: str | None, workers: Workers, progress: Progress
) -> tuple[RunRecord, ClassifierSummary, str]:
    """Run a classifier manifest; a killed run goes on where it was.

    Returns:
        The record, what the report is made from, and the folder of the run.

    Raises:
        RequestError: the manifest asks for what is not there.
        RunError: annotating failed, or a worker died.
    """
    folder = resolve(output or manifest.output, base)
    if "://" in folder:
        raise RequestError(f"{folder}: a classifier is trained on local disk; name a path in `output`")
    path, run = Path(folder), Folder(folder)
    _check_own(run)
    path.mkdir(parents=True, exist_ok=True)
    run.remove(RECORD)
    watch = Stopwatch()
    teacher = TeacherLabels(manifest, base, folder, progress) if manifest.teacher else None
    with PeakMemory() as memory, watch("learn"), open_engine(workers) as engine, teacher or nullcontext():
        annotate: Annotate = teacher or (by_known_labels(manifest, base) if manifest.known_labels else _nobody)
        learnt = learn(manifest, base, path, engine, annotate, progress)
    summary = _summary(manifest, learnt, teacher)
    record = _record(manifest, base, path, learnt, watch.seconds, memory.peak_bytes, workers.n_workers)
    run.write_bytes(SUMMARY, summary.model_dump_json().encode())
    write_classifier_report(run, record)
    write_record(run, record)
    return record, summary, folder


def write_classifier_report(run: Folder, record: RunRecord) -> str:
    """Write the report of a run; returns its path."""
    summary = ClassifierSummary.model_validate(run.read_json(SUMMARY))
    run.write_bytes(REPORT, render_classifier(summary, record, run.path).encode())
    return run.url(REPORT)


def _nobody(documents: pl.DataFrame) -> list[Labelling]:
    raise AssertionError("a manifest without an annotator has one round")


def _check_own(run: Folder) -> None:
    """Refuse a folder in which a run would replace what no run wrote.

    Raises:
        RequestError: names what is there.
    """
    theirs = [name for name in ("model", LABELS, REPORT, SUMMARY) if run.exists(name)]
    if theirs and not run.exists("rounds"):
        raise RequestError(
            f"{run.path} holds {', '.join(theirs)}, which a run would replace, and no run; give another folder, or "
            "remove them"
        )


def _summary(manifest: ClassifierManifest, learnt: Learnt, teacher: TeacherLabels | None) -> ClassifierSummary:
    return ClassifierSummary(
        name=manifest.name,
        rounds=learnt.rounds,
        chosen=learnt.chosen,
        positive_from=manifest.positive_from,
        n_labels=learnt.n_labels,
        n_gold=learnt.n_gold,
        n_seeds_in_gold=learnt.n_seeds_in_gold,
        outcomes=dict(Counter(outcome for outcome in learnt.labelled["outcome"] if outcome)),
        spent=teacher.spent if teacher else [],
        agreed=agreement_of(learnt.labelled),
    )


def _record(
    manifest: ClassifierManifest,
    base: str,
    path: Path,
    learnt: Learnt,
    seconds: dict[str, float],
    peak_bytes: int,
    n_workers: int,
) -> RunRecord:
    asked = manifest.model_dump(mode="json")
    model = _model_digest(path / "model")
    return RunRecord(
        name=manifest.name,
        kind="classifier",
        fingerprint=xxhash.xxh3_64_hexdigest(orjson.dumps([asked, model], option=orjson.OPT_SORT_KEYS)),
        onggi_version=version(),
        created=now(),
        manifest=asked,
        manifest_base=base,
        measured_in="",
        inputs=[entry for item in _documents(manifest) for entry in _inputs(item, base)],
        outputs=[Entry(path=LABELS, size_bytes=(path / LABELS).stat().st_size, rows=learnt.n_labels)],
        counts={
            "labels": learnt.n_labels,
            "gold": learnt.n_gold,
            "rounds": len(learnt.rounds),
            "chosen": learnt.chosen,
        },
        skipped={},
        licenses={},
        shards={},
        digests={"model": model},
        timings=seconds,
        throughput={},
        peak_memory_bytes=peak_bytes,
        n_workers=n_workers,
    )


def _documents(manifest: ClassifierManifest) -> list[Documents]:
    return [*manifest.seeds, *manifest.gold, *manifest.documents]


def _inputs(item: Documents, base: str) -> list[Entry]:
    found = []
    for path in document_files(item, base):
        filesystem, inner = fsspec.core.url_to_fs(path)
        found.append(Entry(path=path, size_bytes=filesystem.size(inner)))
    return found


def _model_digest(folder: Path) -> str:
    """XXH3-128 over the files of a classifier, by name."""
    digest = xxhash.xxh3_128()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    assert (folder / CARD).exists()
    return digest.hexdigest()
