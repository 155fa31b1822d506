"""Scores of LSA classifiers, against numpy and plain Python; files that hold none; the shipped model."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.cards import CARD, LsaCard, write_card
from classifiers.lsa import MODEL, LsaSettings, train_lsa
from classifiers.lsa_features import N_SHAPE, split
from classifiers.lsa_file import LsaModel, read_lsa, write_lsa
from classifiers.scorer import SHIPPED, Scorer
from classifiers.text_lexicon import TEACHING, read_lexicon
from manifests.errors import RequestError
from tests.classifiers.test_lsa import planted
from tests.classifiers.test_text_tokens import TEXT, plain_tokens, read

LEXICON = read_lexicon(TEACHING)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("lsa")
    texts, labels, sources = planted(300, 1)
    train_lsa(texts, labels, made, LsaSettings(dimensions=6, min_windows=2), sources)
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> LsaModel:
    return read_lsa((folder / MODEL).read_bytes())


def plain_score(model: LsaModel, text: str) -> float | None:
    """The score of a text of one window, from its tokens, its counts and the arrays of the model."""
    places = {int(token): place for place, token in enumerate(model.tokens)}
    known = [places[token] for token in plain_tokens(text) if token in places]
    if not known:
        return None
    vector = np.zeros(model.vectors.shape[1])
    for place in set(known):
        vector += (1 + np.log(known.count(place))) * model.scales[place] * model.vectors[place].astype(float)
    vector /= np.linalg.norm(vector)
    _, hits, shape = read(text.encode(), LEXICON)
    dense = np.array(plain_shape(shape, len(known), len(set(known))))
    categories = [np.log1p(30 * hits.get(name, 0) / max(shape["words"], 1)) for name in LEXICON.names]
    z = ((np.append(dense, categories) - model.means) * model.factors).clip(-3, 3)
    distance = model.lsa_width * ((vector - vectors_of(model)) ** 2).sum(axis=1)
    distance += model.dense_width * ((z - dense_of(model)) ** 2).mean(axis=1)
    raw = model.base + ((1 + distance / 4) ** -4) @ model.weights
    return float(np.interp(raw, *model.bends).clip(0, 5))


def vectors_of(model: LsaModel) -> np.ndarray:
    points = model.landmarks.astype(float) * model.steps
    return points[:, : model.vectors.shape[1]] / np.sqrt(model.lsa_width)


def dense_of(model: LsaModel) -> np.ndarray:
    points = model.landmarks.astype(float) * model.steps
    return points[:, model.vectors.shape[1] :] / np.sqrt(model.dense_width / len(model.means))


def plain_shape(shape: dict[str, int], n_known: int, n_distinct: int) -> list[float]:
    chars, words, lines = (max(shape[name], 1) for name in ("chars", "words", "lines"))
    sentences = shape["periods"] + shape["questions"] + shape["exclamations"] + 1
    letters, latin, syllables = shape["letters"], max(shape["latin_words"], 1), shape["syllables"]
    found = [np.log1p(chars), np.log1p(words), np.log1p(lines), np.log(chars / lines), np.log1p(words / sentences)]
    found += [letters / latin, syllables / max(shape["hangul_words"], 1), syllables / max(syllables + letters, 1)]
    found += [letters / chars, np.sqrt(shape["upper"] / max(letters, 1))]
    found += [np.sqrt(shape[name] / latin) for name in ("capitalised", "capitals", "long_words")]
    names = list(shape)
    found += [np.sqrt(shape[name] / chars) for name in names[names.index("digits") : names.index("repeats") + 1]]
    every = max(shape["lines"] + shape["blank_lines"], 1)
    found += [shape[name] / every for name in names[names.index("blank_lines") :]]
    found += [n_known / max(shape["tokens"], 1), n_distinct / max(n_known, 1), np.log1p(n_distinct)]
    assert len(found) == N_SHAPE
    return found


def test_scores_are_those_of_plain_python(folder: Path, model: LsaModel) -> None:
    texts, _, _ = planted(60, 7)
    texts = pa.concat_arrays(
        [texts, pa.array(["정의란 무엇인가? 예를 들어\n- a = 1;\n", "theorem"], pa.large_string())]
    )
    for text, score in zip(texts.to_pylist(), Scorer(folder).score(texts).score, strict=True):
        assert score.as_py() == pytest.approx(plain_score(model, text), abs=2e-4)


@given(st.lists(st.one_of(st.none(), TEXT.map(lambda text: "정의 " * (len(text) % 2) + text)), max_size=4))
def test_scores_of_any_text(texts: list[str | None]) -> None:
    scorer = _scorer()
    found = scorer.score(pa.array(texts, pa.large_string()))
    for text, score in zip(texts, found.score, strict=True):
        expected = None if text is None else plain_score(_MODELS[0], text)
        assert score.as_py() == (expected if expected is None else pytest.approx(expected, abs=5e-4))


_MODELS: list[LsaModel] = []
_SCORERS: list[Scorer] = []


def _scorer() -> Scorer:
    """Trained once for all examples."""
    if not _SCORERS:
        import tempfile

        with tempfile.TemporaryDirectory() as name:
            texts, labels, sources = planted(100, 8)
            train_lsa(texts, labels, Path(name), LsaSettings(dimensions=4, min_windows=2), sources)
            _MODELS.append(read_lsa((Path(name) / MODEL).read_bytes()))
            _SCORERS.append(Scorer(name))
    return _SCORERS[0]


def test_the_score_of_a_long_text_is_the_mean_over_its_windows(folder: Path, model: LsaModel) -> None:
    text = " ".join(planted(60, 9)[0].to_pylist())
    windows = split(pa.array([text], pa.large_string()), 1200, 3)
    assert len(windows.begins) == 3
    content = text.encode()
    parts = [content[a:b].decode() for a, b in zip(windows.begins, windows.ends, strict=True)]
    assert all(len(part) <= 1200 for part in parts)
    raw = []
    for part in parts:
        score = plain_score(model, part)
        assert score is not None
        raw.append(
            np.interp(score, model.bends[1], model.bends[0])
        )  # back to before the bends, where means are taken
    expected = np.interp(np.mean(raw), *model.bends)
    assert Scorer(folder).score(pa.array([text], pa.large_string())).score[0].as_py() == pytest.approx(
        expected, abs=1e-3
    )


@given(TEXT, st.integers(1, 20), st.integers(1, 4))
def test_windows_are_pieces_of_the_text_in_order(text: str, window_chars: int, n_windows: int) -> None:
    windows = split(pa.array([text, None, text], pa.large_string()), window_chars, n_windows)
    content = text.encode() * 2
    for begin, end in zip(windows.begins, windows.ends, strict=True):
        assert len(content[begin:end].decode()) <= window_chars
    assert (np.diff(windows.firsts) >= 1).all()
    assert (np.diff(windows.firsts) <= n_windows).all()
    assert (windows.begins[1:] >= windows.ends[:-1]).all()
    if len(text) <= window_chars:
        assert windows.firsts.tolist() == [0, 1, 2, 3]
        assert (windows.ends[0], windows.begins[0]) == (len(text.encode()), 0)


def test_nothing_to_judge_by(folder: Path) -> None:
    texts = pa.array([None, "", "\n \n", "???", "qqqq", "정의"], pa.large_string())
    found = Scorer(folder).score(texts)
    assert found.score.is_valid().to_pylist() == [False] * 5 + [True]
    assert found.int_score.is_valid().to_pylist() == [False] * 5 + [True]
    assert Scorer(folder).score(texts.slice(5)).score == found.score.slice(5)
    assert len(Scorer(folder).score(texts.slice(0, 0)).score) == 0


def test_a_model_reads_back(model: LsaModel, folder: Path, tmp_path: Path) -> None:
    write_lsa(tmp_path / MODEL, model)
    assert (tmp_path / MODEL).read_bytes() == (folder / MODEL).read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no file of an LSA classifier"),
        (b"\x02\0\0\0\0\0\0\0{}", "is no file of an LSA classifier"),
        (b"\xff" * 20, "is no file of an LSA classifier"),
    ],
)
def test_a_file_that_is_no_model(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / MODEL).write_bytes(content)
    write_card(tmp_path, LsaCard(model=MODEL))
    with pytest.raises(RequestError, match=message):
        Scorer(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"version":"1"', b'"version":"9"', "says onggi-lsa 9; this Onggi reads onggi-lsa 1"),
        (b'"shape":"chars', b'"shape":"chart', "train it again"),
        (b'"I8"', b'"U8"', "an array is of U8; expected I8"),
        (b'"n_windows":"3"', b'"n_windows":"0"', "arrays do not fit each other"),
    ],
)
def test_a_model_that_does_not_fit(old: bytes, new: bytes, message: str, folder: Path, tmp_path: Path) -> None:
    content = (folder / MODEL).read_bytes()
    assert old in content
    (tmp_path / MODEL).write_bytes(content.replace(old, new, 1))
    (tmp_path / CARD).write_bytes((folder / CARD).read_bytes())
    with pytest.raises(RequestError, match=message):
        Scorer(tmp_path)


def test_a_card_without_its_model(tmp_path: Path) -> None:
    write_card(tmp_path, LsaCard(model=MODEL))
    with pytest.raises(RequestError, match="no such file"):
        Scorer(tmp_path)


LESSON = {
    "ko": "광합성이란 식물이 빛 에너지를 이용하여 이산화탄소와 물로부터 포도당을 만드는 과정을 말한다. 예를 들어 "
    "잎에 있는 엽록체는 햇빛을 흡수하여 물을 분해한다. 따라서 빛이 없으면 광합성이 일어나지 않는다. 이 장에서는 "
    "광합성의 두 단계를 차례로 살펴보고, 왜 온도가 반응 속도에 영향을 주는지 설명한다.",
    "en": "Photosynthesis is the process by which plants turn light energy into chemical energy. For example, a leaf "
    "in the sun absorbs light with its chlorophyll and uses it to split water molecules. Therefore, without light no "
    "sugar can be made. In this chapter we will learn how the two stages work, and why temperature changes the rate.",
}
CHAT = {
    "ko": "ㅋㅋㅋ 진짜 웃기다 너 어제 뭐했어? 나 그냥 집에서 잤음 ㅠㅠ 담에 보자!! 완전 꿀잼이었는데 넌 왜 안왔냐",
    "en": "lol yeah thats so funny, what did u do last night? i was just at home sleeping haha. see ya tomorrow dude",
}


def test_the_shipped_model_puts_a_lesson_above_chat() -> None:
    for language, lesson in LESSON.items():
        texts = pa.array([lesson, CHAT[language]], pa.large_string())
        found = Scorer(SHIPPED / "edu").score(texts, pa.array([language] * 2))
        assert found.score[0].as_py() > found.score[1].as_py() + 1
        assert found.score.equals(Scorer(SHIPPED / "edu").score(texts).score)


def test_scores_of_the_shipped_model_stay() -> None:
    texts = pa.array([*LESSON.values(), *CHAT.values(), None, "12345", "これは日本語です。"], pa.large_string())
    found = Scorer(SHIPPED / "edu").score(texts)
    expected = [2.0980, 1.4162, 0.0, 0.0, None, None, None]
    assert found.score.to_pylist() == [
        None if value is None else pytest.approx(value, abs=1e-3) for value in expected
    ]
