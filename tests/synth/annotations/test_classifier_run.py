"""`onggi classifier` from a manifest to a report, with a teacher behind HTTP; killed and given again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from manifests.engine import HERE
from manifests.errors import RequestError
from manifests.house import child_environment
from manifests.record import read_record
from manifests.schema_classifier import ClassifierManifest
from manifests.store import Folder
from synth.annotations.classifier_run import run_classifier
from tests.classifiers.toy import lay_out
from tests.synth.chat_server import ChatServer

pytest.importorskip("fasttext")
pytest.importorskip("httpx2")


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, Any]:
    found = lay_out(tmp_path, 300)
    del found["known_labels"]
    return {**found, "candidates": {"per_round": 30}, "teacher": {"model": "judge-1", "url": ""}}


class Judge:
    """Knows every label of the pool; its answers are made by a real server."""

    def __init__(self, folder: Path) -> None:
        known = pl.read_parquet(folder / "known.parquet")
        self.scores = dict(known.select("text", "score").iter_rows())

    def __call__(self, body: dict[str, Any], n_before: int) -> str:
        text = body["messages"][-1]["content"].split("<<<\n")[1].split("\n>>>")[0]
        return json.dumps({"reason": "because <b>", "score": int(self.scores[text])})


def run(folder: Path, asked: dict[str, Any], url: str) -> tuple[Any, Any, str]:
    manifest = ClassifierManifest.model_validate({**asked, "teacher": {"model": "judge-1", "url": url}})
    return run_classifier(manifest, str(folder), None, HERE, lambda *_: None)


def test_a_run_from_the_manifest_to_the_report(tmp_path: Path, asked: dict[str, Any]) -> None:
    with ChatServer(Judge(tmp_path)) as server:
        record, summary, folder = run(tmp_path, asked, server.url)
    assert record.kind == "classifier"
    assert read_record(Folder(folder), kind="classifier") == record
    assert summary.outcomes == {"labelled": 60}
    assert summary.spent[0].n_paid == 60 == server.sold.total()
    assert [found.n_labels for found in summary.rounds] == [60, 90, 120]
    page = Path(folder, "report.html").read_text("utf-8")
    assert "What each round added" in page
    assert "<script" not in page
    assert "judge-1" in page
    with pytest.raises(RequestError, match="is a run of `kind: classifier`; expected one of `kind: corpus`"):
        read_record(Folder(folder))


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, asked: dict[str, Any]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/labels.parquet").write_bytes(b"mine")
    with pytest.raises(RequestError, match=r"holds labels\.parquet, which a run would replace, and no run"):
        run(tmp_path, asked, "http://127.0.0.1:9/v1")
    assert (tmp_path / "out/labels.parquet").read_bytes() == b"mine"
    with pytest.raises(RequestError, match="is trained on local disk"):
        run(tmp_path, {**asked, "output": "s3://bucket/out"}, "http://127.0.0.1:9/v1")


def test_killed_while_labelling_nothing_is_paid_twice(tmp_path: Path, asked: dict[str, Any]) -> None:
    with ChatServer(Judge(tmp_path), pause_s=0.05) as server:
        teacher = {"model": "judge-1", "url": server.url, "concurrency": 4}
        text = yaml.safe_dump({**asked, "stop": {"rounds": 1}, "teacher": teacher})
        (tmp_path / "edu.yaml").write_text(text)
        command = [sys.executable, "-m", "onggi", "classifier", str(tmp_path / "edu.yaml"), "--json"]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=child_environment()
        )
        while server.sold.total() < 10 and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "out/run.json").exists()
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=child_environment())
        assert done.returncode == 0, done.stderr
    assert max(server.sold.values()) == 1
    said = json.loads(done.stdout)
    assert said["summary"]["spent"][0]["n_kept"] >= 10
    assert said["summary"]["outcomes"] == {"labelled": 30}
