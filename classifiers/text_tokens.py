"""What a smooth classifier reads of a text: hashed tokens, hits of a lexicon and counts of its shape, in one pass.

Tokens: of a run of Hangul syllables its first two and three and its last two (a particle or an ending); of a Latin
word its stem in lower case (ASCII letters are lowered, and a few English endings cut). Everything else is shape.
"""

import numpy as np
from numba import njit, uint64

from classifiers.scripts import LATIN, LETTER, TABLE_SIZE, Bytes, decode
from classifiers.token_hashes import (
    FIRST,
    LAST,
    MAX_WORD_BYTES,
    N_SYLLABLES,
    PRIME,
    WHOLE,
    Counts,
    Hashes,
    find,
    finish,
    hash_syllables,
    hash_word,
    join,
    stem,
    syllable,
)

SHAPE = (
    "chars", "words", "latin_words", "hangul_words", "syllables", "letters", "lines", "tokens",
    "upper", "capitalised", "capitals", "long_words",
    "digits", "numbers", "jamo", "other_letters", "emoji", "periods", "questions", "exclamations", "commas", "colons",
    "brackets", "quotes", "code_signs", "ticks", "pipes", "dashes", "ellipses", "urls", "repeats",
    "blank_lines", "short_lines", "long_lines", "bullets", "headings", "indented", "ended_lines", "code_lines",
)  # fmt: skip
(
    CHARS, WORDS, LATIN_WORDS, HANGUL_WORDS, SYLLABLES, LETTERS, LINES, TOKENS,
    UPPER, CAPITALISED, CAPITALS, LONG_WORDS,
    DIGITS, NUMBERS, JAMO, OTHER_LETTERS, EMOJI, PERIODS, QUESTIONS, EXCLAMATIONS, COMMAS, COLONS,
    BRACKETS, QUOTES, CODE_SIGNS, TICKS, PIPES, DASHES, ELLIPSES, URLS, REPEATS,
    BLANK_LINES, SHORT_LINES, LONG_LINES, BULLETS, HEADINGS, INDENTED, ENDED_LINES, CODE_LINES,
) = range(len(SHAPE))  # fmt: skip
SHORT_LINE_CHARS, LONG_LINE_CHARS, LONG_WORD_LETTERS = 40, 200, 8
TAB, NEWLINE, BLANK, QUOTE, DOT, APOSTROPHE = 9, 10, 32, 39, 46, 0x2019


def _signs() -> Counts:
    """Which count an ASCII character adds to, -1 where none."""
    table = np.full(128, -1, np.int32)
    groups = {
        PERIODS: ".", QUESTIONS: "?", EXCLAMATIONS: "!", COMMAS: ",", COLONS: ":", BRACKETS: "()", QUOTES: "\"'",
        CODE_SIGNS: "{}[]<>=;_/\\#$@&%~^+*", TICKS: "`", PIPES: "|", DASHES: "-", DIGITS: "0123456789",
    }  # fmt: skip
    for count, characters in groups.items():
        table[[ord(character) for character in characters]] = count
    return table


SIGNS = _signs()


@njit(nogil=True, cache=True, inline="always")
def is_syllable(utf8: Bytes, i: int, end: int) -> bool:
    """Whether a whole Hangul syllable (U+AC00 to U+D7A3) begins at i."""
    if i + 2 >= end or utf8[i] < 0xEA or utf8[i] > 0xED:
        return False
    code, _ = decode(utf8, i, end)
    return 0xAC00 <= code <= 0xD7A3


@njit(nogil=True, cache=True)
def count_hit(key: np.uint64, keys: Hashes, values: Counts, hits: Counts) -> None:
    """hits[category] += 1 where the lexicon knows a hash."""
    place = find(key, keys)
    if place >= 0:
        hits[values[place]] += 1


@njit(nogil=True, cache=True, inline="always")
def longer(key: np.uint64, keys: Hashes, best: np.int64) -> np.int64:
    """The place of a key that is longer than what was found so far, where the lexicon knows it."""
    place = find(key, keys)
    return place if place >= 0 else best


@njit(nogil=True, cache=True)
def read_text(
    utf8: Bytes,
    start: int,
    end: int,
    classes: Bytes,
    signs: Counts,
    keys: Hashes,
    values: Counts,
    word: Bytes,
    tokens: Hashes,
    hits: Counts,
    shape: Counts,
) -> int:
    """Read utf8[start:end]; returns the number of tokens.

    Args:
        utf8: bytes; broken ones are read as U+FFFD.
        start: the first byte.
        end: after the last one.
        classes: `scripts.character_classes()`.
        signs: SIGNS.
        keys: table of the lexicon's hashes.
        values: its categories.
        word: scratch of MAX_WORD_BYTES.
        tokens: out: room for end - start hashes.
        hits: out: per category of the lexicon, added to.
        shape: out: SHAPE, added to.
    """
    n_tokens, i, before, second = 0, start, uint64(1), uint64(1)
    line_chars, line_signs, indent, first_visible, last_visible, previous, run = 0, 0, 0, 0, 0, 0, 0
    while i <= end:
        code, width = np.int64(utf8[i]) if i < end else np.int64(NEWLINE), 1
        if code >= 0x80:
            code, width = decode(utf8, i, end)  # type: ignore[assignment]
        if code == NEWLINE:
            if first_visible:
                count_line(shape, line_chars, line_signs, indent, first_visible, last_visible)
            else:
                shape[BLANK_LINES] += i < end
            line_chars, line_signs, indent, first_visible, last_visible, previous = 0, 0, 0, 0, 0, NEWLINE
            i += 1
            continue
        line_chars += 1
        if code in (BLANK, TAB) or code == 13 or code == 0xA0 or code == 0x3000:
            indent += first_visible == 0
            previous = BLANK
            i += width
            continue
        shape[CHARS] += 1
        first_visible = first_visible if first_visible else code  # type: ignore[assignment]
        run = run + 1 if code == previous else 0
        shape[REPEATS] += run == 2
        last_visible = previous = code  # type: ignore[assignment]
        kind = classes[code] if code < TABLE_SIZE else 0
        if 0xAC00 <= code <= 0xD7A3:
            begin, last_visible, previous = i, 0xAC00, 0xAC00
            while is_syllable(utf8, i, end):
                i += 3
            n = (i - begin) // 3
            line_chars += n - 1
            count_run(shape, n)
            whole = hash_syllables(utf8, begin, n, 3, WHOLE)
            n_tokens = read_run(utf8, begin, n, before, whole, keys, values, tokens, n_tokens, hits)
            second, before = before, whole
        elif kind == LATIN:
            is_capitalised = 65 <= code <= 90
            last_visible, previous = 97, 97
            i, n, n_letters, n_upper = read_word(utf8, i, end, classes, word)
            line_chars += n_letters - 1
            count_word(shape, word, n, n_letters, n_upper, is_capitalised)  # type: ignore[arg-type]
            token = hash_word(word, stem(word, n))
            tokens[n_tokens] = token
            n_tokens += 1
            count_hit(token, keys, values, hits)
            count_hit(join(before, token), keys, values, hits)
            count_hit(join(join(second, before), token), keys, values, hits)
            second, before = before, token
        else:
            sign = signs[code] if code < 0x80 else other_sign(code, kind)  # type: ignore[arg-type]
            if sign >= 0:
                shape[sign] += 1
                line_signs += sign == CODE_SIGNS
                shape[NUMBERS] += sign == DIGITS and (i == start or not 48 <= utf8[i - 1] <= 57)
                shape[ELLIPSES] += code == DOT and run == 2
            i += width
    shape[TOKENS] += n_tokens
    return n_tokens


@njit(nogil=True, cache=True)
def count_line(shape: Counts, n_chars: int, n_signs: int, indent: int, first_visible: int, last_visible: int) -> None:
    """A line that is not blank: how long it is, and how it begins and ends."""
    first, last = first_visible, last_visible
    shape[LINES] += 1
    shape[SHORT_LINES] += n_chars < SHORT_LINE_CHARS
    shape[LONG_LINES] += n_chars > LONG_LINE_CHARS
    shape[INDENTED] += indent >= 2
    shape[HEADINGS] += first == ord("#") or first == ord("=")
    is_mark = first == ord("-") or first == ord("*") or first == 0x2022 or first == 0xB7
    shape[BULLETS] += is_mark or 48 <= first <= 57
    shape[ENDED_LINES] += last == DOT or last == ord("!") or last == ord("?") or last == ord(":") or last == 0x3002
    shape[CODE_LINES] += n_signs * 8 > n_chars


@njit(nogil=True, cache=True)
def count_run(shape: Counts, n: int) -> None:
    """A run of n syllables, of which the first is counted as a character."""
    shape[CHARS] += n - 1
    shape[SYLLABLES] += n
    shape[HANGUL_WORDS] += 1
    shape[WORDS] += 1


@njit(nogil=True, cache=True)
def read_run(
    utf8: Bytes, begin: int, n: int, before: np.uint64, whole: np.uint64, keys: Hashes, values: Counts,
    tokens: Hashes, n_tokens: int, hits: Counts,
) -> int:  # fmt: skip
    """Tokens and hits of a run of n syllables; `before` is the hash of the word before. The number of tokens."""
    count_hit(whole, keys, values, hits)
    count_hit(join(before, whole), keys, values, hits)
    forwards, backwards, begun, ended, end = FIRST, LAST, np.int64(-1), np.int64(-1), begin + 3 * n
    for k in range(min(n, N_SYLLABLES)):
        forwards = (forwards ^ syllable(utf8, begin + 3 * k)) * PRIME
        backwards = (backwards ^ syllable(utf8, end - 3 - 3 * k)) * PRIME
        first, last = finish(forwards), finish(backwards)
        begun, ended = longer(first, keys, begun), longer(last, keys, ended)
        if k < 2:
            count_hit(join(before, first), keys, values, hits)
        if k == 1 or k == 2 or n == 1:
            tokens[n_tokens] = first
            n_tokens += 1
        if k == 1:
            tokens[n_tokens] = last
            n_tokens += 1
    if begun >= 0:
        hits[values[begun]] += 1
    if ended >= 0:
        hits[values[ended]] += 1
    return n_tokens


@njit(nogil=True, cache=True)
def read_word(utf8: Bytes, i: int, end: int, classes: Bytes, word: Bytes) -> tuple[int, int, int, int]:
    """Write the Latin word at i in lower case to `word`; (where it ends, its bytes there, letters, ASCII capitals).

    An apostrophe, straight or curly, belongs to it where a letter follows.
    """
    n, n_letters, n_upper = 0, 0, 0
    while i < end:
        byte, width = np.int64(utf8[i]), 1
        if is_ascii_letter(byte):
            n_letters += 1
            n_upper += byte <= 90  # type: ignore[assignment]
            byte |= 32
        elif byte == QUOTE:
            if i + 1 >= end or not is_ascii_letter(utf8[i + 1]):
                break
        elif byte >= 0x80:
            code, width = decode(utf8, i, end)
            if code == APOSTROPHE and i + 3 < end and 97 <= utf8[i + 3] <= 122:
                byte = np.int64(QUOTE)
            elif code < TABLE_SIZE and classes[code] == LATIN:
                n_letters += 1
                for k in range(width - 1):
                    if n < MAX_WORD_BYTES:
                        word[n] = utf8[i + k]
                        n += 1
                byte = np.int64(utf8[i + width - 1])
            else:
                break
        else:
            break
        if n < MAX_WORD_BYTES:
            word[n] = byte
            n += 1
        i += width
    return i, n, n_letters, n_upper


@njit(nogil=True, cache=True, inline="always")
def is_ascii_letter(byte: np.int64) -> bool:
    """a to z and A to Z."""
    return 97 <= byte <= 122 or 65 <= byte <= 90  # type: ignore[return-value]


@njit(nogil=True, cache=True)
def count_word(shape: Counts, word: Bytes, n: int, n_letters: int, n_upper: int, is_capitalised: bool) -> None:
    """A Latin word, of which the first letter is counted as a character; `word` is not yet cut to its stem."""
    shape[CHARS] += n_letters - 1
    shape[LETTERS] += n_letters
    shape[UPPER] += n_upper
    shape[LATIN_WORDS] += 1
    shape[WORDS] += 1
    shape[CAPITALISED] += is_capitalised
    shape[CAPITALS] += n_upper == n_letters and n_letters > 1
    shape[LONG_WORDS] += n_letters >= LONG_WORD_LETTERS
    is_http = word[0] == ord("h") and word[1] == ord("t") and word[2] == ord("t")
    shape[URLS] += is_http and ((n == 4 and word[3] == ord("p")) or (n == 5 and word[4] == ord("s")))


@njit(nogil=True, cache=True)
def other_sign(code: int, kind: int) -> int:
    """Which count a character beyond ASCII adds to that is neither syllable nor Latin letter, -1 where none."""
    if 0x3131 <= code <= 0x318E or 0x1100 <= code <= 0x11FF:
        return JAMO
    if code == 0x3002:
        return PERIODS
    if code == 0x2026:
        return ELLIPSES
    if code == 0x201C or code == 0x201D or code == 0x2018 or code == APOSTROPHE:
        return QUOTES
    if code == 0x2013 or code == 0x2014:
        return DASHES
    if kind >= LETTER:
        return OTHER_LETTERS
    return EMOJI if code >= 0x2190 else -1
