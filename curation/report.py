"""The report of a run: one HTML file that stands alone and runs nothing.

What it says of the data comes from a `Summary`, what it says of the run from the run record. The page holds text of
strangers, so the templates escape everything, and a content security policy forbids scripts and loads.
"""

import base64
import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, reduce
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import yaml
from markupsafe import Markup

from curation.charts import COLORS, NARROW, WIDE, Histogram, Line, Step, funnel, histograms
from curation.report_near import beside, clusters, cosine_chart, near_chart
from curation.report_values import (
    OPS,
    address,
    duration,
    language_tag,
    moment,
    number,
    percent,
    size,
    visible,
    web_link,
)
from curation.rules import MISSING
from curation.summary_models import EDGES, Distribution, RuleSummary, Sample, Summary, Tally, Threshold

N_SAMPLES_MAX = 2400
"""Margin samples in one report, which bounds the size of the file; above, fewer of each threshold are shown."""
N_ROWS = 15
"""Rows of a table of languages or sources, and of inputs, before the rest is summed up."""
N_MANIFEST_CHARS = 40_000
N_DECIDING = 7
"""Rules named beside the funnel."""

STAGES = ("read", "extract", "rules", "dedup", "decontaminate")
LANGUAGE_NAMES = {
    "ko": "Korean",
    "en": "English",
    "ko-Latn": "romanised Korean",
    "zxx": "code and markup",
    "und": "undetermined",
    "": "not identified",
    "ja": "Japanese",
    "zh": "Chinese",
    "vi": "Vietnamese",
    "ru": "Russian",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "pt": "Portuguese",
    "it": "Italian",
    "nl": "Dutch",
    "tr": "Turkish",
    "id": "Indonesian",
}


@dataclass(frozen=True)
class Count:
    """Records and their sizes, by how they ended."""

    name: str
    n_read: int = 0
    n_kept: int = 0
    n_dropped: int = 0
    n_failed: int = 0
    content_bytes: int = 0
    text_bytes: int = 0
    kept_text_bytes: int = 0
    kept_chars: int = 0

    def plus(self, other: "Count") -> "Count":
        """Both together, under this name."""
        sums = {key: getattr(self, key) + getattr(other, key) for key in self.__dataclass_fields__ if key != "name"}
        return replace(self, **sums)


@dataclass(frozen=True)
class Reason:
    """One way to end, and all that is known of it."""

    name: str
    stage: str
    verdict: str
    anchor: str
    n_docs: int
    text_bytes: int
    rule: RuleSummary | None
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Card:
    """A threshold as the report shows it."""

    anchor: str
    rule: RuleSummary
    threshold: Threshold
    chart: str
    described: str
    command: str | None
    quantiles: tuple[tuple[str, float], ...]

    @property
    def beyond_frac(self) -> float:
        """Share of the documents with a value that fail the comparison."""
        return self.threshold.n_beyond / max(_n_docs(self.threshold.distribution), 1)


@dataclass(frozen=True)
class Ruleset:
    """The thresholds of one ruleset, and the condition under which all of them apply, if they have one in common."""

    name: str
    when: str | None
    cards: list[Card]


@dataclass(frozen=True)
class SignalRow:
    """One measured column, with a chart per group of languages."""

    column: str
    charts: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True)
class SizeRow:
    """Exact-duplicate groups of about one size."""

    sizes: str
    n_groups: int
    n_docs: int


N_PIECES_SHOWN = 20
"""Removed lines and stretches that the report lists, of each rule."""


def render(summary: Summary, record: Mapping[str, Any]) -> str:
    """The report as one HTML page.

    Args:
        summary: what the decisions found.
        record: run.json as a dictionary; whatever is missing there is left out of the page.
    """
    total = _counts(summary.tallies, lambda tally: "all")[0] if summary.tallies else Count("all")
    reasons = _reasons(summary)
    steps = _steps(total, reasons)
    asked = ((record.get("manifest") or {}).get("dedup") or {}).get("semantic") or {}
    cards, signals, images = _charts(summary, _run_name(record), asked.get("cosine"))
    css = environment().get_template("report.css").render(colors=COLORS)
    return (
        environment()
        .get_template("report.html")
        .render(
            css=Markup(css),
            css_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
            record=record,
            run=_run_name(record),
            total=total,
            funnels={name: Markup(funnel(steps, layout)) for name, layout in (("wide", WIDE), ("narrow", NARROW))},
            reasons=reasons,
            kept_samples=_samples_of(summary, None, None),
            languages=_cut(_counts(summary.tallies, lambda tally: tally.language or "")),
            sources=_cut(_counts(summary.tallies, lambda tally: tally.source)),
            language_names=LANGUAGE_NAMES,
            deciding=sorted(summary.rules, key=lambda of: -of.n_only)[:N_DECIDING],
            rulesets=_by_ruleset(cards),
            n_shown=_n_shown(cards),
            signals=signals,
            sizes=_sizes(summary.group_sizes),
            groups=summary.groups,
            near=clusters(summary.near.sizes, summary.near.clusters),
            near_counts=record.get("near") or {},
            held=summary.near.held,
            semantic=clusters(summary.semantic.sizes, summary.semantic.clusters),
            semantic_counts=record.get("semantic") or {},
            cosine=asked.get("cosine"),
            edge=beside(summary.semantic.edge),
            images=images,
            pii=summary.pii,
            removed=summary.removed,
            n_pieces=N_PIECES_SHOWN,
            benchmarks=summary.benchmarks,
            decontaminate=(record.get("manifest") or {}).get("decontaminate"),
            failures=summary.failures,
            notes=summary.notes,
            timings=_timings(record.get("timings") or {}),
            inputs=record.get("inputs") or [],
            n_rows=N_ROWS,
            manifest=manifest_text(record.get("manifest") or {}),
        )
    )


def _run_name(record: Mapping[str, Any]) -> str:
    """The run's folder, or what its manifest calls it, for commands to copy."""
    if record.get("folder"):
        return str(record["folder"])
    output = (record.get("manifest") or {}).get("output") or "RUN"
    return str(output["path"] if isinstance(output, Mapping) else output)


# tables


def _counts(tallies: Iterable[Tally], name: Callable[[Tally], str]) -> list[Count]:
    """The tallies summed by name, largest first."""
    counts: dict[str, Count] = {}
    for tally in tallies:
        key = name(tally)
        counts[key] = counts.get(key, Count(key)).plus(_count(tally))
    return sorted(counts.values(), key=lambda count: (-count.n_read, count.name))


def _count(tally: Tally) -> Count:
    kept = tally.verdict == "kept"
    return Count(
        name="",
        n_read=tally.n_docs,
        n_kept=tally.n_docs * kept,
        n_dropped=tally.n_docs * (tally.verdict == "dropped"),
        n_failed=tally.n_docs * (tally.verdict == "failed"),
        content_bytes=tally.content_bytes,
        text_bytes=tally.text_bytes,
        kept_text_bytes=tally.text_bytes * kept,
        kept_chars=tally.n_chars * kept,
    )


def _cut(counts: list[Count]) -> list[Count]:
    """The first rows, and the others as one."""
    if len(counts) <= N_ROWS + 1:
        return counts
    return [*counts[:N_ROWS], reduce(Count.plus, counts[N_ROWS:], Count(f"{len(counts) - N_ROWS:,} others"))]


def _reasons(summary: Summary) -> list[Reason]:
    """Every way to end, in the order in which a record meets them; rules that dropped nothing too."""
    rules = {rule.name: rule for rule in summary.rules}
    sums = {("rules", name): (0, 0) for name in rules}
    for tally in summary.tallies:
        if tally.verdict != "kept":
            key = (tally.stage or "", tally.reason or "")
            n_docs, text_bytes = sums.get(key, (0, 0))
            sums[key] = n_docs + tally.n_docs, text_bytes + tally.text_bytes
    failed = {(tally.stage, tally.reason) for tally in summary.tallies if tally.verdict == "failed"}
    order = {name: number for number, name in enumerate(rules)}

    def place(key: tuple[str, str]) -> tuple[int, str, int, str]:
        stage, reason = key
        known = STAGES.index(stage) if stage in STAGES else len(STAGES)
        return known, stage, order.get(reason.removesuffix(MISSING), -1), reason

    return [
        Reason(
            name=reason,
            stage=stage,
            verdict="failed" if (stage, reason) in failed else "dropped",
            anchor=_anchor("r", stage, reason),
            n_docs=sums[stage, reason][0],
            text_bytes=sums[stage, reason][1],
            rule=rules.get(reason),
            samples=_samples_of(summary, stage, reason),
        )
        for stage, reason in sorted(sums, key=place)
    ]


def _samples_of(summary: Summary, stage: str | None, reason: str | None) -> tuple[Sample, ...]:
    return next((part.samples for part in summary.samples if (part.stage, part.reason) == (stage, reason)), ())


def _anchor(*parts: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", "-".join(parts))


def _steps(total: Count, reasons: list[Reason]) -> list[Step]:
    """The funnel: what is read, every reason that takes records away, what is kept."""
    steps, left = [Step("read", total.n_read, 0, "kept", f"{total.n_read:,}")], total.n_read
    for reason in reasons:
        if reason.n_docs:
            name = reason.name if reason.stage == "rules" else f"{reason.stage}: {reason.name}"
            label = f"− {reason.n_docs:,}  ({percent(reason.n_docs, total.n_read)})"
            steps.append(Step(name, left, reason.n_docs, reason.verdict, label))
            left -= reason.n_docs
    return [*steps, Step("kept", left, 0, "kept", f"{left:,}  ({percent(left, total.n_read)})")]


def _sizes(group_sizes: Mapping[int, int]) -> list[SizeRow]:
    """Groups by powers of two of their size: 2, 3-4, 5-8, ..."""
    rows: dict[int, list[int]] = {}
    for n_members, n_docs in group_sizes.items():
        row = rows.setdefault((n_members - 1).bit_length(), [0, 0])
        row[0], row[1] = row[0] + n_docs // n_members, row[1] + n_docs
    return [
        SizeRow("2" if power == 1 else f"{2 ** (power - 1) + 1:,}–{2**power:,}", *rows[power])
        for power in sorted(rows)
    ]


# thresholds and signals


def _charts(
    summary: Summary, run: str, cosine: float | None
) -> tuple[list[Card], list[SignalRow], dict[str, Markup]]:
    """Every histogram of the report: thresholds, signals, and those of clusters by name; all are drawn at once."""
    judged = [(rule, i) for rule in summary.rules for i in range(len(rule.thresholds))]
    shown = [signal for signal in summary.signals if _n_docs(signal.distribution)]
    cells = [_threshold_chart(rule.thresholds[i]) for rule, i in judged]
    beside: dict[str, list[Distribution]] = {}
    for signal in shown:
        beside.setdefault(signal.column, []).append(signal.distribution)
    cells += [Histogram(signal.distribution, beside=tuple(beside[signal.column])) for signal in shown]
    named = {
        "near": near_chart(summary.near.sizes),
        "semantic": near_chart(summary.semantic.sizes),
        "cosines": cosine_chart(summary.semantic.cosines, cosine),
    }
    others = {name: chart for name, chart in named.items() if chart}
    images = histograms([*cells, *others.values()])
    cards = [_card(rule, i, image, run) for (rule, i), image in zip(judged, images, strict=False)]
    rows: dict[str, list[tuple[str, int, str]]] = {}
    for signal, image in zip(shown, images[len(judged) : len(cells)], strict=True):
        rows.setdefault(signal.column, []).append((signal.language, _n_docs(signal.distribution), Markup(image)))
    signals = [SignalRow(column, tuple(charts)) for column, charts in rows.items()]
    return cards, signals, dict(zip(others, map(Markup, images[len(cells) :]), strict=True))


def _n_docs(distribution: Distribution) -> int:
    return sum(distribution.kept) + sum(distribution.dropped)


def _threshold_chart(threshold: Threshold) -> Histogram:
    beyond = percent(threshold.n_beyond, _n_docs(threshold.distribution))
    label = f"{OPS.get(threshold.op, threshold.op)} {number(threshold.threshold)} · {beyond} beyond"
    return Histogram(threshold.distribution, (Line(threshold.op, threshold.threshold, label),))


def _card(rule: RuleSummary, index: int, image: str, run: str) -> Card:
    threshold = rule.thresholds[index]
    described = (
        f"Histogram of {threshold.column} over {rule.n_evaluated:,} documents, threshold {threshold.op} "
        f"{number(threshold.threshold)}: {threshold.n_beyond:,} lie beyond it."
    )
    return Card(
        anchor=_anchor("t", rule.name, str(index)),
        rule=rule,
        threshold=threshold,
        chart=Markup(image),
        described=described,
        command=_command(rule, threshold, run),
        quantiles=tuple(
            (name, _quantile(threshold.distribution, q)) for name, q in (("5th", 0.05), ("50th", 0.5), ("95th", 0.95))
        )
        if _n_docs(threshold.distribution)
        else (),
    )


def _command(rule: RuleSummary, threshold: Threshold, run: str) -> str | None:
    """How to set this threshold from the command line; None where that cannot name it."""
    columns = [other.column for other in rule.thresholds]
    if columns.count(threshold.column) > 1:
        return None
    target = rule.name if len(columns) == 1 else f"{rule.name}.{threshold.column.rpartition('.')[2]}"
    return f"onggi decide {shlex.quote(run)} --set {shlex.quote(f'{target}={threshold.threshold:g}')}"


def _quantile(distribution: Distribution, q: float) -> float:
    """About the value below which a share `q` of the documents lies: the beginning of its bin, to two digits."""
    below = np.cumsum(np.array(distribution.kept) + np.array(distribution.dropped))
    edge = EDGES[distribution.scale][np.searchsorted(below, q * below[-1])]
    return float(f"{np.ceil(edge) if distribution.scale == 'count' else edge:.2g}")


def _by_ruleset(cards: list[Card]) -> list[Ruleset]:
    """Cards by the ruleset that their rule came from, the manifest's own under ""; in their order."""
    groups: dict[str, list[Card]] = {}
    for card in cards:
        ruleset, dot, _ = card.rule.name.partition(".")
        groups.setdefault(ruleset if dot else "", []).append(card)
    whens = {name: {card.rule.when for card in of} for name, of in groups.items()}
    return [Ruleset(name, whens[name].pop() if len(whens[name]) == 1 else None, of) for name, of in groups.items()]


def _n_shown(cards: list[Card]) -> int:
    """Samples on each side of a threshold."""
    return max(3, N_SAMPLES_MAX // (2 * len(cards))) if cards else 0


# the run and its manifest


def _timings(timings: Mapping[str, float]) -> list[tuple[str, float]]:
    """Each step followed by its parts."""
    first = {name.split(".")[0]: place for place, name in reversed(list(enumerate(timings)))}
    return sorted(timings.items(), key=lambda item: (first[item[0].split(".")[0]], "." in item[0], -item[1]))


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """The manifest as YAML, without what was left at nothing."""
    text = yaml.safe_dump(_given(manifest), sort_keys=False, allow_unicode=True, width=110)
    return text if len(text) <= N_MANIFEST_CHARS else text[:N_MANIFEST_CHARS] + "\n# … the rest is in run.json\n"


def _given(value: Any) -> Any:
    if isinstance(value, Mapping):
        pairs = ((key, _given(item)) for key, item in value.items())
        return {key: item for key, item in pairs if item is not None and item != {}}
    return [_given(item) for item in value] if isinstance(value, list) else value


@cache
def environment() -> jinja2.Environment:
    """The templates of reports; what they are given is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "n": lambda value: f"{value:,}",
        "size": size,
        "duration": duration,
        "moment": moment,
        "number": number,
        "web_link": web_link,
        "address": address,
        "language_tag": language_tag,
        "op": lambda op: OPS.get(op, op),
    }
    environment.globals |= {"percent": percent, "anchor": _anchor}
    return environment
