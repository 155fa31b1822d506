"""Tables of scores that came after rules: rows are found by id and text, and belong to one model."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.dedup.exchange import write_rows
from curation.score_tables import TABLE, ScoreTable, _overlaps, join_scores, later_columns, score_table
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
    write_rows(EDU.folder(run), EDU.part(ALL, "a"), rows(("1", "x", 2.6), ("a", "z", None)), TABLE)
    write_rows(EDU.folder(run), EDU.part(KeyRange(0, 2), "b"), rows(("1", "x", 2.6), ("2", "x", 0.2)), TABLE)
    write_rows(EDU.folder(run), EDU.part(KeyRange(3, 4), "b"), rows(("f", "x", 5.0)), TABLE)
    assert (EDU.n_added(run, "a"), EDU.n_added(run, "b"), EDU.n_added(run, "c")) == (2, 3, 0)
    joined = join_scores(frame, run, [EDU], ALL)
    assert joined["id"].to_list() == frame["id"].to_list()
    assert joined["edu_score"].to_list() == [2.6, None, 0.2, None, None]
    assert joined["edu_int_score"].to_list() == [3, None, 0, None, None]
    assert EDU.read(run, ALL).filter(id="a").height == 1
    lower = EDU.read(run, KeyRange(0, 2))
    assert sorted(lower["id"]) == ["1", "2"]


@given(index=st.integers(0, 15), power=st.integers(0, 4), part=st.integers(0, 15), part_power=st.integers(0, 4))
def test_only_files_that_overlap_are_read(index: int, power: int, part: int, part_power: int) -> None:
    asked, written = KeyRange(index % 2**power, 2**power), KeyRange(part % 2**part_power, 2**part_power)
    ids = [f"{digit:x}0000000" for digit in range(16)]
    both = [all(keys.bounds[0] <= name < keys.bounds[1] for keys in (asked, written)) for name in ids]
    assert _overlaps(EDU.part(written, "t"), asked) == any(both)


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
