"""Reads columns of benchmarks' rows, and says what is wrong with one and what would be valid."""

from collections.abc import Sequence
from string import ascii_uppercase

from manifests.errors import RequestError
from training.benchmarks.task import Doc


def text(row: Doc, column: str) -> str:
    """A text.

    Raises:
        RequestError: there is none.
    """
    value = row.get(column)
    if not isinstance(value, str):
        raise RequestError(f"`{column}`: expected text, found {_shown(value)}")
    return value


def texts(row: Doc, column: str, n_least: int = 2) -> list[str]:
    """A list of texts.

    Raises:
        RequestError: there is none, or it is too short.
    """
    value = row.get(column)
    found = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else None
    if found is None or len(found) < n_least or not all(isinstance(one, str) for one in found):
        raise RequestError(f"`{column}`: expected a list of {n_least} texts or more, found {_shown(value)}")
    return found


def place(row: Doc, column: str, n: int, first: int = 0) -> int:
    """Which of n choices a column names, from 0: by its number (the first one is `first`) or its letter, from A.

    Raises:
        RequestError: it names none of them.
    """
    value = row.get(column)
    found = -1
    if isinstance(value, int) and not isinstance(value, bool):
        found = value - first
    elif isinstance(value, str):
        name = value.strip().strip("()").upper()
        if name.isdecimal():
            found = int(name) - first
        elif len(name) == 1:
            found = ascii_uppercase.find(name)
    if not 0 <= found < n:
        letters = f"{ascii_uppercase[0]} to {ascii_uppercase[n - 1]}"
        raise RequestError(f"`{column}`: expected {first} to {n - 1 + first} or {letters}, found {_shown(value)}")
    return found


def listed(choices: Sequence[str]) -> str:
    """Choices with their letters, a line each: `A. Seoul`."""
    return "\n".join(f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, choices, strict=False))


def letters(n: int) -> list[str]:
    """The first n letters: what a model goes on with after choices that are listed."""
    return list(ascii_uppercase[:n])


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)[:80]
