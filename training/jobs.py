"""What a stage is told, and what it tells of what came of it: small files, as each has a process of its own."""

from collections.abc import Mapping
from math import nan
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from manifests.schema_training import TrainingStage
from manifests.schema_training_gates import Validation

MODEL = "model"
"""Folder of what a stage makes, in the stage's own: `config.json`, safetensors, the tokenizer, its chat template."""
CURVE = "curve.jsonl"
"""One line per step that was logged: `step`, `loss`, `learning_rate`, ... as transformers logs them."""
CHECKPOINTS = "checkpoints"

Cell = str | int | float | None


def _or_none(value: Any) -> Any:
    """JSON has no word for what is no number, so it is written as null."""
    return nan if value is None else value


Figure = Annotated[float, BeforeValidator(_or_none)]
"""A figure that may be no number, and comes back from a file as such: a stage that is done can always be read."""


class Job(BaseModel):
    """A stage, with every path resolved."""

    model_config = ConfigDict(frozen=True)

    stage: TrainingStage
    folder: str
    """Where it works: `model/`, `curve.jsonl`, `checkpoints/`."""
    manifest_base: str
    """Where relative paths of data start."""
    models: Mapping[str, str]
    """Folder of each model by what the manifest calls it, and of the one that the stage goes on from as `model`."""
    seed: int
    threads: int | None = None
    report_to: tuple[str, ...] = ()
    validation: tuple[Validation, ...] = ()
    """What a sweep is measured by; other stages are measured by the process that starts them."""
    measures: str = ""
    """Folder in which such measures are kept."""

    @property
    def path(self) -> Path:
        """The stage's folder."""
        return Path(self.folder)

    @property
    def model_path(self) -> Path:
        """Where what it makes goes."""
        return self.path / MODEL


class Table(BaseModel):
    """Figures for the page: a title, names of columns, rows, and what they say."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""


class Made(BaseModel):
    """What came of a stage; its model lies in `model/`."""

    counts: dict[str, int] = Field(default_factory=dict)
    """`steps`, `tokens` (that were read), `trained_tokens` (that a loss was counted on), `examples`, ..."""
    figures: dict[str, Figure] = Field(default_factory=dict)
    """Measures of the stage itself: `loss_first`, `loss_last`, `accuracy`, `margin`, `reward`, ..."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """Rows that were not trained on, by reason."""
    tables: list[Table] = Field(default_factory=list)
    """For the page."""
    charts: dict[str, str] = Field(default_factory=dict)
    """SVG by title, of `training.pages.charts`."""
