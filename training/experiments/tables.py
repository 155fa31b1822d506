"""The tables of an experiment: arms against the baseline, and rungs against what they are to beat."""

from collections.abc import Iterator, Sequence
from math import isfinite, nan

from manifests.schema_experiments import AblationManifest, Arm, LadderManifest, Rung
from training.experiments.results import Results
from training.experiments.statistics import differences, expectation, interval
from training.experiments.summary_models import ArmRow, Column, Expectation, Interval, Point, RungRow
from training.experiments.templates import Experiment


def arm_rows(
    manifest: AblationManifest, arms: Sequence[Arm], results: Results, columns: Sequence[Column]
) -> list[ArmRow]:
    """A row per arm, the baseline first; an arm of which all runs failed has no figures."""
    rows = list[ArmRow]()
    first = _values(results, arms[0].name, arms[0].of or manifest.of, manifest.seeds)
    for arm in arms:
        of = arm.of or manifest.of
        values = _values(results, arm.name, of, manifest.seeds)
        points = _points(results, arm.name, of)
        rows.append(
            ArmRow(
                name=arm.name,
                title=arm.title,
                of=of,
                is_baseline=arm is arms[0],
                figures=_intervals(values, columns, manifest.confidence),
                differences={} if arm is arms[0] else _differences(values, first, columns, manifest.confidence),
                set=dict(arm.set),
                **_size(points),
            )
        )
    return rows


def rung_rows(manifest: LadderManifest, results: Results) -> list[RungRow]:
    """A row per rung, in the manifest's order."""
    return [_rung(rung, manifest, results) for rung in manifest.rungs]


def _rung(rung: Rung, manifest: LadderManifest, results: Results) -> RungRow:
    confidence = manifest.confidence
    after = _values(results, "", rung.of, manifest.seeds)
    before = _values(results, "", rung.against, manifest.seeds) if rung.against else {}
    columns = _columns_of(rung, results)
    figures, others = _intervals(after, columns, confidence), _intervals(before, columns, confidence)
    difference = _differences(after, before, columns, confidence)
    return RungRow(
        name=rung.name,
        title=rung.title,
        of=rung.of,
        against=rung.against,
        figures=figures,
        before=others,
        differences=difference,
        expectations=[
            expectation(name, expected, others[name], figures[name], difference[name])
            if name in difference
            else Expectation(measure=name, expected=expected, holds_in=0, n_seeds=0, is_sure=False)
            for name, expected in rung.expect.items()
        ],
        note=rung.note,
        flops_against=_size(_points(results, "", rung.against))["flops_total"] if rung.against else 0.0,
        **_size(_points(results, "", rung.of)),
    )


def _columns_of(rung: Rung, results: Results) -> list[Column]:
    """What a rung asks for; else what both sides are shown by, and what is expected."""
    if rung.measures:
        return results.columns(rung.measures)
    others = set(results.names(rung.against)) if rung.against else set[str]()
    shown = [column for column in results.columns([], rung.of) if not others or column.name in others]
    expected = [name for name in rung.expect if name not in {column.name for column in shown}]
    return [*shown, *(results.columns(expected) if expected else [])]


def not_measured(experiment: Experiment, results: Results) -> list[str]:
    """Measures that were asked for and that nothing has which was measured, a line each with those that it has."""
    lines = []
    for at, measure, of in _asked(experiment):
        there = results.names(of)
        if there and measure not in there:
            lines.append(f"{at}: {measure!r} was not measured{f' of {of}' * bool(of)}; valid: {', '.join(there)}")
    return lines


def _asked(experiment: Experiment) -> Iterator[tuple[str, str, str]]:
    """Where a measure is asked for, which, and of what: of a rung of both of its sides."""
    if isinstance(experiment, AblationManifest):
        for number, measure in enumerate(experiment.measures):
            yield f"measures[{number}]", measure, ""
        return
    for rung in experiment.rungs:
        for measure in dict.fromkeys([*rung.measures, *rung.expect]):
            for of in (rung.of, rung.against):
                if of is not None:
                    yield f"rungs.{rung.name}", measure, of


def notes_of(points: Sequence[Point]) -> list[str]:
    """What readers must know: of seeds that made no difference an interval has no width, and says nothing."""
    by_model = dict[tuple[str, str], list[Point]]()
    for point in points:
        by_model.setdefault((point.arm, point.of), []).append(point)
    return [
        f"{arm or of}: all seeds came to the very same figures, so that their interval says nothing of other runs: "
        "nothing that they change is random there"
        for (arm, of), found in by_model.items()
        if len({point.run for point in found}) > 1
        and found[0].figures
        and all(point.figures == found[0].figures for point in found)
    ]


def _points(results: Results, arm: str, of: str | None) -> list[Point]:
    return [point for point in results.points if (point.arm, point.of) == (arm, of)]


def _values(results: Results, arm: str, of: str | None, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Figures by measure, each by seed; what is the same for all seeds stands once."""
    points = {point.seed: point for point in _points(results, arm, of)}
    is_once = len({point.run for point in points.values()}) == 1 and len(points) == len(seeds) > 1
    chosen = [points.get(seed) for seed in (seeds[:1] if is_once else seeds)]
    names = dict.fromkeys(name for point in points.values() for name in point.figures)
    return {name: [nan if point is None else point.figures.get(name, nan) for point in chosen] for name in names}


def _intervals(values: dict[str, list[float]], columns: Sequence[Column], confidence: float) -> dict[str, Interval]:
    found = {column.name: interval(values[column.name], confidence) for column in columns if column.name in values}
    return {name: of for name, of in found.items() if isfinite(of.mean)}


def _differences(
    values: dict[str, list[float]], others: dict[str, list[float]], columns: Sequence[Column], confidence: float
) -> dict[str, Interval]:
    """Seed by seed; what is the same for all seeds is held against each of the other's."""
    found = dict[str, Interval]()
    for name in (column.name for column in columns if column.name in values and column.name in others):
        mine, theirs = _as_many(values[name], others[name])
        of = differences(mine, theirs, confidence)
        if isfinite(of.mean):
            found[name] = of
    return found


def _as_many(some: list[float], others: list[float]) -> tuple[list[float], list[float]]:
    n = max(len(some), len(others))
    return (some * n)[:n] if len(some) == 1 else some, (others * n)[:n] if len(others) == 1 else others


def _size(points: Sequence[Point]) -> dict[str, float]:
    """Weights, tokens and FLOPs of a point, those of the seed that had most."""
    return {
        "n_parameters": max((point.n_parameters for point in points), default=0),
        "n_tokens": max((point.n_tokens for point in points), default=0),
        "flops_total": max((point.flops_total for point in points), default=0.0),
    }
