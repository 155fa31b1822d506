"""Training by a manifest's model, and scores out of fold."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.evaluate import auc, spearman
from classifiers.scorer import Scorer
from classifiers.training import folds_by_document, folds_by_source, out_of_fold, scores_of, train
from manifests.errors import RequestError
from manifests.schema_classifier import Documents, FastText, Head, Lsa
from tests.classifiers.test_head import write_encoder
from tests.classifiers.toy import corpus

MODEL = FastText(kind="fasttext", dim=8, epoch=15, lr=0.5, bucket=1000, word_ngrams=1)


@pytest.fixture(scope="module")
def examples() -> pl.DataFrame:
    return corpus(300, 5, 0.5).rename({"score": "label"}).with_columns(digest=pl.col("id"))


def test_one_model_for_all_and_one_per_language(examples: pl.DataFrame, tmp_path: Path) -> None:
    pytest.importorskip("fasttext")
    train(MODEL, [], examples, tmp_path / "all")
    train(MODEL, ["ko", "en"], examples, tmp_path / "apart")
    assert not Scorer(tmp_path / "all").by_language
    assert Scorer(tmp_path / "apart").languages == ["en", "ko"]
    held_out = corpus(200, 6, 0.5).rename({"score": "label"})
    for folder in ("all", "apart"):
        assert spearman(held_out["label"].to_numpy(), scores_of(tmp_path / folder, held_out)) > 0.7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all", "apart"]


def test_a_language_without_two_labels(examples: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(
        RequestError, match="documents of ja: there are no labels; a classifier needs two that differ"
    ):
        train(MODEL, ["ja"], examples, tmp_path / "model")
    with pytest.raises(RequestError, match=r"documents of all languages: all 300 labels are 2"):
        train(MODEL, [], examples.with_columns(label=2.0), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_nothing_scores_what_it_was_trained_on(examples: pl.DataFrame, tmp_path: Path) -> None:
    pytest.importorskip("fasttext")
    noise = examples.with_columns(
        label=pl.Series(np.random.default_rng(0).permutation([0.0, 5.0] * 150)),
        text=pl.concat_str(pl.lit("same words here "), pl.col("id")),
    )
    train(MODEL, [], noise, tmp_path / "model")
    positive = noise["label"].to_numpy() > 0
    apart = out_of_fold(MODEL, [], noise, folds_by_document(noise, 3), tmp_path / "fold")
    assert auc(positive, scores_of(tmp_path / "model", noise)) > 0.99  # it learns the names by heart
    assert abs(auc(positive, apart) - 0.5) < 0.12
    assert not (tmp_path / "fold").exists()


def test_folds_that_leave_too_little(examples: pl.DataFrame, tmp_path: Path) -> None:
    pytest.importorskip("fasttext")
    two = pl.concat([examples.filter(pl.col("label") == 5).head(1), examples.filter(pl.col("label") == 0).head(9)])
    scores = out_of_fold(MODEL, [], two, np.array([0] + [1] * 9), tmp_path / "fold")
    assert np.isnan(scores).all()


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=60), st.integers(2, 5))
def test_sources_stay_together(sources: list[str], n_folds: int) -> None:
    frame = pl.DataFrame({"source": sources, "digest": [str(k) for k in range(len(sources))], "label": 0.0})
    folds = folds_by_source(frame, n_folds)
    assert all(len(set(folds[np.array(sources) == name])) == 1 for name in set(sources))
    assert set(folds) == set(range(min(n_folds, len(set(sources)))))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(2, 5))
def test_labels_are_dealt_out_evenly(labels: list[int], n_folds: int) -> None:
    frame = pl.DataFrame({"digest": [f"{k:03d}" for k in range(len(labels))], "label": np.array(labels, float)})
    folds = folds_by_document(frame, n_folds)
    for label in set(labels):
        counts = np.bincount(folds[np.array(labels) == label], minlength=n_folds)
        assert counts.max() - counts.min() <= 1
    again = folds_by_document(frame.reverse(), n_folds)
    assert (again[::-1] == folds).all()


def test_lsa_holds_out_sources_while_it_trains(examples: pl.DataFrame, tmp_path: Path) -> None:
    model = Lsa(kind="lsa", dimensions=4, n_tokens=100, lexicon=False)
    held_out = train(model, ["ko", "en"], examples, tmp_path / "model")
    assert held_out is not None and not np.isnan(held_out).any()
    assert spearman(examples["label"].to_numpy(), held_out) > 0.7
    assert not np.allclose(held_out, scores_of(tmp_path / "model", examples))
    more = corpus(100, 9).select("text", "language")
    more.write_parquet(tmp_path / "more.parquet")
    with_more = Lsa(**{**model.model_dump(), "unlabelled": [Documents(path="more.parquet", language="language")]})
    assert train(with_more, ["ko", "en"], examples, tmp_path / "other", str(tmp_path)) is not None
    assert Scorer(tmp_path / "other").fingerprint != Scorer(tmp_path / "model").fingerprint


def test_heads_out_of_fold_are_those_that_training_gives(examples: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    write_encoder(tmp_path / "encoder")
    few, model = examples.head(60), Head(kind="head", encoder="encoder", epochs=20, batch_docs=16, lr=0.01)
    folds = folds_by_document(few, 3)
    for languages in ([], ["ko", "en"]):
        found = out_of_fold(model, languages, few, folds, tmp_path / "fold", str(tmp_path))
        for fold in range(3):
            train(model, languages, few.filter(pl.Series(folds != fold)), tmp_path / "model", str(tmp_path))
            expected = scores_of(tmp_path / "model", few.filter(pl.Series(folds == fold)))
            np.testing.assert_allclose(found[folds == fold], expected, atol=1e-4)
