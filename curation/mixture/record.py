"""The record of a mixture, `run.json`: what a trainer checks, and what came of each stage and source."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from manifests.errors import RequestError
from manifests.record import RECORD, RunRecord
from manifests.store import Folder


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class TokenizerRecord(_Part):
    """The tokenizer that made the ids, and how they were computed."""

    path: str
    digest: str
    vocab_size: int
    eod_id: int
    bos_id: int | None
    pad_id: int
    engine: str
    """The package that computed the ids."""
    engine_version: str
    checked: dict[str, dict[str, Any]]
    """Of each source: on how many texts and bytes the ids of both engines were compared, and whether they agree."""


class StageRecord(_Part):
    """A stage as it came out."""

    name: str
    first_sequence: int
    n_sequences: int
    n_tokens: int
    asked_tokens: int
    overshoot: int
    """Tokens past what was asked, up to the end of the last sequence."""
    transition: int
    shares: dict[str, float]
    """By source, as asked over the whole stage."""
    taken: dict[str, int]
    """By source: tokens."""


class SourceRecord(_Part):
    """A source and what was taken of it."""

    name: str
    category: str
    n_documents: int
    """That may be trained on."""
    n_tokens: int
    """Of one pass through them."""
    n_bytes: int
    taken_tokens: int
    epochs: float
    left_out: dict[str, int]
    held_out_documents: int


class MixtureRecord(RunRecord):
    """What was mixed, from what, and what came of it."""

    sequence_length: int
    tokenizer: TokenizerRecord
    stages: list[StageRecord]
    sources: list[SourceRecord]
    validation: dict[str, dict[str, int]]
    """Of each category: documents and tokens that are held out."""
    store: str
    """Where the tokenised documents lie, if not in the mixture's own folder."""


def read_mixture(folder: Folder) -> MixtureRecord:
    """The record of a complete mixture.

    Raises:
        RequestError: there is none, or it is of another kind, or of a version that this Onggi does not read.
    """
    if not folder.exists(RECORD):
        state = "is not complete: run the same command again" if folder.exists("work") else "holds no mixture"
        raise RequestError(f"{folder.path}: {state} (no {RECORD})")
    try:
        found = folder.read_json(RECORD)
    except ValueError as error:
        raise RequestError(f"{folder.url(RECORD)}: is damaged: {error}") from None
    if not isinstance(found, dict) or found.get("kind") != "mixture":
        kind = found.get("kind") if isinstance(found, dict) else None
        raise RequestError(f"{folder.path}: is a run of `kind: {kind}`; expected one of `kind: mixture`")
    try:
        return MixtureRecord.model_validate(found)
    except ValueError as error:
        raise RequestError(f"{folder.url(RECORD)}: not a record that this version of Onggi reads: {error}") from None
