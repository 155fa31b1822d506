"""The classifiers of `measure.scores`: where they lie, what their scores depend on, and the columns they give."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from manifests.errors import RequestError
from manifests.schema import Score
from manifests.store import resolve

if TYPE_CHECKING:
    from classifiers.scorer import Scorer  # loads what a manifest without scores does not need


def resolved_model(model: str, base: str) -> str:
    """The absolute path of a model; the name of one that comes with Onggi stays where nothing lies at its path."""
    from classifiers.scorer import find_model

    path = resolve(model, base)
    return path if find_model(path, model) == path else model


def model_path(model: str) -> str:
    """Where a resolved model lies."""
    from classifiers.scorer import SHIPPED

    return model if "/" in model else str(SHIPPED / model)


def scorer(score: Score) -> "Scorer":
    """The model of a score; loaded once per process, and again when its files have changed.

    Raises:
        RequestError: there is no such model, or it cannot be read.
    """
    path = Path(model_path(score.model))
    try:
        return _loaded(path, score.label, _stamp(path))
    except RequestError as error:
        raise RequestError(f"measure.scores: {score.name}: {error}") from error


@lru_cache(8)
def _loaded(path: Path, label: str | None, stamp: tuple[tuple[str, int, int], ...]) -> "Scorer":
    from classifiers.scorer import Scorer

    return Scorer(path, label)


def _stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of a model's files."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [(str(file), file.stat()) for file in files if file.is_file()]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def model_digests(scores: Sequence[Score]) -> dict[str, str]:
    """What the scores of each model depend on, by their names.

    Raises:
        RequestError: a model is not there, or cannot be read.
    """
    return {score.name: scorer(score).fingerprint for score in scores}


def score_columns(
    scores: Sequence[Score], texts: pa.LargeStringArray, languages: pa.Array | None
) -> dict[str, pa.Array]:
    """NAME_score (float64) and NAME_int_score (int64) of n texts, null where a model finds nothing to judge by.

    Args:
        scores: the classifiers.
        texts: shape (n,), without nulls.
        languages: of the texts (BCP 47), where they were measured.
    """
    columns: dict[str, pa.Array] = {}
    for score in scores:
        found = scorer(score).score(texts, languages)
        columns |= dict(zip(score.columns, (found.score, found.int_score), strict=True))
    return columns
