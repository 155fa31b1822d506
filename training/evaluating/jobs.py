"""What the process is told that evaluates a model, and what it tells."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from manifests.schema_evaluation import Benchmark, Judged, Needle, VllmServer
from training.evaluating.results import ModelResults


class EvaluateJob(BaseModel):
    """A model, and all that it is asked, in one process: weights are read once."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["evaluate"] = "evaluate"
    name: str
    """What the model is called."""
    folder: str
    """Of the model."""
    chat: bool = False
    """Whether it is asked in its chat template where a benchmark leaves that open."""
    benchmarks: tuple[Benchmark, ...] = ()
    needle: Needle | None = None
    judged: tuple[Judged, ...] = ()
    """Whose questions it answers; the judge is asked afterwards, by the process that starts this one."""
    engine: Literal["transformers"] | VllmServer = "transformers"
    batch: int = 8
    precision: str = "auto"
    manifest_base: str
    """Where relative paths of data start."""
    cache: str
    """A folder: what was measured before is read from it."""
    logs: str = ""
    """A folder: servers log there; without it, in `cache`."""
    items: str
    """Folder of the run, for the files of items."""
    seed: int = 0
    threads: int | None = None


class Turn(BaseModel):
    """What a model said to one turn of a question."""

    asked: str
    answered: str
    ended: bool = True
    """Whether it ended by itself."""


class Transcript(BaseModel):
    """A question of a judged benchmark with a model's answers."""

    id: str
    category: str = ""
    turns: list[Turn]
    references: list[str] = Field(default_factory=list)
    """The right answer of each turn, where the benchmark has it."""


class EvaluateResult(BaseModel):
    """What came of a job."""

    model: ModelResults
    transcripts: dict[str, list[Transcript]] = Field(default_factory=dict)
    """By the name of the judged benchmark, for the judge."""
