"""What `validation` of a manifest is measured on: documents, held-out sequences, questions. No torch is needed."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from string import ascii_uppercase
from typing import Any, TypeVar

import fsspec
import numpy as np
import xxhash

from classifiers.rows import frames, input_files
from curation.mixture.record import MixtureRecord
from manifests.errors import RequestError, RunError
from manifests.schema_training_gates import Validation
from manifests.store import resolve
from training.token_dataset import TokenDataset

T = TypeVar("T")
QUESTION = ("question", "choices", "answer")


@dataclass(frozen=True)
class Documents:
    """Texts that a loss is counted on."""

    texts: list[str]
    n_blank: int
    """Rows without text, which are left out."""


@dataclass(frozen=True)
class Question:
    """A question with choices, one of which is right."""

    question: str
    choices: tuple[str, ...]
    right: int
    """Place of the right one, from 0."""


@dataclass(frozen=True)
class HeldOut:
    """Held-out sequences of a mixture, each as the stretches of ids that do not see each other."""

    sequences: list[list[list[int]]]
    record: MixtureRecord


def documents_of(settings: Validation, base: str) -> Documents:
    """The documents of a set, in the order of its files; with a limit, those whose hashes are lowest.

    Raises:
        RequestError: there is none, or a file or its column cannot be read; names set, file and field.
    """
    assert settings.text is not None
    where, found, n_blank = f"validation.{settings.name}", list[tuple[int, int, str]](), 0

    def texts() -> Iterator[tuple[int, int, str]]:
        nonlocal n_blank
        for number, (text,) in enumerate(_rows(settings.text or "", base, (settings.column,), f"{where}.text")):
            if text is not None and not isinstance(text, str):
                raise RequestError(
                    f"{where}.column: {settings.text}: record {number + 1}: `{settings.column}` holds "
                    f"{type(text).__name__}; expected text"
                )
            if text is None or not text.strip():
                n_blank += 1
            else:
                yield xxhash.xxh3_64_intdigest(text.encode()), number, text

    found = _lowest(texts(), settings.limit)
    if not found:
        raise RequestError(
            f"{where}.text: {settings.text}: no row has text in `{settings.column}`; name files with documents"
        )
    return Documents([text for _, _, text in found], n_blank)


def questions_of(settings: Validation, base: str) -> list[Question]:
    """The questions of a set, in the order of its files; with a limit, those whose hashes are lowest.

    Raises:
        RequestError: there is none, or one cannot be read; names set, file, record and field.
    """
    assert settings.choices is not None
    where = f"validation.{settings.name}.choices"

    def questions() -> Iterator[tuple[int, int, Question]]:
        for number, row in enumerate(_rows(settings.choices or "", base, QUESTION, where)):
            question = _question(row, f"{where}: {settings.choices}: record {number + 1}")
            yield xxhash.xxh3_64_intdigest(repr(question).encode()), number, question

    found = _lowest(questions(), settings.limit)
    if not found:
        raise RequestError(f"{where}: {settings.choices}: holds no question; name a file with {', '.join(QUESTION)}")
    return [question for _, _, question in found]


def _question(row: tuple[Any, ...], where: str) -> Question:
    question, choices, answer = row
    if not isinstance(question, str) or not question.strip():
        raise RequestError(f"{where}: `question`: expected text")
    listed = list(choices) if isinstance(choices, Sequence) and not isinstance(choices, str) else []
    if len(listed) < 2 or len(listed) > len(ascii_uppercase) or not all(isinstance(one, str) for one in listed):
        raise RequestError(f"{where}: `choices`: expected a list of 2 to {len(ascii_uppercase)} texts")
    if blank := [place for place, one in enumerate(listed) if not one.strip()]:
        raise RequestError(f"{where}: `choices`: number {blank[0]} (from 0) is blank")
    return Question(question.strip(), tuple(one.strip() for one in listed), _right(answer, len(listed), where))


def _right(answer: Any, n: int, where: str) -> int:
    """Place of the right choice."""
    letters = ascii_uppercase[:n]
    place = answer if isinstance(answer, int) and not isinstance(answer, bool) else -1
    if isinstance(answer, str):
        written = answer.strip()
        is_letter = len(written) == 1 and written.upper() in letters
        place = letters.index(written.upper()) if is_letter else int(written) if written.isdecimal() else -1
    if isinstance(answer, float) and answer.is_integer():
        place = int(answer)
    if not 0 <= place < n:
        raise RequestError(
            f"{where}: `answer`: found {answer!r}; expected a place from 0 to {n - 1}, or a letter from A to "
            f"{letters[-1]}"
        )
    return place


def held_out_of(settings: Validation, base: str) -> HeldOut:
    """The held-out sequences of a mixture, in their order; with a limit, those whose numbers hash lowest.

    Raises:
        RequestError: there is no complete mixture, or nothing of it is held out.
    """
    assert settings.mixture is not None
    where = f"validation.{settings.name}.mixture"
    try:
        dataset = TokenDataset(resolve(settings.mixture, base), split="validation")
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from error
    numbers = ((xxhash.xxh3_64_intdigest(str(i).encode()), i, i) for i in range(len(dataset)))
    chosen = [i for _, _, i in _lowest(numbers, settings.limit)]
    sequences = [_stretches(dataset[i]) for i in chosen]
    sequences = [stretches for stretches in sequences if stretches]
    if not sequences:
        raise RequestError(f"{where}: {settings.mixture}: no held-out sequence has two tokens; set `validation.frac`")
    return HeldOut(sequences, dataset.record)


def _stretches(item: dict[str, Any]) -> list[list[int]]:
    """Ids that see each other, without padding; a stretch of a single token has nothing to foretell."""
    ids, n_tokens = item["input_ids"], int(item["n_tokens"])
    bounds = [int(end) for end in item["cu_seqlens"] if end <= n_tokens]
    bounds += [n_tokens] if bounds[-1] < n_tokens else []
    pieces = (np.asarray(ids[start:end]) for start, end in pairwise(bounds))
    return [piece.tolist() for piece in pieces if len(piece) > 1]


def _lowest(items: Iterator[tuple[int, int, T]], limit: int | None) -> list[tuple[int, int, T]]:
    """All, or those with the lowest hashes in the order of their numbers."""
    if limit is None:
        return list(items)
    return sorted(heapq.nsmallest(limit, items, key=lambda item: item[:2]), key=lambda item: item[1])


def _rows(path: str, base: str, columns: Sequence[str], where: str) -> Iterator[tuple[Any, ...]]:
    """The named columns of each row of all files."""
    try:
        for file in input_files(resolve(path, base)):
            for frame in frames(file, columns):
                yield from frame.iter_rows()
    except (RequestError, RunError) as error:
        raise RequestError(f"{where}: {error}") from error
    except OSError as error:
        raise RequestError(f"{where}: {path}: cannot be read: {error}") from error


def data_digest(settings: Validation, base: str) -> str:
    """XXH3-128 of what a set is read from: bytes of its files, or what a mixture was made from.

    Raises:
        RequestError: it is not there.
    """
    where = f"validation.{settings.name}"
    if settings.mixture is not None:
        return _named(
            lambda: TokenDataset(resolve(settings.mixture or "", base), split="validation"), where
        ).record.fingerprint
    path = settings.text or settings.choices or ""
    return files_digest(
        _named(lambda: input_files(resolve(path, base)), f"{where}.{'text' if settings.text else 'choices'}")
    )


def _named(read: Callable[[], T], where: str) -> T:
    try:
        return read()
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from error


def files_digest(paths: Sequence[str]) -> str:
    """XXH3-128 of the bytes of files, one after the other, each with its size."""
    digest = xxhash.xxh3_128()
    for path in paths:
        with fsspec.open(path, "rb") as file:
            size = 0
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                size += len(chunk)
        digest.update(size.to_bytes(8, "little"))
    return digest.hexdigest()
