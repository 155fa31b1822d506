"""Signals of pieces: Gopher's and FineWeb's measures on a segmentation of Korean about as fine as Kiwi's morphemes.

A piece (`pieces-1`) is two Hangul syllables of a run, or the odd last one; a run of Hangul letters outside syllables
(ㅋㅋㅋ); a run of other letters; a number with its separators (1,234.5 or 2024-05-01); a URL; or a run of one symbol
(***). White space parts pieces. No dictionary is needed, so this runs hundreds of times faster than an analyser, and
benchmarks/korean_thresholds.py shows that rules made for Kiwi's words decide on pieces nearly as they do on those.
"""

import numpy as np
from numba import uint64

from curation.kernels import at, kernel, words
from curation.kernels.characters import (
    ALPHA,
    DECIMAL,
    JAMO,
    SPACE,
    SYLLABLE,
    SYMBOL,
    Bytes,
    Offsets,
    Values,
    decode,
)
from curation.kernels.duplicates import count_newlines
from curation.kernels.hashing import BASE, INVERSE, Table, Words
from curation.kernels.repetition import duplicated_chars

COLUMNS = (
    "piece_count",
    "non_symbol_piece_count",
    "avg_piece_length",
    "letter_piece_frac",
    "newline_piece_ratio",
    "hash_piece_ratio",
    "ellipsis_piece_ratio",
    "dup_5_piece_char_frac",
    "dup_8_piece_char_frac",
)
PIECES, SPOKEN, LENGTH, LETTERS, NEWLINES, HASHES, ELLIPSES, DUP_5, DUP_8 = range(9)
UNDEFINED = np.nan

SYLLABLES, JAMOS, LETTERS_RUN, NUMBER, URL, OTHER = range(6)


@kernel()
def starts_url(utf8: Bytes, i: int, end: int) -> bool:
    """Whether http:// or https:// stands at utf8[i]."""
    if (
        end - i < 7
        or utf8[at(i)] != 0x68
        or utf8[at(i + 1)] != 0x74
        or utf8[at(i + 2)] != 0x74
        or utf8[at(i + 3)] != 0x70
    ):
        return False
    colon = i + 5 if utf8[at(i + 4)] == 0x73 else i + 4
    return bool(
        colon + 2 < end and utf8[at(colon)] == 0x3A and utf8[at(colon + 1)] == 0x2F and utf8[at(colon + 2)] == 0x2F
    )


@kernel()
def kind_of(bits: int, utf8: Bytes, i: int, end: int) -> int:
    """The kind of piece that the character at utf8[i] begins; `bits` are its classes."""
    if bits & (SYLLABLE | JAMO):
        return SYLLABLES if bits & SYLLABLE else JAMOS
    if bits & ALPHA:
        return URL if starts_url(utf8, i, end) else LETTERS_RUN
    return NUMBER if bits & DECIMAL else OTHER


@kernel()
def is_separator(character: int, utf8: Bytes, after: int, end: int, classes: Bytes) -> bool:
    """Whether the character is one of , - . / : and a digit follows at utf8[after]."""
    if not (0x2C <= character <= 0x2F or character == 0x3A) or after >= end:
        return False
    return bool(classes[decode(utf8, after)[0]] & DECIMAL)


@kernel()
def ends_url(character: int, bits: int) -> bool:
    """Whether the character cannot stand in a URL: a Hangul syllable, or one of < > \" ' `."""
    is_quote = character == 0x22 or character == 0x27 or character == 0x60
    return bool(bits & SYLLABLE or is_quote or character == 0x3C or character == 0x3E)


@kernel()
def split_pieces(utf8: Bytes, start: int, end: int, classes: Bytes, pieces: Words) -> int:
    """Fills `pieces` with the pieces of utf8[start:end]; returns how many there are."""
    pieces.char_end[0], pieces.sums[0], pieces.powers[0] = 0, 0, 1
    n_pieces, n_chars, size_chars, kind, previous = 0, 0, 0, OTHER, -1
    total, power, inverse, any_class, all_class = uint64(0), uint64(1), uint64(1), 0, 255
    i = start
    while i < end:
        character, size = decode(utf8, i)
        bits = int(classes[at(character)])
        if kind == SYLLABLES:
            goes_on = bits & SYLLABLE != 0 and size_chars < 2
        elif kind == JAMOS:
            goes_on = bits & JAMO != 0
        elif kind == LETTERS_RUN:
            goes_on = bits & ALPHA != 0 and bits & (SYLLABLE | JAMO) == 0
        elif kind == NUMBER:
            goes_on = bits & DECIMAL != 0 or is_separator(character, utf8, i + size, end, classes)
        elif kind == URL:
            goes_on = not ends_url(character, bits)
        else:
            goes_on = character == previous
        if size_chars and (bits & SPACE or not goes_on):
            pieces.any_class[at(n_pieces)], pieces.all_class[at(n_pieces)] = any_class, all_class
            n_pieces += 1
            pieces.char_end[at(n_pieces)], pieces.sums[at(n_pieces)], pieces.powers[at(n_pieces)] = (
                n_chars,
                total,
                power,
            )
            any_class, all_class, size_chars = 0, 255, 0
        if not bits & SPACE:
            if size_chars == 0:
                kind = kind_of(bits, utf8, i, end)
            total += uint64(character + 1) * inverse
            inverse *= INVERSE
            power *= BASE
            any_class |= bits
            all_class &= bits
            n_chars += 1
            size_chars += 1
        previous = character
        i += size
    if size_chars:
        pieces.any_class[at(n_pieces)], pieces.all_class[at(n_pieces)] = any_class, all_class
        n_pieces += 1
        pieces.char_end[at(n_pieces)], pieces.sums[at(n_pieces)], pieces.powers[at(n_pieces)] = n_chars, total, power
    return n_pieces


@kernel()
def measure_quality(pieces: Words, n_pieces: int, row: Values) -> None:
    """Writes how many pieces are not mere symbols, their mean length, and the share of pieces with letters."""
    n_spoken, n_spoken_chars, n_letters = 0, 0, 0
    for i in range(n_pieces):
        if not pieces.all_class[at(i)] & SYMBOL:
            n_spoken += 1
            n_spoken_chars += pieces.char_end[at(i + 1)] - pieces.char_end[at(i)]
        n_letters += pieces.any_class[at(i)] & ALPHA != 0
    row[SPOKEN] = n_spoken
    row[LENGTH] = n_spoken_chars / n_spoken if n_spoken else UNDEFINED
    row[LETTERS] = n_letters / n_pieces if n_pieces else UNDEFINED


@kernel()
def measure_pieces(
    utf8: Bytes,
    offsets: Offsets,
    classes: Bytes,
    of_words: Values,
    pieces: Words,
    table: Table,
    out: Values,
) -> None:
    """Writes COLUMNS of every document utf8[offsets[d]:offsets[d + 1]] into out[d].

    Where a document has no Hangul its counts are 0 and its ratios NaN. `of_words` are the columns that kernels.words
    measured of the same documents.
    """
    for d in range(len(offsets) - 1):
        row, start, end = out[d], offsets[d], offsets[d + 1]
        if not of_words[d, words.HANGUL] > 0:
            row[:] = UNDEFINED
            row[PIECES] = row[SPOKEN] = 0
            continue
        n_pieces = split_pieces(utf8, start, end, classes, pieces)
        row[PIECES] = n_pieces
        measure_quality(pieces, n_pieces, row)
        per_piece = of_words[d, words.WORDS] / n_pieces
        row[NEWLINES] = count_newlines(utf8, start, end) / n_pieces
        row[HASHES], row[ELLIPSES] = of_words[d, words.HASHES] * per_piece, of_words[d, words.ELLIPSES] * per_piece
        row[DUP_5] = duplicated_chars(pieces, n_pieces, 5, table) / of_words[d, words.CHARS]
        row[DUP_8] = duplicated_chars(pieces, n_pieces, 8, table) / of_words[d, words.CHARS]
