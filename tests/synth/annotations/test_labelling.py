"""A teacher, and a second one, as the annotators of the loop."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from manifests.schema_classifier import ClassifierManifest
from synth.annotations.labelling import TeacherLabels, agreement_of
from tests.classifiers.toy import corpus
from tests.synth.chat_server import ChatServer

DOCUMENTS = corpus(40, 9).with_columns(digest=pl.col("id"))
SCORES = dict(DOCUMENTS.select("text", "score").iter_rows())


def manifest(url: str, **more: Any) -> ClassifierManifest:
    asked = {
        "kind": "classifier",
        "name": "edu",
        "seeds": [{"path": "x"}],
        "model": {"kind": "fasttext"},
        "teacher": {"model": "judge-1", "url": url, "price_input": 10.0},
        "output": "out",
    }
    return ClassifierManifest.model_validate({**asked, **more})


def judge(body: dict[str, Any], n_before: int) -> Any:
    """The true score; the second judge is a point harder where it can be, and the first refuses some."""
    text = body["messages"][-1]["content"].split("<<<\n")[1].split("\n>>>")[0]
    score = int(SCORES[text])
    if body["model"] == "judge-2":
        score = max(score - 1, 0)
    elif score == 5:
        return {"message": {"content": "", "refusal": "no"}, "finish_reason": "stop"}
    return json.dumps({"reason": "because", "score": score})


def test_labels_and_what_they_cost(tmp_path: Path) -> None:
    with ChatServer(judge) as server, TeacherLabels(manifest(server.url), "/", str(tmp_path), print) as labels:
        found = labels(DOCUMENTS)
        again = labels(DOCUMENTS)
        (spent,) = labels.spent
    assert found == again
    expected = [None if score == 5 else score for score in DOCUMENTS["score"]]
    assert [label.score for label in found] == expected
    assert {label.outcome for label in found} == {"labelled", "refused"}
    assert (spent.n_paid, spent.n_requests) == (40, 80)
    assert spent.n_kept == 40
    assert spent.cost == pytest.approx(40 * 100 * 10 / 1e6)


def test_a_second_annotator_labels_a_share_and_is_compared(tmp_path: Path) -> None:
    with ChatServer(judge) as server:
        asked = manifest(server.url, second_teacher={"model": "judge-2", "url": server.url}, second_frac=0.5)
        with TeacherLabels(asked, "/", str(tmp_path), lambda *_: None) as labels:
            found = labels(DOCUMENTS)
    second = {label.digest for label in found if label.second is not None}
    assert 10 <= len(second) <= 30
    rows = DOCUMENTS.join(
        pl.DataFrame(
            [(f.digest, f.score, f.second) for f in found], schema=["digest", "label", "second"], orient="row"
        ),
        on="digest",
    )
    agreed = agreement_of(rows)
    assert agreed
    both = rows.drop_nulls()
    assert agreed.n_docs == both.height
    assert agreed.equal_frac == pytest.approx((both["label"] == both["second"]).mean())
    assert agreed.within_one_frac == 1
    for source, bias in agreed.by_source.items():
        mine = both.filter(pl.col("source") == source)
        assert bias["mean_difference"] == pytest.approx((mine["second"] - mine["label"]).mean())
    assert agreement_of(rows.with_columns(second=pl.lit(None, pl.Float64))) is None
