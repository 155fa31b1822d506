"""Models that score documents, as folders on disk: `classifier.json` says what lies beside it and what a score means.

A plain fastText file serves as well, such as DCLM's: what it says of one label is the score.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from classifiers.cards import CARD, Card, FastTextCard, HeadCard, LanguagesCard, LsaCard, read_card
from classifiers.code import SCORING_CODE
from classifiers.fasttext_score import FastTextScore
from classifiers.head_score import HeadScore
from classifiers.language import LanguageIdentifier
from classifiers.lsa_score import LsaScore
from manifests.code import code_digest
from manifests.errors import RequestError

MIN_SCORE, MAX_SCORE = 0, 5
"""Of `NAME_int_score` where labels are ordinal, as FineWeb-Edu clips its own."""

SHIPPED = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Scores:
    """Of n documents; null for a text in which the model finds no word it could judge by, and for null."""

    score: pa.Array
    """float64: the expectation of the label, or a probability."""
    int_score: pa.Array
    """int64: rounded and clipped to 0 to 5; of a probability, whether it is at least one half."""


class ScoringModel(Protocol):
    """A model of some kind."""

    digest: str
    """Changes when scores may."""
    is_ordinal: bool
    """Whether scores are on the scale 0 to 5, and not a probability."""

    def score(self, texts: pa.LargeStringArray) -> pa.Array:
        """float64 of n texts, null where there is nothing to judge by."""


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
        card = _card(path, label)
        if isinstance(card, LanguagesCard):
            self._models = {
                language: _load(path / name, read_card(path / name)) for language, name in card.models.items()
            }
        else:
            self._models = {"": _load(path, card)}
        self._identifier = LanguageIdentifier() if self.by_language else None
        digests = {language: model.digest for language, model in self._models.items()}
        how = self._identifier.fingerprint if self._identifier else ""
        depends = f"{card.model_dump_json()} {digests} {how} {code_digest(*SCORING_CODE)}"
        self.fingerprint = xxhash.xxh3_64_hexdigest(depends.encode())
        """Changes when scores may."""

    @property
    def by_language(self) -> bool:
        """Whether the language of a text picks the model."""
        return "" not in self._models

    @property
    def languages(self) -> list[str]:
        """The languages that it has a model for; empty where one model is for all."""
        return sorted(self._models) if self.by_language else []

    def score(self, texts: pa.LargeStringArray, languages: pa.Array | None = None) -> Scores:
        """Scores of n texts.

        Args:
            texts: shape (n,).
            languages: of the texts (BCP 47), where they are known; where not, and where null, they are identified if
                the model needs them.
        """
        if not self.by_language:
            return _scores(self._models[""].score(texts), self._models[""].is_ordinal)
        if languages is None:
            languages = pa.nulls(len(texts), pa.string())
        return _by_language(self._models, texts, self._identified(texts, languages.cast(pa.string())))

    def _identified(self, texts: pa.LargeStringArray, languages: pa.Array) -> pa.Array:
        """The languages, with those that are null identified."""
        assert self._identifier
        if not languages.null_count:
            return languages
        unknown = pc.is_null(languages)
        found = self._identifier.identify(texts.filter(unknown)).language
        return pc.replace_with_mask(languages, unknown, found)


def _by_language(models: Mapping[str, ScoringModel], texts: pa.LargeStringArray, languages: pa.Array) -> Scores:
    """Each text by the model of its language."""
    which = pc.fill_null(pc.index_in(languages, pa.array(list(models), languages.type)), -1).to_numpy()
    rows = [np.flatnonzero(which == number) for number in range(-1, len(models))]
    nothing = pa.nulls(len(rows[0]), pa.float64())
    found = [Scores(nothing, nothing.cast(pa.int64()))]
    for model, mine in zip(models.values(), rows[1:], strict=True):
        found.append(_scores(model.score(texts.take(pa.array(mine))), model.is_ordinal))
    back = pa.array(np.argsort(np.concatenate(rows), kind="stable"))
    return Scores(
        pa.concat_arrays([part.score for part in found]).take(back),
        pa.concat_arrays([part.int_score for part in found]).take(back),
    )


def _scores(score: pa.Array, is_ordinal: bool) -> Scores:
    values = score.to_numpy(zero_copy_only=False)
    rounded = values.round().clip(MIN_SCORE, MAX_SCORE) if is_ordinal else values >= 0.5
    whole = pa.array(np.nan_to_num(rounded.astype(float)).astype(np.int64))
    return Scores(score, pc.if_else(pc.is_valid(score), whole, pa.scalar(None, pa.int64())))


def _card(path: Path, label: str | None) -> Card:
    if path.is_dir():
        return read_card(path)
    if not path.exists():
        raise RequestError(f"{path}: does not exist; models that come with Onggi: {', '.join(shipped_models())}")
    if label is None:
        raise RequestError(
            f"{path}: is no folder with a {CARD}; of a plain fastText file say which label counts: --label hq"
        )
    return FastTextCard(model=path.name.lstrip("."), positive=label)


def _load(path: Path, card: Card) -> ScoringModel:
    """The model of a card; `path` is its folder, or a plain fastText file."""
    match card:
        case FastTextCard():
            return FastTextScore(path / card.model if path.is_dir() else path, card)
        case HeadCard():
            return HeadScore(path, card)
        case LsaCard():
            return LsaScore(path / card.model)
        case LanguagesCard():
            raise RequestError(f"{path / CARD}: a model of a language cannot be one of languages itself")


def shipped_models() -> list[str]:
    """Names of the classifiers that come with Onggi."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{CARD}"))


def find_model(path: str, shipped: str) -> str:
    """The path of a model: as it is where something lies there, else the shipped model called `shipped`."""
    if Path(path).exists() or shipped not in shipped_models():
        return path
    return str(SHIPPED / shipped)
