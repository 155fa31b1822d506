"""What a process that measures models is told, and what it tells."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from manifests.schema_training_gates import Prompts, Validation
from training.evaluating.results import Evaluated
from training.jobs import Figure
from training.summary_models import Answer, Measures


class MeasureJob(BaseModel):
    """Models to measure, one after the other in one process, since loading torch takes seconds."""

    model_config = ConfigDict(frozen=True)

    models: Mapping[str, str]
    """Folder of each model by what it is called: `base`, stages, teachers."""
    validations: tuple[Validation, ...] = ()
    prompts: Prompts | None = None
    reward: str | None = None
    """Folder of the model that scores the answers."""
    manifest_base: str
    """Where relative paths of data start."""
    cache: str
    """A folder: what was measured before is read from it."""
    seed: int = 0
    """Of answers that are drawn at a temperature."""
    threads: int | None = None
    precision: str = "auto"
    """`auto`: bfloat16 where a GPU has it, else float32."""


class Measured(BaseModel):
    """What a model came to."""

    measures: Measures = Field(default_factory=dict)
    units: dict[str, list[Figure]] = Field(default_factory=dict)
    """By set: the loss of each document (nats, summed over its tokens), or how far each question was answered right
    (0 to 1, ties in part). In the set's order, which is the same for all models."""
    not_measured: dict[str, str] = Field(default_factory=dict)
    """By set: why this model could not be measured on it, as a mixture of another tokenizer's ids."""
    evaluated: dict[str, Evaluated] = Field(default_factory=dict)
    """What it came to by the manifest's `evaluation`, by name."""
    answers: list[Answer] = Field(default_factory=list)
    """To all prompts, in their order."""


class MeasuresResult(BaseModel):
    """What all models came to."""

    models: dict[str, Measured] = Field(default_factory=dict)
