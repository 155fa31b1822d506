"""How much texts have in common, by the character n-grams of what counts of them."""

import unicodedata
from collections.abc import Set


def squeezed(text: str) -> str:
    """What is left of a text where case, space and punctuation do not count."""
    return "".join(char for char in unicodedata.normalize("NFC", text).casefold() if char.isalnum())


def unspaced(text: str) -> str:
    """What is left of it where case and space do not count: Korean words are spaced as one likes."""
    return "".join(unicodedata.normalize("NFC", text).casefold().split())


def grams(text: str, n: int) -> frozenset[str]:
    """All runs of n characters; the text itself where it is shorter, nothing where it is empty."""
    return frozenset(text[at : at + n] for at in range(max(1, len(text) - n + 1))) - {""}


def jaccard(one: Set[str], other: Set[str]) -> float:
    """What two sets share of all that is in them, from 0 to 1; two empty ones are the same."""
    return len(one & other) / len(one | other) if one or other else 1.0
