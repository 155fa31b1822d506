"""Which documents of a corpus are worth a label next: those with high scores, those in doubt, and a few of all.

The corpus is gone through file by file in batches, and of each file only the best few are held: the number of
candidates bounds the memory, not the size of the corpus. No stratum, that is documents of one source and of about one
length, gives more than a few times its share, so that no single site fills a round.
"""

from dataclasses import dataclass, field
from math import ceil
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import xxhash

from classifiers.examples import DOCUMENT, read_documents
from classifiers.language import LanguageIdentifier
from classifiers.scorer import Scorer
from manifests.schema_classifier import Candidates, Documents

LENGTHS = (200, 800)
"""Characters from which on a text is middling, and long."""
SHARE_MAX = 6
"""Of a stratum, in shares: what it would give if all gave the same. Doubt lies in few strata: at 2 shares the loop of
benchmarks/edu_loop.py learnt less from as many labels."""

Why = Literal["top", "uncertain", "random"]
REASONS: tuple[Why, ...] = ("top", "uncertain", "random")

BINS = 200
"""Of the histogram of scores."""

CANDIDATE = {**DOCUMENT, "score": pl.Float64, "stratum": pl.String, "draw": pl.UInt64}


@dataclass(frozen=True)
class SurveyTask:
    """A file of the corpus to look through; pickles to a worker."""

    documents: Documents
    path: str
    max_chars: int
    model: str
    """Folder of the classifier."""
    known: str
    """Parquet file with the digests of texts that are no candidates."""
    wanted: tuple[int, int, int]
    """How many candidates of each reason."""
    threshold: float
    """Where scores are in doubt."""
    score_range: tuple[float, float]
    """Of the histogram; what lies outside is in its outermost bins."""
    seed: int

    def __str__(self) -> str:
        return self.path


@dataclass
class Survey:
    """What was seen of a corpus: its scores, and the best candidates of each reason, best first."""

    histogram: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    n_docs: int = 0
    strata: set[str] = field(default_factory=set)
    best: dict[Why, pl.DataFrame] = field(
        default_factory=lambda: {why: pl.DataFrame(schema=CANDIDATE) for why in REASONS}
    )

    def add(self, other: "Survey", task: SurveyTask) -> None:
        """Take in what was seen of other documents."""
        self.histogram += other.histogram
        self.n_docs += other.n_docs
        self.strata |= other.strata
        for why in REASONS:
            self.best[why] = _best(pl.concat([self.best[why], other.best[why]]), why, task, len(self.strata))


def survey_file(task: SurveyTask) -> Survey:
    """Score the documents of a file and keep its best candidates."""
    scorer, total = Scorer(task.model), Survey()
    known = pl.read_parquet(task.known)["digest"]
    identifier = LanguageIdentifier() if scorer.by_language and task.documents.language is None else None
    for batch in read_documents(task.documents, task.path, task.max_chars, identifier):
        fresh = batch.unique("digest", keep="first", maintain_order=True)
        if fresh.height:
            total.add(_seen(fresh, known, scorer, task), task)
    return total


def _seen(batch: pl.DataFrame, known: pl.Series, scorer: Scorer, task: SurveyTask) -> Survey:
    found = scorer.score(pa.array(batch["text"], pa.large_string()), pa.array(batch["language"], pa.string()))
    scored = batch.with_columns(pl.Series("score", found.score.to_pylist(), pl.Float64))
    has_score = scored["score"].is_not_null()
    low, high = task.score_range
    bins = ((scored["score"].drop_nulls().to_numpy() - low) / (high - low) * BINS).astype(np.int64)
    fresh = scored.filter(has_score & ~pl.Series(scored["digest"].is_in(known.implode())))
    fresh = fresh.with_columns(
        _stratum().alias("stratum"), pl.Series("draw", _draws(fresh["digest"], task.seed), pl.UInt64)
    ).select(*CANDIDATE)
    return Survey(
        np.bincount(bins.clip(0, BINS - 1), minlength=BINS).astype(np.int64),
        scored.height,
        set(fresh["stratum"]),
        dict.fromkeys(REASONS, fresh),
    )


def _stratum() -> pl.Expr:
    length = pl.col("text").str.len_chars()
    size = pl.when(length < LENGTHS[0]).then(pl.lit("short"))
    sized = size.when(length < LENGTHS[1]).then(pl.lit("middling")).otherwise(pl.lit("long"))
    return pl.concat_str(pl.col("source"), sized, separator=" / ")


def _draws(digests: pl.Series, seed: int) -> list[int]:
    return [xxhash.xxh3_64_intdigest(digest.encode(), seed=seed) for digest in digests]


def _best(frame: pl.DataFrame, why: Why, task: SurveyTask, n_strata: int) -> pl.DataFrame:
    """The rows that `pick` may still take for a reason: the first of each stratum, in the reason's order.

    Other reasons may take as many of a stratum before, so all caps together bound it; the whole is bounded so that
    the reason's own cap can still be filled.
    """
    caps, n_wanted = _caps(task.wanted, n_strata), sum(task.wanted)
    if not (cap := caps[why]):
        return frame.clear()
    ordered = frame.sort(_order(why, task.threshold), "digest").unique("digest", keep="first", maintain_order=True)
    within = ordered.filter(pl.int_range(pl.len()).over("stratum") < sum(caps.values()))
    return within.head(n_wanted + ceil(n_wanted * sum(caps.values()) / cap))


def _caps(wanted: tuple[int, int, int], n_strata: int) -> dict[Why, int]:
    """How many rows of a stratum each reason may take."""
    return {why: ceil(SHARE_MAX * n / max(n_strata, 1)) for why, n in zip(REASONS, wanted, strict=True)}


def _order(why: Why, threshold: float) -> pl.Expr:
    match why:
        case "top":
            return -pl.col("score")
        case "uncertain":
            return (pl.col("score") - threshold).abs()
    return pl.col("draw")


def wanted_of(candidates: Candidates) -> tuple[int, int, int]:
    """How many candidates of each reason; they add up."""
    uncertain, random = (round(candidates.per_round * share) for share in (candidates.uncertain, candidates.random))
    return candidates.per_round - uncertain - random, uncertain, random


def pick(survey: Survey, wanted: tuple[int, int, int]) -> pl.DataFrame:
    """The candidates of a round, each once, with the column `why`; fewer where the corpus has no more.

    What one reason cannot give, since strata are capped or the corpus is small, the next one does.
    """
    picked, owed, taken = [], 0, set[str]()
    caps = _caps(wanted, len(survey.strata))
    for why, n_wanted in zip(REASONS, wanted, strict=True):
        rows = survey.best[why].filter(~pl.col("digest").is_in(list(taken)))
        if why != "random":
            rows = rows.filter(pl.int_range(pl.len()).over("stratum") < caps[why])
        rows = rows.head(n_wanted + owed)
        taken.update(rows["digest"])
        owed += n_wanted - rows.height
        picked.append(rows.with_columns(pl.lit(why).alias("why")))
    return pl.concat(picked)
