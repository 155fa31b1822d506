"""Answers of teachers on disk, by what was asked: each is written before anything is done with it, and paid once."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import orjson
import xxhash

from manifests.errors import RequestError
from synth.teachers.tokens import Tokens

SCHEMA_VERSION = 2
"""2 added the tokens of answers; files of version 1 are read, and are of version 2 from then on."""
KEYS_PER_QUERY = 500


@dataclass(frozen=True)
class Request:
    """One request to a teacher: all that its answer depends on, but for model and revision."""

    messages: tuple[tuple[str, str], ...]
    """(role, content) in order."""
    sampling: str
    """Fields of the request that say how the answer is drawn, as canonical JSON."""
    schema: str | None = None
    """JSON Schema of the answer, as canonical JSON."""
    kind: Literal["chat", "text", "reward"] = "chat"
    """`text`: the one message is a raw prompt to be gone on with; `reward`: the messages are to be scored."""

    @property
    def parts(self) -> list[Any]:
        """As JSON; see `of`."""
        return [self.messages, self.sampling, self.schema, *([self.kind] if self.kind != "chat" else [])]

    @staticmethod
    def of(parts: list[Any]) -> "Request":
        """The request that has these parts."""
        return Request(tuple((role, content) for role, content in parts[0]), *parts[1:])

    def key(self, model: str, revision: str) -> str:
        """32 hexadecimal digits that stand for this request to this model."""
        return xxhash.xxh3_128_hexdigest(orjson.dumps([model, revision, *self.parts]))


@dataclass(frozen=True)
class Answer:
    """What a teacher said."""

    text: str
    finish_reason: str
    """`stop` where it said all it had to say; `length` where it was cut off."""
    refusal: str | None = None
    reasoning: str | None = None
    n_prompt_tokens: int = 0
    n_output_tokens: int = 0
    score: float | None = None
    """What a reward model gave."""
    tokens: Tokens | None = None
    """Where `teacher.logprobs` asks for them."""

    @staticmethod
    def of(value: dict[str, Any]) -> "Answer":
        """The answer that was written as this JSON.

        Raises:
            TypeError: it is no answer.
        """
        tokens = value.get("tokens")
        return Answer(**{**value, "tokens": Tokens(**tokens) if tokens else None})


@dataclass(frozen=True)
class Failure:
    """A request without an answer. It is not kept: another run asks again."""

    message: str
    is_rejected: bool = False
    """Whether the server is there and will not have this request, as one that is too long."""


@dataclass(frozen=True)
class Entry:
    """An answer with what it answers."""

    key: str
    request: Request
    answer: Answer


class AnswerStore:
    """A SQLite file of answers; what was put into it survives `kill -9` and power cuts.

    One process puts answers into it, others may read meanwhile.
    """

    def __init__(self, path: str | Path) -> None:
        """Open or make the file.

        Raises:
            RequestError: it is no such file.
        """
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            raise RequestError(f"{self.path}: is no file of answers: {error}") from error

    def _open(self) -> None:
        # A thread of the courier puts, so that the one that asks does not wait for the disk.
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        if found > SCHEMA_VERSION:
            self._db.close()
            raise sqlite3.DatabaseError(f"its version is {found}, and this Onggi reads those up to {SCHEMA_VERSION}")
        self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, model TEXT NOT NULL, revision TEXT NOT NULL, "
            "request TEXT NOT NULL, answer TEXT NOT NULL) WITHOUT ROWID"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM answers").fetchone()[0])

    def get(self, keys: Sequence[str]) -> dict[str, Answer]:
        """The answers that are there, by key."""
        found: dict[str, Answer] = {}
        for start in range(0, len(keys), KEYS_PER_QUERY):
            some = keys[start : start + KEYS_PER_QUERY]
            marks = ", ".join("?" * len(some))
            rows = self._db.execute(f"SELECT key, answer FROM answers WHERE key IN ({marks})", some)
            found |= {key: Answer.of(orjson.loads(answer)) for key, answer in rows}
        return found

    def put(self, entries: Sequence[Entry], model: str, revision: str) -> None:
        """Keep answers of a model, all or none; on return they are on disk.

        Raises:
            sqlite3.Error: they cannot be kept, as on a full disk.
        """
        rows = [
            (
                entry.key,
                model,
                revision,
                orjson.dumps(entry.request.parts).decode(),
                orjson.dumps(entry.answer).decode(),
            )
            for entry in entries
        ]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def remove(self, keys: Sequence[str]) -> int:
        """Remove answers for good, of the file's free space too; how many there were."""
        n_before = len(self)
        self._db.execute("PRAGMA secure_delete = ON")
        self._db.executemany("DELETE FROM answers WHERE key = ?", [(key,) for key in keys])
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return n_before - len(self)

    def lines(self) -> Iterator[bytes]:
        """Every answer as a line of JSON, ordered by key: what `replay` reads."""
        for row in self._db.execute("SELECT key, model, revision, request, answer FROM answers ORDER BY key"):
            key, model, revision, request, answer = row
            value = {"key": key, "model": model, "revision": revision}
            value |= {"request": orjson.Fragment(request), "answer": orjson.Fragment(answer)}
            yield orjson.dumps(value) + b"\n"


def kept_keys(path: str | Path, keys: Sequence[str]) -> set[str]:
    """Those of some keys whose answers are in a file, which may be in use; none where it is not there.

    The file is read, and nothing is left beside it.

    Raises:
        RequestError: it is no file of answers.
    """
    if not Path(path).exists():
        return set()
    found: set[str] = set()
    # Whoever has it open has this file beside it; without one SQLite would make it, unless told that nobody writes.
    how = "mode=ro" if Path(f"{path}-wal").exists() else "immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(f"{Path(path).resolve().as_uri()}?{how}", uri=True)) as db:
            for start in range(0, len(keys), KEYS_PER_QUERY):
                some = keys[start : start + KEYS_PER_QUERY]
                marks = ", ".join("?" * len(some))
                found.update(key for (key,) in db.execute(f"SELECT key FROM answers WHERE key IN ({marks})", some))
    except sqlite3.DatabaseError as error:
        raise RequestError(f"{path}: is no file of answers: {error}") from error
    return found


def read_recorded(path: str | Path) -> dict[str, Answer]:
    """The answers in a file of `AnswerStore.lines`, by key.

    Raises:
        RequestError: it cannot be read, or a line of it is not such an answer; names the line.
    """
    answers: dict[str, Answer] = {}
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: recorded answers cannot be read: {error.strerror}") from error
    for number, line in enumerate(content.splitlines(), 1):
        try:
            value = orjson.loads(line)
            answers[value["key"]] = Answer.of(value["answer"])
        except (ValueError, KeyError, TypeError) as error:
            raise RequestError(
                f"{path}:{number}: is no recorded answer ({error}); expected key, model, revision, request, answer"
            ) from error
    return answers
