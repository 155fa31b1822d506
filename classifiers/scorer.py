"""Models that score documents, as folders on disk: `classifier.json` says what lies beside it and what a score means.

A plain fastText file serves as well, such as DCLM's: what it says of one label is the score.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from classifiers.fasttext_models import FastTextModel
from manifests.errors import RequestError

CARD = "classifier.json"
MIN_SCORE, MAX_SCORE = 0, 5
"""Of `NAME_int_score` where labels are ordinal, as FineWeb-Edu clips its own."""


class Card(BaseModel):
    """What `classifier.json` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["onggi-classifier"] = "onggi-classifier"
    version: Literal[1] = 1
    kind: Literal["fasttext"] = "fasttext"
    model: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")
    """File name of the weights, beside this file."""
    values: dict[str, float] | None = None
    """What each label stands for: the score is the expectation over all of them."""
    positive: str | None = None
    """Instead: the label whose probability is the score."""

    @model_validator(mode="after")
    def _one_score(self) -> "Card":
        if (self.values is None) == (self.positive is None):
            raise ValueError("give either `values` of all labels or the `positive` one")
        return self


@dataclass(frozen=True)
class Scores:
    """Of n documents; null for a text in which the model finds no word it could judge by, and for null."""

    score: pa.Array
    """float64: the expectation of the label, or a probability."""
    int_score: pa.Array
    """int64: rounded and clipped to 0 to 5; of a probability, whether it is at least one half."""


class Scorer:
    """A model that scores texts."""

    def __init__(self, path: str | Path, label: str | None = None) -> None:
        """Load a model.

        Args:
            path: of a folder with `classifier.json`, or of a fastText model (.bin, .ftz).
            label: of a plain fastText model: the label whose probability is the score.

        Raises:
            RequestError: there is no such model, it cannot be read, or it has no such label; says what is there.
        """
        path = Path(path)
        card, file = self._card(path, label)
        self._model = FastTextModel(file)
        self.fingerprint = xxhash.xxh3_64_hexdigest(f"{card.model_dump_json()} {self._model.digest}".encode())
        """Changes when scores may."""
        named = set(card.values) if card.values is not None else {str(card.positive)}
        unknown = sorted(named - set(self._model.labels))
        missing = sorted(set(self._model.labels) - named) if card.values is not None else []
        if unknown or missing:
            wrong = f"it has no label {unknown[0]!r}" if unknown else f"the label {missing[0]!r} has no value"
            raise RequestError(f"{path}: {wrong}; its labels: {', '.join(sorted(self._model.labels))}")
        weights = card.values or {str(card.positive): 1.0}
        self._weights = np.array([weights.get(name, 0.0) for name in self._model.labels])
        self._is_ordinal = card.values is not None

    @staticmethod
    def _card(path: Path, label: str | None) -> tuple[Card, Path]:
        if not path.is_dir():
            if label is None:
                raise RequestError(
                    f"{path}: is no folder with a {CARD}; of a plain fastText file say which label counts: --label hq"
                )
            return Card(model=path.name.lstrip("."), positive=label), path
        try:
            card = Card.model_validate(orjson.loads((path / CARD).read_bytes()))
        except FileNotFoundError as error:
            raise RequestError(f"{path}: holds no {CARD}, so it is no classifier of Onggi") from error
        except (ValueError, ValidationError) as error:
            raise RequestError(f"{path / CARD}: cannot be read: {error}") from error
        return card, path / card.model

    def score(self, texts: pa.LargeStringArray) -> Scores:
        """Scores of n texts."""
        top = self._model.predict(texts, len(self._model.labels))
        score = self._expectation(top.label, top.score)
        known = pc.and_(pc.is_valid(texts), pa.array(top.label[:, 0] >= 0))
        rounded = score.round().clip(MIN_SCORE, MAX_SCORE) if self._is_ordinal else score >= 0.5
        return Scores(
            pc.if_else(known, pa.array(score), pa.scalar(None, pa.float64())),
            pc.if_else(known, pa.array(rounded.astype(np.int64)), pa.scalar(None, pa.int64())),
        )

    def _expectation(
        self, label: npt.NDArray[np.int64], probability: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float64]:
        total: npt.NDArray[np.float64] = (self._weights[label] * probability * (label >= 0)).sum(axis=1)
        return total


def write_card(folder: Path, card: Card) -> None:
    """Make a folder a classifier."""
    (folder / CARD).write_bytes(orjson.dumps(card.model_dump(exclude_none=True), option=orjson.OPT_INDENT_2) + b"\n")
