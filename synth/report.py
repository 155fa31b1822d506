"""The report of a run of synthetic data: one HTML file that stands alone and runs nothing, as that of a corpus.

Its page holds what models and strangers wrote, so the templates escape everything, and a content security policy
forbids scripts and loads.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from curation.charts import COLORS, NARROW, WIDE, Histogram, Step, funnel, histograms
from curation.report import LANGUAGE_NAMES, environment, manifest_text
from curation.report_values import percent
from synth.summary_models import Example, Split, SynthesisSummary

N_SOURCES = 15
"""Rows of a table of sources, licences or varieties; the rest is summed up."""


def render(summary: SynthesisSummary, record: Mapping[str, Any]) -> str:
    """The report as one HTML page; the same summary and record give the same bytes.

    Args:
        summary: what the run came to.
        record: run.json as a dictionary; whatever is missing there is left out of the page.
    """
    css = environment().get_template("report.css").render(colors=COLORS)
    return (
        _templates()
        .get_template("synthesis.html")
        .render(
            css=Markup(css),
            css_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
            record=record,
            summary=summary,
            funnels={name: Markup(chart) for name, chart in _funnels(summary).items()},
            charts={name: Markup(chart) for name, chart in _histograms(summary).items()},
            languages=summary.languages,
            varieties=_cut([split for split in summary.varieties if split.name]),
            sources=_cut(list(summary.sources)),
            licenses=_cut(list(summary.licenses)),
            language_names=LANGUAGE_NAMES,
            facts=_facts,
            manifest=manifest_text(record["manifest"]) if record.get("manifest") else "",
        )
    )


@cache
def _templates() -> jinja2.Environment:
    """Those of all reports, and this one's."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    others = environment()
    assert others.loader
    return others.overlay(loader=jinja2.ChoiceLoader([loader, others.loader]))


def _funnels(summary: SynthesisSummary) -> dict[str, str]:
    """What each stage lets through, for wide screens and for narrow ones."""
    n = summary.n_samples
    steps = [Step("samples", n, 0, "kept", f"{n:,}")]
    steps += [
        Step(
            stage.name,
            stage.n_in,
            stage.n_rejected,
            "dropped" if stage.is_gate else "failed",
            f"− {stage.n_rejected:,}  ({percent(stage.n_rejected, n)})",
        )
        for stage in summary.stages
    ]
    steps.append(Step("kept", summary.n_kept, 0, "kept", f"{summary.n_kept:,}  ({percent(summary.n_kept, n)})"))
    return {name: funnel(steps, layout) for name, layout in (("wide", WIDE), ("narrow", NARROW))}


def _histograms(summary: SynthesisSummary) -> dict[str, str]:
    """Lengths by language, and pass rates; drawn together."""
    found = {f"length_{language}": distribution for language, distribution in summary.lengths.items()}
    cells = {name: Histogram(one, beside=tuple(found.values())) for name, one in found.items()}
    if summary.pass_fracs:
        cells["pass_frac"] = Histogram(summary.pass_fracs)
    return dict(zip(cells, histograms(list(cells.values())), strict=True))


def _cut(splits: list[Split]) -> list[Split]:
    """The first rows, and the others as one."""
    if len(splits) <= N_SOURCES + 1:
        return splits
    rest = splits[N_SOURCES:]
    others = Split(
        name=f"{len(rest):,} others",
        n_kept=sum(split.n_kept for split in rest),
        n_rejected=sum(split.n_rejected for split in rest),
        kept_chars=sum(split.kept_chars for split in rest),
    )
    return [*splits[:N_SOURCES], others]


def _facts(example: Example) -> list[tuple[str, float | str]]:
    """What is known of an example beside its texts."""
    return [*example.numbers.items(), *((name, value) for name, value in example.tags.items() if value)]
