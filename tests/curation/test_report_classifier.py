"""The report of a classifier says what its summary holds, and shows texts of strangers as they are."""

import numpy as np
import polars as pl
import pytest

from classifiers.candidates import CANDIDATE, Survey
from classifiers.rounds import RoundScores, judged_round
from classifiers.summary import Agreed, ClassifierSummary, Round, Spent
from curation.report_classifier import render_classifier
from manifests.record import RunRecord
from manifests.schema_classifier import ClassifierManifest

MANIFEST = ClassifierManifest.model_validate(
    {
        "kind": "classifier",
        "name": "edu",
        "seeds": [{"path": "x"}],
        "model": {"kind": "fasttext"},
        "output": "out",
    }
)
HOSTILE = "</p><script>alert(1)</script> \x1b[31m 한글"


def a_round(number: int, quality: float, survey: Survey | None = None) -> Round:
    rng = np.random.default_rng(number)
    truth = rng.integers(0, 6, 300).astype(float)
    examples = pl.DataFrame(
        {
            "label": truth,
            "language": ["ko", "en", None] * 100,
            "source": ["<b>shop</b>", "blog"] * 150,
            "digest": [str(k) for k in range(300)],
        }
    )
    labels = examples.with_columns(origin=pl.lit("seed")).head(50 + 100 * number)
    scores = quality * truth + (1 - quality) * rng.uniform(0, 5, 300)
    scores[7] = np.nan
    return judged_round(number, labels, RoundScores(examples, scores, is_gold=True), survey, 2.0, MANIFEST)


def record() -> RunRecord:
    empty = {"inputs": [], "outputs": [], "counts": {}, "skipped": {}, "licenses": {}, "shards": {}, "digests": {}}
    return RunRecord(
        name="edu", kind="classifier", fingerprint="f", onggi_version="0", created="2026-01-01T00:00:00+00:00",
        manifest=MANIFEST.model_dump(mode="json"), manifest_base="/", measured_in="", timings={}, throughput={},
        peak_memory_bytes=1, n_workers=1, **empty,
    )  # fmt: skip


def summary(rounds: list[Round], **more: object) -> ClassifierSummary:
    plain = {"name": "edu", "chosen": len(rounds) - 1, "positive_from": 3.0, "n_labels": 50, "n_gold": 300}
    return ClassifierSummary.model_validate(
        {**plain, "n_seeds_in_gold": 2, "outcomes": {}, "spent": [], "rounds": rounds, **more}
    )


def test_everything_that_is_known_is_shown() -> None:
    survey = Survey()
    survey.histogram[:] = np.arange(200)
    survey.n_docs = int(survey.histogram.sum())
    row = ("d", "i", HOSTILE, "s", "ko", 2.5, "s / short", 1)
    survey.best["uncertain"] = pl.DataFrame([row], schema=CANDIDATE, orient="row")
    agreed = Agreed(
        n_docs=10, equal_frac=0.5, within_one_frac=1, kappa=0.71, kappa_positive=0.62,
        by_source={"blog": {"n_docs": 10, "mean_difference": -0.4}},
    )  # fmt: skip
    spent = Spent(
        model="judge", n_requests=9, n_kept=4, n_paid=5, n_failed=0, n_retries=0, n_prompt_tokens=1,
        n_output_tokens=2, cost=0.5,
    )  # fmt: skip
    found = summary(
        [a_round(0, 0.3), a_round(1, 0.8, survey)],
        outcomes={"labelled": 5, "refused": 2},
        spent=[spent],
        agreed=agreed,
    )
    page = render_classifier(found, record(), "out/edu")
    for text in ("What each round added", "Calibration", "Yield", "judge", "0.710", "-0.40", "refused"):
        assert text in page
    assert f"{found.rounds[1].recall_at_precision:.3f}" in page
    assert "onggi score edu=out/edu/model" in page
    assert "<script" not in page
    assert "<b>shop</b>" not in page
    assert "\x1b" not in page
    assert "1 documents hold no word" in page


def test_a_single_round_without_a_corpus() -> None:
    page = render_classifier(summary([a_round(0, 0.9)]), record(), "out")
    assert "What each round added" not in page
    assert "Yield" not in page
    assert "Precision and recall" in page


def test_thresholds_of_shares_follow_the_histogram() -> None:
    survey = Survey()
    survey.histogram[:] = 1
    survey.n_docs = 200
    found = a_round(0, 0.8, survey)
    for frac in (0.1, 0.25, 0.5):
        assert found.yield_at(found.threshold_for_top(frac)) == pytest.approx(frac, abs=0.006)
