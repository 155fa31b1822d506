"""Models of scores: loaded once, known by what they say, found by path or by name."""

from pathlib import Path

import pyarrow as pa
import pytest

from classifiers import scorer as shipped
from classifiers.scorer import Scorer
from curation.scorers import model_digests, model_path, resolved_model, score_columns, scorer
from manifests.errors import RequestError
from manifests.schema import Score
from tests.curation.classifiers import train_words

pytest.importorskip("fasttext")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    train_words(folder / "edu", "원리 개념 정의", "할인 광고 클릭")
    return folder


def test_columns_are_what_the_model_says(models: Path) -> None:
    texts = pa.array(["원리 개념", "할인", ""], pa.large_string())
    scores = [
        Score(name="a", model=str(models / "edu")),
        Score(name="b", model=str(models / "edu/model.bin"), label="5"),
    ]
    columns = score_columns(scores, texts, None)
    assert list(columns) == ["a_score", "a_int_score", "b_score", "b_int_score"]
    found = Scorer(models / "edu").score(texts)
    assert columns["a_score"].equals(found.score)
    assert columns["a_int_score"].equals(found.int_score)
    assert columns["b_score"].equals(Scorer(models / "edu/model.bin", "5").score(texts).score)


def test_a_model_is_loaded_once_until_its_files_change(models: Path, tmp_path: Path) -> None:
    train_words(tmp_path / "edu", "원리", "할인")
    score = Score(name="edu", model=str(tmp_path / "edu"))
    first, digests = scorer(score), model_digests([score])
    assert scorer(score) is first
    train_words(tmp_path / "edu", "할인", "원리")
    assert scorer(score) is not first
    assert model_digests([score]) != digests


def test_names_and_paths(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "SHIPPED", models)
    assert resolved_model("edu", "/nowhere") == "edu"
    assert model_path("edu") == str(models / "edu")
    assert resolved_model("edu", str(models)) == str(models / "edu") == model_path(str(models / "edu"))
    assert resolved_model("m/edu", "/nowhere") == "/nowhere/m/edu" == model_path("/nowhere/m/edu")
    with pytest.raises(RequestError, match=r"^measure\.scores: edu: /nowhere/m/edu: does not exist"):
        scorer(Score(name="edu", model="/nowhere/m/edu"))
