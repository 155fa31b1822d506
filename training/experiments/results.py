"""What arms and rungs are judged by: the figures of models, evaluations, corpora, mixtures and tokenizers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from curation.tokens.fertility import Fertility
from manifests.record import RECORD
from manifests.schema_training import BASE
from training.evaluating.record import EvaluationSummary
from training.evaluating.results import Evaluated
from training.experiments.chain import Chain, Run, named_in, point_of
from training.experiments.needed import lineage
from training.experiments.outcome import model_folder, outcome
from training.experiments.statistics import better
from training.experiments.step_kinds import LEARNED
from training.experiments.summary_models import Column, Direction, Point
from training.experiments.templates import TOKENIZER, as_training
from training.summary_models import SUMMARY, StageSummary, TrainingSummary

FIGURES, COUNTS = "figures", "counts"
"""What the names of a stage's own measures, and of counts, begin with; they are shown where they are asked for, or
where there is nothing else."""
OF_THE_DATA = ("n_", "window")
"""How names begin of what is told of a set, and is no measure of a model."""
OF_THE_WORK = ("tokenised_bytes", "shards_written")
"""Counts of what a run had to do, which is less where others did it before: no result."""
NOT_SHOWN = ("_low", "_high", "_se")
"""How names of errors end: intervals of an experiment are those over seeds."""


@dataclass
class Found:
    """Figures, and what is known of their names."""

    figures: dict[str, float] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)
    """Those that are shown where nothing is asked for."""
    better: dict[str, Direction] = field(default_factory=dict)
    """Which way is better, where an evaluation says so."""

    def add(self, name: str, value: float, is_shown: bool = True) -> None:
        """Add a figure."""
        self.figures[name] = value
        if is_shown:
            self.shown.append(name)


@dataclass
class Results:
    """The points of an experiment, and what is known of their measures."""

    points: list[Point] = field(default_factory=list)
    shown: dict[str, dict[str, None]] = field(default_factory=dict)
    """By STEP or STEP.STAGE: the measures that are shown where nothing is asked for."""
    better: dict[str, Direction] = field(default_factory=dict)

    def add(self, chain: Chain, of: str, output: Path) -> Point:
        """The point STEP or STEP.STAGE of an arm and a seed; its runs are finished.

        Raises:
            RunError: they are not.
        """
        step, stage = point_of(of)
        run = chain.runs[step]
        point, found = _of_training(run, stage, output) if run.kind == "training" else _of_run(run, output)
        point = point.model_copy(
            update={
                "of": of,
                "arm": chain.arm_name,
                "seed": chain.seed,
                "run": named_in(run.folder, output),
                "figures": found.figures,
            }
        )
        self.shown.setdefault(of, {}).update(dict.fromkeys(found.shown))
        self.better |= found.better
        self.points.append(point)
        return point

    def columns(self, measures: Sequence[str], of: str = "") -> list[Column]:
        """The measures that are compared: those that are asked for, or what was measured of models.

        Args:
            measures: that are asked for.
            of: STEP or STEP.STAGE that alone is looked at.
        """
        there = set(self.names(of))
        shown = {name: None for point, names in self.shown.items() if of in ("", point) for name in names}
        names = list(measures) or list(shown) or sorted(there)
        return [Column(name=name, better=self.better.get(name) or better(name)) for name in names if name in there]

    def names(self, of: str = "") -> list[str]:
        """All that was measured, of STEP or STEP.STAGE or of anything."""
        points = [point for point in self.points if of in ("", point.of)]
        return list(dict.fromkeys(name for point in points for name in point.figures))


def _of_training(run: Run, name: str, output: Path) -> tuple[Point, Found]:
    """A model that a stage made, or what a training began with."""
    summary = TrainingSummary.model_validate_json((run.folder / SUMMARY).read_bytes())
    stages = {stage.name: stage for stage in summary.stages}
    stage = stages[name] if name else summary.stages[-1]
    back_to = lineage(as_training(run.manifest()), stage.name)
    record = orjson.loads((run.folder / RECORD).read_bytes())
    point = Point(
        of="",
        seed=0,
        folder=named_in(Path(model_folder(run.folder, stage.name)), output),
        fingerprint=record["base_digest"] if stage.name == BASE else record["stages"][stage.name],
        n_parameters=stage.n_parameters,
        n_tokens=stage.made.counts.get("tokens", 0),
        flops=stage.flops,
        flops_total=sum(stages[one].flops for one in back_to),
        seconds=stage.seconds,
        gates_failed=[
            f"{one}: {verdict.found}" for one in back_to for verdict in stages[one].gates if not verdict.passed
        ],
    )
    return point, _measured(stage)


def _measured(stage: StageSummary) -> Found:
    """What a stage's model was measured by, and what the stage tells of itself."""
    found = Found()
    for name, measures in stage.measures.items():
        for measure, value in measures.items():
            if not measure.startswith(OF_THE_DATA) and not measure.endswith(NOT_SHOWN):
                has_bits = measure == "loss" and "bits_per_byte" in measures  # the same in another unit
                found.add(f"{name}.{measure}", value, is_shown=not has_bits)
    for result in stage.evaluated:
        _add_evaluated(found, result)
    for name, value in stage.made.figures.items():
        found.add(f"{FIGURES}.{name}", value, is_shown=False)
    for name, n in stage.made.counts.items():
        found.add(f"{COUNTS}.{name}", n, is_shown=False)
    return found


def _add_evaluated(found: Found, result: Evaluated, model: str = "") -> None:
    """The scores of a benchmark; its main one is shown."""
    for metric, score in result.scores.items():
        name = f"{model}{result.name}.{metric}"
        found.add(name, score.value, is_shown=metric == result.main)
        found.better[name] = "higher" if score.more_is_better else "lower"


def _of_run(run: Run, output: Path) -> tuple[Point, Found]:
    """What a run that makes no model came to."""
    made = outcome(run)
    point = Point(
        of="", seed=0, folder=named_in(run.folder, output), fingerprint=run.fingerprint, seconds=made.seconds
    )
    found = Found()
    if run.kind == "evaluation":
        point = _evaluated_model(run, point)
        summary = EvaluationSummary.model_validate_json((run.folder / SUMMARY).read_bytes())
        for model in summary.models:
            for result in model.results:
                _add_evaluated(found, result, f"{model.name}." if len(summary.models) > 1 else "")
    if run.kind == TOKENIZER:
        for name, value in _fertility(run):
            found.add(name, value)
    for name, n in made.counts.items():
        if name not in OF_THE_WORK:
            found.add(f"{COUNTS}.{name}", n, is_shown=False)
    return point, found


def _evaluated_model(run: Run, point: Point) -> Point:
    """What an evaluation of a single model tells of it, where a training of the chain made it."""
    named = [model["path"] for model in run.tree.plain()["models"]]
    if len(named) != 1 or not (found := _stage_named(named[0])) or run.reads[found[0]].kind != "training":
        return point
    of, _ = _of_training(run.reads[found[0]], found[1], Path("/"))
    kept = ("n_parameters", "n_tokens", "flops", "flops_total", "gates_failed")
    return point.model_copy(update={name: getattr(of, name) for name in kept})


def _stage_named(path: str) -> tuple[str, str] | None:
    """The step and the stage of `step:STEP.STAGE`."""
    if not path.startswith("step:") or "/" in path:
        return None
    step, stage = point_of(path.removeprefix("step:"))
    return (step, stage) if stage else None


def _fertility(run: Run) -> Iterator[tuple[str, float]]:
    """What a tokenizer makes of held-out text."""
    for found in orjson.loads((run.folder / LEARNED).read_bytes())["fertility"]:
        of = Fertility(**found)
        if of.n_tokens:
            yield f"{of.language}.bytes_per_token", of.bytes_per_token
            yield f"{of.language}.chars_per_token", of.chars_per_token
