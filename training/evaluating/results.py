"""What an evaluation finds of a model: scores with intervals, the score of each question, and what was said."""

from math import isfinite

from pydantic import BaseModel, Field

from training.jobs import Cell, Figure


class Score(BaseModel):
    """A figure with its interval at 95%."""

    value: Figure
    low: Figure | None = None
    high: Figure | None = None
    n: int = 0
    """Questions, cells or answers that it is a mean of."""
    more_is_better: bool = True


class GridCell(BaseModel):
    """A cell of the grid of hidden sentences."""

    language: str
    length: int
    """Tokens of the prompt."""
    depth: float
    """Share of the text that stands before the needle."""
    n: int
    score: Figure
    """Share of the needles that were found."""


class Item(BaseModel):
    """A question and what came of it, for people to read; a line of `items/*.jsonl`."""

    id: str
    group: str = ""
    """Subject, category or turn."""
    prompt: str
    expected: str = ""
    answer: str = ""
    """What the model said, or which choice was the likeliest."""
    score: Figure
    note: str = ""
    """What the judge said, which tests failed, which instructions were not followed."""


class Evaluated(BaseModel):
    """What a model came to on a benchmark, the grid, or by a judge."""

    name: str
    """As the manifest calls it."""
    kind: str
    """`benchmark`, `needle`, `judged`, or `validation`."""
    side: str = "core"
    """`core` or `chat`: on which side of the table it stands."""
    main: str = ""
    """Which of its scores is the one that tables show."""
    scores: dict[str, Score] = Field(default_factory=dict)
    groups: dict[str, Score] = Field(default_factory=dict)
    """The main score of each subject, category or turn, where there are any."""
    units: list[Figure] = Field(default_factory=list)
    """The main score of each question, in an order that is the same for all models."""
    cells: list[GridCell] = Field(default_factory=list)
    """Of the grid."""
    settings: dict[str, Cell] = Field(default_factory=dict)
    """What the figure means: `task`, `shots`, `form` (log-likelihood, generation), `chat`, `version`, ..."""
    items: str = ""
    """File of the items, as a path from the run's folder."""
    why: str = ""
    """Why it could not be measured; there is no score then."""
    notes: list[str] = Field(default_factory=list)
    """What readers of the figure must know: answers that were cut, questions that were left out, a judge that could
    not be read."""

    @property
    def score(self) -> Score | None:
        """The main score; None where there is none, or it is no number."""
        found = self.scores.get(self.main)
        return found if found is not None and isfinite(found.value) else None


class ModelResults(BaseModel):
    """What a model came to on all that was asked."""

    name: str
    folder: str
    results: list[Evaluated] = Field(default_factory=list)

    def of(self, name: str) -> Evaluated | None:
        """A result by its name."""
        return next((result for result in self.results if result.name == name), None)
