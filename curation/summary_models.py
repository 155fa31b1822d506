"""What a summary of a corpus holds: counts, distributions over fixed bins, and samples. See curation/summary.py."""

from collections.abc import Iterable
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

N_MARGIN_SAMPLES = 20
N_REASON_SAMPLES = 10
N_GROUPS = 20
N_FAILURES = 50
N_HITS = 20
N_NOTE_SAMPLES = 10
N_PII_SAMPLES = 5
N_PIECES = 200
SNIPPET_CHARS = 300
NEAR_CHARS = 2000
"""Of a near-duplicate's text: enough to come upon a word that differs."""

Scale = Literal["fraction", "grade", "count", "amount"]
EDGES: dict[Scale, NDArray[np.float64]] = {
    "fraction": np.linspace(0, 1, 201)[:-1],
    "grade": np.arange(500) / 100,  # scores of classifiers: a probability, or 0 to 5
    "count": np.concatenate([np.arange(8), 2 ** (3 + np.arange(149) / 4)]),  # each small number, then up to 2^40
    "amount": np.concatenate([[0.0], 2 ** (np.arange(-80, 161) / 8)]),  # from 2^-10 to 2^20
}
"""Where bins begin. A bin ends where the next begins; the last has no end, and the first takes what is below it."""

BINS_PER_UNIT: dict[Scale, int] = {"fraction": 200, "grade": 100}
"""Of scales whose bins are equally wide."""


class Model(BaseModel):
    """A part of a summary."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Tally(Model):
    """Records that came from one source in one language and ended in one way."""

    source: str
    language: str | None
    verdict: str
    stage: str | None
    reason: str | None
    n_docs: int
    content_bytes: int
    text_bytes: int
    n_chars: int

    @property
    def key(self) -> tuple[str | None, ...]:
        """What no two tallies of a summary share."""
        return self.source, self.language, self.verdict, self.stage, self.reason


class Distribution(Model):
    """How many documents lie in each bin of `EDGES[scale]`."""

    scale: Scale
    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    n_missing: int


class Signal(Model):
    """The distribution of one measured column in one group of languages."""

    column: str
    language: str
    distribution: Distribution


class Sample(Model):
    """A document to look at: who it is, what happened to it, and how its text begins."""

    id: str
    copy_number: int
    source: str
    url: str | None
    language: str | None
    verdict: str
    reason: str | None
    value: float | None
    group: str | None
    """The exact-duplicate group, where it has one: only one member of a group is shown."""
    snippet: str

    @property
    def key(self) -> tuple[str, int]:
        """The primary key of the document."""
        return self.id, self.copy_number


class Threshold(Model):
    """One comparison of a rule, over the documents to which the rule applies."""

    column: str
    op: str
    threshold: float
    n_beyond: int
    """Documents whose value fails the comparison."""
    distribution: Distribution
    failing: tuple[Sample, ...]
    passing: tuple[Sample, ...]


class RuleSummary(Model):
    """What one rule did."""

    name: str
    keep: str
    when: str | None
    n_evaluated: int
    n_failing: int
    n_only: int
    """Documents that fail this rule and no other: all that stands between them and the corpus."""
    thresholds: tuple[Threshold, ...]


class Group(Model):
    """Records whose normalised texts are equal."""

    group: str
    size: int
    sources: dict[str, int]
    first: Sample

    @property
    def order(self) -> tuple[int, str]:
        """Largest first."""
        return -self.size, self.group


class ReasonSamples(Model):
    """A few of the documents that ended for one reason (None: of the kept ones)."""

    stage: str | None
    reason: str | None
    samples: tuple[Sample, ...]

    @property
    def key(self) -> tuple[str | None, ...]:
        """What no two of a summary share."""
        return self.stage, self.reason


class Failure(Model):
    """A record that could not be read or extracted, and where it lies."""

    id: str
    copy_number: int
    source: str
    file: str
    offset: int
    stage: str | None
    reason: str | None
    detail: str | None

    @property
    def key(self) -> tuple[str, int]:
        """The primary key of the record."""
        return self.id, self.copy_number


class NoteSample(Model):
    """A note, and the record of which it speaks."""

    id: str
    copy_number: int
    source: str
    record_key: str
    detail: str

    @property
    def key(self) -> tuple[str, int, str]:
        """The primary key of the record, and what is said of it."""
        return self.id, self.copy_number, self.detail


class NoteSummary(Model):
    """What readers said of records that went on, of one kind."""

    kind: str
    n_notes: int
    n_docs: int
    n_kept_docs: int
    samples: tuple[NoteSample, ...]


class PiiSample(Model):
    """What stands around personal data in a kept document; all such data in it is masked."""

    id: str
    copy_number: int
    source: str
    snippet: str

    @property
    def key(self) -> tuple[str, int]:
        """The primary key of the document."""
        return self.id, self.copy_number


class PiiSummary(Model):
    """Personal data of one kind: spans and documents, in all that was measured and in what was kept."""

    kind: str
    n_found: int
    n_docs: int
    n_kept: int
    n_kept_docs: int
    n_masked: int
    samples: tuple[PiiSample, ...]

    @property
    def counts(self) -> dict[str, int]:
        """The numbers alone."""
        return self.model_dump(include={"n_found", "n_docs", "n_kept", "n_kept_docs", "n_masked"})


class Hit(Model):
    """A benchmark item in a document, side by side."""

    id: str
    copy_number: int
    source: str
    language: str | None
    item: str
    score: float
    found: str
    """The words of the document, cut."""
    wanted: str
    """Those of the item, cut."""

    @property
    def order(self) -> tuple[float, str, int, str]:
        """The least sure first: they tell whether the threshold is right."""
        return self.score, self.id, self.copy_number, self.item


class BenchmarkSummary(Model):
    """What was found of one benchmark."""

    benchmark: str
    n_docs: int
    """Documents that rules and duplicates let through, and that hold an item."""
    n_other_docs: int
    """Documents that hold one and were dropped for something else."""
    n_hits: int
    """Places of items in the first."""
    hits: tuple[Hit, ...]

    @property
    def counts(self) -> dict[str, int]:
        """The numbers alone."""
        return self.model_dump(include={"n_docs", "n_other_docs", "n_hits"})


class RemovedPiece(Model):
    """A line or stretch that was removed from kept documents."""

    text: str
    """Its beginning."""
    length: int
    """Of all of it, in characters."""
    n_places: int
    n_chars: int

    @property
    def order(self) -> tuple[int, str, int]:
        """What took most first."""
        return -self.n_chars, self.text, self.length


class RemovedSummary(Model):
    """What a rule removed from the texts of kept documents.

    The counts of pieces are exact while no part of the corpus has more than N_PIECES different ones; after that those
    of rare pieces may be too low.
    """

    rule: str
    n_docs: int
    n_places: int
    n_chars: int
    pieces: tuple[RemovedPiece, ...]


class NearSize(Model):
    """Documents of one language whose clusters of near-duplicates have one size."""

    size: int
    """1: a text that no other resembles. Records of equal texts count."""
    language: str
    """`ko`, `en` or `other`."""
    n_docs: int
    n_ruled_out: int
    """Those that a rule dropped."""
    n_kept: int

    @property
    def key(self) -> tuple[int, str]:
        """What no two of a summary share."""
        return self.size, self.language


LOST_BY = {"semantic_duplicate": 1, "near_duplicate": 2}
"""Reasons of those that lose to a survivor, in the order in which they are shown beside it."""


class NearMember(Model):
    """A text of a cluster, to be laid beside another."""

    id: str
    copy_number: int
    source: str
    url: str | None
    language: str | None
    verdict: str
    reason: str | None
    text_digest: str
    text: str
    """Its beginning."""
    cosine: float | None = None
    """To the survivor of its group, of a semantic duplicate."""

    @property
    def order(self) -> tuple[int, str, int]:
        """The survivor first, then those that lost to it, the less alike first."""
        rank = 0 if self.verdict == "kept" else LOST_BY.get(self.reason or "", 3)
        return rank, self.id, self.copy_number


class NearCluster(Model):
    """Records whose texts are nearly the same, or mean the same, at least two of them different."""

    cluster: str
    size: int
    sources: dict[str, int]
    members: tuple[NearMember, ...]
    """The first two by their order, of different texts."""

    @property
    def order(self) -> tuple[int, str]:
        """Largest first."""
        return -self.size, self.cluster


class NearSummary(Model):
    """What near-duplicates a corpus holds."""

    sizes: tuple[NearSize, ...] = ()
    """At most three of sqrt(2 n_docs) sizes."""
    clusters: tuple[NearCluster, ...] = ()
    held: dict[str, int] = {}
    """Documents dropped since an earlier run holds them, by the folder of that run."""


class SemanticSummary(Model):
    """What a corpus holds of documents that mean the same."""

    sizes: tuple[NearSize, ...] = ()
    """Of groups, with the near-duplicates and equal texts that were joined in."""
    clusters: tuple[NearCluster, ...] = ()
    """The largest that hold more than near-duplicates."""
    edge: tuple[NearCluster, ...] = ()
    """The groups whose survivor is least like one that lost to it, these two being the members; without sources."""
    cosines: Distribution | None = None
    """Of semantic duplicates, to their survivors."""


class Summary(Model):
    """Everything that the report shows of the data."""

    tallies: tuple[Tally, ...] = ()
    rules: tuple[RuleSummary, ...] = ()
    signals: tuple[Signal, ...] = ()
    samples: tuple[ReasonSamples, ...] = ()
    group_sizes: dict[int, int] = {}
    """Records by the size of their exact-duplicate group, from 2 on. There are at most sqrt(2 n_docs) sizes."""
    groups: tuple[Group, ...] = ()
    failures: tuple[Failure, ...] = ()
    notes: tuple[NoteSummary, ...] = ()
    """By kind."""
    benchmarks: tuple[BenchmarkSummary, ...] = ()
    """Those with hits, by name."""
    pii: tuple[PiiSummary, ...] = ()
    removed: tuple[RemovedSummary, ...] = ()
    """What repeated lines and stretches took from kept documents, by rule."""
    near: NearSummary = NearSummary()
    semantic: SemanticSummary = SemanticSummary()


Keyed = TypeVar("Keyed", Tally, ReasonSamples)


def by_key(items: Iterable[Keyed]) -> tuple[Keyed, ...]:
    """The items in the order of their keys, missing values first."""
    return tuple(sorted(items, key=lambda item: [(value is not None, value or "") for value in item.key]))


def first_members(members: Iterable[NearMember]) -> tuple[NearMember, ...]:
    """The first two by their order, of different texts."""
    firsts: dict[str, NearMember] = {}
    for member in sorted(members, key=lambda member: member.order):
        firsts.setdefault(member.text_digest, member)
    return tuple(firsts.values())[:2]


def least_similar_first(clusters: Iterable[NearCluster]) -> tuple[NearCluster, ...]:
    """By the least cosine of a member; a part of a corpus may hold the survivor alone."""

    def least(cluster: NearCluster) -> tuple[float, str]:
        return min(
            (member.cosine for member in cluster.members if member.cosine is not None), default=1.0
        ), cluster.cluster

    return tuple(sorted(clusters, key=least))
