"""The page of a training: one HTML file that stands alone, runs nothing and loads nothing, as those of other runs.

It shows what models answered and what manifests say, so the templates escape everything; charts that stages made are
stripped to shapes and texts, and a content security policy forbids scripts and loads.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from curation.charts import COLORS
from curation.report import environment, manifest_text
from training.evaluating.results import ModelResults
from training.flops import PER_WEIGHT_AND_TOKEN, PUBLISHED, Published, kanana_saved_frac, kanana_upscaled_frac
from training.jobs import Table
from training.pages.charts import harmless, line_charts
from training.pages.curves import curves
from training.pages.measures import Change, Course, before, changes, courses, kinds
from training.pages.score_table import ScoreTable, score_table
from training.pages.values import amount, plain, power, ratio, signed
from training.summary_models import Answer, StageSummary, TrainingSummary

BASE_KIND = "base"
CARD_WIDTH = 380
"""Pixels of a chart that a card can hold without making its texts too small."""
N_ANSWER_CHARS = 4000
"""Of a text that is shown; longer ones lose their middle."""


def render(summary: TrainingSummary, record: Mapping[str, Any]) -> str:
    """The page as HTML; the same summary and record give the same bytes.

    Args:
        summary: what the training came to.
        record: run.json as a dictionary, and beside it `folder` and `environment` (a mapping of names and versions);
            whatever is missing there is left out of the page.
    """
    measured, drawn = _charts(summary)
    return (
        templates()
        .get_template("training.html")
        .render(
            **style(),
            record=record,
            summary=summary,
            stages=[_stage(summary, stage, drawn[stage.name]) for stage in made_stages(summary)],
            columns=kinds(summary.stages),
            measured=measured,
            comparisons=list(_comparisons(summary)),
            scores=_scores(summary),
            account=account(summary),
            manifest=manifest_text(record["manifest"]) if record.get("manifest") else "",
            numeric=_numeric,
            **_WRITERS,
        )
    )


_WRITERS = {"amount": amount, "power": power, "ratio": ratio, "signed": signed, "number": plain}


def style() -> dict[str, str]:
    """The style sheet, and its hash, by which the page's policy lets it stand."""
    css = templates().get_template("training.css").render(colors=COLORS)
    return {"css": Markup(css), "css_hash": base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()}


@cache
def templates() -> jinja2.Environment:
    """Those of all reports, and this one's."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    others = environment()
    assert others.loader
    return others.overlay(loader=jinja2.ChoiceLoader([loader, others.loader]))


def _scores(summary: TrainingSummary) -> ScoreTable | None:
    """What models came to by the manifest's `evaluation`, the base first; None where there is none."""
    models = [
        ModelResults(name=stage.name, folder=stage.folder, results=stage.evaluated)
        for stage in summary.stages
        if stage.evaluated
    ]
    return score_table(models, models[0].name) if models else None


def made_stages(summary: TrainingSummary) -> list[StageSummary]:
    """Those that something was done in: all but the base."""
    return [stage for stage in summary.stages if stage.kind != BASE_KIND]


# charts, all drawn at once


@dataclass(frozen=True)
class Image:
    """A chart with its title."""

    title: str
    svg: Markup
    is_first: bool = True
    """Whether it is shown without being asked for."""

    @property
    def is_wide(self) -> bool:
        """Whether it is drawn for more room than a card has."""
        found = re.match(r'<svg viewBox="\S+ \S+ ([\d.]+) ', self.svg)
        return found is not None and float(found[1]) > CARD_WIDTH


def _charts(summary: TrainingSummary) -> tuple[list[tuple[Course, Markup]], dict[str, list[Image]]]:
    """Measures over the stages, and the curves of each stage."""
    found = list(courses(summary))
    of_stages = [(stage.name, drawn) for stage in summary.stages for drawn in curves(stage.curve)]
    charts = [course.chart for course in found] + [drawn.chart for _, drawn in of_stages]
    images = [Markup(svg) for svg in line_charts(charts)]
    by_stage: dict[str, list[Image]] = {stage.name: [] for stage in summary.stages}
    for (name, drawn), svg in zip(of_stages, images[len(found) :], strict=True):
        by_stage[name].append(Image(drawn.title, svg, drawn.is_first))
    return list(zip(found, images, strict=False)), by_stage


# stages


@dataclass(frozen=True)
class Stage:
    """A stage as the page shows it."""

    summary: StageSummary
    began_with: str
    """The measured model that its measures are compared with."""
    changes: list[Change]
    curves: list[Image]
    charts: list[Image]
    """Of its own."""
    figures: list[tuple[str, str]]

    @property
    def counts(self) -> dict[str, int]:
        """What was counted, without nothing and without what is said of the weights already."""
        counts = self.summary.made.counts
        return {name: n for name, n in counts.items() if n and name not in ("parameters", "trained_parameters")}

    @property
    def n_failed(self) -> int:
        """Gates that failed."""
        return sum(not gate.passed for gate in self.summary.gates)

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens that were read, by the time of the whole stage."""
        n_tokens = self.summary.made.counts.get("tokens", 0)
        return n_tokens / self.summary.seconds if n_tokens and self.summary.seconds else None


def _stage(summary: TrainingSummary, stage: StageSummary, drawn: list[Image]) -> Stage:
    began = before(summary, stage)
    own = {title: harmless(svg) for title, svg in stage.made.charts.items()}
    return Stage(
        summary=stage,
        began_with=began.name if began else "",
        changes=changes(summary, stage),
        curves=drawn,
        charts=[Image(title, Markup(svg)) for title, svg in own.items() if svg],
        figures=[
            (name.replace("_", " "), plain(float(f"{value:.4g}"))) for name, value in stage.made.figures.items()
        ],
    )


def _numeric(table: Table) -> list[bool]:
    """Of each column, whether it holds numbers only, and so is aligned to the right."""
    return [all(not isinstance(row[k], str) for row in table.rows if k < len(row)) for k in range(len(table.columns))]


# answers


@dataclass(frozen=True)
class Pair:
    """What two models answered to one prompt."""

    prompt: str
    before: Answer | None
    after: Answer


@dataclass(frozen=True)
class Comparison:
    """Two models, side by side."""

    before: str
    after: str
    pairs: list[Pair]


def _comparisons(summary: TrainingSummary) -> Iterator[Comparison]:
    """The base and the last stage with answers first, then each stage and what it began with."""
    answered = [stage for stage in summary.stages if stage.answers]
    if len(answered) > 2 and answered[0].kind == BASE_KIND:
        yield _comparison(answered[0], answered[-1])
    for stage in answered:
        if stage.kind != BASE_KIND or len(answered) == 1:
            began = before(summary, stage)
            yield _comparison(began if began and began.answers else None, stage)


def _comparison(old: StageSummary | None, new: StageSummary) -> Comparison:
    known = {answer.prompt: answer for answer in old.answers} if old else {}
    pairs = [
        Pair(shortened(answer.prompt), _shown(known.get(answer.prompt)), _shown(answer)) for answer in new.answers
    ]
    return Comparison(old.name if old else "", new.name, [pair for pair in pairs if pair.after])


def _shown(answer: Answer | None) -> Any:
    return answer and answer.model_copy(update={"answer": shortened(answer.answer)})


def shortened(text: str, n_chars: int = N_ANSWER_CHARS) -> str:
    """A text, without its middle where it is longer than so many characters."""
    half = n_chars // 2
    return text if len(text) <= n_chars else f"{text[:half]}\n[…]\n{text[-half:]}"


# accounting


@dataclass(frozen=True)
class Item:
    """A stage in the account."""

    stage: StageSummary
    flops: float
    frac: float
    """Of all."""

    @property
    def n_tokens(self) -> int:
        """That were read."""
        return self.stage.made.counts.get("tokens", 0)

    @property
    def n_trained(self) -> int:
        """That a loss was counted on."""
        return self.stage.made.counts.get("trained_tokens", 0)


@dataclass(frozen=True)
class Account:
    """Tokens and FLOPs of the stages, and the published trainings that they are compared with."""

    items: list[Item]
    published: Sequence[Published] = PUBLISHED
    saved_frac: float = kanana_saved_frac()
    upscaled_frac: float = kanana_upscaled_frac()

    @property
    def n_tokens(self) -> int:
        """That were read."""
        return sum(item.n_tokens for item in self.items)

    @property
    def n_trained(self) -> int:
        """That a loss was counted on."""
        return sum(item.n_trained for item in self.items)

    @property
    def flops(self) -> float:
        """Of all stages."""
        return sum(item.flops for item in self.items)

    @property
    def seconds(self) -> float:
        """That the stages took."""
        return sum(item.stage.seconds for item in self.items)


def account(summary: TrainingSummary) -> Account:
    """What each stage read and computed."""
    stages = made_stages(summary)
    flops = [stage_flops(stage) for stage in stages]
    return Account([Item(stage, of, of / (sum(flops) or 1)) for stage, of in zip(stages, flops, strict=True)])


def stage_flops(stage: StageSummary) -> float:
    """6 N D of a stage: of all its weights, as LoRA goes through all of them, too; a merge computes nothing."""
    return stage.flops or PER_WEIGHT_AND_TOKEN * stage.n_parameters * stage.made.counts.get("tokens", 0)
