"""Our predictions against those of the fasttext package: models of every loss and form that it trains."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import fasttext.FastText
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.fasttext_models import FastTextModel
from classifiers.language import LID176

TRAIN = """
import random, sys, fasttext
folder = sys.argv[1] + "/"
random.seed(1)
words = {
    "en": "the jar breathes while sauce ferments slowly under spring sun and nobody hurries".split(),
    "ko": "옹기는 숨을 쉬는 그릇이라 장을 담그면 오래 두고 먹어도 맛이 깊다".split(),
    "fr": "la jarre où l'on garde le sel é e\\u0301 respire été comme hiver 😀".split(),
    "ja": "味噌 と 醤油 は 大豆 から 作られます 👩‍👩‍👧".split(),
}
def write(name, rows):
    with open(folder + name, "w") as file:
        file.writelines(f"__label__{label} {' '.join(random.choices(words[kind], k=9))}\\n" for label, kind in rows)
    return folder + name
few = write("few.txt", [(kind, kind) for kind in words for _ in range(20 + 30 * len(kind * (kind == "ko")))])
many = write("many.txt", [(f"{kind}{i % 75}", kind) for kind in words for i in range(150)])
def train(name, text, quantize=None, **options):
    options = dict(dim=7, bucket=600, epoch=8, lr=0.5, thread=1, verbose=0, minCount=1) | options
    model = fasttext.train_supervised(text, **options)
    if quantize is not None:
        model.quantize(input=text, verbose=0, thread=1, **quantize)
    model.save_model(folder + name)
for loss in ("hs", "softmax", "ova", "ns"):
    train(f"{loss}.bin", few, loss=loss, minn=2, maxn=4)
    train(f"{loss}.ftz", few, loss=loss, minn=1, maxn=3, quantize=dict(qnorm=True, dsub=2))
train("words.bin", few, loss="softmax", minn=0, maxn=0, bucket=0)
train("ngrams.bin", few, loss="hs", wordNgrams=3)
train("both.bin", few, loss="softmax", wordNgrams=2, minn=1, maxn=2, dim=33)
train("both.ftz", few, loss="hs", wordNgrams=2, minn=2, maxn=3, quantize=dict(qnorm=False, dsub=3))
train("pruned.ftz", few, loss="softmax", wordNgrams=2, minn=2, maxn=3,
      quantize=dict(qnorm=True, cutoff=300, retrain=True, epoch=1))
train("outputs.ftz", many, loss="hs", minn=2, maxn=3, quantize=dict(qnorm=True, qout=True))
train("outputs_softmax.ftz", many, loss="softmax", minn=2, maxn=3, quantize=dict(qnorm=False, qout=True))
train("one.bin", write("one.txt", [("en", "en")] * 9), loss="hs")
"""
NAMES = (
    *(f"{loss}.{form}" for loss in ("hs", "softmax", "ova", "ns") for form in ("bin", "ftz")),
    "words.bin", "ngrams.bin", "both.bin", "both.ftz", "pruned.ftz", "outputs.ftz", "outputs_softmax.ftz", "one.bin",
)  # fmt: skip
TEXTS = [
    "", " \n\t ", "the", "The jar breathes\x00while\x1fsauce\r\nferments", "옹기는 숨을 쉰다", "옹기", "味噌と醤油",
    "e\u0301te\u0301 é", "👩‍👩‍👧 😀", "\u00a0nbsp\u2028line\x85next", "a" * 300, "jar </s> sauce behind",
    "</s>", "__label__ko jar", "__label__unknown jar", "x__label__ko", "<jar> <", "ㅋㅋㅋ", "the jar " * 200,
    *(" ".join(f"the{i} jar" for i in range(n)) for n in (32, 33, 200)),  # n-grams of words are added 64 at a time
]  # fmt: skip
ROUGHLY = 1e-4
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
word = st.sampled_from(["the", "jar", "옹기는", "숨을", "été", "味噌", "</s>", "__label__en", "sauce", "😀"])


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model of every kind."""
    path = tmp_path_factory.mktemp("fasttext")
    # fastText leaves memory unset with one thread; glibc fills it with zeros when told to from outside.
    environment = os.environ | {"MALLOC_PERTURB_": "255"}
    subprocess.run([sys.executable, "-c", TRAIN, str(path)], env=environment, check=True)
    return path


@cache
def models(path: Path) -> tuple[FastTextModel, fasttext.FastText._FastText]:
    return FastTextModel(path), fasttext.FastText._FastText(model_path=str(path))


def assert_equal(path: Path, texts: list[str], k: int) -> None:
    ours, peer = models(path)
    top = ours.predict(pa.array(texts, pa.large_string()), k)
    for one, labels, scores in zip(texts, top.label, top.score, strict=True):
        line = "".join(" " if char < " " else char for char in one) + "\n"
        expected = peer.f.predict(line, k, 0.0, "strict")
        wanted = [min(score, 1.0) for score, _ in expected]
        found = [ours.labels[i] for i in labels if i >= 0]
        assert len(set(found)) == len(found) and not scores[len(found) :].any()
        # fastText cuts branches off below 1e-5, which one rounding decides: absent is as good as 0.
        np.testing.assert_allclose(scores, wanted + [0.0] * (k - len(wanted)), atol=ROUGHLY, err_msg=repr(one))
        by_label = {name.removeprefix("__label__"): min(score, 1.0) for score, name in expected}
        for label, score in zip(found, scores, strict=False):
            # Which of several equal labels are among the k is nobody's promise.
            assert by_label.get(label, wanted[-1]) == pytest.approx(score, abs=ROUGHLY), one
        if k == 1 and wanted:
            assert found == list(by_label), one


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_form_of_model_answers_as_fasttext_does(folder: Path, name: str, k: int) -> None:
    assert_equal(folder / name, TEXTS, k)


@pytest.mark.parametrize("k", [1, 2, 5, 176])
def test_lid176_answers_as_fasttext_does(k: int) -> None:
    assert_equal(LID176, TEXTS, k)


@settings(max_examples=100)
@given(st.lists(st.one_of(text, st.lists(word).map(" ".join)), min_size=1, max_size=8))
def test_any_text_gets_the_answer_of_fasttext(texts: list[str]) -> None:
    assert_equal(LID176, texts, 1)
    assert_equal(LID176, texts, 3)


@settings(max_examples=25)
@given(texts=st.lists(st.one_of(text, st.lists(word).map(" ".join)), min_size=1, max_size=8))
@pytest.mark.parametrize("name", ["softmax.bin", "hs.ftz", "both.bin", "both.ftz", "pruned.ftz", "outputs.ftz"])
def test_any_text_gets_the_answer_of_fasttext_from_any_model(folder: Path, name: str, texts: list[str]) -> None:
    assert_equal(folder / name, texts, 1)


def test_slices_and_nulls_are_read_as_they_stand() -> None:
    model, _ = models(LID176)
    texts = pa.array(["Où est la gare ?", None, "나는 학교에 간다", "where is it"], pa.large_string())
    whole, part = model.predict(texts, 2), model.predict(texts.slice(1, 2), 2)
    np.testing.assert_array_equal(whole.label[1:3], part.label)
    np.testing.assert_array_equal(whole.score[1:3], part.score)
    assert model.predict(texts.slice(0, 0), 2).label.shape == (0, 2)
