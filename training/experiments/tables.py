"""The tables of an experiment: arms against the baseline, and rungs against what they are to beat."""

from collections.abc import Sequence
from math import isfinite, nan

from manifests.schema_experiments import AblationManifest, Arm, LadderManifest, Rung
from training.experiments.results import Results
from training.experiments.statistics import differences, expectation, interval
from training.experiments.summary_models import ArmRow, Column, Interval, Point, RungRow


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
    names = [*rung.measures, *(name for name in rung.expect if rung.measures and name not in rung.measures)]
    columns = [
        column for column in results.columns(names) if column.name in after and (not before or column.name in before)
    ]
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
            for name, expected in rung.expect.items()
            if name in difference
        ],
        note=rung.note,
        flops_against=_size(_points(results, "", rung.against))["flops_total"] if rung.against else 0.0,
        **_size(_points(results, "", rung.of)),
    )


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
