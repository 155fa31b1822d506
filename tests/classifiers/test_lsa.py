"""Training LSA classifiers."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from classifiers.evaluate import spearman
from classifiers.lsa import Labelled, LsaSettings, Trained, find_bends, fit_ridge, learn_vectors, train_lsa
from classifiers.lsa_features import read_tokens, split
from classifiers.lsa_score import kernel
from classifiers.scorer import Scorer
from manifests.errors import RequestError

SMALL = LsaSettings(dimensions=8, min_windows=2, lexicon=None)
GOOD = ["증명", "정의", "원리", "예제", "따라서", "개념", "theorem", "proof", "example", "because", "definition"]
BAD = ["할인", "광고", "클릭", "무료", "구매", "이벤트", "click", "free", "sale", "winner", "price"]
FILLER = [f"{a}{b}" for a in "가나다라마바사아" for b in "각낙닥락막박삭악"] + [
    f"w{a}{b}" for a in "abcdef" for b in "ghij"
]


def planted(n: int, seed: int) -> tuple[pa.LargeStringArray, np.ndarray, list[str]]:
    """Texts whose label is how many of their telling words are good; a site adds words of its own."""
    draw, texts, labels = np.random.default_rng(seed), [], []
    for k in range(n):
        label = int(draw.integers(0, 6))
        telling = [*draw.choice(GOOD, label), *draw.choice(BAD, 5 - label)]
        words = [*telling, *draw.choice(FILLER, 15), f"site{'abcdefgh'[k % 8]}"]
        texts.append(" ".join(draw.permutation(words)) + ".")
        labels.append(float(label))
    return pa.array(texts, pa.large_string()), np.array(labels), [f"site{k % 8}" for k in range(n)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained]:
    folder = tmp_path_factory.mktemp("lsa") / "model"
    texts, labels, sources = planted(400, 1)
    return folder, train_lsa(texts, labels, folder, SMALL, sources, [planted(200, 2)[0]])


def test_a_planted_signal_is_found_on_other_texts(trained: tuple[Path, Trained]) -> None:
    folder, found = trained
    texts, labels, _ = planted(300, 3)
    scores = Scorer(folder).score(texts).score.to_numpy()
    assert spearman(labels, scores) > 0.8
    assert abs(scores.mean() - labels.mean()) < 0.3
    assert spearman(planted(400, 1)[1], found.held_out) > 0.75


def test_the_same_input_gives_the_same_bytes(trained: tuple[Path, Trained], tmp_path: Path) -> None:
    texts, labels, sources = planted(400, 1)
    train_lsa(texts, labels, tmp_path, SMALL, sources, [planted(200, 2)[0]])
    for name in ("classifier.json", "model.safetensors"):
        assert (tmp_path / name).read_bytes() == (trained[0] / name).read_bytes()
    train_lsa(texts, labels, tmp_path, SMALL, sources)
    assert (tmp_path / "model.safetensors").read_bytes() != (trained[0] / "model.safetensors").read_bytes()


def test_long_texts(tmp_path: Path) -> None:
    texts, labels, sources = planted(120, 4)
    settings = LsaSettings(dimensions=4, min_windows=2, window_chars=60, n_windows=2)
    found = train_lsa(texts, labels, tmp_path, settings, sources)
    assert spearman(labels, found.held_out) > 0.4
    assert Scorer(tmp_path).score(texts).score.null_count == 0


def test_vectors_are_those_of_numpys_decomposition() -> None:
    texts, _, _ = planted(150, 5)
    windows = split(texts, 1200, 3)
    tokens, vectors, scales = learn_vectors([windows], SMALL)
    rows = read_tokens(windows)
    counts = np.zeros((150, len(tokens)))
    for d in range(150):
        for token in rows[0][rows[1][d] : rows[1][d + 1]]:
            place = np.searchsorted(tokens, token)
            if place < len(tokens) and tokens[place] == token:
                counts[d, place] += 1
    idf = np.log(151 / ((counts > 0).sum(axis=0) + 1)) + 1
    weighted = np.where(counts > 0, 1 + np.log(counts.clip(1)), 0) * idf
    weighted /= np.linalg.norm(weighted, axis=1, keepdims=True)
    right = np.linalg.svd(weighted)[2][:2].T * idf[:, None]
    found = (vectors * scales[:, None])[:, :2]
    for j in range(2):
        cosine = abs(found[:, j] @ right[:, j]) / np.linalg.norm(found[:, j]) / np.linalg.norm(right[:, j])
        assert cosine > 0.99


def test_held_out_predictions_are_those_of_a_model_without_the_source() -> None:
    draw = np.random.default_rng(0)
    points, labels = draw.standard_normal((60, 5)).astype(np.float32), draw.integers(0, 6, 60).astype(float)
    sources = np.repeat(np.arange(6), 10)
    fit = fit_ridge(Labelled(points, np.arange(61), labels, sources), LsaSettings(source_power=0.0))
    exact = fit.landmarks * fit.steps.astype(float)
    np.testing.assert_allclose(exact, points, atol=fit.steps.max() / 2 + 1e-6)  # a byte each
    distance = ((exact[:, None] - exact[None]) ** 2).sum(axis=2)
    near = (1 + distance / 4) ** -4
    for source in range(6):
        held, rest = sources == source, sources != source
        inner = near[np.ix_(rest, rest)] + 0.3 * np.eye(rest.sum())
        expected = near[np.ix_(held, rest)] @ np.linalg.solve(inner, labels[rest] - labels.mean()) + labels.mean()
        np.testing.assert_allclose(fit.held_out[held], expected, rtol=1e-6)


def test_the_kernel_of_scoring_is_that_of_training() -> None:
    for distance in (0.0, 0.3, 2.0, 17.5):
        assert kernel(np.float32(distance)) == pytest.approx((1 + distance / 4) ** -4, rel=1e-6)


def test_as_many_scores_as_labels_reach_each_half_step() -> None:
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 6, 2000).astype(float)
    predictions = 2.5 + 0.3 * (labels - 2.5) + 0.2 * draw.standard_normal(2000)
    bends = find_bends(labels, predictions)
    assert (np.diff(bends) > 0).all()
    scores = np.interp(predictions, *bends)
    for step in (0.5, 1.5, 2.5, 3.5, 4.5):
        assert (scores >= step).mean() == pytest.approx((labels >= step).mean(), abs=0.01)


def test_bends_where_labels_are_few() -> None:
    bends = find_bends(np.array([1.0, 1.0, 2.0]), np.array([1.2, 1.3, 1.3]))
    assert (np.diff(bends[0]) > 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [1.0] * 39}, "40 texts, 39 labels, 40 sources; expected one each"),
        ({"sources": ["a"]}, "40 texts, 40 labels, 1 sources"),
        ({"labels": [7.0] * 40}, "labels run from 7.0 to 7.0; expected 0 to 5"),
        ({"labels": [2.0] * 40}, "all labels are 2.0"),
        ({"texts": [None] * 40}, "40 of the texts are null"),
        ({"texts": ["a b"] * 40}, "2 tokens stand in 2 windows or more; 8 dimensions need 22"),
    ],
)
def test_what_cannot_be_trained(change: dict[str, list[object]], message: str, tmp_path: Path) -> None:
    texts, labels, sources = planted(40, 6)
    texts = pa.array(change.get("texts", texts), pa.large_string())
    with pytest.raises(RequestError, match=message):
        train_lsa(texts, np.array(change.get("labels", labels)), tmp_path, SMALL, change.get("sources", sources))  # type: ignore[arg-type]


def test_too_few_texts(tmp_path: Path) -> None:
    texts, labels, _ = planted(10, 6)
    with pytest.raises(RequestError, match="10 texts are too few to train on; 20 at least"):
        train_lsa(texts, labels, tmp_path, SMALL)


def test_too_many_texts(tmp_path: Path) -> None:
    texts = pa.array(["한 글"] * 10_001, pa.large_string())
    with pytest.raises(RequestError, match="10,001 windows; 10,000 at most can be trained on: draw some of them"):
        train_lsa(texts, np.arange(10_001) % 6.0, tmp_path, SMALL)
