"""What a model on disk is: `classifier.json`, a card per kind of model."""

from pathlib import Path
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from classifiers.spelling import View
from manifests.errors import RequestError

CARD = "classifier.json"

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
"""Of something beside the card; no path leads out of its folder."""


class _Card(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["onggi-classifier"] = "onggi-classifier"
    version: Literal[1] = 1


class FastTextCard(_Card):
    """A fastText model."""

    kind: Literal["fasttext"] = "fasttext"
    model: FileName
    values: dict[str, float] | None = None
    """What each label stands for: the score is the expectation over all of them."""
    positive: str | None = None
    """Instead: the label whose probability is the score."""
    view: View | None = None
    """What it was trained to read: texts with the spellings undone that hide words; without it, texts as they are."""

    @model_validator(mode="after")
    def _one_score(self) -> "FastTextCard":
        if (self.values is None) == (self.positive is None):
            raise ValueError("give either `values` of all labels or the `positive` one")
        return self


class HeadCard(_Card):
    """A linear regression on the vectors of an encoder; scores are on the scale 0 to 5."""

    kind: Literal["head"] = "head"
    encoder: FileName = "encoder"
    """Folder of the encoder beside this file."""
    head: FileName = "head.safetensors"
    """Tensors `weight` (1, dimensions) and `bias` (1,), as those of torch's `Linear`."""
    pooling: Literal["mean", "cls", "last"]
    max_tokens: int = Field(ge=2)
    """Of a text so many of its first tokens are seen."""
    prefix: str = ""
    """Stands before each text."""


class LsaCard(_Card):
    """An LSA classifier (classifiers.lsa), whose scores lie on the scale of its labels, 0 to 5."""

    kind: Literal["lsa"] = "lsa"
    model: FileName


class LanguagesCard(_Card):
    """A model per language; what is in none of them has no score."""

    kind: Literal["languages"] = "languages"
    models: dict[str, FileName] = Field(min_length=1)
    """Folder of a classifier beside this file, by language (BCP 47)."""


Card = FastTextCard | HeadCard | LsaCard | LanguagesCard
_ANY: TypeAdapter[Card] = TypeAdapter(Annotated[Card, Field(discriminator="kind")])


def read_card(folder: Path) -> Card:
    """The card of a folder.

    Raises:
        RequestError: there is none, or it cannot be read; says what is wrong.
    """
    try:
        return _ANY.validate_python(orjson.loads((folder / CARD).read_bytes()))
    except FileNotFoundError as error:
        raise RequestError(f"{folder}: holds no {CARD}, so it is no classifier of Onggi") from error
    except (ValueError, ValidationError) as error:
        raise RequestError(f"{folder / CARD}: cannot be read: {error}") from error


def write_card(folder: Path, card: Card) -> None:
    """Make a folder a classifier."""
    (folder / CARD).write_bytes(orjson.dumps(card.model_dump(exclude_none=True), option=orjson.OPT_INDENT_2) + b"\n")
