"""The table of character classes against Python's and datatrove's own."""

import numpy as np
import pytest
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION

from curation.kernels import characters
from curation.kernels.characters import character_classes, decode, strip
from tests.curation.texts import WHITE_SPACE

EVERY = [chr(i) for i in range(characters.N_CODE_POINTS)]
CLASSES = {
    "SPACE": str.isspace,
    "LINE_BREAK": lambda character: len(f"a{character}b".splitlines()) == 2,
    "SYMBOL": PUNCTUATION_SET.__contains__,
    "TERMINAL": TERMINAL_PUNCTUATION.__contains__,
    "ALPHA": str.isalpha,
    "DECIMAL": str.isdecimal,
    "SYLLABLE": lambda character: "가" <= character <= "힣",
}


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_those_of_python_and_datatrove(name: str) -> None:
    expected = np.fromiter(map(CLASSES[name], EVERY), bool, len(EVERY))
    assert np.array_equal(character_classes() & getattr(characters, name) != 0, expected)


def test_lone_letters() -> None:
    jamo = character_classes() & characters.JAMO != 0
    assert all(jamo[ord(letter)] for letter in "ㅋㅠㅏㄳᄒ\u1161\u11abﾻￜ")
    assert not any(jamo[ord(other)] for other in "가a1 漢。")
    assert not np.any(jamo & (character_classes() & characters.SYLLABLE != 0))


def test_decode_and_strip() -> None:
    for character in ["a", "é", "한", "𝒳", "\U0010ffff", "\x00"]:
        utf8 = np.frombuffer(character.encode(), np.uint8)
        assert decode(utf8, 0) == (ord(character), len(utf8))
    for text in ["", WHITE_SPACE, f"{WHITE_SPACE}한 글{WHITE_SPACE}", "x"]:
        utf8 = np.frombuffer(text.encode(), np.uint8)
        start, end = strip(utf8, 0, len(utf8), character_classes())
        assert bytes(utf8[start:end]).decode() == text.strip()
