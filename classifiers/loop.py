"""The loop of a classifier that learns: train, evaluate, look through the corpus, have candidates labelled.

Each step of a round is a file in the run's folder that is whole or not there, and depends on nothing but the
manifest, its inputs and the labels so far: a run that was killed goes on with the first step that is missing.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import fsspec
import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import xxhash

from classifiers.candidates import CANDIDATE, Survey, SurveyTask, pick, survey_file, wanted_of
from classifiers.evaluate import best_f1
from classifiers.examples import DOCUMENT, EXAMPLE, document_files, read_documents, read_examples
from classifiers.language import LanguageIdentifier
from classifiers.rounds import LABELLING, Labelling, RoundScores, judged_round
from classifiers.summary import Round
from classifiers.training import Gold, check_model, folds_by_document, folds_by_source, out_of_fold, scores_of, train
from manifests.code import code_digest
from manifests.engine import Engine, run_step
from manifests.errors import RequestError
from manifests.schema_classifier import ClassifierManifest, Head, Lsa
from manifests.store import resolve

Numbers = npt.NDArray[np.float64]

Annotate = Callable[[pl.DataFrame], Sequence[Labelling]]
"""Labels of documents with the columns of DOCUMENT."""

Progress = Callable[[str, int, int, str], None]

LABELS = {**EXAMPLE, "origin": pl.String, "round": pl.Int64}
"""What is trained on, and where it came from: `seed`, or why it was a candidate."""

N_FOLDS = 3
"""Of the scores by which the threshold is found around which documents are in doubt."""

CODE = ("classifiers/*.py", "manifests/schema_classifier.py")


@dataclass(frozen=True)
class Loop:
    """What stays the same over all rounds."""

    manifest: ClassifierManifest
    base: str
    folder: Path
    engine: Engine
    annotate: Annotate
    progress: Progress

    def round_folder(self, number: int) -> Path:
        """Where the files of a round lie."""
        return self.folder / "rounds" / f"{number:02d}"


@dataclass(frozen=True)
class Learnt:
    """What came of a loop."""

    rounds: list[Round]
    chosen: int
    """The round whose model it is."""
    n_labels: int
    n_gold: int
    n_seeds_in_gold: int
    """Seeds that are left out because gold holds their text."""
    labelled: pl.DataFrame
    """All candidates of all rounds, with what the annotators said (the columns of LABELLING)."""


def learn(
    manifest: ClassifierManifest,
    base: str,
    folder: Path,
    engine: Engine,
    annotate: Annotate,
    progress: Progress = lambda step, done, total, note: None,
) -> Learnt:
    """Run the rounds of a manifest and leave the best model in `folder/model`.

    Args:
        manifest: of the classifier.
        base: where its relative paths start.
        folder: of the run.
        engine: where the corpus is looked through.
        annotate: labels candidates.
        progress: called with (step, done, total, note).

    Raises:
        RequestError: an input is missing or wrong, or there is too little to train on.
        RunError: annotating failed.
    """
    check_model(manifest.model)
    loop = Loop(manifest, base, folder, engine, annotate, progress)
    identifier = LanguageIdentifier()
    progress("read", 0, 1, "")
    gold = read_examples(manifest.gold, base, manifest.max_chars, identifier)
    seeds = read_examples(manifest.seeds, base, manifest.max_chars, identifier)
    progress("read", 1, 1, f"{seeds.height:,} seeds, {gold.height:,} gold")
    fresh = seeds.filter(~pl.col("digest").is_in(gold["digest"].implode()))
    _check_inputs(loop, fresh, gold)
    _forget_other_runs(loop, fresh, gold)
    labels = fresh.with_columns(origin=pl.lit("seed"), round=pl.lit(0, pl.Int64)).select(*LABELS)
    rounds: list[Round] = []
    while True:
        rounds.append(_round(loop, len(rounds), labels, gold))
        if len(rounds) > manifest.n_rounds or _has_settled(rounds, manifest):
            break
        labels = pl.concat([labels, _labelled(loop, len(rounds) - 1, labels, gold)])
        if labels.height == rounds[-1].n_labels:
            break  # the corpus has nothing left, or nobody could label it
    labels.write_parquet(folder / "labels.parquet")
    recalls = [found.recall_at_precision for found in rounds]
    chosen = max(range(len(rounds)), key=lambda number: (recalls[number], number))
    _copy(loop.round_folder(chosen) / "model", folder / "model")
    n_seeds_in_gold = seeds.height - fresh.height
    return Learnt(rounds, chosen, labels.height, gold.height, n_seeds_in_gold, _all_labelled(loop, len(rounds)))


def _check_inputs(loop: Loop, seeds: pl.DataFrame, gold: pl.DataFrame) -> None:
    """Refuse what would be found wrong, or found to say nothing, once a model is trained and a teacher is paid.

    Raises:
        RequestError: names the field.
    """
    manifest, field, judged = loop.manifest, "gold" if gold.height else "seeds", gold if gold.height else seeds
    if seeds.is_empty():
        raise RequestError("seeds: all of their texts are in `gold` too, and these are trained on nowhere")
    for item in manifest.documents:
        next(read_documents(item, document_files(item, loop.base)[0], manifest.max_chars, None), None)
    is_positive = judged["label"] >= manifest.positive_from
    if is_positive.all() or not is_positive.any():
        found = f"{'all' if is_positive.all() else 'none'} of the {judged.height:,} labels of {field} reach it"
        labels = sorted(set(judged["label"].to_list()))
        raise RequestError(
            f"positive_from: {manifest.positive_from:g}: {found}; they run from {labels[0]:g} to {labels[-1]:g}"
        )


def _all_labelled(loop: Loop, n_rounds: int) -> pl.DataFrame:
    paths = (loop.round_folder(number) / "labels.parquet" for number in range(n_rounds))
    nothing = pl.DataFrame(schema={**CANDIDATE, "why": pl.String, **LABELLING})
    return pl.concat([nothing, *(pl.read_parquet(path).select(nothing.columns) for path in paths if path.exists())])


def _forget_other_runs(loop: Loop, seeds: pl.DataFrame, gold: pl.DataFrame) -> None:
    """Remove rounds of another manifest or other inputs; the teacher's answers are kept elsewhere."""
    manifest = loop.manifest
    when_it_ends = {"rounds", "min_gain", "patience"}
    asked = manifest.model_dump(mode="json", exclude={"output": True, "stop": when_it_ends})
    depends = [
        asked,
        [_state(path) for path in _files(manifest, loop.base)],
        [frame.select("digest", "source", "language", "label").rows() for frame in (seeds, gold)],
        code_digest(*CODE),
    ]
    fingerprint = xxhash.xxh3_64_hexdigest(orjson.dumps(depends, option=orjson.OPT_SORT_KEYS))
    note = loop.folder / "rounds" / "fingerprint"
    if not note.exists() or note.read_text() != fingerprint:
        shutil.rmtree(loop.folder / "rounds", ignore_errors=True)
        note.parent.mkdir(parents=True)
        note.write_text(fingerprint)


def _files(manifest: ClassifierManifest, base: str) -> list[str]:
    """The files that rounds depend on, but for seeds and gold."""
    model, known = manifest.model, manifest.known_labels
    read = [*manifest.documents, *([known] if known else []), *(model.unlabelled if isinstance(model, Lsa) else [])]
    files = [path for item in read for path in document_files(item, base)]
    encoder = Path(resolve(model.encoder, base)) if isinstance(model, Head) else None
    return files + [str(path) for path in sorted(encoder.rglob("*") if encoder else []) if path.is_file()]


def _state(path: str) -> tuple[str, str]:
    """Changes when a file does, as its filesystem tells: by size and time, or by a tag."""
    filesystem, inner = fsspec.core.url_to_fs(path)
    return path, str(filesystem.checksum(inner))


def _has_settled(rounds: Sequence[Round], manifest: ClassifierManifest) -> bool:
    """Whether recall at the precision that was asked for did not rise in the last rounds."""
    recalls = [found.recall_at_precision for found in rounds]
    if len(recalls) <= manifest.stop.patience:
        return False
    before = max(recalls[: -manifest.stop.patience])
    return max(recalls[-manifest.stop.patience :]) < before + manifest.stop.min_gain


# a round


def _round(loop: Loop, number: int, labels: pl.DataFrame, gold: pl.DataFrame) -> Round:
    """Train, evaluate, and look through the corpus."""
    folder, manifest = loop.round_folder(number), loop.manifest
    done, n_steps, note = folder / "round.json", 2 + bool(manifest.documents), f"round {number}"
    if done.exists():
        loop.progress(note, n_steps, n_steps, "was there")
        return Round.model_validate_json(done.read_bytes())
    folder.mkdir(parents=True, exist_ok=True)
    loop.progress(note, 0, n_steps, f"training on {labels.height:,} labels")
    held_out = train(manifest.model, manifest.languages, labels, folder / "model", loop.base, _judged_by(loop, gold))
    loop.progress(note, 1, n_steps, "evaluating")
    doubtful = _threshold(loop, labels, gold, folder, held_out)
    evaluated, scores = _evaluated(loop, labels, gold, folder, held_out)
    loop.progress(note, 2, n_steps, "looking through the corpus")
    survey = _survey(loop, number, labels, gold, doubtful)
    found = judged_round(
        number, labels, RoundScores(evaluated, scores, is_gold=gold.height > 0), survey, doubtful, manifest
    )
    _write(done, found.model_dump_json().encode())
    loop.progress(note, n_steps, n_steps, f"{found.n_labels:,} labels, recall {found.recall_at_precision:.3f}")
    return found


def _threshold(loop: Loop, labels: pl.DataFrame, gold: pl.DataFrame, folder: Path, held_out: Numbers | None) -> float:
    """The score that parts the labels best, out of fold: where the model is in doubt."""
    if not loop.manifest.documents:
        return loop.manifest.positive_from
    folds = folds_by_document(labels, N_FOLDS)
    scores = _held_out(loop, labels, gold, folds, folder) if held_out is None else held_out
    positive = (labels["label"] >= loop.manifest.positive_from).to_numpy()
    has_score = ~np.isnan(scores)
    if not positive[has_score].any():
        return loop.manifest.positive_from
    return best_f1(positive[has_score], scores[has_score])[1]


def _held_out(
    loop: Loop, labels: pl.DataFrame, gold: pl.DataFrame, folds: npt.NDArray[np.int64], folder: Path
) -> Numbers:
    model, apart = loop.manifest.model, _judged_by(loop, gold)
    return out_of_fold(model, loop.manifest.languages, labels, folds, folder / "fold", loop.base, apart)


def _judged_by(loop: Loop, gold: pl.DataFrame) -> Gold:
    return Gold(frozenset(gold["digest"]), loop.manifest.max_chars)


def _evaluated(
    loop: Loop, labels: pl.DataFrame, gold: pl.DataFrame, folder: Path, held_out: Numbers | None
) -> tuple[pl.DataFrame, Numbers]:
    """What is evaluated on, and its scores: gold, or else the labels out of fold."""
    manifest = loop.manifest
    if gold.height:
        return gold, scores_of(folder / "model", gold)
    how = manifest.cross_validation
    folds = (folds_by_source if how.by == "source" else folds_by_document)(labels, how.folds)
    if len(np.unique(folds)) < 2:
        raise RequestError(
            "cross_validation.by: all labels are of one source; name the column `source` of the seeds, give a `gold` "
            "set, or take `by: document`"
        )
    return labels, _held_out(loop, labels, gold, folds, folder) if held_out is None else held_out


def _survey(loop: Loop, number: int, labels: pl.DataFrame, gold: pl.DataFrame, threshold: float) -> Survey | None:
    """What the corpus looks like to the model of this round; its candidates are written beside."""
    manifest, folder = loop.manifest, loop.round_folder(number)
    if not manifest.documents:
        return None
    known = pl.concat([labels["digest"], gold["digest"]]).alias("digest").to_frame()
    known.write_parquet(folder / "known.parquet")
    wanted = wanted_of(manifest.candidates)
    tasks = [
        SurveyTask(
            item,
            path,
            manifest.max_chars,
            str(folder / "model"),
            str(folder / "known.parquet"),
            wanted,
            threshold,
            (float(labels["label"].min()), float(labels["label"].max())),  # type: ignore[arg-type]
            manifest.seed + number,
        )
        for item in manifest.documents
        for path in document_files(item, loop.base)
    ]
    total = Survey()

    def show(step: str, done: int, n_files: int) -> None:
        loop.progress(step, done, n_files, f"round {number}")

    for part in run_step(loop.engine, show, "survey", survey_file, tasks):
        total.add(part, tasks[0])
    pick(total, wanted).write_parquet(folder / "candidates.parquet")
    return total


def _labelled(loop: Loop, number: int, labels: pl.DataFrame, gold: pl.DataFrame) -> pl.DataFrame:
    """The labels of a round's candidates, as far as they could be had."""
    folder = loop.round_folder(number)
    candidates = pl.read_parquet(folder / "candidates.parquet")
    done = folder / "labels.parquet"
    if not done.exists():
        found = loop.annotate(candidates.select(*DOCUMENT))
        said = [(item.digest, item.score, item.outcome, item.reason, item.second) for item in found]
        rows = pl.DataFrame(said, schema=LABELLING, orient="row")
        joined = candidates.join(rows, on="digest", how="left", maintain_order="left")
        aside = folder / ".labels.parquet"
        joined.write_parquet(aside)
        aside.rename(done)
    known = pl.read_parquet(done).filter(pl.col("label").is_not_null())
    return known.with_columns(origin=pl.col("why"), round=pl.lit(number + 1, pl.Int64)).select(*LABELS)


def _write(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}")
    aside.write_bytes(content)
    aside.rename(path)


def _copy(source: Path, target: Path) -> None:
    aside = target.with_name(f".{target.name}")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(source, aside)
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)


def by_known_labels(manifest: ClassifierManifest, base: str) -> Annotate:
    """An annotator that knows the labels already, by the text: for studies of the loop itself.

    Raises:
        RequestError: the labels cannot be read.
    """
    assert manifest.known_labels
    examples = read_examples([manifest.known_labels], base, manifest.max_chars, None)
    label_of = dict(examples.select("digest", "label").iter_rows())

    def annotate(documents: pl.DataFrame) -> list[Labelling]:
        found = ((digest, label_of.get(digest)) for digest in documents["digest"])
        return [Labelling(digest, label, "unknown" if label is None else "labelled") for digest, label in found]

    return annotate
