"""`onggi mix --plan`: what a mixture would take of what there is, what is missing, and what it would cost.

Counts are those of the store. What is not there yet is counted, or, where that would take long, estimated from a
sample.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from curation.mixture.catalogue import Available, CatalogueTask, Count, catalogue_key
from curation.mixture.documents import Slice, column_types
from curation.mixture.holdout import all_documents
from curation.mixture.overlap import ContentOverlap, Stored, content_overlap
from curation.mixture.shares import Asked, Has, Missing, asked, demanded, shortfall
from curation.mixture.survey import MixJob, Surveyed, survey
from curation.mixture.token_store import token_type
from curation.predicates import parse_predicate
from manifests.engine import Engine, Progress
from manifests.errors import RequestError
from manifests.schema_mixture import Source
from manifests.store import Folder, resolve

if TYPE_CHECKING:
    from curation.mixture.overlap_near import NearOverlap

COUNTED_BYTES = 256 << 20
"""Text that is counted at once; of more, a sample is."""
SAMPLED_BYTES = 64 << 20
"""Text per source in a sample, about."""
TOKENISE_BYTES_PER_S, WRITE_TOKENS_PER_S = 40e6, 20e6
"""Of one core, for the estimate of time, until this machine's own pace is known."""
PACKED_BYTES_PER_TOKEN = 2.2
"""On disk, compressed."""


@dataclass(frozen=True)
class SourceOutlook:
    """A source: what it has, and what the mixture takes of it."""

    name: str
    category: str
    is_estimated: bool
    n_documents: int
    n_tokens: int
    """Of one epoch, without what is held out."""
    taken_tokens: int
    epochs: float
    epochs_max: float
    missing_tokens: int
    n_held_out: int
    left_out: dict[str, int]
    """Rows that are not used, by why."""


@dataclass(frozen=True)
class StageOutlook:
    """A stage: tokens by source."""

    name: str
    n_tokens: int
    transition: int
    taken: dict[str, int]


@dataclass(frozen=True)
class NearPair:
    """Two runs whose signatures were joined."""

    a: str
    b: str
    found: "NearOverlap"


@dataclass(frozen=True)
class Outlook:
    """What `onggi mix --plan` prints."""

    sources: list[SourceOutlook]
    stages: list[StageOutlook]
    languages: dict[str, Count]
    """Documents that may be used, by language, each once."""
    licenses: dict[str, Count]
    licenses_left_out: dict[str, int]
    overlap: ContentOverlap
    near: list[NearPair]
    n_sequences: int
    counted_bytes: int
    """Text that was tokenised for this plan; the next one finds it in the store."""
    to_tokenise_bytes: int
    """Text that the mixture still has to tokenise."""
    disk_bytes: int
    seconds: float
    problem: str = ""
    """Why it cannot be had."""
    missing: list[Missing] = field(default_factory=list)

    @property
    def n_tokens(self) -> int:
        """Tokens of all stages."""
        return sum(stage.n_tokens for stage in self.stages)


def outlook(job: MixJob, engine: Engine, progress: Progress, *, exact: bool = False) -> Outlook:
    """What a mixture would take and cost.

    Args:
        job: the mixture.
        engine: where to tokenise what is not in the store.
        progress: is told how far it is.
        exact: count all, however long it takes.

    Raises:
        RequestError: nothing that a stage weighs has any documents.
    """
    to_do = [_uncounted(job, number) for number in range(len(job.slices))]
    n_to_do = sum(piece.text_bytes for pieces in to_do for piece in pieces)
    sampled = job if exact or n_to_do <= COUNTED_BYTES else _sampled(job, to_do)
    started = time.perf_counter()
    surveyed = survey(sampled, engine, progress)
    seconds = time.perf_counter() - started
    counted = sum(of.tokenised_bytes for of in surveyed.available)
    factors = [_factor(all_, some) for all_, some in zip(job.slices, sampled.slices, strict=True)]
    has = [Has(round(of.n_epoch_tokens * by), of.epochs_max) for of, by in zip(surveyed.has, factors, strict=True)]
    wanted = demanded(job.manifest, has)
    missing = shortfall(job.manifest, wanted, has)
    problem, stages = _stages(job, has, wanted, bool(missing))
    pace = counted / seconds if counted > COUNTED_BYTES / 8 else TOKENISE_BYTES_PER_S
    left = sum(
        piece.text_bytes
        for pieces, done in zip(to_do, sampled.slices, strict=True)
        for piece in set(pieces) - set(done)
    )
    n_tokens = sum(stage.n_tokens for stage in stages)
    return Outlook(
        sources=_sources(job, surveyed, has, factors, stages, missing),
        stages=[_stage(job, stage) for stage in stages],
        languages=_summed([of.by_language for of in surveyed.available], factors),
        licenses=_summed([of.by_license for of in surveyed.available], factors),
        licenses_left_out=_left_out(surveyed.available, factors),
        overlap=content_of(job, surveyed),
        near=near_of(job),
        n_sequences=-(-n_tokens // job.manifest.sequence_length),
        counted_bytes=counted,
        to_tokenise_bytes=left,
        disk_bytes=_disk_bytes(job, has, n_tokens),
        seconds=left / pace + n_tokens / WRITE_TOKENS_PER_S,
        problem=problem,
        missing=missing,
    )


def _uncounted(job: MixJob, number: int) -> list[Slice]:
    """The slices of a source that have no catalogue yet."""
    source, store = job.manifest.sources[number], Folder(job.store)
    found = []
    for piece in job.slices[number]:
        task = CatalogueTask(
            source, piece, job.manifest.licenses, job.manifest.tokenizer, job.base, job.store,
            job.manifest.limits.slice_bytes,
        )  # fmt: skip
        if not store.exists(f"{catalogue_key(task, job.tokenizer)}.json"):
            found.append(piece)
    return found


def _sampled(job: MixJob, to_do: Sequence[Sequence[Slice]]) -> MixJob:
    """The job over the slices that are counted and, of the others, some that lie evenly among them."""
    chosen = []
    for slices, missing in zip(job.slices, to_do, strict=True):
        some = set[Slice]()
        if missing:
            mean = sum(piece.text_bytes for piece in missing) / len(missing)
            n_chosen = min(len(missing), max(1, round(SAMPLED_BYTES / max(mean, 1))))
            places = np.linspace(0, len(missing) - 1, n_chosen + 2).round().astype(int)[1:-1]
            some = {missing[place] for place in places.tolist()}
        chosen.append(tuple(piece for piece in slices if piece in some or piece not in set(missing)))
    return replace(job, slices=tuple(chosen))


def _factor(all_slices: Sequence[Slice], counted: Sequence[Slice]) -> float:
    """By how much a sample falls short of a source, in bytes of text."""
    n_counted = sum(piece.text_bytes for piece in counted)
    return sum(piece.text_bytes for piece in all_slices) / n_counted if n_counted else 1.0


def _stages(job: MixJob, has: Sequence[Has], wanted: list[Asked], is_short: bool) -> tuple[str, list[Asked]]:
    """The stages as they can be had; where they cannot, as they are wanted, and why not."""
    if not is_short:
        return "", wanted
    try:
        return "", asked(job.manifest, has)
    except RequestError as error:
        return str(error), wanted


def _stage(job: MixJob, stage: Asked) -> StageOutlook:
    names = [source.name for source in job.manifest.sources]
    taken = {name: round(n) for name, n in zip(names, stage.demand.tolist(), strict=True)}
    return StageOutlook(stage.name, stage.n_tokens, stage.transition, taken)


def _sources(
    job: MixJob,
    surveyed: Surveyed,
    has: Sequence[Has],
    factors: Sequence[float],
    stages: Sequence[Asked],
    missing: Sequence[Missing],
) -> list[SourceOutlook]:
    taken = sum((stage.demand for stage in stages), np.zeros(len(has)))
    short = {of.source: of.wanted - of.has for of in missing}
    found = []
    for number, source in enumerate(job.manifest.sources):
        by, available, held = factors[number], surveyed.available[number], surveyed.n_held_documents[number]
        n_epoch = has[number].n_epoch_tokens
        found.append(
            SourceOutlook(
                name=source.name,
                category=source.category,
                is_estimated=by != 1,
                n_documents=round((available.n_epoch_documents - held) * by),
                n_tokens=n_epoch,
                taken_tokens=round(float(taken[number])),
                epochs=float(taken[number]) / n_epoch if n_epoch else 0.0,
                epochs_max=source.epochs_max,
                missing_tokens=short.get(source.name, 0),
                n_held_out=round(held * by),
                left_out={why: round(n * by) for why, n in available.left_out.items() if n},
            )
        )
    return found


def _summed(parts: Sequence[dict[str, Count]], factors: Sequence[float]) -> dict[str, Count]:
    """Counts of all sources together, most tokens first."""
    sums = dict[str, Count]()
    for part, by in zip(parts, factors, strict=True):
        for name, count in part.items():
            scaled = Count(round(count.n_documents * by), round(count.n_bytes * by), round(count.n_tokens * by))
            sums.setdefault(name, Count()).add(scaled)
    return dict(sorted(sums.items(), key=lambda item: (-item[1].n_tokens, item[0])))


def _left_out(available: Sequence[Available], factors: Sequence[float]) -> dict[str, int]:
    sums = dict[str, float]()
    for of, by in zip(available, factors, strict=True):
        for name, n_documents in of.licenses_left_out.items():
            sums[name] = sums.get(name, 0.0) + n_documents * by
    return {name: round(n) for name, n in sorted(sums.items(), key=lambda item: (-item[1], item[0]))}


def content_of(job: MixJob, surveyed: Surveyed) -> ContentOverlap:
    """How many documents stand in several sources, equal texts."""

    def stored(number: int) -> Stored:
        def read(low: int, high: int) -> list[np.ndarray[tuple[int], np.dtype[np.uint64]]]:
            return [
                content[(content >= low) & (content <= high)]
                for one in surveyed.catalogues[number]
                for documents in all_documents(Folder(job.store), one)
                for content in [np.ascontiguousarray(documents["content"])]
            ]

        return Stored(sum(one.n_documents for one in surveyed.catalogues[number]), read)

    return content_overlap({source.name: stored(number) for number, source in enumerate(job.manifest.sources)})


def near_of(job: MixJob) -> list[NearPair]:
    """What different runs have nearly in common; or why that cannot be told, as where signatures are gone."""
    runs = [(source, resolve(source.run, job.base)) for source in job.manifest.sources if source.run]
    if len(runs) < 2:
        return []
    from curation.mixture.overlap_near import NearOverlap, near_overlap  # and all that compares signatures

    found = []
    for number, (a, path_a) in enumerate(runs):
        for b, path_b in runs[number + 1 :]:
            if path_a != path_b:
                wheres = [_where(job, source) for source in (a, b)]
                try:
                    overlap = near_overlap(Folder(path_a), Folder(path_b), *wheres)
                except RequestError as error:
                    overlap = NearOverlap(refused=str(error))
                found.append(NearPair(a.name, b.name, overlap))
    return found


def _where(job: MixJob, source: Source) -> pl.Expr | None:
    slices = job.slices[job.manifest.sources.index(source)]
    if source.where is None or not slices:  # of no documents
        return None
    return parse_predicate(source.where, column_types(slices[0].path)).expr


def _disk_bytes(job: MixJob, has: Sequence[Has], n_tokens: int) -> int:
    """What the mixture takes: the store, wherever it lies, and the sequences."""
    stored = sum(of.n_epoch_tokens for of in has) * token_type(job.tokenizer.vocab_size).itemsize
    return round(stored + n_tokens * PACKED_BYTES_PER_TOKEN)
