"""Tables of scores that came after rules: rows are found by id and text, and belong to one model."""

from pathlib import Path

import polars as pl
import pytest

from curation.dedup.exchange import write_rows
from curation.score_tables import TABLE, ScoreTable, join_scores, later_columns, score_table
from manifests.load import parse_manifest
from manifests.schema import CorpusManifest, Score
from manifests.store import Folder, KeyRange
from tests.curation.classifiers import train_words

EDU = ScoreTable(Score(name="edu", model="m", after="rules"), "edu-0")
ALL = KeyRange()

MANIFEST = """
kind: corpus
name: m
inputs: [{source: s, path: x}]
measure:
  scores: [{name: fast, model: FOLDER}, {name: edu, model: FOLDER, after: rules}]
output: out
"""


def rows(*found: tuple[str, str, float | None]) -> pl.DataFrame:
    names = ("id", "text_digest", "score")
    frame = pl.DataFrame(
        found, schema=dict(zip(names, (pl.String, pl.String, pl.Float64), strict=True)), orient="row"
    )
    return frame.with_columns(int_score=pl.col("score").round().cast(pl.Int64)).sort("id")


def test_rows_are_found_by_id_and_text_once(tmp_path: Path) -> None:
    run = Folder(str(tmp_path))
    frame = pl.DataFrame({"id": ["1", "1", "2", "3", "a"], "text_digest": ["x", "y", "x", None, "z"]})
    assert join_scores(frame, run, [EDU], ALL)["edu_score"].to_list() == [None] * 5
    write_rows(EDU.folder(run), "a.parquet", rows(("1", "x", 2.6), ("a", "z", None)), TABLE)
    write_rows(EDU.folder(run), "b.parquet", rows(("1", "x", 2.6), ("2", "x", 0.2), ("9", "x", 5.0)), TABLE)
    joined = join_scores(frame, run, [EDU], ALL)
    assert joined["id"].to_list() == frame["id"].to_list()
    assert joined["edu_score"].to_list() == [2.6, None, 0.2, None, None]
    assert joined["edu_int_score"].to_list() == [3, None, 0, None, None]
    assert EDU.read(run, ALL).filter(id="a").height == 1
    lower = EDU.read(run, KeyRange(0, 2))
    assert sorted(lower["id"]) == ["1", "2"]


def test_a_table_is_of_one_model_and_its_languages(tmp_path: Path) -> None:
    pytest.importorskip("fasttext")
    train_words(tmp_path / "edu", "원리", "할인")
    manifest = parse_manifest(MANIFEST.replace("FOLDER", str(tmp_path / "edu")), "m")
    assert later_columns(manifest) == {"edu_score", "edu_int_score"}
    (score,) = manifest.measure.scored_after_rules
    first = score_table(score, manifest)
    assert first.name.startswith("edu-")
    assert score_table(score, manifest) == first == score_table(score, identified(manifest))
    train_words(tmp_path / "edu", "할인", "원리")
    assert score_table(score, manifest).name != first.name


def identified(manifest: CorpusManifest) -> CorpusManifest:
    text = MANIFEST.replace("measure:", "measure:\n  language: {}").replace(
        "FOLDER", manifest.measure.scores[0].model
    )
    return parse_manifest(text, "m")
