"""The page of a search, and its words, of results that are made up."""

import re
import xml.etree.ElementTree as ET

import pytest

from manifests.schema_mixture import MixtureManifest
from training.searching.report import render
from training.searching.results import Check, Course, RegressionScore, SearchResults, SourceWeight, TargetResult
from training.searching.words import in_words

EVIL = "<script>alert(1)</script>"


def source(name: str, weight: float, **changes: float | None) -> SourceWeight:
    values = {
        "natural": 0.5, "low": weight - 0.05, "high": weight + 0.05, "unlimited": weight, "optimum": weight,
        "n_tokens": 12_000, "epochs_max": 1.0, "seen_low": 0.0, "seen_high": 0.9, "proxy_epochs": 0.5,
    }  # fmt: skip
    return SourceWeight.model_validate({"name": name, "category": "all", "weight": weight} | values | changes)


def check(name: str, real: float, predicted: float = 1.2) -> Check:
    bounds = {"t": predicted - 0.1}, {"t": predicted + 0.1}
    return Check(
        name=name, weights=[0.7, 0.3], predicted={"t": predicted}, low=bounds[0], high=bounds[1], real={"t": real},
        predicted_mean=predicted, real_mean=real,
    )  # fmt: skip


def results(best: float = 1.2, r2: float = 0.9, **changes: object) -> SearchResults:
    target = TargetResult(
        name="t", weight=1.0, n_documents=10, n_all_documents=20, n_bytes=1000, regression="linear",
        scores=[RegressionScore(name="linear", rmse=0.01, r2=r2, spearman=0.9)], real=[1.3, 1.4],
        foretold=[1.31, 1.38],
    )  # fmt: skip
    courses = [Course(source=name, weights=[0, 0.5, 0.9], predicted=[1.4, 1.3, 1.2]) for name in ("ko", "en")]
    values = {
        "name": "made up", "onggi_version": "0", "created": "2026-12-01T00:00:00+00:00", "seed": 0, "n_proxies": 2,
        "n_resumed": 0, "n_ids": 100, "n_parameters": 5000, "n_proxy_tokens": 1000, "tokens_per_second": 9000.0,
        "seconds": 61.0, "sources": [source("ko", 0.7), source("en", 0.3)], "targets": [target],
        "checks": [check("best", best), check("natural", 1.5, 1.45), check("uniform", 1.4, 1.4)],
        "courses": courses, "budget_tokens": None, "fits_tokens": 17_000, "words": [],
    }  # fmt: skip
    return SearchResults.model_validate(values | changes)


MANIFEST = MixtureManifest.model_validate(
    {
        "kind": "mixture",
        "name": "made-up",
        "tokenizer": "t.json",
        "sequence_length": 64,
        "sources": [{"name": name, "path": "x", "category": name} for name in ("ko", "en")],
        "output": "out",
    }
)


def test_the_page_shows_what_was_found() -> None:
    of = results()
    page = render(of.model_copy(update={"words": in_words(of)}), MANIFEST)
    assert page == render(of.model_copy(update={"words": in_words(of)}), MANIFEST)
    for shown in ("70.0%", "65.0 to 75.0", "  ko: 0.7000", "10 of 20", "A model of the best mixture", "1.2000"):
        assert shown in page
    assert "style=" not in page.split("</style>")[1] and "<script" not in page
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) >= 1 + 2 + 1 + 2
    for drawing in drawings:
        ET.fromstring(drawing)


def test_an_edge_is_said() -> None:
    at = results(sources=[source("ko", 0.9, optimum=1.0), source("en", 0.1, optimum=0.0)])
    said = " ".join(in_words(at))
    assert "ko: the best that the regressions foretell has 100.0%" in said and "it gets 90.0%" in said
    assert "it goes without en" in said and "edge" not in " ".join(in_words(results()))


def test_repetition_and_tokens_that_are_no_budget_are_said() -> None:
    said = " ".join(in_words(results(sources=[source("ko", 0.7, proxy_epochs=3.2)], without_tokens=["ko"])))
    assert "ko: small models went through it up to 3.2 times" in said and "since ko has none" in said
    plain = " ".join(in_words(results()))
    assert "went through it" not in plain and "no budget" not in plain


def test_names_are_escaped() -> None:
    target = results().targets[0].model_copy(update={"name": EVIL})
    of = results(targets=[target], checks=[check(name, 1.2) for name in ("best", "natural", "uniform")])
    of = of.model_copy(
        update={
            "checks": [
                one.model_copy(update={name: {EVIL: 1.2} for name in ("predicted", "low", "high", "real")})
                for one in of.checks
            ]
        }
    )
    assert EVIL not in render(of, MANIFEST)


def test_what_the_words_say() -> None:
    said = " ".join(in_words(results()))
    assert "20.0% lower loss than one of the sources as they are (1.2000 against 1.5000 bits per byte)" in said
    assert "14.3% lower loss than one of equal parts" in said and "within the interval" in said
    assert "the sources have 17,000 tokens" in said


def test_what_does_not_hold_is_said() -> None:
    said = " ".join(in_words(results(best=1.6, r2=0.2)))
    assert "6.7% higher loss than one of the sources as they are" in said
    assert "Its loss on t is 1.6000 bits per byte, beside the 1.1000 to 1.3000 that were foretold" in said
    assert "t: the weights explain 20% of the losses' variance only (R2 0.20)" in said


def test_what_no_model_was_trained_on_is_said() -> None:
    said = " ".join(in_words(results(sources=[source("ko", 0.7, seen_high=0.6), source("en", 0.3)])))
    assert "ko: 70.0% is more than any model was trained on (60.0% at most)" in said and "en: 30" not in said


@pytest.mark.parametrize(("low", "told"), [(0.45, True), (0.55, False)])
def test_sources_that_are_not_told_apart(low: float, told: bool) -> None:
    said = " ".join(in_words(results(sources=[source("ko", 0.6, low=low, high=0.9), source("en", 0.3, high=0.4)])))
    assert ("Not told apart from their share as it is, by the intervals: ko." in said) == told
