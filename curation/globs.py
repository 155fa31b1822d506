"""Patterns of file names, matched in time that is bounded whatever a pattern says: pattern times path, at most."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

STARS_BY_REGEX, PATH_BY_REGEX = 2, 1024
"""Up to so many stars and characters of a path `re` is asked, which is fast; beyond, it may take for ever."""


@dataclass(frozen=True)
class Token:
    """A part of a pattern: a regular expression for one character, once or any number of times.

    `maybe` takes no character: the two tokens after it are both there or both not.
    """

    one: str
    kind: Literal["one", "star", "maybe"] = "one"


@dataclass(frozen=True)
class Glob:
    """A compiled pattern, for whole paths."""

    tokens: tuple[Token, ...]

    def fullmatch(self, path: str) -> bool:
        """Whether all of a path fits."""
        n_stars = sum(token.kind == "star" for token in self.tokens)
        if n_stars <= STARS_BY_REGEX and len(path) <= PATH_BY_REGEX:
            return self._regex.fullmatch(path) is not None
        states = self._closed({0})
        for character in path:
            states = self._closed(self._after(states, character))
            if not states:
                return False
        return len(self.tokens) in states

    def check(self) -> None:
        """Raise `re.error` where a class of characters is none, as `[z-a]`."""
        _ = self._regex

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(_regex_of(self.tokens), re.DOTALL)

    @cached_property
    def _ones(self) -> list[re.Pattern[str]]:
        return [re.compile(token.one, re.DOTALL) for token in self.tokens]

    def _after(self, states: set[int], character: str) -> set[int]:
        """Where one character leads: on, or around a star."""
        return {
            state if self.tokens[state].kind == "star" else state + 1
            for state in states
            if state < len(self.tokens)
            and self.tokens[state].kind != "maybe"
            and self._ones[state].fullmatch(character)
        }

    def _closed(self, states: set[int]) -> set[int]:
        """What is reached without a character, too."""
        waiting, found = list(states), set(states)
        while waiting:
            state = waiting.pop()
            kind = self.tokens[state].kind if state < len(self.tokens) else "one"
            steps = {"star": (state + 1,), "maybe": (state + 1, state + 3)}.get(kind, ())
            waiting += [step for step in steps if step not in found]
            found |= set(steps)
        return found


def _regex_of(tokens: Sequence[Token]) -> str:
    parts, at = [], 0
    while at < len(tokens):
        token = tokens[at]
        if token.kind == "maybe":
            parts.append(f"(?:{_regex_of(tokens[at + 1 : at + 3])})?")
            at += 2
        else:
            parts.append(f"{token.one}*" if token.kind == "star" else token.one)
        at += 1
    return "".join(parts)


def literal(text: str) -> list[Token]:
    """Characters that stand for themselves."""
    return [Token(re.escape(character)) for character in text]
