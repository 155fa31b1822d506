"""A person's answers about documents: asked for one by one, kept in the run's folder, read from files.

An answer is on the disk before the next document is shown, so a survey that was stopped or killed goes on where it
was.
"""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson
from fsspec.implementations.local import LocalFileSystem

from curation.tune import Answer, Document
from manifests.errors import RequestError
from manifests.store import Folder

ANSWERS: tuple[Answer, ...] = ("keep", "drop", "skip")
FOLDER = "tune"
"""Of a run: a file of answers for each threshold."""


class Log:
    """The answers to a question: a JSON line each, appended and on the disk before the next is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[tuple[str, int], Answer] = read_answers(path, torn=True) if path.exists() else {}

    def append(self, document: Document, answer: Answer) -> None:
        """Keep an answer; it replaces an earlier one for the same document."""
        self.answers[document.key] = answer
        line = orjson.dumps(
            {
                "id": document.id,
                "copy": document.copy,
                "value": document.value,
                "bin": document.bin,
                "answer": answer,
            }
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - 1, 0))
            torn = file.read(1) not in (b"", b"\n")
            file.write(b"\n" * torn + line + b"\n")
            file.flush()
            os.fsync(file.fileno())


def log_of(run: Folder, name: str) -> Log:
    """The answers about the threshold `name` that lie in the run's folder.

    Raises:
        RequestError: the run lies where nothing can be appended.
    """
    if not isinstance(run.fs, LocalFileSystem):
        raise RequestError(f"{run.path}: answers are appended to a file of the run: copy it to a local folder first")
    file_name = re.sub(r"[^\w.-]", "_", name)
    return Log(Path(run.file(FOLDER)) / f"{file_name}.jsonl")


def read_answers(path: Path, *, torn: bool = False) -> dict[tuple[str, int], Answer]:
    """Answers by (id, copy), from lines such as {"id": ..., "copy": 0, "answer": "keep"}; the last of each counts.

    Args:
        path: of a JSONL file.
        torn: pass over lines that are no JSON, as a kill leaves them.

    Raises:
        RequestError: names the line, what it holds and what is expected.
    """
    answers: dict[tuple[str, int], Answer] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except ValueError:
            if torn:
                continue
            raise RequestError(f"{path}:{number}: is no JSON") from None
        key, answer = _checked_answer(row, f"{path}:{number}")
        answers[key] = answer
    return answers


def _checked_answer(row: Any, where: str) -> tuple[tuple[str, int], Answer]:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not isinstance(row.get("copy", 0), int):
        raise RequestError(f'{where}: expected an object such as {{"id": "4f1c...", "copy": 0, "answer": "keep"}}')
    if row.get("answer") not in ANSWERS:
        raise RequestError(f"{where}: answer {row.get('answer')!r}; expected one of {', '.join(ANSWERS)}")
    return (row["id"], row.get("copy", 0)), row["answer"]


def ask(
    documents: Sequence[Document],
    log: Log,
    show: Callable[[int, Document, Answer | None], None],
    answer: Callable[[], Answer | Literal["back", "quit"]],
) -> bool:
    """Ask for every document without an answer; returns whether all have one.

    Args:
        documents: in the order in which to ask.
        log: takes the answers.
        show: shows the document at a place, and what was said of it before.
        answer: waits for what is said; "back" asks for the document before again.
    """
    place = _first_open(documents, log)
    while place < len(documents):
        show(place, documents[place], log.answers.get(documents[place].key))
        said = answer()
        if said == "quit":
            return False
        if said == "back":
            place = max(place - 1, 0)
        else:
            log.append(documents[place], said)
            place = _first_open(documents, log)
    return True


def _first_open(documents: Sequence[Document], log: Log) -> int:
    """The place of the first document without an answer; their number where all have one."""
    return next((i for i, document in enumerate(documents) if document.key not in log.answers), len(documents))
