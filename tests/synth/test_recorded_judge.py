"""What a real model answered, replayed: SmolLM2-135M under vLLM, as tests/scenarios/test_real_judge.py records it."""

import json
from pathlib import Path

import polars as pl

from manifests.engine import Workers
from manifests.load import load_kind
from manifests.schema_classifier import ClassifierManifest
from manifests.schema_teacher import Teacher as Settings
from synth.annotations.annotate import annotate
from synth.annotations.classifier_run import run_classifier
from synth.teacher import Teacher
from tests.conftest import REPOSITORY
from tests.synth.judged import documents, judged_windows, loop_manifest

RECORDED = REPOSITORY / "tests" / "synth" / "recorded" / "smollm2.jsonl"
SAMPLING = {"max_tokens": 256}
PER_SCORE = 5
REPLAY = {"model": "smollm2-135m-instruct", "replay": str(RECORDED), "sampling": SAMPLING}


def recorded_scores() -> dict[str, int]:
    """What was said, by what was asked; read by no code of ours."""
    lines = [json.loads(line) for line in RECORDED.read_bytes().splitlines()]
    return {line["request"][0][1][1]: json.loads(line["answer"]["text"])["score"] for line in lines}


def test_a_recorded_judge_gives_its_labels_again(tmp_path: Path) -> None:
    """Where prompts, sampling, schema or windows are changed on purpose, record anew."""
    scores, windows = recorded_scores(), judged_windows(PER_SCORE)
    expected = {id_: scores[f"Extract:\n<<<\n{text}\n>>>"] for id_, text in windows.select("id", "text").iter_rows()}
    settings = Settings.model_validate(REPLAY)
    with Teacher(settings, "/", str(tmp_path)) as teacher:
        found = annotate(documents(windows), teacher)
    assert found.scores == expected
    assert found.outcomes == {"labelled": 24}


def test_the_loop_of_a_classifier_with_a_recorded_judge(tmp_path: Path) -> None:
    manifest = load_kind(ClassifierManifest, str(loop_manifest(tmp_path, REPLAY, rounds=1, per_round=9)), [])
    workers = Workers()
    runs = [run_classifier(manifest, str(tmp_path), None, workers, lambda *_: None) for _ in range(2)]
    (record, summary, folder), (again, summary_again, _) = runs
    assert [found.number for found in summary.rounds] == [0, 1]
    assert summary.outcomes == {"labelled": 9}
    assert (summary.spent[0].n_kept, summary.spent[0].n_paid, summary.spent[0].cost) == (9, 0, 0)
    labels = pl.read_parquet(f"{folder}/labels.parquet")
    scores = recorded_scores()
    said = labels.filter(pl.col("round") > 0)
    assert said["round"].to_list() == [1] * 9
    assert said["label"].to_list() == [scores[f"Extract:\n<<<\n{text}\n>>>"] for text in said["text"]]
    assert again.digests == record.digests
    assert summary_again.rounds == summary.rounds
    assert "<html" in Path(folder, "report.html").read_text()
