"""The table of an evaluation: models below each other, results side by side, `core` first and then `chat`.

Kanana's reports judge each stage of its post-training by such a table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from training.evaluating.compare import Difference, difference
from training.evaluating.results import Evaluated, ModelResults, Score
from training.pages.values import plain, signed

SIDES = ("core", "chat")


def is_share(result: Evaluated) -> bool:
    """Whether a main score goes from 0 to 1, and so is written in percent."""
    return is_share_score(result, result.main)


def is_share_score(result: Evaluated, name: str) -> bool:
    """The same of any of its scores: those of judges go from 1 to 10, but for shares of wins; losses and perplexities
    have no end."""
    if result.kind == "judged":
        return result.main == "win_rate"
    score = result.scores.get(name)
    return score is None or (score.more_is_better and not score.value > 1 and not score.value < 0)


def written(value: float, as_share: bool) -> str:
    """A score: 54.32 of a share in percent, 7.31 of points, 2.4937 of a loss."""
    return plain(round(100 * value, 2)) if as_share else plain(float(f"{value:.4g}"))


@dataclass(frozen=True)
class Column:
    """A result that models are compared by."""

    name: str
    side: str
    main: str
    shots: str
    """What stands below its name: shots, or how it is measured."""


@dataclass(frozen=True)
class CellShown:
    """A score in the table."""

    score: Score | None
    text: str
    interval: str
    change: Difference | None
    change_text: str
    why: str = ""

    @property
    def verdict(self) -> str:
        """Whether the difference is sure, and good, as the colours of the page say it."""
        if self.change is None or not self.change.is_sure:
            return ""
        return "kept" if self.change.is_better else "dropped"


@dataclass(frozen=True)
class Row:
    """A model."""

    name: str
    cells: list[CellShown]
    means: dict[str, str]
    """Mean of the shares of each side, where the model has all of them."""


@dataclass(frozen=True)
class ScoreTable:
    """The whole table."""

    columns: list[Column]
    rows: list[Row]
    compare_with: str

    def sides(self) -> list[tuple[str, int]]:
        """Sides that there are, with the number of columns of each."""
        found = [(side, sum(column.side == side for column in self.columns)) for side in SIDES]
        return [(side, n) for side, n in found if n]

    def has_mean(self, side: str) -> bool:
        """Whether a side has a mean: of two shares or more."""
        return any(row.means.get(side) for row in self.rows)


def score_table(models: Sequence[ModelResults], compare_with: str) -> ScoreTable:
    """The table of models.

    Args:
        models: in the order of rows.
        compare_with: the model whose scores others are compared with; its own cells have no difference.
    """
    found = list(_columns(models))
    reference = next((model for model in models if model.name == compare_with), None)
    rows = [_row(model, found, reference) for model in models]
    return ScoreTable(found, rows, compare_with)


def _columns(models: Sequence[ModelResults]) -> Iterator[Column]:
    seen = dict[str, Evaluated]()
    for model in models:
        for result in model.results:
            if result.name not in seen or not seen[result.name].main:
                seen[result.name] = result
    for side in SIDES:
        for name, result in seen.items():
            if result.side == side:
                yield Column(name, side, result.main, _shots(result))


def _shots(result: Evaluated) -> str:
    shots = result.settings.get("shots")
    said = [result.main.replace("_", " ")] if result.main else []
    said += (
        [f"{shots} shot{'' if shots == 1 else 's'}"] if isinstance(shots, int) and result.kind == "benchmark" else []
    )
    return ", ".join(said)


def _row(model: ModelResults, columns: Sequence[Column], reference: ModelResults | None) -> Row:
    others = [reference.of(column.name) if reference else None for column in columns]
    cells = [cell(model.of(column.name), other) for column, other in zip(columns, others, strict=True)]
    return Row(model.name, cells, {side: _mean(model, columns, side) for side in SIDES})


def cell(result: Evaluated | None, other: Evaluated | None) -> CellShown:
    """A score as the table shows it, beside that of the model that it is compared with."""
    score = result.score if result else None
    if result is None or score is None:
        return CellShown(None, "–", "", None, "", result.why if result else "")
    as_share = is_share(result)
    change = difference(result, other) if other is not result else None
    return CellShown(
        score,
        written(score.value, as_share),
        _interval(score, as_share),
        change,
        signed(round(change.value * (100 if as_share else 1), 4)) if change and change.value else "",
    )


def _interval(score: Score, as_share: bool) -> str:
    if score.low is None or score.high is None:
        return ""
    return f"{written(score.low, as_share)} to {written(score.high, as_share)}"


def _mean(model: ModelResults, columns: Sequence[Column], side: str) -> str:
    """Mean of a side's benchmarks, as the reports have it; empty where one is missing or there are fewer than two."""
    found = [model.of(column.name) for column in columns if column.side == side]
    shares = [result for result in found if result and result.kind == "benchmark" and is_share(result)]
    asked = [result for result in found if result is None or (result.kind == "benchmark" and is_share(result))]
    values = [score.value for result in shares if (score := result.score)]
    return written(fmean(values), True) if len(values) == len(asked) > 1 else ""
