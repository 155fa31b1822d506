"""What a summary of synthetic data holds; see synth/summary.py."""

from pydantic import BaseModel, ConfigDict

from classifiers.summary import Spent
from curation.summary_models import Distribution


class Model(BaseModel):
    """A part of a summary."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Example(Model):
    """A sample to look at, its texts shortened."""

    id: str
    item: str
    """Id of what it was made from."""
    form: str
    language: str
    variety: str
    prompt: str
    answer: str
    worse: str
    """Of a preference pair."""
    numbers: dict[str, float]
    tags: dict[str, str]
    value: float | None = None
    threshold: float | None = None
    detail: str = ""
    """Of a sample that was rejected."""


class Reason(Model):
    """Why samples were rejected."""

    reason: str
    n_samples: int
    examples: tuple[Example, ...]


class Stage(Model):
    """A step that samples pass: the task's own verification, or a gate."""

    name: str
    is_gate: bool
    n_in: int
    reasons: tuple[Reason, ...]
    """The most frequent first."""

    @property
    def n_rejected(self) -> int:
        """Samples that it threw out."""
        return sum(reason.n_samples for reason in self.reasons)

    @property
    def n_out(self) -> int:
        """Samples that it let pass."""
        return self.n_in - self.n_rejected


class Split(Model):
    """Samples of one kind, kept and rejected."""

    name: str
    n_kept: int = 0
    n_rejected: int = 0
    kept_chars: int = 0
    """Of answers."""


class Difficulty(Model):
    """Questions of one difficulty."""

    name: str
    n_items: int
    n_items_kept: int
    """Those with a sample that was kept."""
    mean_pass_frac: float


class Prompt(Model):
    """A prompt, and how many samples answers to it went into."""

    template: str
    digest: str
    role: str
    n_samples: int
    n_kept: int


class Figure(Model):
    """A number that kept samples have."""

    name: str
    n_samples: int
    mean: float
    low: float
    high: float


class Table(Model):
    """A table that was written."""

    name: str
    n_rows: int
    size_bytes: int
    digest: str


class SynthesisSummary(Model):
    """All that the report and the card say of the data."""

    name: str
    task: str
    n_seeds: int
    n_items: int
    """What was worked on: seeds, parts of them, or a task's own."""
    n_asked: int
    n_answered: int
    n_samples: int
    n_kept: int
    stages: tuple[Stage, ...]
    """In order."""
    spent: dict[str, Spent]
    """By role."""
    tables: tuple[Table, ...]
    forms: tuple[Split, ...]
    languages: tuple[Split, ...]
    varieties: tuple[Split, ...]
    sources: tuple[Split, ...]
    licenses: tuple[Split, ...]
    translated: Split
    lengths: dict[str, Distribution]
    """Characters of answers, by language."""
    pass_fracs: Distribution | None
    """Of questions: `kept` are those with a sample that was kept. None where no sample has one."""
    difficulties: tuple[Difficulty, ...]
    numbers: tuple[Figure, ...]
    prompts: tuple[Prompt, ...]
    kept: tuple[Example, ...]

    @property
    def n_rejected(self) -> int:
        """Samples that are not kept."""
        return self.n_samples - self.n_kept

    @property
    def cost(self) -> float:
        """Of what was paid in this run, by all roles."""
        return sum(spent.cost for spent in self.spent.values())
