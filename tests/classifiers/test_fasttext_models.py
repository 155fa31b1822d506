"""Loading and predicting with fastText models, against the fasttext package itself."""

from pathlib import Path

import fasttext.FastText
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.fasttext_models import FastTextModel, sample_windows
from classifiers.language import LID176
from manifests.errors import RequestError

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.fixture(scope="module")
def lid176() -> FastTextModel:
    return FastTextModel(LID176)


def test_predictions_are_those_of_the_fasttext_package(lid176: FastTextModel) -> None:
    texts = ["The cat sat\non the mat.", "나는 학교에 간다", "Où est la gare ?\r\n", "x\ty", "東京へ行きます", ""]
    top = lid176.predict(pa.array(texts, pa.large_string()), k=3)
    peer = fasttext.FastText._FastText(model_path=str(LID176))
    for row, one in enumerate(texts):
        expected = peer.f.predict(" ".join(one.splitlines()) + "\n", 3, 0.0, "strict")
        assert [lid176.labels[i] for i in top.label[row]] == [name.removeprefix("__label__") for _, name in expected]
        assert top.score[row].tolist() == pytest.approx([min(score, 1) for score, _ in expected], abs=1e-6)


@given(st.lists(text, max_size=5), st.integers(1, 50))
def test_samples_are_made_of_whole_pieces_of_the_text(texts: list[str], max_chars: int) -> None:
    samples = sample_windows(pa.array(texts, pa.large_string()), max_chars).to_pylist()
    assert len(samples) == len(texts)
    for sample, whole in zip(samples, texts, strict=True):
        if len(whole) <= max_chars:
            assert sample == whole
        else:
            assert len(sample) <= max(max_chars, 3) + 3
            assert set(sample) <= set(whole) | {"\n"}


def test_a_long_text_is_sampled_away_from_its_ends() -> None:
    long = "menu " * 200 + "본문입니다 " * 1000 + "footer " * 150
    sample = sample_windows(pa.array([long], pa.large_string()), 300)[0].as_py()
    assert "menu" not in sample and "footer" not in sample
    assert sample.count("\n") == 3 and sample.startswith("본문입니다 ")


@settings(max_examples=50)
@given(st.lists(text, max_size=5))
def test_any_text_gets_one_probability(texts: list[str]) -> None:
    top = FastTextModelOnce.get().predict(pa.array(texts, pa.large_string()))
    assert top.label.shape == top.score.shape == (len(texts), 1)
    assert ((top.score >= 0) & (top.score <= 1)).all()


class FastTextModelOnce:
    """Hypothesis and fixtures do not mix; the model is loaded once for all examples."""

    model: FastTextModel | None = None

    @classmethod
    def get(cls) -> FastTextModel:
        cls.model = cls.model or FastTextModel(LID176)
        return cls.model


@pytest.mark.parametrize("n_bytes", [0, 3, 50, 5_000, 300_000, 938_000])
def test_a_model_cut_short_is_refused_by_name(tmp_path: Path, n_bytes: int) -> None:
    path = tmp_path / "broken.ftz"
    path.write_bytes(LID176.read_bytes()[:n_bytes])
    with pytest.raises(RequestError, match=r"broken.ftz.*cannot be loaded"):
        FastTextModel(path)


def test_a_missing_model_and_a_file_of_another_kind_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"nowhere.bin.*no such file"):
        FastTextModel(tmp_path / "nowhere.bin")
    (tmp_path / "notes.bin").write_text("not a model " * 100)
    with pytest.raises(RequestError, match=r"notes.bin.*not a fastText model"):
        FastTextModel(tmp_path / "notes.bin")
