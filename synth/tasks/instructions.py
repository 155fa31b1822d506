"""Instructions that a teacher wrote: whether one may be kept, and whether it is a copy."""

import re
from collections.abc import Sequence

from synth.tasks.grams import grams, unspaced

CHARS_MIN, CHARS_MAX = 4, 4000
GRAM_CHARS = 4
COPIED_FROM = 0.6
"""Share of the character n-grams of the shorter text that the other has, from which on one is a copy of the other."""
KOREAN_MIN = 0.3
"""Least Hangul in the letters of a Korean instruction (code and English quotations are part of some); in an English
one, most."""

_HANGUL, _LATIN = re.compile("[가-힣ㄱ-ㅎㅏ-ㅣ]"), re.compile("[A-Za-z]")
_OTHERS = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0400-\u04ff\u0600-\u06ff\u0e00-\u0e7f]")


def unfit_instruction(text: str, language: str) -> tuple[str, str] | None:
    """Why an instruction is not kept: reason (`empty`, `too_long`, `language`) and detail; None where it is."""
    if len(text.strip()) < CHARS_MIN:
        return "empty", text
    if len(text) > CHARS_MAX:
        return "too_long", f"{len(text)} characters"
    n_hangul, n_latin, n_others = (len(pattern.findall(text)) for pattern in (_HANGUL, _LATIN, _OTHERS))
    n_letters = n_hangul + n_latin + n_others
    if not n_letters:
        return "empty", text
    if (n_hangul / n_letters < KOREAN_MIN) if language == "ko" else (n_latin / n_letters < 1 - KOREAN_MIN):
        return "language", text
    return None


def overlap(left: str, right: str) -> float:
    """Share of the character n-grams of the shorter text that the other has, from 0 to 1; spaces and case are
    ignored."""
    ours, theirs = (grams(unspaced(text), GRAM_CHARS) for text in (left, right))
    return len(ours & theirs) / min(len(ours), len(theirs)) if ours and theirs else 0.0


def copied_from(text: str, others: Sequence[str]) -> int | None:
    """Which of other texts it copies; None where it copies none."""
    return next((at for at, other in enumerate(others) if overlap(text, other) >= COPIED_FROM), None)
