"""Training the model that a manifest asks for, one per language or one for all, and scores out of fold."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from classifiers.cards import FastTextCard, LanguagesCard, write_card
from classifiers.fasttext_train import FastTextSettings, Quantisation, check_installed, train_fasttext
from classifiers.scorer import Scorer
from manifests.errors import RequestError
from manifests.schema_classifier import FastTextModel

Numbers = npt.NDArray[np.float64]


def check_model(model: FastTextModel) -> None:
    """Check that what trains the model is installed.

    Raises:
        RequestError: says how to install it.
    """
    check_installed()


def train(model: FastTextModel, languages: Sequence[str], examples: pl.DataFrame, folder: Path) -> None:
    """Train a classifier into a folder, whole or not at all.

    Args:
        model: what to train.
        languages: a model for each of them; for none one model for all.
        examples: documents with labels (see `examples.EXAMPLE`).
        folder: of the classifier; what is there is replaced.

    Raises:
        RequestError: a language has no two different labels.
    """
    aside = folder.with_name(f".{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for language in languages:
        (aside / language).mkdir()
        _train_one(model, examples.filter(pl.col("language") == language), aside / language, language)
    if languages:
        write_card(aside, LanguagesCard(models={language: language for language in languages}))
    else:
        _train_one(model, examples, aside, "all")
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)


def _train_one(model: FastTextModel, examples: pl.DataFrame, folder: Path, what: str) -> None:
    names = [f"{label:g}" for label in np.floor(examples["label"].to_numpy() + 0.5)]
    if len(set(names)) < 2:
        found = f"all {len(names):,} labels are {names[0]}" if names else "there are no labels"
        raise RequestError(f"documents of {what}: {found}; a classifier needs two that differ")
    settings = FastTextSettings(**model.model_dump(exclude={"kind", "quantise"}))
    name = "model.ftz" if model.quantise else "model.bin"
    texts = pa.array(examples["text"], pa.large_string())
    train_fasttext(texts, names, folder / name, settings, Quantisation() if model.quantise else None)
    write_card(folder, FastTextCard(model=name, values={label: float(label) for label in sorted(set(names))}))


def scores_of(folder: Path, examples: pl.DataFrame) -> Numbers:
    """Scores of documents by the classifier in a folder, shape (n,); NaN where it finds nothing to judge by."""
    texts = pa.array(examples["text"], pa.large_string())
    found = Scorer(folder).score(texts, pa.array(examples["language"], pa.string()))
    return np.array(found.score.to_numpy(zero_copy_only=False), float)


def out_of_fold(
    model: FastTextModel,
    languages: Sequence[str],
    examples: pl.DataFrame,
    folds: npt.NDArray[np.int64],
    folder: Path,
) -> Numbers:
    """Scores of documents by models that were trained without their fold, shape (n,).

    NaN where what is left without a fold is not enough to train on, and where there is nothing to judge by.

    Args:
        model: what to train.
        languages: as for `train`.
        examples: documents with labels.
        folds: the fold of each, shape (n,).
        folder: to train in; it is gone afterwards.
    """
    scores = np.full(len(examples), np.nan)
    for fold in np.unique(folds):
        mine = folds == fold
        rest = examples.filter(pl.Series(~mine))
        fitting = [language for language in languages if _is_enough(rest.filter(pl.col("language") == language))]
        if fitting or (not languages and _is_enough(rest)):
            train(model, fitting, rest, folder)
            scores[mine] = scores_of(folder, examples.filter(pl.Series(mine)))
    shutil.rmtree(folder, ignore_errors=True)
    return scores


def _is_enough(examples: pl.DataFrame) -> bool:
    return len(set(np.floor(examples["label"].to_numpy() + 0.5))) > 1


def folds_by_document(examples: pl.DataFrame, n_folds: int) -> npt.NDArray[np.int64]:
    """A fold per document, by the digest of its text; positives and negatives are dealt out apart."""
    order = examples.with_row_index("row").sort("label", "digest")["row"].to_numpy()
    folds = np.empty(len(examples), np.int64)
    folds[order] = np.arange(len(examples)) % n_folds
    return folds


def folds_by_source(examples: pl.DataFrame, n_folds: int) -> npt.NDArray[np.int64]:
    """A fold per document in which whole sources lie: the largest first, each into the smallest fold so far."""
    sizes = examples.group_by("source").len().sort("len", "source", descending=[True, False])
    fold_of, filled = {}, [0] * min(n_folds, len(sizes))
    for source, n_docs in sizes.iter_rows():
        fold_of[source] = int(np.argmin(filled))
        filled[fold_of[source]] += n_docs
    return np.array(list(_each(examples["source"], fold_of)), np.int64)


def _each(column: pl.Series, values: dict[str, int]) -> Iterator[int]:
    return (values[item] for item in column)
