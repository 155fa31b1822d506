"""Summaries of parts of a corpus, put together."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import add
from typing import TypeVar

from curation.summary_models import (
    N_FAILURES,
    N_GROUPS,
    N_HITS,
    N_MARGIN_SAMPLES,
    N_NOTE_SAMPLES,
    N_PIECES,
    N_PII_SAMPLES,
    N_REASON_SAMPLES,
    BenchmarkSummary,
    Distribution,
    Group,
    NearCluster,
    NearSize,
    NearSummary,
    NoteSummary,
    PiiSummary,
    ReasonSamples,
    RemovedPiece,
    RemovedSummary,
    RuleSummary,
    Sample,
    SemanticSummary,
    Signal,
    Summary,
    Tally,
    Threshold,
    by_key,
    first_members,
    least_similar_first,
)

Key = TypeVar("Key", str, int)
Named = TypeVar("Named", BenchmarkSummary, NoteSummary)


def merge(summaries: Iterable[Summary]) -> Summary:
    """The summary of all parts together; the order of the parts does not matter.

    Raises:
        ValueError: the parts were judged by different rules.
    """
    return reduce(_merge_two, summaries, Summary())


def _merge_two(a: Summary, b: Summary) -> Summary:
    if not a.tallies or not b.tallies:
        return b if b.tallies or not a.rules else a
    return Summary(
        tallies=_merge_tallies(a.tallies + b.tallies),
        rules=tuple(_merge_rules(x, y) for x, y in zip(a.rules, b.rules, strict=True)),
        signals=tuple(_merge_signals(x, y) for x, y in zip(a.signals, b.signals, strict=True)),
        samples=_merge_reasons(a.samples + b.samples),
        group_sizes=_add(a.group_sizes, b.group_sizes),
        groups=_merge_groups(a.groups + b.groups),
        pii=tuple(_merge_pii(x, y) for x, y in zip(a.pii, b.pii, strict=True)),
        benchmarks=_merge_benchmarks(a.benchmarks + b.benchmarks),
        removed=_merge_removed(a.removed + b.removed),
        near=_merge_near(a.near, b.near),
        semantic=_merge_semantic(a.semantic, b.semantic),
        failures=tuple(sorted((*a.failures, *b.failures), key=lambda item: item.key)[:N_FAILURES]),
        notes=_merge_notes(a.notes + b.notes),
    )


def _merge_removed(parts: Iterable[RemovedSummary]) -> tuple[RemovedSummary, ...]:
    by_rule: dict[str, list[RemovedSummary]] = {}
    for part in parts:
        by_rule.setdefault(part.rule, []).append(part)
    return tuple(
        RemovedSummary(
            rule=rule,
            n_docs=sum(part.n_docs for part in mine),
            n_places=sum(part.n_places for part in mine),
            n_chars=sum(part.n_chars for part in mine),
            pieces=_merge_pieces(piece for part in mine for piece in part.pieces),
        )
        for rule, mine in sorted(by_rule.items())
    )


def _merge_pieces(pieces: Iterable[RemovedPiece]) -> tuple[RemovedPiece, ...]:
    merged: dict[tuple[str, int], RemovedPiece] = {}
    for piece in pieces:
        known = merged.get((piece.text, piece.length))
        n_places, n_chars = (known.n_places, known.n_chars) if known else (0, 0)
        counts = {"n_places": n_places + piece.n_places, "n_chars": n_chars + piece.n_chars}
        merged[piece.text, piece.length] = piece.model_copy(update=counts)
    return tuple(sorted(merged.values(), key=lambda piece: piece.order)[:N_PIECES])


def _add(a: Mapping[Key, int], b: Mapping[Key, int]) -> dict[Key, int]:
    """Counts added by key, in the order of the keys."""
    return dict(sorted((Counter(a) + Counter(b)).items()))


def _merge_tallies(tallies: Iterable[Tally]) -> tuple[Tally, ...]:
    sums: dict[tuple[str | None, ...], Tally] = {}
    for tally in tallies:
        key = tally.key
        sums[key] = _add_tallies(sums[key], tally) if key in sums else tally
    return by_key(sums.values())


def _add_tallies(a: Tally, b: Tally) -> Tally:
    measures = ("n_docs", "content_bytes", "text_bytes", "n_chars")
    return a.model_copy(update={name: getattr(a, name) + getattr(b, name) for name in measures})


def _merge_distributions(a: Distribution, b: Distribution) -> Distribution:
    return Distribution(
        scale=a.scale,
        kept=tuple(map(add, a.kept, b.kept)),
        dropped=tuple(map(add, a.dropped, b.dropped)),
        n_missing=a.n_missing + b.n_missing,
    )


def _merge_signals(a: Signal, b: Signal) -> Signal:
    return a.model_copy(update={"distribution": _merge_distributions(a.distribution, b.distribution)})


def _merge_rules(a: RuleSummary, b: RuleSummary) -> RuleSummary:
    if (a.name, a.keep, a.when) != (b.name, b.keep, b.when):
        raise ValueError(f"summaries of different rules: {a.name} ({a.keep}), {b.name} ({b.keep})")
    return a.model_copy(
        update={
            "n_evaluated": a.n_evaluated + b.n_evaluated,
            "n_failing": a.n_failing + b.n_failing,
            "n_only": a.n_only + b.n_only,
            "thresholds": tuple(map(_merge_thresholds, a.thresholds, b.thresholds)),
        }
    )


def _merge_thresholds(a: Threshold, b: Threshold) -> Threshold:
    return a.model_copy(
        update={
            "n_beyond": a.n_beyond + b.n_beyond,
            "distribution": _merge_distributions(a.distribution, b.distribution),
            "failing": _merge_nearest(a.threshold, a.failing + b.failing),
            "passing": _merge_nearest(a.threshold, a.passing + b.passing),
        }
    )


def _merge_nearest(threshold: float, samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """The nearest of all, one of each exact group."""
    ordered = sorted(samples, key=lambda sample: (abs((sample.value or 0.0) - threshold), *sample.key))
    firsts = {sample.group or sample.key: sample for sample in reversed(ordered)}
    return tuple(sample for sample in ordered if firsts[sample.group or sample.key] is sample)[:N_MARGIN_SAMPLES]


def _merge_reasons(parts: Iterable[ReasonSamples]) -> tuple[ReasonSamples, ...]:
    by_reason: dict[tuple[str | None, ...], ReasonSamples] = {}
    for part in parts:
        both = by_reason[part.key].samples + part.samples if part.key in by_reason else part.samples
        first = tuple(sorted(both, key=lambda sample: sample.key)[:N_REASON_SAMPLES])
        by_reason[part.key] = part.model_copy(update={"samples": first})
    return by_key(by_reason.values())


def _merge_pii(a: PiiSummary, b: PiiSummary) -> PiiSummary:
    sums = ("n_found", "n_docs", "n_kept", "n_kept_docs", "n_masked")
    samples = sorted((*a.samples, *b.samples), key=lambda sample: sample.key)[:N_PII_SAMPLES]
    return a.model_copy(
        update={"samples": tuple(samples)} | {name: getattr(a, name) + getattr(b, name) for name in sums}
    )


def _merge_named(
    parts: Iterable[Named], name_of: Callable[[Named], str], add_two: Callable[[Named, Named], Named]
) -> tuple[Named, ...]:
    """The parts of each name added, in the order of the names."""
    merged: dict[str, Named] = {}
    for part in parts:
        name = name_of(part)
        merged[name] = add_two(merged[name], part) if name in merged else part
    return tuple(merged[name] for name in sorted(merged))


def _merge_notes(parts: Iterable[NoteSummary]) -> tuple[NoteSummary, ...]:
    return _merge_named(parts, lambda part: part.kind, _add_notes)


def _add_notes(a: NoteSummary, b: NoteSummary) -> NoteSummary:
    sums = {name: getattr(a, name) + getattr(b, name) for name in ("n_notes", "n_docs", "n_kept_docs")}
    samples = tuple(sorted(a.samples + b.samples, key=lambda sample: sample.key)[:N_NOTE_SAMPLES])
    return a.model_copy(update={"samples": samples} | sums)


def _merge_benchmarks(parts: Iterable[BenchmarkSummary]) -> tuple[BenchmarkSummary, ...]:
    return _merge_named(parts, lambda part: part.benchmark, _add_benchmarks)


def _add_benchmarks(a: BenchmarkSummary, b: BenchmarkSummary) -> BenchmarkSummary:
    sums = {name: getattr(a, name) + getattr(b, name) for name in ("n_docs", "n_other_docs", "n_hits")}
    hits = tuple(sorted(a.hits + b.hits, key=lambda hit: hit.order)[:N_HITS])
    return a.model_copy(update={"hits": hits} | sums)


def _merge_groups(groups: Iterable[Group]) -> tuple[Group, ...]:
    by_group: dict[str, Group] = {}
    for group in groups:
        other = by_group.get(group.group)
        by_group[group.group] = _join_groups(other, group) if other else group
    return tuple(sorted(by_group.values(), key=lambda group: group.order)[:N_GROUPS])


def _join_groups(a: Group, b: Group) -> Group:
    first = min(a.first, b.first, key=lambda item: item.key)
    return a.model_copy(update={"sources": _add(a.sources, b.sources), "first": first})


def _merge_near(a: NearSummary, b: NearSummary) -> NearSummary:
    return NearSummary(
        sizes=_merge_sizes(a.sizes + b.sizes),
        clusters=tuple(_merge_clusters(a.clusters + b.clusters)[:N_GROUPS]),
        held=_add(a.held, b.held),
    )


def _merge_semantic(a: SemanticSummary, b: SemanticSummary) -> SemanticSummary:
    return SemanticSummary(
        sizes=_merge_sizes(a.sizes + b.sizes),
        clusters=tuple(_merge_clusters(a.clusters + b.clusters)[:N_GROUPS]),
        edge=least_similar_first(_merge_clusters(a.edge + b.edge)),
        cosines=_merge_distributions(a.cosines, b.cosines) if a.cosines and b.cosines else a.cosines or b.cosines,
    )


def _merge_sizes(rows: Iterable[NearSize]) -> tuple[NearSize, ...]:
    sizes: dict[tuple[int, str], NearSize] = {}
    for row in rows:
        sizes[row.key] = _add_sizes(sizes[row.key], row) if row.key in sizes else row
    return tuple(sizes[key] for key in sorted(sizes))


def _merge_clusters(parts: Iterable[NearCluster]) -> list[NearCluster]:
    """The largest first."""
    clusters: dict[str, NearCluster] = {}
    for cluster in parts:
        other = clusters.get(cluster.cluster)
        clusters[cluster.cluster] = _join_clusters(other, cluster) if other else cluster
    return sorted(clusters.values(), key=lambda cluster: cluster.order)


def _add_sizes(a: NearSize, b: NearSize) -> NearSize:
    sums = ("n_docs", "n_ruled_out", "n_kept")
    return a.model_copy(update={name: getattr(a, name) + getattr(b, name) for name in sums})


def _join_clusters(a: NearCluster, b: NearCluster) -> NearCluster:
    members = first_members(a.members + b.members)
    return a.model_copy(update={"sources": _add(a.sources, b.sources), "members": members})
