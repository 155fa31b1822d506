"""Finding many phrases at once: an Aho-Corasick automaton over bytes, built in Python and stepped by kernels."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

MAX_PHRASES = 63


class Phrases(NamedTuple):
    """An automaton: step with `state = next_state[state, symbol[byte]]`; found[state] has a bit per phrase that ends."""

    symbol: npt.NDArray[np.uint8]
    next_state: npt.NDArray[np.int16]
    found: npt.NDArray[np.int64]


def compile_phrases(phrases: Sequence[Sequence[str]]) -> Phrases:
    """An automaton for at most 63 phrases, each given as its spellings; bit i is set where one of phrases[i] ends.

    Spellings are in lower case; ASCII letters of the text match in either case. Source: Aho and Corasick 1975.
    """
    if len(phrases) > MAX_PHRASES:
        raise ValueError(f"{len(phrases)} phrases; one automaton holds at most {MAX_PHRASES}")
    spellings = [(spelling.encode(), 1 << i) for i, words in enumerate(phrases) for spelling in words]
    symbol = _symbols(b"".join(spelling for spelling, _ in spellings))
    children, found = _trie(spellings)
    next_state = np.zeros((len(children), int(symbol.max()) + 1), np.int16)
    fallback = [0] * len(children)
    queue = [0]
    for state in queue:  # breadth first, so that a state's fallback is complete before the state
        next_state[state] = next_state[fallback[state]] if state else 0
        found[state] |= found[fallback[state]]
        for byte, child in children[state].items():
            fallback[child] = int(next_state[state, symbol[byte]]) if state else 0
            next_state[state, symbol[byte]] = child
            queue.append(child)
    return Phrases(symbol, next_state, np.array(found, np.int64))


def _symbols(used: bytes) -> npt.NDArray[np.uint8]:
    """A small number for each byte that occurs in a phrase, 0 for all others; shape (256,)."""
    symbol = np.zeros(256, np.uint8)
    for number, byte in enumerate(sorted(set(used)), 1):
        symbol[byte] = number
    upper = np.arange(ord("A"), ord("Z") + 1)
    symbol[upper] = symbol[upper + 32]
    return symbol


def _trie(spellings: Sequence[tuple[bytes, int]]) -> tuple[list[Mapping[int, int]], list[int]]:
    """(children of each state by byte, bits of the phrases that end at each state)."""
    children: list[dict[int, int]] = [{}]
    found = [0]
    for spelling, bit in spellings:
        state = 0
        for byte in spelling:
            if byte not in children[state]:
                children[state][byte] = len(children)
                children.append({})
                found.append(0)
            state = children[state][byte]
        found[state] |= bit
    return list(children), found


@njit(nogil=True, cache=True)
def find_phrases(utf8, start, end, phrases):
    """Bits of the phrases that occur in utf8[start:end]."""
    state, bits = 0, 0
    for i in range(start, end):
        state = phrases.next_state[state, phrases.symbol[utf8[i]]]
        bits |= phrases.found[state]
    return bits
