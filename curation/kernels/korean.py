"""Signals of Korean: particles and stop words that close an eojeol, lone letters (ㅋㅋ, ㅠㅠ), spam phrases."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from curation.kernels import at, kernel, words
from curation.kernels.characters import ALPHA, DECIMAL, JAMO, SPACE, SYLLABLE, Bytes, Offsets, Values, decode
from curation.kernels.hashing import count_bits
from curation.kernels.phrases import Endings, Phrases, compile_endings, compile_phrases, find_endings, step

COLUMNS = (
    "hangul_word_count",
    "josa_word_frac",
    "ko_stop_word_count",
    "ko_stop_word_frac",
    "jamo_frac",
    "jamo_run_max",
    "spam_phrase_count",
    "spam_hit_count",
)
HANGUL_WORDS, JOSA_WORDS, STOP_WORDS, STOP_WORD_FRAC, JAMOS, JAMO_RUN, SPAM_PHRASES, SPAM_HITS = range(8)
UNDEFINED = np.nan


@cache
def korean_endings() -> Endings:
    """The particles (as suffixes) and the stop words (as words) of korean_words.yaml."""
    words = _korean_words()
    return compile_endings(words["josa"], words["stop_words"])


@cache
def korean_spam() -> Phrases:
    """The spam phrases of korean_words.yaml."""
    return compile_phrases(_korean_words()["spam_phrases"])


def _korean_words() -> dict[str, Any]:
    words: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "korean_words.yaml").read_text(encoding="utf-8"))
    return words


@kernel()
def measure_text(
    utf8: Bytes, start: int, end: int, classes: Bytes, endings: Endings, spam: Phrases, row: Values
) -> None:
    """Writes COLUMNS of one document.

    What closes an eojeol ends its last run of letters and digits; ㅋㅋ and punctuation behind it do not count.
    """
    n_words, n_josa, n_stops, seen_stops = 0, 0, 0, 0
    n_visible, n_jamo, jamo_run, longest_run, n_hits, seen_spam, state = 0, 0, 0, 0, 0, 0, 0
    first, run_start, run_end, has_syllable, i = start - 1, start - 1, start - 1, False, start
    while i <= end:
        character, size = decode(utf8, i) if i < end else (0x20, 1)
        bits = classes[at(character)]
        if bits & (ALPHA | DECIMAL):
            state = step(state, character, spam)
            seen_spam |= spam.found[at(state)]
            n_hits += spam.found[at(state)] != 0
        if bits & SPACE:
            if has_syllable:
                is_josa, stop_word = find_endings(utf8, run_start, run_end, first, endings)
                n_words += 1
                n_josa += is_josa
                n_stops += stop_word >= 0
                seen_stops |= 1 << stop_word if stop_word >= 0 else 0
            first, run_start, run_end, has_syllable, jamo_run = start - 1, start - 1, start - 1, False, 0
        else:
            n_visible += 1
            if bits & JAMO:
                n_jamo += 1
                jamo_run += 1
                longest_run = max(longest_run, jamo_run)
            else:
                jamo_run = 0
                if bits & (ALPHA | DECIMAL):
                    first = i if first < start else first
                    run_start = i if run_end != i else run_start
                    run_end = i + size
                    has_syllable |= bits & SYLLABLE != 0
        i += size
    row[HANGUL_WORDS], row[STOP_WORDS] = n_words, count_bits(seen_stops)
    row[JOSA_WORDS] = n_josa / n_words if n_words else UNDEFINED
    row[STOP_WORD_FRAC] = n_stops / n_words if n_words else UNDEFINED
    row[JAMOS] = n_jamo / n_visible
    row[JAMO_RUN], row[SPAM_PHRASES], row[SPAM_HITS] = longest_run, count_bits(seen_spam), n_hits


@kernel()
def measure_korean(
    utf8: Bytes,
    offsets: Offsets,
    classes: Bytes,
    endings: Endings,
    spam: Phrases,
    of_words: Values,
    out: Values,
) -> None:
    """Writes COLUMNS of every document utf8[offsets[d]:offsets[d + 1]] into out[d]; NaN where undefined.

    `of_words` are the columns that kernels.words measured of the same documents; where they show no Hangul, there is
    nothing to look for.
    """
    for d in range(len(offsets) - 1):
        row = out[d]
        row[:] = 0
        hangul_frac = of_words[d, words.HANGUL]
        if hangul_frac > 0:
            measure_text(utf8, offsets[d], offsets[d + 1], classes, endings, spam, row)
        else:
            row[JOSA_WORDS] = row[STOP_WORD_FRAC] = UNDEFINED
            row[JAMOS] = hangul_frac
