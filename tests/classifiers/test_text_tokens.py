"""Tokens, hits and counts of a text, against plain Python."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from classifiers import text_tokens
from classifiers.scripts import LATIN, SCRIPT_RANGES, character_classes
from classifiers.text_lexicon import Lexicon, read_lexicon
from classifiers.text_tokens import SHAPE, SIGNS, read_text
from classifiers.token_hashes import MAX_WORD_BYTES, new_table
from manifests.errors import RequestError

MASK, PRIME = 2**64 - 1, 0x100000001B3
SEEDS = {
    "word": 0x9E3779B97F4A7C15,
    "whole": 0xC2B2AE3D27D4EB4F,
    "first": 0x165667B19E3779F9,
    "last": 0x27D4EB2F165667C5,
}
TEXT = st.text(
    st.sampled_from("가나다라예제습니다힣ㅋㅠᄀ abcXYZingedsly'’é É0123.?!,:;\n\t -#*•…“\u3000🙂한́漢{}`|(")
    | st.characters(codec="utf-8")
)


def finish(h: int) -> int:
    h ^= h >> 32
    h = h * 0xFF51AFD7ED558CCD & MASK
    return (h ^ h >> 29) or 1


def digest(kind: str, units: list[int]) -> int:
    h = SEEDS[kind]
    for unit in units:
        h = (h ^ unit) * PRIME & MASK
    return finish(h)


def join(left: int, right: int) -> int:
    return finish((left ^ 0x5BD1E995) * PRIME & MASK ^ right)


def of_syllables(kind: str, syllables: str) -> int:
    units = [int.from_bytes(letter.encode(), "big") for letter in syllables]
    return digest(kind, units if kind != "last" else units[::-1])


def is_syllable(letter: str) -> bool:
    return "가" <= letter <= "힣"


def is_latin(letter: str) -> bool:
    code = ord(letter)
    in_range = any(first <= code <= last for script, first, last in SCRIPT_RANGES if script == LATIN)
    return in_range and unicodedata.category(letter)[0] == "L"


def lower(letter: str) -> str:
    return letter.lower() if letter.isascii() else letter


def plain_stem(word: bytes) -> bytes:
    if len(word) > 2 and word.endswith(b"'s"):
        word = word[:-2]
    if len(word) > 4 and word.endswith(b"ies"):
        word = word[:-3] + b"y"
    elif len(word) > 3 and word[-1:] == b"s" and word[-2:-1] not in (b"s", b"u", b"i"):
        word = word[:-1]
    cut = word
    if len(word) > 5 and word.endswith(b"ing"):
        cut = word[:-3]
    elif (len(word) > 4 and word.endswith(b"ed")) or (len(word) > 5 and word.endswith(b"ly")):
        cut = word[:-2]
    if cut != word and cut[-1] == cut[-2] and cut[-1:] not in (b"l", b"s"):
        cut = cut[:-1]
    return cut[:-1] if len(cut) > 4 and cut.endswith(b"e") else cut


def runs(text: str) -> list[tuple[str, str]]:
    """("hangul" or "latin", run) in order; an apostrophe before a letter belongs to a Latin word that has begun."""
    found: list[tuple[str, str]] = []
    i = 0
    while i < len(text):
        begin = i
        if is_syllable(text[i]):
            while i < len(text) and is_syllable(text[i]):
                i += 1
            found.append(("hangul", text[begin:i]))
        elif is_latin(text[i]):
            while i < len(text):
                after = text[i + 1 : i + 2]
                quote = text[i] == "'" and after.isascii() and after.isalpha()
                curly = text[i] == "’" and "a" <= after <= "z"
                if not (is_latin(text[i]) or quote or curly):
                    break
                i += 1
            found.append(("latin", text[begin:i]))
        else:
            i += 1
    return found


def plain_tokens(text: str) -> list[int]:
    found = []
    for kind, run in runs(text):
        if kind == "latin":
            word = "".join(map(lower, run)).replace("’", "'").encode()[:MAX_WORD_BYTES]
            found.append(digest("word", list(plain_stem(word))))
            continue
        if len(run) == 1:
            found.append(of_syllables("first", run))
        if len(run) >= 2:
            found += [of_syllables("first", run[:2]), of_syllables("last", run[-2:])]
        if len(run) >= 3:
            found.append(of_syllables("first", run[:3]))
    return found


def read(content: bytes, lexicon: Lexicon | None = None) -> tuple[list[int], dict[str, int], dict[str, int]]:
    """(tokens, hits by category, counts) of a kernel's reading."""
    lexicon = lexicon or Lexicon((), np.empty(0, np.uint64), np.empty(0, np.int32))
    keys, values = new_table(lexicon.hashes, lexicon.categories)
    utf8 = np.frombuffer(content, np.uint8)
    tokens, word = np.zeros(len(utf8) + 1, np.uint64), np.zeros(MAX_WORD_BYTES, np.uint8)
    hits, shape = np.zeros(len(lexicon.names) + 1, np.int32), np.zeros(len(SHAPE), np.int32)
    n = read_text(utf8, 0, len(utf8), character_classes(), SIGNS, keys, values, word, tokens, hits, shape)
    named = zip(lexicon.names, hits.tolist(), strict=False)
    return tokens[:n].tolist(), {name: k for name, k in named if k}, dict(zip(SHAPE, shape.tolist(), strict=True))


@given(TEXT)
@example("Don’t stop’s running classes studies 가나다라 가 예제")
@example("é́ É가a나'b'")
@example("x" * 60)
def test_tokens_are_those_of_plain_python(text: str) -> None:
    tokens, _, shape = read(text.encode())
    assert sorted(tokens) == sorted(plain_tokens(text))
    assert shape["tokens"] == len(tokens)


@given(TEXT)
def test_counts_are_those_of_plain_python(text: str) -> None:
    assume("\0" not in text)  # the normal form removes it
    _, _, shape = read(text.encode())
    words = runs(text)
    assert shape["hangul_words"] == sum(kind == "hangul" for kind, _ in words)
    assert shape["latin_words"] == sum(kind == "latin" for kind, _ in words)
    assert shape["syllables"] == sum(map(is_syllable, text))
    assert shape["letters"] == sum(map(is_latin, text))
    assert shape["upper"] == sum(letter.isascii() and letter.isupper() for letter in text)
    assert shape["digits"] == sum(letter.isascii() and letter.isdigit() for letter in text)
    assert shape["questions"] == text.count("?")
    assert shape["commas"] == text.count(",")
    assert shape["periods"] == text.count(".") + text.count("。")
    assert shape["jamo"] == sum("ㄱ" <= x <= "ㆎ" or "\u1100" <= x <= "\u11ff" for x in text)
    lines = [line.strip(" \t\r\u00a0\u3000") for line in text.split("\n")]
    assert shape["lines"] == sum(map(bool, lines))
    assert shape["ended_lines"] == sum(line[-1:] in set(".!?:。") for line in lines if line)
    assert shape["headings"] == sum(line[0] in "#=" for line in lines if line)


@given(st.binary())
@example("한국".encode()[:-1])
@example("a’".encode()[:-1] + b"b")
def test_broken_text_is_read_to_its_end(content: bytes) -> None:
    tokens, _, shape = read(content)
    assert shape["tokens"] == len(tokens) <= len(content)
    assert read(content)[0] == tokens


def test_a_lexicon_finds_stems_beginnings_endings_and_phrases(tmp_path: Path) -> None:
    (tmp_path / "some.tsv").write_text(
        "example\tfor example, 예를 들어, 예제-\nformal\t-습니다\nplain\t-다\ncan\t수 있-\n"
        "hand\tthe other hand, exercise\n"
    )
    lexicon = read_lexicon(tmp_path / "some.tsv")
    assert read("For examples: 예제는 예를 들어 봅니다. 예를 든다".encode(), lexicon)[1] == {"example": 3, "plain": 2}
    assert read("갑니다 배웠습니다 할 수 있다, 수 없다".encode(), lexicon)[1] == {"formal": 1, "plain": 3, "can": 1}
    assert read(b"On the other hand, Exercises. the hand", lexicon)[1] == {"hand": 2}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no tab", "line 1: expected a name, a tab and entries"),
        ("x\tone two three four", "'one two three four' is no entry"),
        ("x\t네임스페이스-", "is no entry"),
        ("x\t가 나 다", "is no entry"),
        ("x\tUpper", "is no entry"),
        ("x\t예a제", "is no entry"),
        ("x\t가,,나", "'' is no entry"),
    ],
)
def test_a_lexicon_that_cannot_be_read(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "wrong.tsv").write_text(line + "\n")
    with pytest.raises(RequestError, match=message):
        read_lexicon(tmp_path / "wrong.tsv")


def test_every_sign_is_counted_once() -> None:
    for code in range(128):
        _, _, shape = read(bytes([code]))
        expected = [SHAPE[SIGNS[code]]] if SIGNS[code] >= 0 else []
        signs = [name for name in SHAPE[text_tokens.PERIODS : text_tokens.DASHES + 1] if shape[name]]
        assert signs == [name for name in expected if name != "digits"]
