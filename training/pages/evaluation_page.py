"""The page of an evaluation: one HTML file that stands alone, runs nothing and loads nothing.

It shows what models answered, so the templates escape everything, as on the page of a training.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from curation.report import manifest_text
from training.evaluating.record import EvaluationSummary
from training.evaluating.results import Evaluated, Item, ModelResults, Score
from training.needles.chart import grid_charts
from training.pages.charts import harmless
from training.pages.report import shortened, style, templates
from training.pages.score_table import is_share, is_share_score, score_table, written
from training.pages.values import plain

ITEMS_SHOWN = 6
"""Of each model and result."""
TEXT_CHARS = 3000
"""Of a text that is shown; longer ones lose their middle."""
GROUPS_OPEN = 12
"""Subjects above which their table is closed at first."""


@dataclass(frozen=True)
class Dot:
    """A model's score with its interval, in a chart whose x goes from 0 to 100."""

    model: str
    text: str
    x: float
    low: float
    high: float


@dataclass(frozen=True)
class Detail:
    """A result, model by model."""

    name: str
    kind: str
    side: str
    main: str
    settings: dict[str, Any]
    dots: list[Dot]
    ends: tuple[str, str]
    """What the chart's x begins and ends with."""
    others: list[tuple[str, list[str]]]
    """Further scores, by model."""
    groups: list[tuple[str, list[str]]]
    models: list[str]
    notes: list[str]
    why: list[str]
    items: list[tuple[str, list[Item]]]
    charts: list[tuple[str, Markup]]


def render(
    summary: EvaluationSummary, items: Mapping[tuple[str, str], Sequence[Item]], record: Mapping[str, Any]
) -> str:
    """The page as HTML; the same summary, items and record give the same bytes.

    Args:
        summary: what the evaluation came to.
        items: by (model, result): what was asked and said.
        record: run.json as a dictionary, and beside it `folder` and `environment`.
    """
    return (
        templates()
        .get_template("evaluation.html")
        .render(
            **style(),
            summary=summary,
            record=record,
            table=score_table(summary.models, summary.compare_with),
            details=list(details(summary.models, items)),
            manifest=manifest_text(record["manifest"]) if record.get("manifest") else "",
            number=plain,
            groups_open=GROUPS_OPEN,
        )
    )


def details(models: Sequence[ModelResults], items: Mapping[tuple[str, str], Sequence[Item]]) -> Iterator[Detail]:
    """Each result of all models."""
    for name in dict.fromkeys(result.name for model in models for result in model.results):
        found = [(model.name, result) for model in models if (result := model.of(name))]
        yield _detail(name, found, {model: items.get((model, name), ()) for model, _ in found})


def _detail(name: str, found: Sequence[tuple[str, Evaluated]], items: Mapping[str, Sequence[Item]]) -> Detail:
    known = next((result for _, result in found if result.score), found[0][1])
    dots, ends = _dots(found)
    return Detail(
        name=name,
        kind=known.kind,
        side=known.side,
        main=known.main,
        settings={key.replace("_", " "): value for key, value in known.settings.items()},
        dots=dots,
        ends=ends,
        others=[
            (other, [_text(result.scores.get(other), is_share_score(result, other)) for _, result in found])
            for other in dict.fromkeys(key for _, result in found for key in result.scores if key != result.main)
        ],
        groups=[
            (group, [_text(result.groups.get(group), is_share(result)) for _, result in found])
            for group in dict.fromkeys(key for _, result in found for key in result.groups)
        ],
        models=[model for model, _ in found],
        notes=[f"{model}: {note}" for model, result in found for note in result.notes],
        why=[f"{model}: {result.why}" for model, result in found if result.why],
        items=[(model, _shown(of)) for model, of in items.items() if of],
        charts=_grids(found),
    )


def _text(score: Score | None, as_share: bool) -> str:
    return written(score.value, as_share) if score else "–"


def _dots(found: Sequence[tuple[str, Evaluated]]) -> tuple[list[Dot], tuple[str, str]]:
    """The chart of the main score: shares over all from 0 to 1, others over the range that they need."""
    scored = [(model, result, score) for model, result in found if (score := result.score)]
    if not scored:
        return [], ("", "")
    as_share = is_share(scored[0][1])
    lows = [score.value if score.low is None else score.low for _, _, score in scored]
    highs = [score.value if score.high is None else score.high for _, _, score in scored]
    first, last = (0.0, 1.0) if as_share else _range(min(lows), max(highs))
    places = [
        [100 * (value - first) / (last - first) for value in (low, high)]
        for low, high in zip(lows, highs, strict=True)
    ]
    dots = [
        Dot(model, written(score.value, as_share), 100 * (score.value - first) / (last - first), *place)
        for (model, _, score), place in zip(scored, places, strict=True)
    ]
    return dots, (written(first, as_share), written(last, as_share))


def _range(low: float, high: float) -> tuple[float, float]:
    room = (high - low or abs(high) or 1.0) * 0.1
    return low - room, high + room


def _grids(found: Sequence[tuple[str, Evaluated]]) -> list[tuple[str, Markup]]:
    """The grid of hidden sentences of each model."""
    grids = {model: result.cells for model, result in found if result.cells}
    return [(title, Markup(harmless(svg))) for title, svg in grid_charts(grids).items()] if grids else []


def _shown(items: Sequence[Item]) -> list[Item]:
    """Some items, those that went wrong first."""
    ordered = sorted(items, key=lambda item: item.score if item.score == item.score else -1.0)
    half = ITEMS_SHOWN * 2 // 3
    some = ordered[:half] + ordered[-(ITEMS_SHOWN - half) :] if len(ordered) > ITEMS_SHOWN else ordered
    return [
        item.model_copy(
            update={
                name: shortened(getattr(item, name), TEXT_CHARS) for name in ("prompt", "answer", "expected", "note")
            }
        )
        for item in some
    ]
