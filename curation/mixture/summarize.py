"""Fills the summary of a mixture from what was planned: what its report shows."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from curation.mixture.assemble import gather, read_block
from curation.mixture.catalogue import UNKNOWN, Count
from curation.mixture.layout import Layout
from curation.mixture.ledger import VALIDATION
from curation.mixture.licenses import is_allowed
from curation.mixture.outlook import content_of, near_of
from curation.mixture.plan import Block
from curation.mixture.record import MixtureRecord
from curation.mixture.summary import (
    N_SAMPLE_SPANS,
    N_SAMPLES,
    SPAN_CHARS,
    Course,
    HeldOut,
    LanguageSummary,
    LicenseSummary,
    MixtureSummary,
    Overlap,
    SampleSequence,
    SampleSpan,
    SourceSummary,
    StageSummary,
    Taken,
    TokenizerSummary,
    added,
    by_powers_of_two,
    course_bins,
)
from curation.mixture.survey import MixJob, Surveyed
from curation.mixture.token_store import token_type
from manifests.schema_mixture import Licenses
from manifests.store import Folder

DECODED_TOKENS = 96
"""Of a span to look at: more would not be shown."""


def summarize(job: MixJob, surveyed: Surveyed, layout: Layout, record: MixtureRecord) -> MixtureSummary:
    """The summary of a mixture whose blocks are still there."""
    course = _Course(job, layout, record)
    samples, places = [], _sample_places(record.counts["sequences"])
    for number in layout.numbers(validation=False):
        block = read_block(Folder(layout.folder), number, layout.stage_of[number])
        course.add(block)
        here = places[(places >= block.first_sequence) & (places < block.first_sequence + len(block.n_tokens))]
        samples += [_sample(job, surveyed, block, int(sequence)) for sequence in here]
    return MixtureSummary(
        name=record.name,
        tokenizer=_tokenizer(job, record),
        sequence_length=record.sequence_length,
        n_tokens=record.counts["tokens"],
        n_padding=record.counts["padding"],
        n_sequences=record.counts["sequences"],
        n_cross_sequences=course.n_cross,
        cross_frac_asked=job.manifest.packing.cross_lingual,
        n_cut=course.n_cut,
        stages=_stages(job, layout, record),
        sources=_sources(job, surveyed, layout, record),
        course_edges=course.edges,
        courses=course.courses,
        languages=_languages(surveyed, record),
        spans_per_sequence=added(course.spans_per_sequence),
        tokens_per_document=_lengths(surveyed),
        overlaps=_overlaps(job, surveyed),
        licenses=_licenses(job, surveyed, record),
        validation=_validation(job, layout, record),
        samples=tuple(samples),
    )


def _tokenizer(job: MixJob, record: MixtureRecord) -> TokenizerSummary:
    used = job.tokenizer
    return TokenizerSummary(
        name=record.tokenizer.path,
        digest=record.tokenizer.digest,
        engine=record.tokenizer.engine,
        n_vocab=record.tokenizer.vocab_size,
        eod=used.token(used.eod_id),
        bos=None if used.bos_id is None else used.token(used.bos_id),
    )


def _stages(job: MixJob, layout: Layout, record: MixtureRecord) -> tuple[StageSummary, ...]:
    documents, spans = layout.ledger.sums("n_documents"), layout.ledger.sums("n_spans")
    n_epoch = {source.name: source.n_tokens for source in record.sources}
    return tuple(
        StageSummary(
            name=stage.name,
            asked_tokens=stage.asked_tokens,
            n_tokens=stage.n_tokens,
            n_sequences=stage.n_sequences,
            n_padding=stage.n_sequences * record.sequence_length - stage.n_tokens,
            transition_tokens=stage.transition,
            taken=tuple(
                Taken(
                    category=source.category,
                    source=source.name,
                    asked_frac=stage.shares[source.name],
                    n_tokens=stage.taken[source.name],
                    n_documents=documents.get((stage.name, number), 0),
                    n_spans=spans.get((stage.name, number), 0),
                    epochs=stage.taken[source.name] / max(n_epoch[source.name], 1),
                )
                for number, source in enumerate(job.manifest.sources)
                if stage.shares[source.name] or stage.taken[source.name]
            ),
        )
        for stage in record.stages
    )


def _sources(job: MixJob, surveyed: Surveyed, layout: Layout, record: MixtureRecord) -> tuple[SourceSummary, ...]:
    firsts = layout.ledger.sums("n_firsts")
    return tuple(
        SourceSummary(
            name=source.name,
            category=source.category,
            n_documents=source.n_documents,
            n_tokens=source.n_tokens,
            n_tokens_taken=source.taken_tokens,
            n_documents_taken=sum(n for (stage, of), n in firsts.items() if of == number and stage != VALIDATION),
            epochs=source.epochs,
            epochs_max=job.manifest.sources[number].epochs_max,
            n_held_out=source.held_out_documents,
            n_left_out=sum(source.left_out.values()),
        )
        for number, source in enumerate(record.sources)
    )


class _Course:
    """Counts along the training, block by block."""

    def __init__(self, job: MixJob, layout: Layout, record: MixtureRecord) -> None:
        self._length = record.sequence_length
        self._layout, self._record = layout, record
        self._bins = course_bins(record.counts["sequences"])
        names = [source.category for source in job.manifest.sources]
        self._categories = list(dict.fromkeys(names))
        self._category_of = np.array([self._categories.index(name) for name in names])
        self._tokens = np.zeros((len(self._categories), max(1, len(self._bins) - 1)), np.int64)
        self.n_cross = self.n_cut = 0
        self.spans_per_sequence: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []

    def add(self, block: Block) -> None:
        """Count a block."""
        spans = block.spans
        sequences = spans["sequence"].astype(np.int64)
        bins = np.searchsorted(self._bins, sequences, side="right") - 1
        np.add.at(self._tokens, (self._category_of[spans["source"]], bins), spans["length"])
        self.n_cross += int(block.cross.sum())
        self.n_cut += int((spans["offset"] % self._length > 0).sum())
        counts = np.bincount(sequences - block.first_sequence, minlength=len(block.n_tokens))
        self.spans_per_sequence.append(by_powers_of_two(counts))

    @property
    def edges(self) -> tuple[int, ...]:
        """Tokens before each bin, and in all."""
        return (0, *np.cumsum(self._tokens.sum(axis=0)).tolist())

    @property
    def courses(self) -> tuple[Course, ...]:
        """A course for each category."""
        wanted = self._asked()
        return tuple(
            Course(category=name, n_tokens=tuple(self._tokens[number].tolist()), asked_frac=tuple(wanted[number]))
            for number, name in enumerate(self._categories)
        )

    def _asked(self) -> list[list[float]]:
        """Of each category, its share in each bin as it was asked for."""
        edges, stages, start = np.array(self.edges, np.float64), [], 0
        for stage, record in zip(self._layout.stages, self._record.stages, strict=True):
            stages.append((start, start + record.n_tokens, stage))
            start += record.n_tokens
        found = np.zeros(self._tokens.shape)
        for number, (low, high) in enumerate(pairwise(edges.tolist())):
            for begin, end, stage in stages:
                if (first := max(low, begin)) < (last := min(high, end)):
                    tokens = stage.targets(last - begin) - stage.targets(first - begin)
                    np.add.at(found[:, number], self._category_of, tokens / max(high - low, 1))
        return found.tolist()


def _languages(surveyed: Surveyed, record: MixtureRecord) -> tuple[LanguageSummary, ...]:
    """What was taken, by language; a source is taken to have the same languages in every part of it."""
    sums = dict[str, Count]()
    for available, source in zip(surveyed.available, record.sources, strict=True):
        times = source.taken_tokens / max(available.total.n_tokens, 1)
        for language, count in available.by_language.items():
            main = language.split("-")[0]
            taken = Count(*(round(n * times) for n in (count.n_documents, count.n_bytes, count.n_tokens)))
            sums.setdefault(main if main in ("ko", "en") else "other", Count()).add(taken)
    return tuple(
        LanguageSummary(language=name, n_documents=of.n_documents, n_tokens=of.n_tokens, n_bytes=of.n_bytes)
        for name, of in sorted(sums.items())
    )


def _lengths(surveyed: Surveyed) -> tuple[int, ...]:
    sums = sum((available.lengths for available in surveyed.available), start=Counter[int]())
    return tuple(sums.get(size, 0) for size in range(max(sums, default=-1) + 1))


def _overlaps(job: MixJob, surveyed: Surveyed) -> tuple[Overlap, ...]:
    content = content_of(job, surveyed)
    near = {(pair.a, pair.b): pair.found for pair in near_of(job) if not pair.found.refused}
    equal = {(of.a, of.b): of for of in content.shared}
    found = []
    for pair in sorted({*equal, *(pair for pair, of in near.items() if of.n_pairs)}):
        same, alike = equal.get(pair), near.get(pair)
        for turn, (one, other) in enumerate((pair, pair[::-1])):
            n_equal = (same.n_documents_a, same.n_documents_b)[turn] if same else 0
            n_near = (alike.n_documents_a, alike.n_documents_b)[turn] if alike else None
            frac = n_equal / max(content.n_documents[one], 1)
            found.append(Overlap(source=one, other=other, n_equal=n_equal, frac=frac, n_near=n_near))
    return tuple(found)


def _licenses(job: MixJob, surveyed: Surveyed, record: MixtureRecord) -> tuple[LicenseSummary, ...]:
    taken, documents, left_out = dict[str, float](), dict[str, int](), dict[str, int]()
    for available, source in zip(surveyed.available, record.sources, strict=True):
        per_token = source.taken_tokens / max(available.total.n_tokens, 1)
        for name, count in available.by_license.items():
            taken[name] = taken.get(name, 0.0) + count.n_tokens * per_token
            documents[name] = documents.get(name, 0) + count.n_documents
        for name, n_documents in available.licenses_left_out.items():
            left_out[name] = left_out.get(name, 0) + n_documents
    names = sorted({*documents, *left_out}, key=lambda name: (-taken.get(name, 0.0), name))
    return tuple(
        LicenseSummary(
            license=None if name == UNKNOWN else name,
            n_documents=documents.get(name, 0),
            n_tokens=round(taken.get(name, 0.0)),
            n_left_out=left_out.get(name, 0),
            why=_why(name, job.manifest.licenses) if name in left_out else None,
        )
        for name in names
    )


def _why(name: str, policy: Licenses) -> str:
    """What leaves documents of a licence out."""
    for pattern in policy.deny:
        if not is_allowed(name, Licenses(deny=[pattern])):
            return f"deny: {pattern}"
    return "not in allow" if is_allowed(name, Licenses(unknown=policy.unknown)) else "unknown: deny"


def _validation(job: MixJob, layout: Layout, record: MixtureRecord) -> tuple[HeldOut, ...]:
    n_sequences = Counter[str]()
    for number in layout.numbers(validation=True):
        block = read_block(Folder(layout.folder), number, VALIDATION)
        category = job.manifest.sources[int(block.spans["source"][0])].category  # each is packed by itself
        n_sequences[category] += len(block.n_tokens)
    return tuple(
        HeldOut(
            category=name,
            n_documents=of["documents"],
            n_tokens=of["tokens"],
            n_sequences=n_sequences[name],
        )
        for name, of in record.validation.items()
    )


def _sample_places(n_sequences: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Sequences to look at, evenly over the training."""
    return np.unique(np.linspace(0, max(n_sequences - 1, 0), N_SAMPLES).round().astype(np.int64))


def _sample(job: MixJob, surveyed: Surveyed, block: Block, sequence: int) -> SampleSequence:
    """A sequence with how its first spans begin."""
    at = sequence - block.first_sequence
    spans = block.spans[block.spans["sequence"] == sequence]
    one = Block(block.stage, sequence, block.n_tokens[at : at + 1], block.cross[at : at + 1], spans)
    ids = gather(
        one,
        store=job.store,
        parts=surveyed.parts,
        dtype=token_type(job.tokenizer.vocab_size).str,
        sequence_length=job.manifest.sequence_length,
        pad_id=job.tokenizer.pad_id,
    )[0]
    starts = np.cumsum(spans["length"], dtype=np.int64) - spans["length"]
    shown = [
        _span(job, row, ids[start:]) for row, start in zip(spans[:N_SAMPLE_SPANS], starts.tolist(), strict=False)
    ]
    return SampleSequence(
        sequence=sequence,
        stage=block.stage,
        n_tokens=int(one.n_tokens[0]),
        is_cross=bool(one.cross[0]),
        n_spans=len(spans),
        spans=tuple(shown),
    )


def _span(job: MixJob, span: np.void, ids: Sequence[int]) -> SampleSpan:
    length = int(span["length"])
    text = job.tokenizer.decode(ids[: min(length, DECODED_TOKENS)]).decode("utf-8", "replace")
    return SampleSpan(
        source=job.manifest.sources[int(span["source"])].name,
        id=f"{int(span['id_high']):016x}{int(span['id_low']):016x}",
        offset=int(span["offset"]),
        n_tokens=length,
        text=text[:SPAN_CHARS],
    )
