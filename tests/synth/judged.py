"""Real English texts with the score that a large language model gave them: what judges are compared on."""

import polars as pl

from synth.annotate import Document
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
