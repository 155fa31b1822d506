"""What `validation` of a manifest is measured on: documents, held-out sequences, questions. No torch is needed."""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from string import ascii_uppercase
from typing import Any, TypeVar

import numpy as np
import xxhash

from classifiers.rows import input_files
from curation.mixture.record import MixtureRecord, read_mixture
from manifests.errors import RequestError, RunError
from manifests.schema_training_gates import Validation
from manifests.store import Folder, resolve
from training.chat.rows import Left, Row, Source, read_rows
from training.token_dataset import TokenDataset

T = TypeVar("T")
QUESTION = ("question", "choices", "answer")
LETTERED = ("A", "B", "C", "D", "E")
"""Columns of the choices where there is no `choices`, as KMMLU is published; its answers are counted from 1."""


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
    at = f"validation.{settings.name}"
    return documents_in(settings.text, base, settings.column, settings.limit, f"{at}.text", f"{at}.column")


def documents_in(path: str, base: str, column: str, limit: int | None, at: str, at_column: str) -> Documents:
    """The documents of files, in their order; with a limit, those whose hashes are lowest.

    Args:
        path: of the files: Parquet or JSONL.
        base: where a relative path starts.
        column: that holds the texts.
        limit: how many are taken.
        at: the field that names the path, for messages.
        at_column: the field that names the column.

    Raises:
        RequestError: there is none, or a file or its column cannot be read; names field and file.
    """
    n_blank = 0

    def texts() -> Iterator[tuple[int, int, str]]:
        nonlocal n_blank
        for number, row in enumerate(_rows(path, base, (column,), at)):
            text = row.values[column]
            if text is not None and not isinstance(text, str):
                raise RequestError(f"{at_column}: {row.place}: `{column}` holds {type(text).__name__}; expected text")
            if text is None or not text.strip():
                n_blank += 1
            else:
                yield xxhash.xxh3_64_intdigest(text.encode()), number, text

    found = [text for _, _, text in _lowest(texts(), limit)]
    if not found:
        raise RequestError(f"{at}: {path}: no row has text in `{column}`; name files with documents")
    return Documents(found, n_blank)


def questions_of(settings: Validation, base: str) -> list[Question]:
    """The questions of a set, in the order of its files; with a limit, those whose hashes are lowest.

    Raises:
        RequestError: there is none, or one cannot be read; names set, file, record and field.
    """
    assert settings.choices is not None
    at = f"validation.{settings.name}.choices"

    def questions() -> Iterator[tuple[int, int, Question]]:
        for number, row in enumerate(_rows(settings.choices or "", base, (*QUESTION, *LETTERED), at)):
            question = _question(row.values, f"{at}: {row.place}")
            yield xxhash.xxh3_64_intdigest(repr(question).encode()), number, question

    found = [question for _, _, question in _lowest(questions(), settings.limit)]
    if not found:
        raise RequestError(f"{at}: {settings.choices}: holds no question; name a file with {', '.join(QUESTION)}")
    return found


def _question(row: Mapping[str, Any], where: str) -> Question:
    question, choices, answer = (row[name] for name in QUESTION)
    first = 0
    if choices is None and row["A"] is not None:
        choices, first = [row[name] for name in LETTERED if row[name] is not None], 1
    if not isinstance(question, str) or not question.strip():
        raise RequestError(f"{where}: `question`: expected text")
    listed = list(choices) if isinstance(choices, Sequence) and not isinstance(choices, str) else []
    if not 2 <= len(listed) <= len(ascii_uppercase) or not all(isinstance(one, str) for one in listed):
        raise RequestError(f"{where}: `choices`: expected a list of 2 to {len(ascii_uppercase)} texts")
    if blank := [place for place, one in enumerate(listed) if not one.strip()]:
        raise RequestError(f"{where}: `choices`: number {blank[0]} (from 0) is blank")
    return Question(question.strip(), tuple(one.strip() for one in listed), _right(answer, len(listed), first, where))


def _right(answer: Any, n: int, first: int, where: str) -> int:
    """Place of the right choice, from 0; answers that are numbers count from `first`."""
    letters, place = ascii_uppercase[:n], -1
    if isinstance(answer, int | float) and not isinstance(answer, bool) and answer % 1 == 0:
        place = int(answer) - first
    elif isinstance(answer, str):
        written = answer.strip().upper()
        is_letter = len(written) == 1 and written in letters
        place = letters.index(written) if is_letter else int(written) - first if written.isdecimal() else -1
    if not 0 <= place < n:
        valid = f"a number from {first} to {n - 1 + first}, or a letter from A to {letters[-1]}"
        raise RequestError(f"{where}: `answer`: found {answer!r}; expected {valid}")
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


def _rows(path: str, base: str, columns: Sequence[str], at: str) -> Iterator[Row]:
    """The rows of all files, with the named columns."""
    try:
        for file in input_files(resolve(path, base)):
            yield from read_rows(Source(path=file, at=at), columns, Left())
    except (RequestError, RunError, OSError) as error:
        said = str(error)
        raise RequestError(said if said.startswith(f"{at}: ") else f"{at}: {said}") from error


def data_digest(settings: Validation, base: str, of_files: Callable[[Sequence[str]], str]) -> str:
    """Digest of what a set is read from: of its files in their order, or of what a mixture was made from.

    Raises:
        RequestError: it is not there; names the set and the field.
    """
    field = next(name for name in ("text", "mixture", "choices") if getattr(settings, name) is not None)
    path = resolve(getattr(settings, field), base)
    try:
        return read_mixture(Folder(path)).fingerprint if field == "mixture" else of_files(input_files(path))
    except (RequestError, OSError) as error:
        raise RequestError(f"validation.{settings.name}.{field}: {error}") from error
