"""What a real model answered, replayed: SmolLM2-135M under vLLM, as tests/scenarios/test_real_judge.py records it."""

import json
from pathlib import Path

from manifests.schema_teacher import Teacher as Settings
from synth.annotate import annotate
from synth.teacher import Teacher
from tests.conftest import REPOSITORY
from tests.synth.judged import documents, judged_windows

RECORDED = REPOSITORY / "tests" / "synth" / "recorded" / "smollm2.jsonl"
SAMPLING = {"max_tokens": 256}
PER_SCORE = 5


def test_a_recorded_judge_gives_its_labels_again(tmp_path: Path) -> None:
    """Where prompts, sampling, schema or windows are changed on purpose, record anew."""
    lines = [json.loads(line) for line in RECORDED.read_bytes().splitlines()]
    scores = {line["request"][0][1][1]: json.loads(line["answer"]["text"])["score"] for line in lines}
    windows = judged_windows(PER_SCORE)
    expected = {id_: scores[f"Extract:\n<<<\n{text}\n>>>"] for id_, text in windows.select("id", "text").iter_rows()}
    settings = Settings.model_validate(
        {"model": "smollm2-135m-instruct", "replay": str(RECORDED), "sampling": SAMPLING}
    )
    with Teacher(settings, "/", str(tmp_path)) as teacher:
        found = annotate(documents(windows), teacher)
    assert found.scores == expected
    assert found.outcomes == {"labelled": 24}
    assert {line["model"] for line in lines} == {settings.model}
