"""Scores of fastText models: the expectation over ordinal labels, or the probability of one label."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from classifiers.cards import FastTextCard
from classifiers.fasttext_models import FastTextModel
from classifiers.spelling import read_as
from manifests.errors import RequestError


class FastTextScore:
    """A fastText model with what its labels stand for."""

    def __init__(self, path: Path, card: FastTextCard) -> None:
        """Load the model at `path`.

        Raises:
            RequestError: it cannot be read, or its labels are not those of the card.
        """
        self._model = FastTextModel(path)
        self.digest = self._model.digest
        self._view = card.view
        self.is_ordinal = card.values is not None
        named = set(card.values) if card.values is not None else {str(card.positive)}
        unknown = sorted(named - set(self._model.labels))
        missing = sorted(set(self._model.labels) - named) if card.values is not None else []
        if unknown or missing:
            wrong = f"it has no label {unknown[0]!r}" if unknown else f"the label {missing[0]!r} has no value"
            raise RequestError(f"{path}: {wrong}; its labels: {', '.join(sorted(self._model.labels))}")
        weights = card.values or {str(card.positive): 1.0}
        self._weights = np.array([weights.get(name, 0.0) for name in self._model.labels])

    def score(self, texts: pa.LargeStringArray) -> pa.Array:
        """float64 of n texts; null where no word is known."""
        top = self._model.predict(read_as(texts, self._view), len(self._model.labels))
        total = (self._weights[top.label] * top.score * (top.label >= 0)).sum(axis=1)
        known = pc.and_(pc.is_valid(texts), pa.array(top.label[:, 0] >= 0))
        return pc.if_else(known, pa.array(total), pa.scalar(None, pa.float64()))
