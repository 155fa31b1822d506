"""Scores of a model on disk, against fastText itself."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from classifiers.cards import CARD, FastTextCard, LanguagesCard, write_card
from classifiers.code import LANGUAGE_CODE, SCORING_CODE
from classifiers.fasttext_train import FastTextSettings, train_fasttext
from classifiers.scorer import Scorer
from manifests.errors import RequestError
from manifests.house import HOME

fasttext = pytest.importorskip("fasttext")
TEXTS = pa.array(
    [f"{'원리 개념 정의 예제' if k % 3 == 0 else '할인 광고 클릭 무료'} 글 {k}" for k in range(90)], pa.large_string()
)
LABELS = [str((0, 2, 5)[k % 3]) for k in range(90)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("edu")
    train_fasttext(TEXTS, LABELS, made / "model.bin", FastTextSettings(dim=8, bucket=500, epoch=20, lr=0.5))
    write_card(made, FastTextCard(model="model.bin", values={"0": 0.0, "2": 2.0, "5": 5.0}))
    return made


def test_the_score_is_the_expectation_of_fasttexts_own_probabilities(folder: Path) -> None:
    found = Scorer(folder).score(TEXTS)
    theirs = fasttext.load_model(str(folder / "model.bin"))
    for text, score, rounded in zip(TEXTS.to_pylist(), found.score, found.int_score, strict=True):
        names, probabilities = theirs.predict(text, 3)
        expected = sum(float(n.removeprefix("__label__")) * p for n, p in zip(names, probabilities, strict=True))
        assert score.as_py() == pytest.approx(expected, abs=1e-4)
        assert rounded.as_py() == round(score.as_py())


def test_a_plain_file_gives_the_probability_of_a_label(folder: Path) -> None:
    scorer = Scorer(folder / "model.bin", label="0")
    found = scorer.score(TEXTS.slice(0, 10))
    theirs = fasttext.load_model(str(folder / "model.bin"))
    for text, score, rounded in zip(TEXTS.to_pylist(), found.score, found.int_score, strict=False):
        probability = dict(zip(*theirs.predict(text, 3), strict=True))["__label__0"]
        assert score.as_py() == pytest.approx(probability, abs=1e-4)
        assert rounded.as_py() == int(probability >= 0.5)
    assert scorer.fingerprint != Scorer(folder / "model.bin", label="2").fingerprint


def test_where_there_is_nothing_to_judge_by_there_is_no_score(folder: Path) -> None:
    texts = pa.array([None, "원리", "\n \n"], pa.large_string())
    found = Scorer(folder).score(texts)
    assert found.score[0].as_py() is None
    assert found.int_score[0].as_py() is None
    assert found.score[1].as_py() is not None
    assert not np.isnan(found.score.to_numpy(zero_copy_only=False)[1])
    assert found.score.type == pa.float64()
    assert found.int_score.type == pa.int64()
    assert len(Scorer(folder).score(texts.slice(0, 0)).score) == 0


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (
            {"kind": "fasttext", "model": "model.bin", "values": {"0": 0}},
            "the label '2' has no value; its labels: 0, 2, 5",
        ),
        ({"kind": "fasttext", "model": "model.bin", "positive": "hq"}, "it has no label 'hq'; its labels: 0, 2, 5"),
        ({"kind": "fasttext", "model": "model.bin"}, "give either `values`"),
        ({"kind": "fasttext", "model": "../model.bin", "positive": "0"}, "should match pattern"),
        ({"kind": "fasttext", "model": "none.bin", "positive": "0"}, "no such file"),
        ({"kind": "fasttext", "model": "model.bin", "positive": "0", "code": "x"}, "Extra inputs are not permitted"),
        ({"kind": "fasttext", "model": "model.bin", "positive": "0", "version": 2}, "version"),
    ],
)
def test_a_folder_that_is_no_classifier(folder: Path, tmp_path: Path, card: dict[str, object], message: str) -> None:
    (tmp_path / "model.bin").write_bytes((folder / "model.bin").read_bytes())
    (tmp_path / CARD).write_text(json.dumps(card))
    with pytest.raises(RequestError, match=message):
        Scorer(tmp_path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"holds no classifier\.json"):
        Scorer(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(RequestError, match="say which label counts: --label hq"):
        Scorer(tmp_path / "model.bin")
    (tmp_path / CARD).write_text("{")
    with pytest.raises(RequestError, match=r"classifier\.json: cannot be read"):
        Scorer(tmp_path)


def test_the_language_picks_the_model(folder: Path, tmp_path: Path) -> None:
    write_card(tmp_path, LanguagesCard(models={"ko": "ko", "en": "en"}))
    for name, values in (("ko", {"0": 0.0, "2": 2.0, "5": 5.0}), ("en", {"0": 5.0, "2": 2.0, "5": 0.0})):
        shutil.copytree(folder, tmp_path / name)
        write_card(tmp_path / name, FastTextCard(model="model.bin", values=values))
    texts = pa.array(["원리 개념 정의", "원리", "원리 개념", None, "할인 광고"], pa.large_string())
    found = Scorer(tmp_path).score(texts, pa.array(["ko", "en", "ja", "ko", None]))
    plain = Scorer(folder).score(texts).score.to_pylist()
    assert found.score.to_pylist()[:2] == [plain[0], pytest.approx(5 - plain[1], abs=0.3)]
    assert found.score.to_pylist()[2:] == [None, None, plain[4]]  # a language that is not given is identified
    assert found.int_score.to_pylist()[2:4] == [None, None]
    identified = Scorer(tmp_path).score(texts).score.to_pylist()
    assert identified == [plain[0], plain[1], plain[2], None, plain[4]]
    assert Scorer(tmp_path).languages == ["en", "ko"]
    write_card(tmp_path / "ko", LanguagesCard(models={"ko": "ko"}))
    with pytest.raises(RequestError, match="cannot be one of languages itself"):
        Scorer(tmp_path)


def test_a_model_that_is_not_there_is_answered_with_what_is(tmp_path: Path) -> None:
    for label in (None, "hq"):
        with pytest.raises(RequestError, match=r"nix: does not exist; models that come with Onggi: .*edu"):
            Scorer(tmp_path / "nix", label)


@pytest.mark.parametrize(("module", "covered"), [("scorer", SCORING_CODE), ("language", LANGUAGE_CODE)])
def test_all_code_is_covered_that_scores_and_languages_depend_on(module: str, covered: tuple[str, ...]) -> None:
    seen, left = set[str](), [module]
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            source = (HOME / f"classifiers/{name}.py").read_text("utf-8")
            left += re.findall(r"from classifiers\.(?!code )(\w+) import", source)
    files = {path.stem for pattern in covered for path in HOME.glob(pattern)}
    assert seen <= files
    assert len(seen) > 5
