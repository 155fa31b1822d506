"""Texts that a search is to lower the loss of, from files."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from classifiers.rows import input_files
from curation.mixture.survey import MixJob
from manifests.errors import RequestError, RunError
from manifests.schema_mixture import Target
from manifests.store import resolve
from training.chat.rows import Left, Source, read_rows

DOCUMENTS_MAX = 4096
"""Of a target without `limit`: as many are looked at, those whose hashes are lowest."""
TARGET_BYTES = 1 << 17
"""And measured are the first of them, up to so many bytes."""


@dataclass(frozen=True)
class Text:
    """Documents of a target."""

    name: str
    weight: float
    ids: NDArray[np.int64]
    """One after another, each with its end."""
    n_bytes: int
    n_documents: int
    n_all_documents: int
    contents: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    """Hashes of the texts, as the store has them, of those that a source may hold."""


def texts_of(job: MixJob) -> list[Text]:
    """The targets of a manifest, tokenised.

    Raises:
        RequestError: one has no text, or cannot be read; names the target and the file.
    """
    targets = job.manifest.search.targets
    names = [target.name for target in targets]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RequestError(f"search.targets: names used twice: {', '.join(twice)}")
    return [_text(job, target) for target in targets]


def _text(job: MixJob, target: Target) -> Text:
    documents, n_all = _documents(job, target)
    ids, bounds = job.tokenizer.encode(pa.array(documents, pa.large_string()))
    found = np.insert(ids.astype(np.int64), bounds[1:], job.tokenizer.eod_id)
    if job.tokenizer.bos_id is not None:
        found = np.insert(found, bounds[:-1] + np.arange(len(documents)), job.tokenizer.bos_id)
    encoded = [document.encode() for document in documents]
    digests = b"".join(xxhash.xxh3_128_digest(document)[:8] for document in encoded)
    return Text(
        name=target.name,
        weight=target.weight,
        ids=found,
        n_bytes=sum(map(len, encoded)),
        n_documents=len(documents),
        n_all_documents=n_all,
        contents=np.frombuffer(digests, ">u8").astype(np.uint64),
    )


def _documents(job: MixJob, target: Target) -> tuple[list[str], int]:
    """The documents whose hashes are lowest, and how many there are."""
    n_all = 0

    def counted() -> Iterator[tuple[int, str]]:
        nonlocal n_all
        for text in _texts(job, target):
            n_all += 1
            yield xxhash.xxh3_64_intdigest(text.encode()), text

    found = [text for _, text in heapq.nsmallest(target.limit or DOCUMENTS_MAX, counted())]
    if not found:
        raise RequestError(
            f"search.targets: {target.name}: {target.path}: no row has text in `{target.column}`; name files with "
            "documents, or the column of their text"
        )
    if target.limit is None:
        ends = np.cumsum([len(text.encode()) for text in found])
        found = found[: max(1, int(np.searchsorted(ends, TARGET_BYTES, "right")))]
    return found, n_all


def _texts(job: MixJob, target: Target) -> Iterator[str]:
    at = f"search.targets: {target.name}"
    try:
        for file in input_files(resolve(target.path, job.base)):
            for row in read_rows(Source(path=file, at=at), (target.column,), Left()):
                text = row.values[target.column]
                if text is not None and not isinstance(text, str):
                    raise RequestError(
                        f"{at}: {row.place}: `{target.column}` holds {type(text).__name__}; expected text"
                    )
                if text and text.strip():
                    yield text
    except (RequestError, RunError, OSError) as error:
        said = str(error)
        raise RequestError(said if said.startswith(f"{at}: ") else f"{at}: {said}") from error
