"""Documents labelled by a real model behind a real server: SmolLM2-135M under vLLM, on this machine's processors.

So small a model judges no better than chance; what is tested is that nothing is lost, paid twice or made up.
`make judge` builds what serves it; ONGGI_JUDGE_PORT names a server of it that is up already. With ONGGI_RECORD_JUDGE
the answers are written to tests/synth/recorded, where the fast tests have them from.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from classifiers.evaluate import spearman
from manifests.schema_teacher import Teacher as Settings
from synth.annotations.agreement import agreement
from synth.annotations.annotate import Annotation, annotate
from synth.teacher import Teacher
from synth.teachers.answers import AnswerStore
from tests.conftest import REPOSITORY
from tests.scenarios.real_server import MODEL, RealServer
from tests.synth.judged import documents, judged_windows, loop_manifest
from tests.synth.test_recorded_judge import PER_SCORE, RECORDED, SAMPLING

pytestmark = pytest.mark.slow


def teacher_settings(server: RealServer, **more: object) -> Settings:
    fields = {"model": MODEL, "url": server.url, "sampling": SAMPLING, "timeout_s": 900}
    return Settings.model_validate({**fields, **more})


def check(found: Annotation, ids: list[str]) -> None:
    """Every document has one outcome, and a score exactly where it is labelled."""
    assert [label.id for label in found.labels] == ids
    assert found.outcomes.total() == len(ids)
    assert set(found.outcomes) <= {"labelled", "truncated", "refused", "unparsable", "failed"}
    assert set(found.scores) == {label.id for label in found.labels if label.outcome == "labelled"}
    assert set(found.scores.values()) <= set(range(6))


def gained(server: RealServer, before: dict[str, int]) -> dict[str, int]:
    """Requests that the server finished since then, by reason."""
    return {
        reason: n - before.get(reason, 0) for reason, n in server.n_answered().items() if n > before.get(reason, 0)
    }


def test_labels_by_a_real_model(real_server: RealServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    windows, before = judged_windows(PER_SCORE), real_server.n_answered()
    asked, started = documents(windows), time.monotonic()
    with Teacher(teacher_settings(real_server), "/", str(tmp_path)) as teacher:
        found = annotate(asked, teacher)
        seconds, usage = time.monotonic() - started, teacher.usage
        check(found, windows["id"].to_list())
        assert usage.n_failed == usage.n_retries == 0
        assert len(teacher.kept) == usage.n_paid == sum(gained(real_server, before).values()) >= len(asked)
        lines = b"".join(teacher.kept.lines())
    with Teacher(teacher_settings(real_server), "/", str(tmp_path)) as teacher:
        assert annotate(asked, teacher) == found
        assert (teacher.usage.n_paid, teacher.usage.n_kept) == (0, usage.n_paid)
    assert found.outcomes["labelled"], found.labels
    judged, sources = (dict(windows.select("id", name).iter_rows()) for name in ("score", "source"))
    compared = agreement(judged, found.scores, sources)
    assert compared is not None
    assert compared.n_docs == len(found.scores)
    both = windows.filter(windows["id"].is_in(list(found.scores)))
    rank = spearman(both["score"].to_numpy().astype(float), [float(found.scores[id_]) for id_ in both["id"]])
    with capsys.disabled():
        print(f"\n{dict(found.outcomes)}, {usage.n_paid} asked, {usage.n_output_tokens / seconds:.0f} tokens/s")
        print(f"kappa {compared.kappa:.2f}, equal {compared.equal_frac:.2f}, Spearman {rank:.2f}")
    if os.environ.get("ONGGI_RECORD_JUDGE"):
        RECORDED.write_bytes(lines)


def test_what_is_cut_off_is_no_label(real_server: RealServer, tmp_path: Path) -> None:
    windows, before = judged_windows(1), real_server.n_answered()
    settings = teacher_settings(real_server, sampling={"max_tokens": 8})
    with Teacher(settings, "/", str(tmp_path)) as teacher:
        found = annotate(documents(windows), teacher, attempts=1)
        check(found, windows["id"].to_list())
    assert found.outcomes == {"truncated": len(windows)}
    assert not found.scores
    assert gained(real_server, before) == {"length": len(windows)}


ANNOTATE = """
import sys
from manifests.schema_teacher import Teacher as Settings
from synth.annotations.annotate import annotate
from synth.teacher import Teacher
from tests.synth.judged import documents, judged_windows, loop_manifest
settings = Settings.model_validate_json(sys.argv[1])
with Teacher(settings, "/", sys.argv[2]) as teacher:
    annotate(documents(judged_windows(4)), teacher)
"""


def test_killed_in_the_middle_and_nothing_is_paid_twice(real_server: RealServer, tmp_path: Path) -> None:
    # Another seed than above: the answers are drawn anew, and none is kept yet.
    settings, before = (
        teacher_settings(real_server, sampling={**SAMPLING, "seed": 7}, concurrency=3),
        real_server.n_answered(),
    )
    command = [sys.executable, "-c", ANNOTATE, settings.model_dump_json(), str(tmp_path)]
    process = subprocess.Popen(command, cwd=REPOSITORY)
    while sum(gained(real_server, before).values()) < 4:
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    n_sold = sum(gained(real_server, before).values())
    asked = documents(judged_windows(4))
    assert n_sold < len(asked), "the kill came too late to show anything"
    with Teacher(settings, "/", str(tmp_path)) as teacher:  # waits for what was on its way
        found = annotate(asked, teacher)
        n_kept_of_killed = len(teacher.kept) - teacher.usage.n_paid
        n_answers = len(teacher.kept)
    check(found, [document.id for document in asked])
    assert n_sold <= n_kept_of_killed <= n_sold + settings.concurrency
    ended = gained(real_server, before)
    assert set(ended) <= {"stop", "length"}, "a request was given up on its way"
    assert sum(ended.values()) == n_answers
    with AnswerStore(tmp_path / "answers.sqlite") as store:
        assert len(store) == n_answers


def test_the_loop_of_a_classifier(real_server: RealServer, tmp_path: Path) -> None:
    """Killed while candidates are labelled, and given again; and again, when all is done."""
    # A seed of its own, so that nothing that the tests above asked for is in the server's mind or our answers.
    settings, before = (
        teacher_settings(real_server, sampling={**SAMPLING, "seed": 11}, concurrency=2),
        real_server.n_answered(),
    )
    manifest = loop_manifest(tmp_path, settings.model_dump(exclude_none=True), rounds=2, per_round=8)
    command = [sys.executable, "-m", "onggi", "classifier", str(manifest), "--json"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    while sum(gained(real_server, before).values()) < 3:
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    first, second = (
        json.loads(subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout) for _ in range(2)
    )
    with AnswerStore(tmp_path / "out" / "answers.sqlite") as store:
        assert sum(gained(real_server, before).values()) == len(store) >= 16
    assert set(gained(real_server, before)) <= {"stop", "length"}
    spent = first["summary"]["spent"][0]
    assert spent["n_kept"] >= 3, "what was answered before the kill"
    assert spent["n_kept"] + spent["n_paid"] == spent["n_requests"]
    assert second["summary"]["spent"][0]["n_paid"] == 0
    assert second["run"]["digests"] == first["run"]["digests"]
    assert sum(first["summary"]["outcomes"].values()) == 16
    labels = pl.read_parquet(tmp_path / "out" / "labels.parquet").filter(pl.col("round") > 0)
    assert labels.height == first["summary"]["outcomes"]["labelled"]
    assert set(labels["label"]) <= set(range(6))
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
