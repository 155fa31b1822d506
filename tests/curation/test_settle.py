"""What is found out before documents are judged: where a manifest asks for it, by one model on all machines."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from curation.dedup.repeats import Repeats
from curation.score_tables import TABLE, score_table
from curation.settle import ScoreTask, is_unsettled, score_range, settle
from curation.write import DecideTask
from manifests.errors import RequestError, RunError
from manifests.load import parse_manifest
from manifests.schema import CorpusManifest
from manifests.store import Folder, KeyRange
from tests.curation.classifiers import train_words
from tests.curation.measured import document_frame

MANIFEST = """
kind: corpus
name: m
inputs: [{source: s, path: x}]
measure: {scores: [{name: edu, model: FOLDER, after: rules}]}
rules: [{name: long, keep: "n_text_bytes >= 10"}]
output: out
"""
TEXTS = ["원리 개념 정의", "할인 광고 클릭", "짧", "원리 개념 정의", "원리 광고"]


@pytest.fixture
def task(tmp_path: Path) -> DecideTask:
    """One range of a small measured run, whose manifest has a score of what a rule lets through."""
    pytest.importorskip("fasttext")
    train_words(tmp_path / "edu", "원리 개념 정의", "할인 광고 클릭")
    frame = document_frame(TEXTS, "ko").with_columns(
        n_text_bytes=pl.col("text").str.len_bytes().cast(pl.Int64),
        row_hash=pl.lit(b"h"),
        verdict=pl.lit(None, pl.String),
    )
    (tmp_path / "run/measured").mkdir(parents=True)
    frame.drop("copy").write_parquet(tmp_path / "run/measured/a.parquet")
    manifest = parse_manifest(MANIFEST.replace("FOLDER", str(tmp_path / "edu")), "m")
    folders = (str(tmp_path / "run"), str(tmp_path / "staging"))
    return DecideTask(*folders, manifest, "/", KeyRange(), 1, False, None, False, Repeats(None, None))


def quiet(step: str, done: int, total: int, note: str = "") -> None:
    """Progress that nobody watches."""


def with_rule(manifest: CorpusManifest, text: str) -> CorpusManifest:
    rules = parse_manifest(MANIFEST.replace('{name: long, keep: "n_text_bytes >= 10"}', text), "m").rules
    return manifest.model_copy(update={"rules": [*manifest.rules, *rules]})


def test_texts_that_pass_are_scored_once(task: DecideTask) -> None:
    steps: list[tuple[str, int, int, str]] = []
    (settled,), found = settle([task], 1, lambda *said: steps.append(said))
    assert steps == [("score", 0, 1, "edu"), ("score", 1, 1, "edu: 4 documents")]
    assert found.n_scored == {"edu": 4}
    assert found.thresholds == {}
    (table,) = settled.scores
    rows = pl.concat(
        pl.read_parquet(path)
        for path in table.folder(Folder(task.run)).fs.ls(table.folder(Folder(task.run)).root, detail=False)
    )
    assert rows.columns == TABLE.names
    assert rows["id"].is_sorted()
    assert rows.height == 4
    assert rows.unique(["text_digest", "score"]).height == 3
    assert settle([replace(task, staging=f"{task.staging}-2")], 1, quiet)[1].n_scored == {"edu": 0}


def test_shares_become_numbers_in_their_order(task: DecideTask) -> None:
    shares = "{name: half, top: {score: n_text_bytes, frac: 50%}}, {name: best, top: {score: edu_score, frac: 1}}"
    task = replace(task, manifest=with_rule(task.manifest, shares))
    (settled,), found = settle([task], 1, quiet)
    sizes = sorted((len(text.encode()) for text in TEXTS if len(text.encode()) >= 10), reverse=True)
    assert found.thresholds["half"] == sizes[1] == 20
    assert found.n_scored == {"edu": 3}, "the three of that size, of which two were asked for"
    rules = [rule.model_dump() for rule in settled.manifest.rules]
    assert [rule["keep"] for rule in rules] == [
        "n_text_bytes >= 10",
        "n_text_bytes >= 20.0",
        f"edu_score >= {found.thresholds['best']!r}",
    ]
    assert not is_unsettled(settled.manifest.model_copy(update={"measure": settled.manifest.measure.in_pass}))


def test_a_share_of_no_documents(task: DecideTask) -> None:
    task = replace(
        task,
        manifest=with_rule(task.manifest, "{name: half, top: {score: edu_score, frac: 50%}, when: \"source = 'x'\"}"),
    )
    path = Path(task.run) / "measured/a.parquet"
    pl.read_parquet(path).with_columns(source=pl.lit("s")).write_parquet(path)
    assert settle([task], 1, quiet)[1].thresholds == {"half": None}


def test_manifests_without_scores_and_shares_are_settled(task: DecideTask) -> None:
    assert is_unsettled(task.manifest)
    plain = task.manifest.model_copy(update={"measure": task.manifest.measure.in_pass})
    assert not is_unsettled(plain)
    assert is_unsettled(with_rule(plain, "{name: half, top: {score: n_text_bytes, frac: 50%}}"))


def test_texts_that_are_gone_are_counted(task: DecideTask) -> None:
    with pytest.raises(
        RequestError, match=r"4 documents would have to be scored by edu whose text is gone \(first: 0000"
    ):
        settle([replace(task, texts_in="documents")], 1, quiet)


def test_another_model_at_the_path_is_noticed(task: DecideTask, tmp_path: Path) -> None:
    table = score_table(task.manifest.measure.scores[0], task.manifest)
    train_words(tmp_path / "edu", "할인", "원리")
    with pytest.raises(RunError, match="is not the model that this decision began with"):
        score_range(ScoreTask(task, 1, (table,), "token"))
