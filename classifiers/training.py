"""Training the model that a manifest asks for, one per language or one for all, and scores out of fold."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from classifiers.cards import FastTextCard, LanguagesCard, write_card
from classifiers.encoder import check_installed as check_encoders
from classifiers.encoder import find_encoder, load_encoder
from classifiers.examples import document_files, read_documents, text_digests
from classifiers.fasttext_train import FastTextSettings, Quantisation, check_installed, train_fasttext
from classifiers.head import HeadSettings, fit_on_vectors, train_head
from classifiers.language import LanguageIdentifier
from classifiers.lsa import LsaSettings, train_lsa
from classifiers.scorer import Scorer
from classifiers.spelling import read_as
from classifiers.text_lexicon import TEACHING
from manifests.errors import RequestError
from manifests.schema_classifier import FastText, Head, Lsa
from manifests.store import resolve

Numbers = npt.NDArray[np.float64]
Model = FastText | Lsa | Head

WHOLE = 1 << 40
"""Characters: unlabelled text is not cut."""


@dataclass(frozen=True)
class Gold:
    """The texts that a classifier is judged by: nothing is learnt from them, not even their words."""

    digests: frozenset[str] = frozenset()
    """Of the texts as cut."""
    max_chars: int = WHOLE
    """Where they are cut."""

    def left_out(self, batch: pl.DataFrame) -> pl.DataFrame:
        """The documents of a batch that are not among them."""
        digests = text_digests(batch["text"].str.slice(0, self.max_chars))
        return batch.filter(~digests.is_in(list(self.digests)))


NO_GOLD = Gold()


def check_model(model: Model) -> None:
    """Check that what trains the model is installed.

    Raises:
        RequestError: says how to install it.
    """
    match model:
        case FastText():
            check_installed()
        case Head():
            check_encoders("training a head", "train")


def train(
    model: Model,
    languages: Sequence[str],
    examples: pl.DataFrame,
    folder: Path,
    base: str = "/",
    gold: Gold = NO_GOLD,
) -> Numbers | None:
    """Train a classifier into a folder, whole or not at all.

    Args:
        model: what to train.
        languages: a model for each of them; for none one model for all.
        examples: documents with labels (see `examples.EXAMPLE`).
        folder: of the classifier; what is there is replaced.
        base: where the model's relative paths start.
        gold: texts that are left out of unlabelled ones.

    Returns:
        Scores of the examples where all labels of their sources are left out, shape (n,), NaN for those of other
        languages; None for kinds of models that do not give them along with their training.

    Raises:
        RequestError: a language has no two different labels.
    """
    aside = folder.with_name(f".{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    held_out: Numbers | None = np.full(len(examples), np.nan)
    for language in languages or [""]:
        mine = _of_language(examples, language)
        found = _train_one(model, examples.filter(pl.Series(mine)), aside / language, language, base, gold)
        if held_out is not None and found is not None:
            held_out[mine] = found
        else:
            held_out = None
    if languages:
        write_card(aside, LanguagesCard(models={language: language for language in languages}))
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    return held_out


def _of_language(examples: pl.DataFrame, language: str) -> npt.NDArray[np.bool_]:
    """Which examples are in a language; "" is all of them."""
    if not language:
        return np.full(len(examples), True)
    return (examples["language"] == language).fill_null(False).to_numpy()


def _train_one(
    model: Model, examples: pl.DataFrame, folder: Path, language: str, base: str, gold: Gold
) -> Numbers | None:
    if not _is_enough(examples):
        n_docs, what = len(examples), language or "all languages"
        found = f"all {n_docs:,} labels are {examples['label'][0]:g}" if n_docs else "there are no labels"
        raise RequestError(f"documents of {what}: {found}; a classifier needs two that differ")
    folder.mkdir(exist_ok=True)
    match model:
        case FastText():
            _train_fasttext(model, examples, folder)
        case Head():
            encoder = resolve(model.encoder, base)
            train_head(_texts(examples), examples["label"].to_numpy(), encoder, folder, _head_settings(model))
        case Lsa():
            return _train_lsa(model, examples, folder, language, base, gold)
    return None


def _train_fasttext(model: FastText, examples: pl.DataFrame, folder: Path) -> None:
    names = [f"{label:g}" for label in _whole(examples)]
    settings = FastTextSettings(**model.model_dump(exclude={"kind", "quantise", "view"}))
    name = "model.ftz" if model.quantise else "model.bin"
    texts = read_as(_texts(examples), model.view)
    train_fasttext(texts, names, folder / name, settings, Quantisation() if model.quantise else None)
    values = {label: float(label) for label in sorted(set(names))}
    write_card(folder, FastTextCard(model=name, values=values, view=model.view))


def _head_settings(model: Head) -> HeadSettings:
    return HeadSettings(**model.model_dump(exclude={"kind", "encoder"}))


def _train_lsa(model: Lsa, examples: pl.DataFrame, folder: Path, language: str, base: str, gold: Gold) -> Numbers:
    asked = model.model_dump(exclude={"kind", "unlabelled", "lexicon"})
    settings = LsaSettings(**asked, lexicon=TEACHING if model.lexicon else None)
    labels, sources = examples["label"].to_numpy().astype(float), examples["source"].to_list()
    more = _unlabelled(model, language, base, gold)
    return train_lsa(_texts(examples), labels, folder, settings, sources, more).held_out


def _unlabelled(model: Lsa, language: str, base: str, gold: Gold) -> Iterator[pa.LargeStringArray]:
    identifier = LanguageIdentifier() if language else None
    for item in model.unlabelled:
        for path in document_files(item, base):
            for read in read_documents(item, path, WHOLE, identifier):
                batch = gold.left_out(read)
                yield _texts(batch.filter(pl.col("language") == language) if language else batch)


def _texts(examples: pl.DataFrame) -> pa.LargeStringArray:
    return pa.array(examples["text"], pa.large_string())


def _whole(examples: pl.DataFrame) -> Numbers:
    """Labels as whole numbers: a half is the next one."""
    whole: Numbers = np.floor(examples["label"].to_numpy() + 0.5)
    return whole


def scores_of(folder: Path, examples: pl.DataFrame) -> Numbers:
    """Scores of documents by the classifier in a folder, shape (n,); NaN where it finds nothing to judge by."""
    found = Scorer(folder).score(_texts(examples), pa.array(examples["language"], pa.string()))
    return np.array(found.score.to_numpy(zero_copy_only=False), float)


def out_of_fold(
    model: Model,
    languages: Sequence[str],
    examples: pl.DataFrame,
    folds: npt.NDArray[np.int64],
    folder: Path,
    base: str = "/",
    gold: Gold = NO_GOLD,
) -> Numbers:
    """Scores of documents by models that were trained without their fold, shape (n,).

    NaN where what is left without a fold is not enough to train on, and where there is nothing to judge by.

    Args:
        model: what to train.
        languages: as for `train`.
        examples: documents with labels.
        folds: the fold of each, shape (n,).
        folder: to train in; it is gone afterwards.
        base: where the model's relative paths start.
        gold: as for `train`.
    """
    if isinstance(model, Head) and model.frozen:
        return _heads_out_of_fold(model, languages, examples, folds, base)
    scores = np.full(len(examples), np.nan)
    for fold in np.unique(folds):
        mine = folds == fold
        rest = examples.filter(pl.Series(~mine))
        fitting = [language for language in languages if _is_enough(rest.filter(pl.col("language") == language))]
        if fitting or (not languages and _is_enough(rest)):
            train(model, fitting, rest, folder, base, gold)
            scores[mine] = scores_of(folder, examples.filter(pl.Series(mine)))
    shutil.rmtree(folder, ignore_errors=True)
    return scores


def _heads_out_of_fold(
    model: Head, languages: Sequence[str], examples: pl.DataFrame, folds: npt.NDArray[np.int64], base: str
) -> Numbers:
    """The same for heads on a frozen encoder, through which each text goes once."""
    settings = _head_settings(model)
    found = find_encoder(
        resolve(model.encoder, base),
        "model.encoder",
        model.pooling,
        model.max_tokens,
        model.prefix,
        model.batch_tokens,
    )
    vectors = load_encoder(found, "model.encoder", settings.device).vectors(_texts(examples))
    labels, scores = examples["label"].to_numpy().astype(float), np.full(len(examples), np.nan)
    for language in languages or [""]:
        spoken = _of_language(examples, language)
        for fold in np.unique(folds[spoken]):
            mine, rest = spoken & (folds == fold), spoken & (folds != fold)
            if _is_enough(examples.filter(pl.Series(rest))):
                weight, bias, _ = fit_on_vectors(vectors[rest], labels[rest], settings)
                scores[mine] = vectors[mine] @ weight + bias
    return scores


def _is_enough(examples: pl.DataFrame) -> bool:
    return len(set(_whole(examples))) > 1


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
    return np.array([fold_of[source] for source in examples["source"]], np.int64)
