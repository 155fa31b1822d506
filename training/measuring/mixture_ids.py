"""Whether the ids of a mixture mean to a model what they meant when the mixture was made."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from curation.mixture.record import MixtureRecord
from curation.tokens.tokenizer import load_tokenizer
from manifests import schema_mixture
from manifests.errors import RequestError
from synth.teachers.tokens import PROBE


def why_other_ids(model: Path, tokenizer: Any, record: MixtureRecord, ids: Iterable[int]) -> str | None:
    """Why a model cannot be fed with a mixture's ids; None where each of them is the same token to both.

    A tokenizer that was saved again, or got tokens for chat, has another file, so its digest alone says little.

    Args:
        model: its folder.
        tokenizer: of the model, of transformers.
        record: of the mixture.
        ids: those that the model is to be fed with.
    """
    settings = schema_mixture.Tokenizer.model_validate(record.manifest["tokenizer"])
    try:
        own = load_tokenizer(settings.model_copy(update={"path": str(model)}), str(model), "library")
        if own.digest == record.tokenizer.digest:
            return None
    except RequestError:
        pass  # one without that end of a document, or in no file that can be compared: its tokens tell
    try:
        theirs = load_tokenizer(settings, record.manifest_base, "library")
    except RequestError as error:
        return f"it was made with a tokenizer that is not the model's file and cannot be compared with it: {error}"
    if theirs.digest != record.tokenizer.digest:
        return f"it was made with a tokenizer that {record.tokenizer.path} no longer is; name a `text` instead"
    if theirs.file.kind != "json":
        same = tokenizer(PROBE, add_special_tokens=False)["input_ids"] == _ids(theirs)
        return None if same else _other("a probe has other ids")
    for number in sorted(set(ids)):
        token = tokenizer.convert_ids_to_tokens(number) if number < len(tokenizer) else None
        if token != theirs.token(number):
            return _other(f"id {number} is {theirs.token(number)!r} in it and {token!r} to the model")
    return None


def _ids(tokenizer: Any) -> list[int]:
    import pyarrow as pa

    found, _ = tokenizer.encode(pa.array([PROBE], pa.large_string()))
    return [int(number) for number in found]


def _other(how: str) -> str:
    return f"it was made with another tokenizer: {how}; name a `text` instead, which each model tokenises itself"
