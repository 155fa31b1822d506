"""The page of an experiment: one HTML file that stands alone, runs nothing and loads nothing.

Each number leads to where it comes from: the model's place by seed, and from there the run with its manifest and the
digests of what it read and made. Names and manifests are text of strangers, so the templates escape everything.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from curation.report import manifest_text
from training.experiments.cells import Judged, Measure, Shown, judged, measure_of, shown
from training.experiments.charts import Strip, effect, finite, span_of, strip
from training.experiments.summary_models import (
    ArmRow,
    ExperimentSummary,
    Interval,
    Point,
    RungRow,
    StepRun,
)
from training.pages.report import style, templates
from training.pages.values import amount, plain, power, ratio


def render(summary: ExperimentSummary) -> str:
    """The page as HTML; the same summary gives the same bytes."""
    places = _Places(summary)
    measures = {column.name: measure_of(column) for column in summary.columns}
    return (
        templates()
        .get_template("experiment.html")
        .render(
            **style(),
            summary=summary,
            record={"onggi_version": summary.environment.get("onggi", "")},
            table=arm_table(summary, measures, places) if summary.kind == "ablation" else None,
            plots=list(plots(summary, measures)) if summary.kind == "ablation" else [],
            rungs=[rung(row, measures, places) for row in summary.rungs],
            groups=places.groups,
            runs=places.runs,
            flops=sum(point.flops for point in _stages(summary.points)),
            manifest=manifest_text(summary.manifest) if summary.manifest else "",
            amount=amount,
            power=power,
            ratio=ratio,
            number=plain,
        )
    )


# Where numbers come from


@dataclass(frozen=True)
class Run:
    """A run, and where on the page it stands."""

    anchor: str
    run: StepRun
    manifest: str


@dataclass(frozen=True)
class Group:
    """A model that was measured, by seed, and where on the page it stands."""

    anchor: str
    title: str
    points: list[Point]
    runs: list[Run | None]
    rows: list[tuple[Measure, list[str]]]
    """What it was measured by: a value per seed."""


class _Places:
    """The sections that numbers lead to."""

    def __init__(self, summary: ExperimentSummary) -> None:
        self.runs = [Run(f"run-{k}", run, manifest_text(run.manifest)) for k, run in enumerate(summary.runs, 1)]
        of_folder = {run.run.folder: run for run in self.runs}
        self._groups: dict[tuple[str, str], Group] = {}
        for k, (arm, of) in enumerate(dict.fromkeys((point.arm, point.of) for point in summary.points), 1):
            points = [point for point in summary.points if (point.arm, point.of) == (arm, of)]
            title = f"{arm}: {of}" if arm else of
            runs = [of_folder.get(point.run) for point in points]
            self._groups[arm, of] = Group(f"model-{k}", title, points, runs, _by_seed(summary, points))

    @property
    def groups(self) -> list[Group]:
        return list(self._groups.values())

    def anchor(self, of: str, arm: str = "") -> str:
        """Of the section of a model; empty where there is none."""
        found = self._groups.get((arm, of))
        return found.anchor if found else ""


def _by_seed(summary: ExperimentSummary, points: Sequence[Point]) -> list[tuple[Measure, list[str]]]:
    known = {column.name: column for column in summary.columns}
    names = dict.fromkeys(name for point in points for name in point.figures)
    ordered = [name for name in known if name in names] + [name for name in names if name not in known]
    rows = []
    for name in ordered:
        measure = measure_of(known[name]) if name in known else Measure(name)
        values = [measure.value(point.figures[name]) if name in point.figures else "–" for point in points]
        rows.append((measure, values))
    return rows


def _stages(points: Sequence[Point]) -> Iterator[Point]:
    """Each stage that was trained once, though arms may share it."""
    seen = set()
    for point in points:
        key = point.fingerprint or (point.folder, point.of, point.seed)
        if key not in seen:
            seen.add(key)
            yield point


# Ablations


@dataclass(frozen=True)
class ArmCell:
    """A measure of an arm."""

    text: str
    range: str
    change: Shown | None
    is_best: bool


@dataclass(frozen=True)
class ArmLine:
    """An arm in the table."""

    arm: ArmRow
    anchor: str
    cells: list[ArmCell | None]


@dataclass(frozen=True)
class ArmTable:
    """Arms below each other, measures side by side."""

    measures: list[Measure]
    lines: list[ArmLine]
    flops_baseline: float


def arm_table(summary: ExperimentSummary, measures: dict[str, Measure], places: _Places) -> ArmTable:
    """The table of an ablation."""
    best = {name: _best(summary.arms, measure) for name, measure in measures.items()}
    lines = [
        ArmLine(
            arm,
            places.anchor(arm.of, arm.name),
            [_arm_cell(arm, measure, best[name]) for name, measure in measures.items()],
        )
        for arm in summary.arms
    ]
    flops = next((arm.flops_total for arm in summary.arms if arm.is_baseline), 0.0)
    return ArmTable(list(measures.values()), lines, flops)


def _best(arms: Sequence[ArmRow], measure: Measure) -> float | None:
    """The best mean; None where it is not known which way is better, or there is nothing to compare."""
    means = [found.mean for arm in arms if (found := arm.figures.get(measure.name)) and finite(found.mean)]
    if measure.better is None or len(means) < 2:
        return None
    return min(means) if measure.better == "lower" else max(means)


def _arm_cell(arm: ArmRow, measure: Measure, best: float | None) -> ArmCell | None:
    found = arm.figures.get(measure.name)
    if found is None:
        return None
    difference = None if arm.is_baseline else arm.differences.get(measure.name)
    return ArmCell(
        measure.value(found.mean),
        measure.range(found),
        shown(measure, difference) if difference else None,
        best is not None and found.mean == best,
    )


@dataclass(frozen=True)
class Plot:
    """A measure of all arms, as dots with intervals."""

    measure: Measure
    rows: list[tuple[ArmRow, str, Strip]]
    ends: tuple[str, str]


def plots(summary: ExperimentSummary, measures: dict[str, Measure]) -> Iterator[Plot]:
    """One per measure, each on a range of its own; a line stands at the baseline's mean."""
    for name, measure in measures.items():
        found = [(arm, arm.figures[name]) for arm in summary.arms if name in arm.figures]
        span = span_of(interval for _, interval in found)
        base = next((interval.mean for arm, interval in found if arm.is_baseline and finite(interval.mean)), None)
        drawn = [
            (arm, measure.value(interval.mean), at) for arm, interval in found if (at := strip(interval, span, base))
        ]
        if span and drawn:
            yield Plot(measure, drawn, (measure.value(span.first), measure.value(span.last)))


# The ladder


@dataclass(frozen=True)
class RungLine:
    """A measure of a rung."""

    measure: Measure
    before: str
    before_range: str
    after: str
    after_range: str
    change: Shown | None
    strip: Strip | None
    judged: Judged | None


@dataclass(frozen=True)
class RungShown:
    """A rung as the page shows it."""

    row: RungRow
    of_anchor: str
    against_anchor: str
    lines: list[RungLine]
    main: RungLine | None
    """What the picture shows: of the first expectation, else of the first measure with a difference."""

    @property
    def judged(self) -> list[Judged]:
        """All expectations."""
        return [line.judged for line in self.lines if line.judged]

    @property
    def failed(self) -> list[Judged]:
        """Those that did not hold."""
        return [item for item in self.judged if not item.holds]


def rung(row: RungRow, measures: dict[str, Measure], places: _Places) -> RungShown:
    """A rung, its measures in the order of expectations, and then of the columns."""
    expected = [item.measure for item in row.expectations]
    ordered = dict.fromkeys([*expected, *(name for name in measures if name in row.figures), *row.figures])
    lines = [_rung_line(row, measures.get(name, Measure(name))) for name in ordered]
    main = next((line for line in lines if line.strip), None) or next(iter(lines), None)
    against = places.anchor(row.against) if row.against else ""
    return RungShown(row, places.anchor(row.of), against, lines, main)


def _rung_line(row: RungRow, measure: Measure) -> RungLine:
    name = measure.name
    difference = row.differences.get(name)
    expectation = next((item for item in row.expectations if item.measure == name), None)
    before, after = _written(measure, row.before.get(name)), _written(measure, row.figures.get(name))
    return RungLine(
        measure,
        *before,
        *after,
        shown(measure, difference) if difference else None,
        effect(difference, measure.better) if difference else None,
        judged(expectation, measure) if expectation else None,
    )


def _written(measure: Measure, interval: Interval | None) -> tuple[str, str]:
    return (measure.value(interval.mean), measure.range(interval)) if interval else ("–", "")
