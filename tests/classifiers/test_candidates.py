"""Which documents are picked: against a sort of the whole corpus, and the same whatever the files are."""

from math import ceil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from classifiers.candidates import SHARE_MAX, Survey, SurveyTask, pick, survey_file, wanted_of
from classifiers.scorer import Scorer
from classifiers.training import scores_of, train
from manifests.schema_classifier import Candidates, Documents
from tests.classifiers.test_training import MODEL
from tests.classifiers.toy import COLUMNS, corpus

WANTED = (12, 20, 8)
THRESHOLD = 2.2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("fasttext")
    made = tmp_path_factory.mktemp("survey")
    train(MODEL, [], corpus(200, 5, 0.4).rename({"score": "label"}), made / "model")
    pool = corpus(900, 6)
    pool[:500].write_parquet(made / "a.parquet")
    pool[400:].write_parquet(made / "b.parquet")  # a hundred documents stand in both
    pool.write_parquet(made / "whole.parquet")
    pl.DataFrame({"digest": _digests(pool)[:50]}).write_parquet(made / "known.parquet")
    return made


def _digests(frame: pl.DataFrame) -> list[str]:
    import xxhash

    return [xxhash.xxh3_128_hexdigest(text.encode()) for text in frame["text"]]


def survey(folder: Path, *names: str) -> Survey:
    total = Survey()
    for name in names:
        path = str(folder / f"{name}.parquet")
        task = SurveyTask(
            Documents(path=path, **COLUMNS), path, 1200, str(folder / "model"), str(folder / "known.parquet"), WANTED,
            THRESHOLD, (0.0, 5.0), 7,
        )  # fmt: skip
        total.add(survey_file(task), task)
    return total


def test_picks_are_the_best_of_the_whole_corpus_within_shares(folder: Path) -> None:
    found = pick(survey(folder, "whole"), WANTED)
    pool = pl.read_parquet(folder / "whole.parquet")
    whole = pool.with_columns(
        digest=pl.Series(_digests(pool)), value=pl.Series(scores_of(folder / "model", pool))
    ).unique("digest", keep="first", maintain_order=True)[50:]
    strata = whole.with_columns(
        size=pl.when(pl.col("text").str.len_chars() < 200).then(pl.lit("s")).otherwise(pl.lit("m"))
    )
    n_strata = strata.select("source", "size").unique().height
    cap = max(1, ceil(SHARE_MAX * WANTED[0] / n_strata))
    ordered = strata.sort(-pl.col("value"), "digest")
    expected = ordered.filter(pl.int_range(pl.len()).over("source", "size") < cap).head(WANTED[0])
    assert found.filter(why="top")["digest"].to_list() == expected["digest"].to_list()
    rest = strata.filter(~pl.col("digest").is_in(expected["digest"].implode()))
    cap = max(1, ceil(SHARE_MAX * WANTED[1] / n_strata))
    doubtful = rest.sort((pl.col("value") - THRESHOLD).abs(), "digest")
    expected = doubtful.filter(pl.int_range(pl.len()).over("source", "size") < cap).head(WANTED[1])
    assert found.filter(why="uncertain")["digest"].to_list() == expected["digest"].to_list()
    assert found["why"].value_counts(sort=True).rows() == [("uncertain", 20), ("top", 12), ("random", 8)]
    assert found["digest"].n_unique() == sum(WANTED)


def test_files_make_no_difference(folder: Path) -> None:
    whole, parts = survey(folder, "whole"), survey(folder, "a", "b")
    assert pick(whole, WANTED).equals(pick(parts, WANTED))
    assert pick(whole, WANTED).equals(pick(survey(folder, "b", "a"), WANTED))


def test_what_is_known_is_no_candidate(folder: Path) -> None:
    known = set(pl.read_parquet(folder / "known.parquet")["digest"])
    everything = pick(survey(folder, "whole"), (2000, 2000, 2000))
    assert not known & set(everything["digest"])


def test_a_small_corpus_gives_what_it_has(folder: Path, tmp_path: Path) -> None:
    for name in ("model", "known.parquet"):
        (tmp_path / name).symlink_to(folder / name)
    corpus(15, 8).write_parquet(tmp_path / "few.parquet")
    found = pick(survey(tmp_path, "few"), WANTED)
    assert found.height == 15


def test_the_histogram_counts_every_document(folder: Path) -> None:
    found = survey(folder, "whole")
    scores = Scorer(folder / "model").score(
        pl.read_parquet(folder / "whole.parquet")["text"].unique(maintain_order=True).to_arrow().cast("large_string")
    )
    values = np.array([value for value in scores.score.to_pylist() if value is not None])
    expected, _ = np.histogram(values, bins=200, range=(0.0, 5.0))
    assert found.histogram.tolist() == expected.tolist()
    assert found.n_docs == len(scores.score)


def test_shares_of_a_round_add_up() -> None:
    for per_round in range(1, 40):
        wanted = wanted_of(Candidates(per_round=per_round, top=0.35, uncertain=0.35, random=0.3))
        assert sum(wanted) == per_round
        assert min(wanted) >= 0
