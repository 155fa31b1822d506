"""Training fastText: reproducible, on any text, and read by our own predictor as fastText reads it."""

import io
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers import fasttext_train
from classifiers.fasttext_models import FastTextModel
from classifiers.fasttext_train import FastTextSettings, Quantisation, train_fasttext, write_lines
from manifests.errors import RequestError, RunError

fasttext = pytest.importorskip("fasttext")

SMALL = FastTextSettings(dim=16, word_ngrams=2, bucket=2_000, epoch=10, lr=0.5, minn=2, maxn=4)
GOOD = [
    "원리",
    "개념",
    "예제",
    "정의",
    "증명",
    "이유",
    "chapter",
    "concept",
    "example",
    "theorem",
    "explain",
    "because",
]
BAD = ["ㅋㅋㅋ", "할인", "클릭", "광고", "무료", "대박", "click", "sale", "free", "buy", "now", "winner"]


def corpus(n: int, seed: int = 0) -> tuple[pa.LargeStringArray, list[str]]:
    rng = random.Random(seed)
    labels = [rng.choice(["good", "bad"]) for _ in range(n)]
    texts = [
        " ".join(rng.choices(GOOD if label == "good" else BAD, k=8) + rng.choices(GOOD + BAD, k=4))
        for label in labels
    ]
    return pa.array(texts, pa.large_string()), labels


def test_the_same_data_gives_the_same_bytes(tmp_path: Path) -> None:
    texts, labels = corpus(300)
    for name in ("a.bin", "b.bin"):
        train_fasttext(texts, labels, tmp_path / name, SMALL)
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "b.bin"]


def test_a_quantised_model_is_small_reproducible_and_still_right(tmp_path: Path) -> None:
    texts, labels = corpus(400)
    how = Quantisation(cutoff=800)
    for name in ("a.ftz", "b.ftz"):
        train_fasttext(texts, labels, tmp_path / name, SMALL, how)
    train_fasttext(texts, labels, tmp_path / "whole.bin", SMALL)
    assert (tmp_path / "a.ftz").read_bytes() == (tmp_path / "b.ftz").read_bytes()
    assert (tmp_path / "a.ftz").stat().st_size < (tmp_path / "whole.bin").stat().st_size / 3
    fresh, truth = corpus(200, seed=9)
    model = FastTextModel(tmp_path / "a.ftz")
    found = [model.labels[label] for label in model.predict(fresh).label[:, 0]]
    assert np.mean([a == b for a, b in zip(found, truth, strict=True)]) > 0.9


def test_scores_are_those_of_the_library(tmp_path: Path) -> None:
    texts, labels = corpus(300)
    train_fasttext(texts, labels, tmp_path / "a.bin", SMALL)
    ours, theirs = FastTextModel(tmp_path / "a.bin"), fasttext.load_model(str(tmp_path / "a.bin"))
    top = ours.predict(texts, 2)
    for row, text in enumerate(texts.to_pylist()[:100]):
        names, scores = theirs.predict(text, 2)
        mine = {ours.labels[label]: score for label, score in zip(top.label[row], top.score[row], strict=True)}
        for name, score in zip(names, scores, strict=True):
            assert mine[name.removeprefix("__label__")] == pytest.approx(min(score, 1), abs=1e-4)


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_any_text_is_one_line_with_one_label(texts: list[str]) -> None:
    texts = [*texts, "a\nb\r\n__label__spam c\u2028d", ""]
    file = io.BytesIO()
    write_lines(pa.array(texts, pa.large_string()), ["x"] * len(texts), file)
    lines = file.getvalue().split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == len(texts)
    for line, text in zip(lines, texts, strict=True):
        assert line.startswith(b"__label__x ")
        assert line.count(b"__label__") == 1
        kept = "".join(char for char in text.replace("__label__", "label") if char > " ")
        assert "".join(line[11:].decode().split(" ")) == kept


def test_what_cannot_be_trained_on() -> None:
    texts = pa.array(["a", "b"], pa.large_string())
    for labels, message in [
        (["x", "x"], "needs two labels at least; found: x"),
        (["x"], "2 texts have 1 labels"),
        (["x", "two words"], "found 'two words'"),
        (["x", ""], "found ''"),
    ]:
        with pytest.raises(RequestError, match=message):
            train_fasttext(texts, labels, "/nowhere/model.bin")


def test_fasttexts_own_errors_are_told(tmp_path: Path) -> None:
    texts = pa.array(["a", "b"], pa.large_string())
    with pytest.raises(RunError, match=r"fastText could not train on .*: .*(NaN|vocabulary|Error)"):
        train_fasttext(texts, ["x", "y"], tmp_path / "a.bin", FastTextSettings(dim=4, bucket=10, lr=1e30, epoch=50))
    assert list(tmp_path.iterdir()) == []


def test_fasttext_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fasttext_train, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"pip install 'onggi\[classifier\]'"):
        train_fasttext(pa.array(["a"], pa.large_string()), ["x"], "a.bin")
