"""What a mixture came to, in plain numbers: `summary.json`, from which its report is drawn.

Tokens are those of training, without padding, unless a field says otherwise; they count beginnings and ends of
documents. Shares are of tokens.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from curation.summary_models import Model

N_COURSE_BINS = 200
"""Bins of the course of training, about."""
N_SAMPLES = 8
N_SAMPLE_SPANS = 12
SPAN_CHARS = 240
"""Of a sequence to look at: spans that are shown, and characters of each."""


class TokenizerSummary(Model):
    """What turned the texts into ids."""

    name: str
    """As the manifest has it: a path."""
    digest: str
    engine: str
    """What computed the ids, as `gigatoken` or `tokenizers`."""
    n_vocab: int
    eod: str
    bos: str | None


class Taken(Model):
    """What a stage took of a source."""

    category: str
    source: str
    asked_frac: float
    """Share of the stage's tokens that was asked for, over the whole stage with its transition."""
    n_tokens: int
    n_documents: int
    """That begin in the stage; one that does so twice counts twice."""
    n_spans: int
    epochs: float
    """How often the stage went through the source: tokens taken by tokens available."""


class StageSummary(Model):
    """A stage as it was asked for, and as it is."""

    name: str
    asked_tokens: int
    n_tokens: int
    n_sequences: int
    n_padding: int
    """Tokens of padding in its sequences."""
    transition_tokens: int
    """Over how many of its first tokens the mixture goes from that of the stage before to its own; 0 for a switch."""
    taken: tuple[Taken, ...]

    @property
    def overshoot(self) -> int:
        """Tokens past what was asked for, up to the end of the last sequence; negative where tokens are missing."""
        return self.n_tokens - self.asked_tokens


class SourceSummary(Model):
    """A source: what it has, and what all stages together took."""

    name: str
    category: str
    n_documents: int
    """That may be taken: `where` holds, the licence is allowed, and they are not held out."""
    n_tokens: int
    """Of those, once."""
    n_tokens_taken: int
    n_documents_taken: int
    """Different documents that were taken at least once."""
    epochs: float
    epochs_max: float
    n_held_out: int
    """Documents for validation."""
    n_left_out: int
    """Documents for which `where` is not true or whose licence is not allowed."""


class Course(Model):
    """A category along the training, in the bins of `MixtureSummary.course_edges`."""

    category: str
    n_tokens: tuple[int, ...]
    asked_frac: tuple[float, ...]


class LanguageSummary(Model):
    """Documents of a language in the training, each as often as it was taken: about, since languages are counted by
    source."""

    language: str
    """`ko`, `en` or `other`."""
    n_documents: int
    n_tokens: int
    n_bytes: int
    """Of text (UTF-8) that these tokens stand for."""


class Overlap(Model):
    """Documents of a source that stand in another one, too."""

    source: str
    other: str
    n_equal: int
    """Documents of `source` whose text is also in `other`."""
    frac: float
    """Their share of the documents of `source`."""
    n_near: int | None
    """Documents of `source` that are near-duplicates of one of `other`; None where signatures are not there."""


class LicenseSummary(Model):
    """What came under a licence."""

    license: str | None
    n_documents: int
    """Different documents that may be taken."""
    n_tokens: int
    """Taken: about, since licences are counted by source."""
    n_left_out: int
    """Documents that the policy left out."""
    why: str | None
    """What left them out, as `deny: *-NC-*`."""


class HeldOut(Model):
    """The validation documents of a category."""

    category: str
    n_documents: int
    n_tokens: int
    n_sequences: int


class SampleSpan(Model):
    """A stretch of a document in a sequence to look at."""

    source: str
    id: str
    offset: int
    """Which token of its document it begins with."""
    n_tokens: int
    text: str
    """How it begins, decoded."""


class SampleSequence(Model):
    """A sequence to look at."""

    sequence: int
    stage: str
    n_tokens: int
    is_cross: bool
    n_spans: int
    spans: tuple[SampleSpan, ...]
    """The first ones."""


class MixtureSummary(Model):
    """All that the report of a mixture shows."""

    name: str
    tokenizer: TokenizerSummary
    sequence_length: int
    n_tokens: int
    n_padding: int
    n_sequences: int
    n_cross_sequences: int
    cross_frac_asked: float
    n_cut: int
    """Documents cut though they would fit into a sequence (`packing.cut: any`)."""
    stages: tuple[StageSummary, ...]
    sources: tuple[SourceSummary, ...]
    course_edges: tuple[int, ...]
    """Tokens trained on where the bins of the courses begin, and where the last one ends."""
    courses: tuple[Course, ...]
    languages: tuple[LanguageSummary, ...]
    spans_per_sequence: tuple[int, ...]
    """Sequences by how many spans they hold, as `by_powers_of_two` counts."""
    tokens_per_document: tuple[int, ...]
    """Documents that may be taken by their length in tokens, as `by_powers_of_two` counts."""
    overlaps: tuple[Overlap, ...]
    licenses: tuple[LicenseSummary, ...]
    validation: tuple[HeldOut, ...]
    samples: tuple[SampleSequence, ...]


def by_powers_of_two(values: NDArray[np.integer]) -> NDArray[np.int64]:
    """Counts of values by size: count k is of those from 2^k to 2^(k + 1) - 1; none may be below 1."""
    return np.bincount(np.frexp(np.asarray(values, np.float64))[1] - 1) if len(values) else np.zeros(0, np.int64)


def added(counts: Sequence[NDArray[np.int64]]) -> tuple[int, ...]:
    """Counts of `by_powers_of_two`, of parts, summed."""
    total = np.zeros(max(map(len, counts), default=0), np.int64)
    for part in counts:
        total[: len(part)] += part
    return tuple(total.tolist())


def course_bins(n_sequences: int) -> NDArray[np.int64]:
    """The sequences with which bins of the courses begin, and the number of sequences: equally wide bins."""
    return np.unique(np.linspace(0, n_sequences, N_COURSE_BINS + 1).round().astype(np.int64))
