"""What an experiment came to, as its page shows it: `summary.json`."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from training.jobs import Figure

SUMMARY = "summary.json"
"""In the folder of an experiment."""


class StepRun(BaseModel):
    """A run of a step: for one arm and one seed, or for all that have it in common."""

    step: str
    kind: str
    """Of its manifest; `tokenizer` of one."""
    folder: str
    """Where it lies, from the experiment's folder on."""
    fingerprint: str
    """Of the manifest and of what it names by `step:`."""
    manifest: dict[str, Any]
    """As it was run; what earlier steps made is named by its place."""
    base: str = ""
    """Where its relative paths start."""
    arms: list[str] = Field(default_factory=list)
    seeds: list[int] = Field(default_factory=list)
    """Empty where it is the same for all seeds."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """Digest of each input, by path."""
    outputs: dict[str, str] = Field(default_factory=dict)
    """Digest of what it made, by name: `documents`, `tokens`, or fingerprints of stages."""
    counts: dict[str, int] = Field(default_factory=dict)
    """Of its record: records read and kept, tokens, ..."""
    seconds: float = 0.0
    is_reused: bool = False
    """Whether it was there before this command."""


class Failed(BaseModel):
    """A run that failed, or was left out since one that it reads failed."""

    step: str
    arms: list[str] = Field(default_factory=list)
    seeds: list[int] = Field(default_factory=list)
    """Empty where it is the same for all seeds."""
    why: str
    is_left_out: bool = False


class Point(BaseModel):
    """A model that was measured, or what an evaluation or a corpus came to."""

    of: str
    """STEP or STEP.STAGE."""
    arm: str = ""
    """Empty in a ladder."""
    seed: int
    folder: str
    """The model's, from the experiment's folder on."""
    fingerprint: str = ""
    """Of the stage, which stands for its settings and all that it read."""
    run: str = ""
    """Folder of the step's run, by which `StepRun` is found."""
    figures: dict[str, Figure] = Field(default_factory=dict)
    """What it was measured by: `ko.bits_per_byte`, `kmmlu.accuracy`, `figures.NAME`, `counts.NAME`."""
    n_parameters: int = 0
    n_tokens: int = 0
    """That the stage read."""
    flops: float = 0.0
    """6 N D of the stage."""
    flops_total: float = 0.0
    """Of the stage and of all that its model goes back to, in this training."""
    seconds: float = 0.0
    gates_failed: list[str] = Field(default_factory=list)
    """What gates found against the stage and those that its model goes back to; the experiment went on."""


class Interval(BaseModel):
    """A mean over seeds, and what it is likely to be."""

    mean: Figure
    low: Figure
    """Of Student's interval; as the mean where there is one seed."""
    high: Figure
    values: list[Figure]
    """By seed, in the order of the manifest; no number where there is no figure, as of a run that failed."""


Direction = Literal["lower", "higher"]


class Column(BaseModel):
    """A measure."""

    name: str
    better: Direction | None = None
    """Which way is better, where that is known."""


class ArmRow(BaseModel):
    """An arm in the table."""

    name: str
    title: str = ""
    of: str
    is_baseline: bool = False
    figures: dict[str, Interval] = Field(default_factory=dict)
    differences: dict[str, Interval] = Field(default_factory=dict)
    """From the baseline, seed by seed."""
    n_parameters: int = 0
    n_tokens: int = 0
    flops_total: float = 0.0
    set: dict[str, Any] = Field(default_factory=dict)
    """What is other in it."""


class Expectation(BaseModel):
    """What the papers let one expect of a measure, and in how many seeds it came."""

    measure: str
    expected: Literal["lower", "higher", "same"]
    holds_in: int
    """Seeds."""
    n_seeds: int
    """That were measured on both sides; 0 where it was not measured, and so did not hold."""
    is_sure: bool
    """Whether the interval of the difference lies on that side of 0 (of `same`: all of it within 1% of what it is
    compared with). Seeds that all came to the same difference make nothing sure."""


class RungRow(BaseModel):
    """A rung of the ladder."""

    name: str
    title: str = ""
    of: str
    against: str | None = None
    figures: dict[str, Interval] = Field(default_factory=dict)
    before: dict[str, Interval] = Field(default_factory=dict)
    """Of what it is compared with."""
    differences: dict[str, Interval] = Field(default_factory=dict)
    """Seed by seed."""
    expectations: list[Expectation] = Field(default_factory=list)
    note: str = ""
    n_parameters: int = 0
    n_tokens: int = 0
    flops_total: float = 0.0
    flops_against: float = 0.0


class ExperimentSummary(BaseModel):
    """All of an experiment."""

    kind: Literal["ablation", "ladder"]
    name: str
    title: str = ""
    about: str = ""
    seeds: list[int]
    confidence: float
    baseline: str = ""
    columns: list[Column]
    arms: list[ArmRow] = Field(default_factory=list)
    rungs: list[RungRow] = Field(default_factory=list)
    points: list[Point] = Field(default_factory=list)
    runs: list[StepRun] = Field(default_factory=list)
    failed: list[Failed] = Field(default_factory=list)
    """What is missing, and why."""
    notes: list[str] = Field(default_factory=list)
    """What readers of the figures must know."""
    not_measured: list[str] = Field(default_factory=list)
    """Measures that were asked for and are not there, with those that are."""
    seconds: float = 0.0
    manifest: dict[str, Any] = Field(default_factory=dict)
    environment: dict[str, str] = Field(default_factory=dict)
