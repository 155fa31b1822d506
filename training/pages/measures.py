"""What the page says of measures: of each stage before and after it, and of all stages side by side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from curation.report_values import percent
from manifests.schema_training_gates import ANSWERS
from training.pages.charts import Chart, Line
from training.pages.values import plain, signed
from training.summary_models import StageSummary, TrainingSummary

Better = Literal["low", "high", ""]


@dataclass(frozen=True)
class Kind:
    """A measure that is shown."""

    key: str
    title: str
    better: Better = ""
    """Which way is good; empty where it depends."""
    is_share: bool = False

    def text(self, value: float) -> str:
        """A value as the page writes it."""
        if self.is_share:
            return percent(value, 1)
        digits = 3 if self.key.startswith("reward") else 4
        return plain(float(f"{value:.{digits}g}"))

    def change(self, before: float, after: float) -> str:
        """What became of a value: in points of a share, else in percent; of rewards, which have no zero, as it is."""
        if self.is_share:
            return f"{signed(round(100 * (after - before), 2))} points"
        if self.key.startswith("reward") or not before:
            return signed(after - before)
        return f"{signed(100 * (after / before - 1))}%"


TEXT = (Kind("bits_per_byte", "bits per byte", "low"), Kind("loss", "loss, nats per token", "low"))
"""Of a set of texts: the first that was measured. Bits per byte can be compared between tokenizers."""
OTHERS = (
    Kind("accuracy", "accuracy", "high", is_share=True),
    Kind("reward_mean", "mean reward", "high"),
    Kind("mean_length", "mean length, tokens"),
    Kind("ended_frac", "ended by themselves", is_share=True),
)


@dataclass(frozen=True)
class Change:
    """A measure of a stage, and of the model that it began with."""

    set: str
    kind: Kind
    before: float | None
    after: float

    @property
    def verdict(self) -> Literal["kept", "dropped", ""]:
        """Whether it became better or worse, as the colours of the page say it."""
        if self.before is None or self.before == self.after or not self.kind.better:
            return ""
        return "kept" if (self.after < self.before) == (self.kind.better == "low") else "dropped"

    @property
    def change(self) -> str:
        """What became of it."""
        return "" if self.before in (None, self.after) else self.kind.change(self.before or 0.0, self.after)


def before(summary: TrainingSummary, stage: StageSummary) -> StageSummary | None:
    """The model that a stage began with, where it is one of this run that was measured."""
    earlier: dict[str, StageSummary] = {}
    for item in summary.stages:
        if item.name == stage.name:
            break
        earlier[item.name] = item
    found = (earlier[name] for name in stage.starts_from if name in earlier)
    return next((item for item in found if item.measures), None)


def changes(summary: TrainingSummary, stage: StageSummary) -> list[Change]:
    """The measures of a stage, those of validation first."""
    began = before(summary, stage)
    old = began.measures if began else {}
    return [
        Change(name, kind, old.get(name, {}).get(kind.key), stage.measures[name][kind.key])
        for name, kind in kinds(summary.stages)
        if kind.key in stage.measures.get(name, {})
    ]


@dataclass(frozen=True)
class Course:
    """A measure over the stages."""

    set: str
    kind: Kind
    chart: Chart


def courses(summary: TrainingSummary) -> Iterator[Course]:
    """A chart of each measure over all stages that have measures; where a gate failed, the dot is another colour."""
    stages = [stage for stage in summary.stages if stage.measures]
    for name, kind in kinds(stages):
        points = [
            (float(k), stage.measures[name][kind.key], stage)
            for k, stage in enumerate(stages)
            if kind.key in stage.measures.get(name, {})
        ]
        labels = [kind.text(value) for _, value, _ in points]
        failed = [(x, value) for x, value, stage in points if _fails(stage, name, kind)]
        lines = [Line([(x, value) for x, value, _ in points], has_dots=True, names=labels)]
        lines += [Line(failed, color="dropped", width=0, has_dots=True)] if failed else []
        yield Course(name, kind, Chart(lines, places=[stage.name for stage in stages]))


GATED = {"reward_mean": ("length_bias", "reward_drift"), "mean_length": ("length_bias",)}
"""Gates that judge measures of answers, which have no set."""


def _fails(stage: StageSummary, name: str, kind: Kind) -> bool:
    """Whether a gate failed on a measure; what gates of validation find begins with their set."""
    failed = [gate for gate in stage.gates if not gate.passed]
    if name == ANSWERS:
        return any(gate.gate in GATED.get(kind.key, ()) for gate in failed)
    return any(gate.found.startswith(f"{name}:") for gate in failed)


def kinds(stages: Sequence[StageSummary]) -> list[tuple[str, Kind]]:
    """(set, measure) of all that is shown, in the order in which sets appear; answers come last."""
    sets = dict.fromkeys(name for stage in stages for name in stage.measures)
    ordered = [name for name in sets if name != ANSWERS] + [name for name in sets if name == ANSWERS]
    return [(name, kind) for name in ordered for kind in _kinds_of(name, stages)]


def _kinds_of(name: str, stages: Sequence[StageSummary]) -> list[Kind]:
    there: Mapping[str, None] = dict.fromkeys(key for stage in stages for key in stage.measures.get(name, {}))
    text = [kind for kind in TEXT if kind.key in there][:1]
    return text + [kind for kind in OTHERS if kind.key in there]
