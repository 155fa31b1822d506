"""What a training came to, as its page shows it: `summary.json`."""

from pydantic import BaseModel, Field

from training.evaluating.results import Evaluated
from training.jobs import Cell, Figure, Made

SUMMARY = "summary.json"
"""In the folder of a run."""

Measures = dict[str, dict[str, Figure]]
"""By set of `validation`: `loss` (nats per token), `bits_per_byte`, `n_tokens`, `n_bytes`; or `accuracy`,
`n_questions`. With `prompts` also `answers`: `mean_length` (tokens), `ended_frac`, and with a reward model
`reward_mean`, `reward_std`."""


class Verdict(BaseModel):
    """What a gate found."""

    gate: str
    passed: bool
    found: str
    """In a sentence, with the figures: `en: loss 2.314 -> 2.401 (+3.8%; at most +2.0%)`."""
    advice: str = ""
    """What the papers suggest, where it failed."""
    figures: dict[str, Figure] = Field(default_factory=dict)


class Answer(BaseModel):
    """What a model answered."""

    prompt: str
    """As text."""
    answer: str
    n_tokens: int
    ended: bool
    """Whether it ended by itself."""
    reward: float | None = None


class StageSummary(BaseModel):
    """A stage that is done, or the base before all stages (`kind: base`)."""

    name: str
    kind: str
    folder: str
    starts_from: list[str] = Field(default_factory=list)
    """What the manifest calls the models that it read."""
    n_parameters: int = 0
    n_trained_parameters: int = 0
    seconds: float = 0.0
    n_resumed: int = 0
    """How often it went on after it had been stopped."""
    peak_bytes: int = 0
    made: Made = Made()
    flops: float = 0.0
    """6 N D, as both reports count."""
    curve: list[dict[str, Cell]] = Field(default_factory=list)
    """Lines of `curve.jsonl`."""
    measures: Measures = Field(default_factory=dict)
    answers: list[Answer] = Field(default_factory=list)
    """Those that are shown."""
    evaluated: list[Evaluated] = Field(default_factory=list)
    """What its model came to by the manifest's `evaluation`."""
    gates: list[Verdict] = Field(default_factory=list)


class TrainingSummary(BaseModel):
    """All stages, in their order, the base first."""

    name: str
    stages: list[StageSummary]
    stopped_at: str = ""
    """The stage whose gate stopped the run."""
