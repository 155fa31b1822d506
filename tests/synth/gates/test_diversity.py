"""The gate `diversity`, with vectors that are given."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.dedup.embeddings import Encoder
from manifests.errors import RequestError
from manifests.schema_synthesis import DiversityGate
from synth.gates import diversity
from synth.gates.diversity import Diversity, Kept, judge_vectors
from synth.gates.gate import Passed
from synth.samples import Rejection
from tests.synth.gates.judged import Held, document, reasons, said


def turned(degrees: float) -> list[float]:
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


def by_angle(texts: list[str]) -> np.ndarray:
    """Texts that are a number of degrees."""
    return np.array([turned(float(text)) for text in texts], np.float16)


def test_what_means_the_same_as_one_kept_before_is_rejected() -> None:
    angles = ["0", "10", "50", "20", "55", "90"]
    samples = Held([said("답", angle, id=f"{n}") for n, angle in enumerate(angles)])
    found = list(judge_vectors(samples, float(np.cos(np.radians(15))), by_angle))
    assert [verdict.detail if isinstance(verdict, Rejection) else "" for verdict in found] == [
        "",
        "0",
        "",
        "",
        "2",
        "",
    ]
    rejected = found[1]
    assert isinstance(rejected, Rejection) and rejected.reason == "same_meaning"
    assert rejected.value == pytest.approx(np.cos(np.radians(10)), abs=2e-3)


def test_samples_of_one_prompt_share_its_verdict() -> None:
    samples = Held([said(f"답 {n}", angle) for n, angle in enumerate(["0", "0", "0", "5", "90", "5"])])
    found = list(judge_vectors(samples, 0.9, by_angle))
    assert [isinstance(verdict, Passed) for verdict in found] == [True, True, True, False, True, False]


def test_of_texts_the_text_counts() -> None:
    found = list(judge_vectors(Held([document("0"), document("3")]), 0.9, by_angle))
    assert [isinstance(verdict, Passed) for verdict in found] == [True, False]


@given(st.lists(st.integers(0, 359), max_size=30), st.integers(1, 7), st.integers(5, 60))
def test_as_one_after_the_other(angles: list[int], block: int, least: int) -> None:
    angles = [angle + 0.25 for angle in angles]
    limit = float(np.cos(np.radians(least)))
    kept: list[float] = []
    expected = []
    for angle in angles:
        apart = [min(abs(angle - other), 360 - abs(angle - other)) for other in kept]
        expected.append(all(one > least for one in apart))
        if expected[-1]:
            kept.append(angle)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diversity, "BLOCK", block)
        vectors = np.array([turned(angle) for angle in angles], np.float64).reshape(-1, 2)
        exact = Kept()
        found = exact.add(vectors, [str(n) for n in range(len(angles))], limit - 1e-3)
    close = any(abs(min(abs(a - b), 360 - abs(a - b)) - least) < 1 for a in angles for b in angles)
    if not close:
        assert [cosine < limit - 1e-3 for cosine, _ in found] == expected


def test_without_an_encoder_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = DiversityGate(gate="diversity", encoder="absent")
    monkeypatch.setattr(diversity, "check_installed", lambda what, extra: None)
    with pytest.raises(RequestError, match=r"gates\.diversity\.encoder: .*absent is not a folder"):
        Diversity(settings, str(tmp_path))


def test_without_torch_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifiers.encoder.find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"gates\.diversity: torch and transformers not installed"):
        Diversity(DiversityGate(gate="diversity", encoder="absent"), str(tmp_path))


def test_prompts_are_embedded_with_the_prefix_of_the_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text('{"hidden_size": 2}')
    (tmp_path / "encoder" / "model.safetensors").touch()
    seen: list[str] = []

    def embed(texts: pl.Series, encoder: Encoder) -> np.ndarray:
        assert (encoder.prefix, encoder.n_dims) == ("query: ", 2)
        seen.extend(texts)
        return by_angle(texts.to_list())

    monkeypatch.setattr(diversity, "check_installed", lambda what, extra: None)
    monkeypatch.setattr(diversity, "embed", embed)
    settings = DiversityGate(gate="diversity", encoder="encoder", prefix="query: ", max_cosine=0.9)
    gate = Diversity(settings, str(tmp_path))
    found = reasons(gate, said("답", "0"), said("답", "80"), said("답", "3"), said("다른 답", "0"))
    assert found == ["", "", "same_meaning", ""]
    assert seen == ["0", "80", "3"]
