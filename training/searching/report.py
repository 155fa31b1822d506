"""The page of a search: the weights with their intervals, what was foretold beside what came, and the losses along
each weight."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from curation.report import manifest_text
from manifests.schema_mixture import MixtureManifest
from training.pages.charts import Chart, Line, line_charts
from training.pages.report import style, templates
from training.pages.values import amount, plain
from training.searching.results import Course, SearchResults, SourceWeight, TargetResult


@dataclass(frozen=True)
class Bar:
    """A weight with its interval, on a scale from 0 to 100."""

    source: SourceWeight
    x: float
    low: float
    high: float
    natural: float


def render(results: SearchResults, manifest: MixtureManifest) -> str:
    """The page as HTML; the same results and manifest give the same bytes."""
    scatters, courses = _charts(results)
    most = max(max(of.high, of.natural) for of in results.sources)
    return (
        templates()
        .get_template("search.html")
        .render(
            **style(),
            record={"onggi_version": results.onggi_version},
            results=results,
            bars=[_bar(of, most) for of in results.sources],
            most=most,
            scatters=list(zip(results.targets, scatters, strict=True)),
            courses=list(zip(results.courses, courses, strict=True)),
            manifest=manifest_text(manifest.model_dump(mode="json")),
            amount=amount,
            number=plain,
        )
    )


def _bar(of: SourceWeight, most: float) -> Bar:
    x, low, high, natural = (100 * value / most for value in (of.weight, of.low, of.high, of.natural))
    return Bar(of, x, low, high, natural)


def _charts(results: SearchResults) -> tuple[list[Markup], list[Markup]]:
    """Scatters of the targets and courses of the sources, drawn at once."""
    charts = [_scatter(results, target) for target in results.targets]
    charts += [_course(results, course) for course in results.courses]
    drawn = [Markup(svg) for svg in line_charts(charts)]
    return drawn[: len(results.targets)], drawn[len(results.targets) :]


def _scatter(results: SearchResults, target: TargetResult) -> Chart:
    """What was foretold over what came, each model by a regression that left it out; and the checks."""
    ends = min(*target.real, *target.foretold), max(*target.real, *target.foretold)
    pairs = list(zip(target.foretold, target.real, strict=True))
    checks = [(check.predicted[target.name], check.real[target.name]) for check in results.checks]
    return Chart(
        [
            Line([(end, end) for end in ends], color="faint", width=1.0, dash=(3, 3)),
            Line(pairs, "models", "kept", width=0, has_dots=True),
            Line(sorted(checks), "checks", "dropped", width=0, has_dots=True),
        ],
        x_title="foretold, bits per byte",
        y_title="real",
    )


def _course(results: SearchResults, course: Course) -> Chart:
    of = next(source for source in results.sources if source.name == course.source)
    points: Sequence[tuple[float, float]] = [
        (100 * weight, loss) for weight, loss in zip(course.weights, course.predicted, strict=True)
    ]
    return Chart(
        [Line(points)],
        x_title="weight, percent",
        y_title="mean loss foretold, bits per byte",
        rules=[(100 * of.weight, "found")],
    )
