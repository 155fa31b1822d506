"""What a run of a classifier leaves to be read: `summary.json`, which the report is made from."""

import numpy as np
from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Some documents, and how well they are scored; a number is null where it is not defined."""

    model_config = ConfigDict(frozen=True)

    name: str
    n_docs: int
    n_positive: int
    mean_label: float
    mean_score: float
    spearman: float | None
    auc: float | None
    f1: float | None
    precision: float | None
    recall: float | None
    kappa: float | None


class Point(BaseModel):
    """A threshold on the precision-recall curve."""

    model_config = ConfigDict(frozen=True)

    threshold: float
    precision: float
    recall: float


class CalibrationBin(BaseModel):
    """Documents of about the same score."""

    model_config = ConfigDict(frozen=True)

    n_docs: int
    mean_score: float
    mean_label: float
    positive_frac: float


class Sample(BaseModel):
    """A document of the corpus near the threshold."""

    model_config = ConfigDict(frozen=True)

    source: str
    language: str | None
    score: float
    text: str


class Round(BaseModel):
    """A round of the loop."""

    model_config = ConfigDict(frozen=True)

    number: int
    n_labels: int
    n_positive: int
    n_by_origin: dict[str, int]
    positive_by_origin: dict[str, int]
    n_unscored: int
    """Evaluated documents in which the model found nothing to judge by; they count as the lowest score."""
    whole: Part
    """At the threshold with the best F1."""
    languages: list[Part]
    sources: list[Part]
    threshold: float
    """With the best F1 on what is evaluated."""
    precision: float
    """That was asked for."""
    recall_at_precision: float
    threshold_at_precision: float | None
    """Null where no threshold has that precision."""
    is_gold: bool
    curve: list[Point]
    calibration: list[CalibrationBin]
    doubtful: float
    """Around which candidates in doubt were looked for."""
    histogram: list[int]
    """Of the scores of the corpus, between `score_low` and `score_high`."""
    score_low: float
    score_high: float
    n_corpus: int
    samples: list[Sample]

    @property
    def headline(self) -> str:
        """The round in a line."""
        spearman = "none" if self.whole.spearman is None else f"{self.whole.spearman:.3f}"
        positive = f"{self.n_labels:,} labels, {self.n_positive / max(self.n_labels, 1):.0%} positive"
        recall = f"recall {self.recall_at_precision:.3f} at precision {self.precision:g}"
        return f"{positive}; Spearman {spearman}, F1 {self.whole.f1 or 0:.3f}, {recall}"

    def yield_at(self, threshold: float) -> float:
        """About the share of the corpus whose score is at least this."""
        edges = np.linspace(self.score_low, self.score_high, len(self.histogram) + 1)[:-1]
        total = sum(self.histogram)
        return float(np.array(self.histogram)[edges >= threshold - 1e-9].sum() / total) if total else float("nan")

    def threshold_for_top(self, frac: float) -> float:
        """About the score that the best `frac` of the corpus reaches."""
        falling = np.cumsum(self.histogram[::-1])
        at = int(np.searchsorted(falling, frac * falling[-1])) if sum(self.histogram) else 0
        step = (self.score_high - self.score_low) / len(self.histogram)
        return self.score_high - (at + 1) * step


class Spent(BaseModel):
    """What a teacher was asked, and what that took, in the last command of a run."""

    model_config = ConfigDict(frozen=True)

    model: str
    n_requests: int
    n_kept: int
    """Answers that were there already."""
    n_paid: int
    n_failed: int
    n_retries: int
    n_prompt_tokens: int
    n_output_tokens: int
    cost: float


class Agreed(BaseModel):
    """How far a second annotator agrees with the first."""

    model_config = ConfigDict(frozen=True)

    n_docs: int
    equal_frac: float
    within_one_frac: float
    kappa: float
    kappa_positive: float
    by_source: dict[str, dict[str, float]]
    """Of each source `n_docs` and `mean_difference`, second minus first."""


class ClassifierSummary(BaseModel):
    """All that the report says of the data."""

    model_config = ConfigDict(frozen=True)

    name: str
    rounds: list[Round]
    chosen: int
    positive_from: float
    n_labels: int
    n_gold: int
    n_seeds_in_gold: int
    outcomes: dict[str, int]
    """Of all candidates: `labelled`, or why there is no label."""
    spent: list[Spent]
    agreed: Agreed | None = None
