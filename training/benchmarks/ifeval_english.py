"""What counts as a word, a sentence and a shouted word in English, for IFEval."""

import re
from itertools import pairwise

_TITLES = "mr mrs ms dr prof st rev gen col capt lt sgt sen rep gov hon mt fig vol vs no"
TITLES = frozenset(_TITLES.split())
"""Abbreviations after which a name or a number follows, and never a sentence."""
_SHORT = "etc inc ltd co corp jr sr dept approx est e.g i.e a.m p.m u.s u.k u.n ph.d m.d cf al"
SHORT = frozenset(_SHORT.split())
"""Abbreviations that may end a sentence: they do where a capital follows."""
CLOSERS = "\"'”’»)\\]}*_"
END = re.compile(rf"([.!?…]+)[{CLOSERS}]*(?=\s|$)")
MARKER = re.compile(r"^[^\S\n]*(?:[-*+>][^\S\n]+)?[(*_]*(?:\d{1,3}|[A-Za-z]|[ivxIVX]{2,4})$")
"""What stands before the point of `1. `, `a. ` or `iv. ` at the beginning of a line."""
TOKEN = re.compile(r"\s+|[,;:!?()\[\]{}<>@#$%&*\"“”…]|\.{2,}|--")


def count_words(text: str) -> int:
    r"""Runs of letters, digits and `_`, as NLTK's `RegexpTokenizer(r"\w+")` counts for lm-eval: don't is two."""
    return len(re.findall(r"\w+", text))


def count_sentences(text: str) -> int:
    """Sentences: what ends with . ! ? or … before a space, and what is left over at the end.

    NLTK's punkt, which lm-eval uses, has learnt its abbreviations; here they are listed. It takes the numbers of a
    list (`1.`) for sentences of their own, and they are none here.
    """
    ends = [found.end() for found in END.finditer(text) if _is_end(text, found)]
    return count_parts(text, ends)


def count_parts(text: str, ends: list[int]) -> int:
    """How many of the parts between ends hold a letter or a digit."""
    bounds = [0, *ends, len(text)]
    return sum(bool(re.search(r"[^\W_]", text[a:b])) for a, b in pairwise(bounds))


def is_marker(text: str, at: int) -> bool:
    """Whether what stands before `at` on its line is the number or letter of a list."""
    return bool(MARKER.match(text[text.rfind("\n", 0, at) + 1 : at]))


def is_abbreviation(text: str, at: int, follows: str) -> bool:
    """Whether the point at `at` closes an abbreviation rather than a sentence; `follows` is what comes after it."""
    word = re.split(r"[\s(\"“'‘]", text[max(at - 12, 0) : at])[-1].lower()
    if word in TITLES:
        return bool(follows)
    if word in SHORT:
        return not follows[:1].isupper() and bool(follows)
    return len(word) == 1 and text[at - 1].isupper() and word != "i" and bool(follows)


def _is_end(text: str, found: re.Match[str]) -> bool:
    if set(found[1]) & set("!?"):
        return True
    follows = text[found.end() : found.end() + 80].lstrip()
    if is_marker(text, found.start()) or follows[:1].islower():
        return False
    return found[1] != "." or not is_abbreviation(text, found.start(), follows)


def count_capital_words(text: str) -> int:
    """Words without a small letter. NLTK's tokenizer, which lm-eval uses, takes DON'T for two; here it is one."""
    return sum(part.isupper() for part in TOKEN.split(text) if part)
