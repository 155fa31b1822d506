"""What is known of a round: its labels, how good its model is, and what the corpus looks like to it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from classifiers.candidates import Survey
from classifiers.evaluate import best_f1, calibration, curve, metrics, recall_at_precision
from classifiers.summary import CalibrationBin, Part, Point, Round, Sample
from manifests.schema_classifier import ClassifierManifest

Numbers = npt.NDArray[np.float64]

CURVE_POINTS = 200
SAMPLES = 12
SAMPLE_CHARS = 400


@dataclass(frozen=True)
class Labelling:
    """What an annotator said of a document."""

    digest: str
    score: float | None
    outcome: str
    """`labelled`, or why there is no label."""
    reason: str = ""
    second: float | None = None
    """What another annotator said, where one was asked."""


LABELLING = {
    "digest": pl.String,
    "label": pl.Float64,
    "outcome": pl.String,
    "reason": pl.String,
    "second": pl.Float64,
}


@dataclass(frozen=True)
class RoundScores:
    """Documents with labels and what the model says of them; NaN where it says nothing."""

    examples: pl.DataFrame
    scores: Numbers
    is_gold: bool


def judged_round(
    number: int,
    labels: pl.DataFrame,
    found: RoundScores,
    survey: Survey | None,
    doubtful: float,
    manifest: ClassifierManifest,
) -> Round:
    """All that the report says of a round."""
    wanted, positive_from = manifest.stop.precision, manifest.positive_from
    truth = found.examples["label"].to_numpy().astype(float)
    lowest = min(float(labels["label"].min()), 0.0)  # type: ignore[arg-type]
    scores = np.where(np.isnan(found.scores), lowest, found.scores)
    positive = truth >= positive_from
    threshold = best_f1(positive, scores)[1] if positive.any() else positive_from
    recall, at = recall_at_precision(positive, scores, wanted)
    are_positive = labels.filter(pl.col("label") >= positive_from)
    groups = [("language", "und"), ("source", "?")]
    languages, sources = (
        _parts(found.examples[name].fill_null(other).to_list(), truth, scores, positive_from, threshold)
        for name, other in groups
    )
    survey = survey or Survey()
    return Round(
        number=number,
        n_labels=labels.height,
        n_positive=are_positive.height,
        n_by_origin=dict(sorted(Counter(labels["origin"]).items())),
        positive_by_origin=dict(sorted(Counter(are_positive["origin"]).items())),
        n_unscored=int(np.isnan(found.scores).sum()),
        whole=_part("all", truth, scores, positive_from, threshold),
        languages=languages,
        sources=sources,
        threshold=threshold,
        precision=wanted,
        recall_at_precision=recall,
        threshold_at_precision=at if np.isfinite(at) else None,
        is_gold=found.is_gold,
        curve=_curve(positive, scores),
        calibration=[CalibrationBin(**asdict(part)) for part in calibration(truth, scores, 10, positive_from)],
        doubtful=doubtful,
        histogram=survey.histogram.tolist(),
        score_low=float(labels["label"].min()),  # type: ignore[arg-type]
        score_high=float(labels["label"].max()),  # type: ignore[arg-type]
        n_corpus=survey.n_docs,
        samples=_samples(survey),
    )


def _parts(
    groups: Sequence[str], truth: Numbers, scores: Numbers, positive_from: float, threshold: float
) -> list[Part]:
    names = np.array(groups, object)
    return [
        _part(name, truth[names == name], scores[names == name], positive_from, threshold)
        for name in sorted(set(groups))
    ]


def _part(name: str, truth: Numbers, scores: Numbers, positive_from: float, threshold: float) -> Part:
    found = asdict(metrics(truth, scores, positive_from, threshold))
    numbers = {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in found.items()}
    return Part(name=name, mean_label=float(truth.mean()), mean_score=float(scores.mean()), **numbers)


def _curve(positive: npt.NDArray[np.bool_], scores: Numbers) -> list[Point]:
    points = curve(positive, scores)
    n_points = len(points.threshold)
    chosen = np.unique(np.linspace(0, n_points - 1, min(n_points, CURVE_POINTS)).astype(int))
    return [
        Point(
            threshold=float(points.threshold[k]), precision=float(points.precision[k]), recall=float(points.recall[k])
        )
        for k in chosen
    ]


def _samples(survey: Survey) -> list[Sample]:
    return [
        Sample(source=row["source"], language=row["language"], score=row["score"], text=row["text"][:SAMPLE_CHARS])
        for row in survey.best["uncertain"].head(SAMPLES).to_dicts()
    ]
