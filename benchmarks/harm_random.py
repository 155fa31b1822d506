"""A threshold of `toxicity` for texts as they come: tuned on random ones, by models that never saw them."""

import tempfile
from pathlib import Path

import harm_data
import numpy as np
import polars as pl
import xxhash
from harm_lists import model_system

from classifiers.evaluate import best_f1
from classifiers.examples import read_examples
from classifiers.training import train
from manifests.load import load_kind
from manifests.recipes import find_manifest
from manifests.schema_classifier import ClassifierManifest

N_FOLDS = 4


def random_thresholds(data: Path) -> dict[str, float]:
    """By language, the threshold of the best F1 on random texts of the training set, scored out of fold."""
    scored = out_of_fold(data)
    found = {}
    for language in ("ko", "en"):
        mine = scored.filter(pl.col("language") == language)
        found[language] = round(best_f1(mine["label"].to_numpy() == 1, mine["score"].to_numpy())[1], 2)
    return found


def out_of_fold(data: Path) -> pl.DataFrame:
    """Random texts of the even half with `label`, `language` and `score`, by models of the shipped recipe."""
    rows = harm_data.training_set(data).filter(pl.col("part") == "train")
    drawn = harm_data.judged(data, "train").filter(pl.col("chosen") == "random")["id"].to_list()
    folds = np.array([xxhash.xxh3_64_intdigest(text.encode(), seed=1) % N_FOLDS for text in rows["text"]])
    parts = []
    for fold in range(N_FOLDS):
        mine = rows.filter(pl.Series(folds == fold)).filter(pl.col("id").is_in(drawn))
        scores = _trained_on(rows.filter(pl.Series(folds != fold)), mine["text"].to_list())
        parts.append(mine.select("language", "label", score=pl.Series(scores)))
    return pl.concat(parts)


def _trained_on(rows: pl.DataFrame, texts: list[str]) -> np.ndarray:
    manifest = load_kind(ClassifierManifest, find_manifest("toxicity"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "harm").mkdir()
        rows.write_parquet(folder / "harm" / "toxicity.parquet")
        examples = read_examples(manifest.seeds, name, manifest.max_chars, None)
        train(manifest.model, manifest.languages, examples, folder / "toxicity", name)
        return model_system("toxicity", folder).score(texts)
