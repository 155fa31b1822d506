"""What is measured of every text: one struct of numbers per document, from which any rule can decide later."""

import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.kernels import duplicates, korean, lines, pieces, words
from curation.kernels.characters import Bytes, Hashes, Offsets, Values, character_classes
from curation.kernels.hashing import Table, Words, hash_text, new_table, new_words

SIGNALS_VERSION = "signals-1"
"""Changes whenever a signal is added or its value could differ for some text."""

SEGMENTATION = "whitespace-1"
"""A word is a maximal run without Unicode white space, as `str.split()` cuts; for Korean, an eojeol."""

PIECES = "pieces-1"
"""About as fine as Korean morphemes: see kernels/pieces.py. Measured where a text has Hangul."""

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Gopher's English stop words, matched as whole words, case included (Rae et al. 2021, table A1)."""

KEPT_SCRATCH_BYTES = 1 << 20
"""A thread keeps the scratch of documents up to this size: fresh memory at every batch costs a fifth of the time."""

_of_thread = threading.local()

GOPHER = "Rae et al. 2021 (Gopher), as datatrove 0.10.1"
FINEWEB = "Penedo et al. 2024 (FineWeb), as datatrove 0.10.1"
C4 = "Raffel et al. 2020 (C4), as datatrove 0.10.1"
FINEWEB_2 = "Penedo et al. 2025 (FineWeb-2), kor_Hang, on endings of eojeol"
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
        _ratio(f"top_{n}_gram_char_frac", "per char", f"Characters in all of the most frequent {n}-gram.", GOPHER)
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
    _count("hangul_word_count", "words", "Eojeol with a Hangul syllable.", ONGGI),
    _ratio("josa_word_frac", "frac", "Of these, the share that closes with a particle (josa).", ONGGI),
    _count(
        "ko_stop_word_count",
        "count",
        "Different ones of the Korean stop words that are or close an eojeol.",
        FINEWEB_2,
    ),
    _ratio("ko_stop_word_frac", "frac", "Eojeol with a Hangul syllable that a Korean stop word closes.", FINEWEB_2),
    _ratio(
        "jamo_frac", "frac", "Letters outside syllables (ㅋ, ㅠ), of the characters that are not white space.", ONGGI
    ),
    _count("jamo_run_max", "chars", "Longest run of letters outside syllables.", ONGGI),
    _count("spam_phrase_count", "count", "Different Korean spam phrases, looked for without spaces and dots.", ONGGI),
    _count("spam_hit_count", "count", "Occurrences of Korean spam phrases.", ONGGI),
    # Of pieces; where a text has no Hangul the counts are 0 and the rest is null.
    _count("piece_count", "pieces", "Pieces: two syllables, a run of letters, a number, a URL, a symbol.", ONGGI),
    _count("non_symbol_piece_count", "pieces", "Pieces with a character other than punctuation.", ONGGI),
    _ratio("avg_piece_length", "chars", "Mean length of the pieces that are not punctuation alone.", ONGGI),
    _ratio("letter_piece_frac", "frac", "Pieces with a letter, of all pieces.", ONGGI),
    _ratio("newline_piece_ratio", "per piece", "Newlines (\\n) per piece.", ONGGI),
    _ratio("hash_piece_ratio", "per piece", "Number signs (#) per piece.", ONGGI),
    _ratio("ellipsis_piece_ratio", "per piece", "Ellipses (... or …) per piece.", ONGGI),
    _ratio("dup_5_piece_char_frac", "frac", "Characters in repeated 5-grams of pieces.", ONGGI),
    _ratio("dup_8_piece_char_frac", "frac", "Characters in repeated 8-grams of pieces.", ONGGI),
)
"""Every signal, in the order of the struct's fields. A ratio without a denominator is null, never NaN."""

SIGNAL_TYPE: pa.StructType = pa.struct([pa.field(signal.name, signal.arrow_type) for signal in SIGNALS])


def measure_signals(texts: pa.LargeStringArray) -> pa.StructArray:
    """Measures every signal of every text.

    `texts` is one Arrow array of `large_string`; slices are fine. Returns an array of SIGNAL_TYPE of the same length,
    null where the text is null. Raises TypeError for any other type.
    """
    if not isinstance(texts, pa.LargeStringArray):
        raise TypeError(f"takes one array of large_string, not {type(texts).__name__} of {texts.type}")
    utf8, offsets = _buffers(texts)
    columns = _measure(utf8, offsets)
    fields = [_to_arrow(columns[signal.name], signal.arrow_type) for signal in SIGNALS]
    mask = texts.is_null() if texts.null_count else None
    return pa.StructArray.from_arrays(fields, fields=list(SIGNAL_TYPE), mask=mask)


def _buffers(texts: pa.LargeStringArray) -> tuple[Bytes, Offsets]:
    """(UTF-8 bytes, n + 1 offsets) of the array, without copying the text."""
    _, offsets, utf8 = texts.buffers() if len(texts) else (None, bytes(8), None)
    first = texts.offset if len(texts) else 0
    starts = np.frombuffer(offsets, np.int64)[first : first + len(texts) + 1]
    return _read_only(np.frombuffer(utf8 or b"", np.uint8)), _read_only(starts)


def _read_only(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array as Arrow's immutable buffers come; of mutable ones Numba would compile every kernel a second time."""
    values.flags.writeable = False
    return values


def _measure(utf8: Bytes, offsets: Offsets) -> dict[str, Values]:
    """Every kernel over all documents; one float column per signal, NaN where undefined."""
    kernels = (words, duplicates, lines, korean, pieces)
    outputs = [np.empty((len(offsets) - 1, len(kernel.COLUMNS))) for kernel in kernels]
    of_words, of_duplicates, of_lines, of_korean, of_pieces = outputs
    longest_bytes, texts = int(np.diff(offsets).max(initial=0)), (utf8, offsets, character_classes())
    scratch, table, line_scratch = _scratch(longest_bytes)
    words.measure_words(*texts, _stop_words(), scratch, table, of_words)
    duplicates.measure_duplicates(*texts, of_words, table.keys, of_duplicates)
    lines.measure_lines(*texts, lines.C4_PHRASES, line_scratch, of_lines)
    korean.measure_korean(*texts, korean.korean_endings(), korean.korean_spam(), of_words, of_korean)
    pieces.measure_pieces(*texts, of_words, scratch, table, of_pieces)
    named = zip(kernels, outputs, strict=True)
    return {name: output[:, i] for kernel, output in named for i, name in enumerate(kernel.COLUMNS)}


def _scratch(longest_bytes: int) -> tuple[Words, Table, lines.LineScratch]:
    """Scratch for documents of up to longest_bytes: this thread's own, or for a huge one fresh memory."""
    if longest_bytes > KEPT_SCRATCH_BYTES:
        return new_words(longest_bytes), new_table(longest_bytes), lines.new_line_scratch(longest_bytes)
    if not hasattr(_of_thread, "scratch"):
        _of_thread.scratch = tuple(new(KEPT_SCRATCH_BYTES) for new in (new_words, new_table, lines.new_line_scratch))
    scratch: tuple[Words, Table, lines.LineScratch] = _of_thread.scratch
    return scratch


@cache
def _stop_words() -> Hashes:
    return np.array([hash_text(word) for word in STOP_WORDS], np.uint64)


def _to_arrow(values: Values, arrow_type: pa.DataType) -> pa.Array:
    """One column, null where NaN."""
    if pa.types.is_integer(arrow_type):
        return pa.array(values.astype(np.int32), arrow_type)
    return pa.array(np.ascontiguousarray(values), arrow_type, from_pandas=True)
