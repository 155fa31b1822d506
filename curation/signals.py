"""What is measured of every text: one struct of numbers per document, from which any rule can decide later."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.kernels import duplicates, lines, words
from curation.kernels.characters import character_classes
from curation.kernels.hashing import joinable_hash, new_table

SIGNALS_VERSION = "signals-1"
"""Changes whenever a signal is added or its value could differ for some text."""

SEGMENTATION = "whitespace-1"
"""A word is a maximal run without Unicode white space, as `str.split()` cuts; for Korean, an eojeol."""

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Gopher's English stop words, matched as whole words, case included (Rae et al. 2021, table A1)."""

GOPHER = "Rae et al. 2021 (Gopher), as datatrove 0.10.1"
FINEWEB = "Penedo et al. 2024 (FineWeb), as datatrove 0.10.1"
C4 = "Raffel et al. 2020 (C4), as datatrove 0.10.1"
DPS = "EleutherAI/dps, Korean job"
ONGGI = "Onggi"


@dataclass(frozen=True)
class Signal:
    """One measured number of a document."""

    name: str
    arrow_type: pa.DataType
    unit: str
    doc: str
    source: str


def _count(name: str, unit: str, doc: str, source: str) -> Signal:
    return Signal(name, pa.int32(), unit, doc, source)


def _ratio(name: str, unit: str, doc: str, source: str) -> Signal:
    return Signal(name, pa.float64(), unit, doc, source)


SIGNALS: tuple[Signal, ...] = (
    _count("char_count", "chars", "Code points of the text.", ONGGI),
    _count("word_count", "words", "Words; for Korean, eojeol.", ONGGI),
    _count("non_symbol_word_count", "words", "Words with a character other than punctuation.", GOPHER),
    _ratio("avg_word_length", "chars", "Mean length of the words that are not punctuation alone.", GOPHER),
    _ratio("hash_word_ratio", "per word", "Number signs (#) per word.", GOPHER),
    _ratio("ellipsis_word_ratio", "per word", "Ellipses (... or …) per word.", GOPHER),
    _ratio("alpha_word_frac", "frac", "Words with a letter, of all words.", GOPHER),
    _count("stop_word_count", "count", "Different ones of the 8 English stop words that occur as words.", GOPHER),
    _ratio("hangul_frac", "frac", "Hangul syllables and letters, of the characters that are not white space.", ONGGI),
    *(
        _ratio(f"top_{n}_gram_char_frac", "frac", f"Characters in the most frequent word {n}-gram.", GOPHER)
        for n in range(2, 5)
    ),
    *(
        _ratio(f"dup_{n}_gram_char_frac", "frac", f"Characters in repeated word {n}-grams.", GOPHER)
        for n in range(5, 11)
    ),
    _ratio("dup_para_frac", "frac", "Paragraphs that occurred before in the text, of all paragraphs.", GOPHER),
    _ratio("dup_para_char_frac", "frac", "Characters in repeated paragraphs.", GOPHER),
    _ratio("dup_line_frac", "frac", "Lines that occurred before in the text, of all lines.", GOPHER),
    _ratio("dup_line_char_frac", "frac", "Characters in repeated lines.", GOPHER),
    _count("nonblank_line_count", "lines", "Lines (cut at \\n) that are not blank.", FINEWEB),
    _ratio("terminal_line_frac", "frac", "Non-blank lines that end in terminal punctuation.", FINEWEB),
    _ratio("short_line_frac", "frac", "Non-blank lines of at most 30 characters.", FINEWEB),
    _ratio("dup_nonblank_line_char_frac", "frac", "Characters in repeated non-blank lines, \\n left out.", FINEWEB),
    _ratio("newline_word_ratio", "per word", "Newlines (\\n) per word.", FINEWEB),
    _count("line_count", "lines", "Lines, cut as str.splitlines() cuts.", GOPHER),
    _ratio("bullet_line_frac", "frac", "Lines that begin with • or -.", GOPHER),
    _ratio("list_line_frac", "frac", "Lines that begin with a bullet or any other list mark, such as ㆍ ■ ▶.", DPS),
    _ratio("ellipsis_line_frac", "frac", "Lines that end with ... or ….", GOPHER),
    _count("c4_long_word_line_count", "lines", "Lines that C4 drops for a word of over 1,000 characters.", C4),
    _count("c4_unterminated_line_count", "lines", "Lines that C4 drops for want of . ? ! \" or ' at the end.", C4),
    _count("c4_short_line_count", "lines", "Lines that C4 drops for fewer than 3 words.", C4),
    _count("c4_lorem_ipsum_line_count", "lines", "Lines, otherwise kept so far, that say lorem ipsum.", C4),
    _count("c4_javascript_line_count", "lines", "Lines that C4 drops for saying javascript.", C4),
    _count(
        "c4_curly_bracket_line_count", "lines", "Lines, otherwise kept so far, with an opening curly bracket.", C4
    ),
    _count("c4_policy_line_count", "lines", "Lines that C4 drops for speaking of cookies or terms of use.", C4),
    _count("c4_kept_line_count", "lines", "Lines that C4 keeps.", C4),
    _count("c4_sentence_count", "sentences", "Sentences in the lines that C4 keeps.", C4),
    _count("c4_citation_count", "count", "Citations such as [1] and [edit] that C4 takes out.", C4),
)
"""Every signal, in the order of the struct's fields. A ratio without a denominator is null, never NaN."""

SIGNAL_TYPE: pa.StructType = pa.struct([pa.field(signal.name, signal.arrow_type) for signal in SIGNALS])


def measure_signals(texts: pa.LargeStringArray) -> pa.StructArray:
    """Measures every signal of every text.

    `texts` is one Arrow array of `large_string`; slices are fine. Returns an array of SIGNAL_TYPE of the same length,
    null where the text is null. Raises TypeError for any other type.
    """
    if not pa.types.is_large_string(texts.type):
        raise TypeError(f"measure_signals takes an array of large_string, not of {texts.type}")
    utf8, offsets = _buffers(texts)
    columns = _measure(utf8, offsets)
    fields = [_to_arrow(columns[signal.name], signal.arrow_type) for signal in SIGNALS]
    mask = texts.is_null() if texts.null_count else None
    return pa.StructArray.from_arrays(fields, fields=list(SIGNAL_TYPE), mask=mask)


def _buffers(texts: pa.LargeStringArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """(UTF-8 bytes, n + 1 offsets) of the array, without copying the text."""
    if len(texts) == 0:
        return np.frombuffer(b"", np.uint8), np.frombuffer(bytes(8), np.int64)
    _, offsets, utf8 = texts.buffers()
    starts = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(utf8 or b"", np.uint8), starts


def _measure(utf8: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.float64]]:
    """Every kernel over all documents; one float column per signal, NaN where undefined."""
    n_docs, longest_bytes = len(offsets) - 1, int(np.diff(offsets).max(initial=0))
    classes = character_classes()
    table = new_table(longest_bytes // 2 + 1)
    of_words = np.empty((n_docs, len(words.COLUMNS)))
    scratch, grams = words.new_words(longest_bytes), np.empty(longest_bytes // 2 + 1, np.uint64)
    words.measure_words(utf8, offsets, classes, *_stop_words(), scratch, grams, table, of_words)
    of_duplicates = np.empty((n_docs, len(duplicates.COLUMNS)))
    duplicates.measure_duplicates(
        utf8, offsets, classes, of_words[:, words.CHARS], of_words[:, words.WORDS], table, of_duplicates
    )
    of_lines = np.empty((n_docs, len(lines.COLUMNS)))
    lines.measure_lines(utf8, offsets, classes, lines.C4_PHRASES, lines.new_line_scratch(longest_bytes), of_lines)
    measured = zip(
        (words.COLUMNS, duplicates.COLUMNS, lines.COLUMNS), (of_words, of_duplicates, of_lines), strict=True
    )
    return {name: values[:, i] for names, values in measured for i, name in enumerate(names)}


@cache
def _stop_words() -> tuple[npt.NDArray[np.uint64], int]:
    """(hashes of the English stop words, characters of the longest one)."""
    return np.array([joinable_hash(word) for word in STOP_WORDS], np.uint64), max(map(len, STOP_WORDS))


def _to_arrow(values: npt.NDArray[np.float64], arrow_type: pa.DataType) -> pa.Array:
    """One column, null where NaN."""
    if pa.types.is_integer(arrow_type):
        return pa.array(values.astype(np.int32), arrow_type)
    return pa.array(np.ascontiguousarray(values), arrow_type, from_pandas=True)
