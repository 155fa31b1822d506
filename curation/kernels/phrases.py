"""Finding many phrases, or endings of words, at once: automata built in Python and stepped by kernels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.kernels import at, kernel
from curation.kernels.characters import Bytes, decode

MAX_PHRASES = 63
N_SYMBOLS = 0x10000
"""Phrases are made of characters of the Basic Multilingual Plane."""


class Phrases(NamedTuple):
    """Step with `state = next_state[state + symbol[character]]`; found[state] has a bit for each phrase that ends.

    A state is where its row begins in next_state, so that a step costs no multiplication.
    """

    symbol: npt.NDArray[np.uint8]
    next_state: npt.NDArray[np.int32]
    found: npt.NDArray[np.int64]


class Endings(NamedTuple):
    """A tree of the endings of words, read by bytes from the end; in state 0 no ending goes on.

    `closes[state]` says whether one of `suffixes` is complete there, number[state] which one of `words` is, or -1.
    """

    symbol: npt.NDArray[np.uint8]
    next_state: npt.NDArray[np.int16]
    closes: npt.NDArray[np.bool_]
    number: npt.NDArray[np.int16]


def compile_phrases(phrases: Sequence[Sequence[str]]) -> Phrases:
    """An automaton for at most 63 phrases, each given as its spellings; bit i is set where one of phrases[i] ends.

    Spellings are in lower case and match text in either case. Source: Aho and Corasick 1975.
    """
    if len(phrases) > MAX_PHRASES:
        raise ValueError(f"{len(phrases)} phrases; one automaton holds at most {MAX_PHRASES}")
    spellings = [spelling for spellings in phrases for spelling in spellings]
    letters = {letter: number for number, letter in enumerate(sorted(set("".join(spellings))), 1)}
    children, ends = _trie([[letters[letter] for letter in spelling] for spelling in spellings])
    found = [0] * len(children)
    for end, bit in zip(ends, (1 << i for i, spellings in enumerate(phrases) for _ in spellings), strict=True):
        found[end] |= bit
    next_state = np.zeros((len(children), len(letters) + 1), np.int32)
    fallback = [0] * len(children)
    queue = [0]
    for state in queue:  # breadth first, so that a state's fallback is complete before the state
        next_state[state] = next_state[fallback[state]]
        found[state] |= found[fallback[state]]
        for number, child in children[state].items():
            fallback[child] = int(next_state[state, number])
            next_state[state, number] = child
            queue.append(child)
    found_at = np.zeros(next_state.shape, np.int64)
    found_at[:, 0] = found
    return Phrases(_symbols(letters), next_state.ravel() * next_state.shape[1], found_at.ravel())


def _symbols(letters: dict[str, int]) -> npt.NDArray[np.uint8]:
    """The number of each character that is one of `letters` in lower case, 0 for all others; shape (0x10000,)."""
    return np.array([letters.get(chr(i).lower(), 0) for i in range(N_SYMBOLS)], np.uint8)


def compile_endings(suffixes: Sequence[str], words: Sequence[str]) -> Endings:
    """A tree of `suffixes`, which need something before them, and of `words`, which may stand alone."""
    spellings = [ending.encode()[::-1] for ending in (*suffixes, *words)]
    symbol = np.zeros(256, np.uint8)
    used = sorted(set(b"".join(spellings)))
    symbol[used] = np.arange(1, len(used) + 1)
    children, ends = _trie([symbol[list(spelling)].tolist() for spelling in spellings])
    next_state = np.zeros((len(children), len(used) + 1), np.int16)
    for state, branches in enumerate(children):
        next_state[state, list(branches)] = list(branches.values())
    closes, number = np.zeros(len(children), np.bool_), np.full(len(children), -1, np.int16)
    closes[ends[: len(suffixes)]] = True
    number[ends[len(suffixes) :]] = np.arange(len(words))
    return Endings(symbol, next_state, closes, number)


def _trie(spellings: Sequence[Sequence[int]]) -> tuple[list[dict[int, int]], list[int]]:
    """(children of each state by symbol, the state in which each spelling ends)."""
    children: list[dict[int, int]] = [{}]
    ends = []
    for spelling in spellings:
        state = 0
        for symbol in spelling:
            if symbol not in children[state]:
                children[state][symbol] = len(children)
                children.append({})
            state = children[state][symbol]
        ends.append(state)
    return children, ends


@kernel()
def step(state: int, character: int, phrases: Phrases) -> int:
    """The state after one more character."""
    return int(phrases.next_state[at(state + phrases.symbol[at(character)])]) if character < N_SYMBOLS else 0


@kernel()
def find_phrases(utf8: Bytes, start: int, end: int, phrases: Phrases) -> int:
    """Bits of the phrases that occur in utf8[start:end]."""
    state, bits, i = 0, 0, start
    while i < end:
        character, size = decode(utf8, i)
        state = step(state, character, phrases)
        bits |= phrases.found[at(state)]
        i += size
    return bits


@kernel()
def find_endings(utf8: Bytes, start: int, end: int, first: int, endings: Endings) -> tuple[bool, int]:
    """(whether a suffix closes utf8[start:end], something of the word before it; the longest word that does, or -1).

    The word begins at `first`, at or before `start`; an ending does not reach back beyond `start`.
    """
    state, is_closed, longest, i = 0, False, -1, end
    while i > start:
        i -= 1
        state = endings.next_state[at(state), endings.symbol[utf8[at(i)]]]
        if state == 0:
            break
        is_closed |= endings.closes[at(state)] and i > first
        if endings.number[at(state)] >= 0:
            longest = endings.number[at(state)]
    return is_closed, longest
