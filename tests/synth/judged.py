"""Real English texts with the score that a large language model gave them: what judges are compared on."""

from pathlib import Path
from typing import Any

import polars as pl
import yaml

from synth.annotations.annotate import Document
from tests.conftest import REPOSITORY

WINDOWS = REPOSITORY / "benchmarks" / "data" / "edu_windows" / "windows.parquet"


def judged_windows(per_score: int) -> pl.DataFrame:
    """English windows under the MIT licence, so many of each score: `id`, `text`, `source`, `score` from 0 to 5."""
    windows = pl.read_parquet(WINDOWS).filter(lang="en", license="MIT").sort("id")
    # Half away from zero: a score is the mean of two readings where there were two.
    windows = windows.with_columns(score=(pl.col.score + 0.5).floor().cast(pl.Int64))
    return windows.filter(pl.int_range(pl.len()).over("score") < per_score).select("id", "text", "source", "score")


def documents(windows: pl.DataFrame) -> list[Document]:
    return [Document(id_, text, "en") for id_, text in windows.select("id", "text").iter_rows()]


def loop_manifest(folder: Path, teacher: dict[str, Any], rounds: int, per_round: int) -> Path:
    """A manifest of `onggi classifier`: candidates are those of `judged_windows(5)`, seeds and gold are others.

    Whatever candidates a model picks are among these, so that one recording of them serves any model.
    """
    windows, corpus = pl.read_parquet(WINDOWS).filter(lang="en"), judged_windows(5)
    others = windows.filter(~pl.col("text").is_in(corpus["text"].implode())).sort("id").gather_every(4)
    gold = pl.col("source").rank("dense") % 3 == 0
    corpus.with_columns(lang=pl.lit("en")).drop("score").write_parquet(folder / "corpus.parquet")
    others.filter(gold).write_parquet(folder / "gold.parquet")
    others.filter(~gold).write_parquet(folder / "seeds.parquet")
    columns = {"source": "source", "language": "lang"}
    manifest = {
        "kind": "classifier",
        "name": "edu",
        "seeds": [{"path": "seeds.parquet", **columns}],
        "gold": [{"path": "gold.parquet", **columns}],
        "documents": [{"path": "corpus.parquet", **columns}],
        "model": {"kind": "fasttext", "dim": 8, "bucket": 2000, "epoch": 5},
        "teacher": teacher,
        "candidates": {"per_round": per_round},
        "stop": {"rounds": rounds, "patience": 9},
        "output": "out",
    }
    path = folder / "edu.yaml"
    path.write_text(yaml.safe_dump(manifest))
    return path
