"""The report of a classifier: one HTML file that stands alone and runs nothing, as that of a corpus."""

import base64
import hashlib
from collections.abc import Sequence
from math import ceil

from markupsafe import Markup

from classifiers.summary import ClassifierSummary, Round
from curation.charts import COLORS
from curation.charts_lines import Axis, Series, line_chart, round_ticks
from curation.report import environment, manifest_text
from manifests.record import RunRecord

TENTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
TOP_FRACS = (0.01, 0.05, 0.1, 0.2, 0.5)
YIELD_POINTS = 60


def render_classifier(summary: ClassifierSummary, record: RunRecord, folder: str) -> str:
    """The report as one HTML page.

    Args:
        summary: what the rounds found.
        record: of the run.
        folder: of the run, for commands to copy.
    """
    css = environment().get_template("report.css").render(colors=COLORS)
    chosen = summary.rounds[summary.chosen]
    return (
        environment()
        .get_template("classifier.html")
        .render(
            css=Markup(css),
            css_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
            record=record.model_dump(mode="json"),
            run=folder,
            summary=summary,
            chosen=chosen,
            charts={name: Markup(image) for name, image in _charts(summary, chosen).items()},
            top=[(frac, chosen.threshold_for_top(frac)) for frac in TOP_FRACS] if chosen.n_corpus else [],
            yield_at_precision=_yield_at_precision(chosen),
            origins=sorted({name for found in summary.rounds for name in found.n_by_origin}),
            manifest=manifest_text(record.manifest),
        )
    )


def _yield_at_precision(chosen: Round) -> float | None:
    if not chosen.n_corpus or chosen.threshold_at_precision is None:
        return None
    return chosen.yield_at(chosen.threshold_at_precision)


def _charts(summary: ClassifierSummary, chosen: Round) -> dict[str, str]:
    images = {"curve": _curve_chart(summary, chosen), "calibration": _calibration_chart(chosen)}
    if len(summary.rounds) > 1:
        images["rounds"] = _rounds_chart(summary.rounds)
    if chosen.n_corpus:
        images["yield"] = _yield_chart(chosen)
    return images


def _rounds_chart(rounds: Sequence[Round]) -> str:
    recall = [(found.n_labels, found.recall_at_precision) for found in rounds]
    spearman = [(found.n_labels, found.whole.spearman or 0.0) for found in rounds]
    high = max(found.n_labels for found in rounds)
    return line_chart(
        [Series(spearman, "dropped", has_dots=True), Series(recall, has_dots=True)],
        Axis("labels", 0, high, round_ticks(high)),
        Axis("", 0, 1, TENTHS),
    )


def _curve_chart(summary: ClassifierSummary, chosen: Round) -> str:
    first = summary.rounds[0]
    series = [Series([(point.recall, point.precision) for point in chosen.curve])]
    if first.number != chosen.number:
        series.insert(0, Series([(point.recall, point.precision) for point in first.curve], "passing"))
    series.insert(0, Series([(0, chosen.precision), (1, chosen.precision)], "faint", dash=(3, 3)))
    return line_chart(series, Axis("recall", 0, 1, TENTHS), Axis("precision", 0, 1, TENTHS))


def _calibration_chart(chosen: Round) -> str:
    points = [(part.mean_score, part.mean_label) for part in chosen.calibration]
    high = max(ceil(max(max(pair) for pair in points)), 1)
    ticks = [float(k) for k in range(high + 1)] if high > 1 else list(TENTHS)
    axes = Axis("mean score", 0, high, ticks), Axis("mean label", 0, high, ticks)
    return line_chart([Series([(0, 0), (high, high)], "faint", dash=(3, 3)), Series(points, has_dots=True)], *axes)


def _yield_chart(chosen: Round) -> str:
    low, high = chosen.score_low, chosen.score_high
    points = [low + (high - low) * k / YIELD_POINTS for k in range(YIELD_POINTS + 1)]
    rules = [(chosen.threshold, f"best F1 {chosen.threshold:.2f}")]
    ticks = [low + (high - low) * k / 5 for k in range(6)]
    return line_chart(
        [Series([(at, chosen.yield_at(at)) for at in points])],
        Axis("score", low, high, ticks),
        Axis("share of the corpus", 0, 1, TENTHS),
        rules,
    )
