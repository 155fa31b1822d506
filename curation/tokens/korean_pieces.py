"""Whether the bytes of a token are part of Korean text: whole Hangul letters, with a piece of one at either end."""

import re

_WHOLE = (  # syllables, then jamo
    rb"(?:\xea[\xb0-\xbf][\x80-\xbf]|[\xeb\xec][\x80-\xbf]{2}|\xed(?:[\x80-\x9d][\x80-\xbf]|\x9e[\x80-\xa3])"
    rb"|\xe1[\x84-\x87][\x80-\xbf]|\xe3(?:\x84[\xb1-\xbf]|\x85[\x80-\xbf]|\x86[\x80-\x8e]))"
)
_BEGUN = rb"(?:\xea(?:[\xb0-\xbf])?|[\xeb\xec][\x80-\xbf]?|\xed[\x80-\x9e]?|\xe1[\x84-\x87]?|\xe3[\x84-\x86]?)"
_ENDING = rb"[\x80-\xbf]{1,2}"
PART = re.compile(rb" ?(?:%b)?(?:%b)*(?:%b)?" % (_ENDING, _WHOLE, _BEGUN))
"""Something that may stand in Korean text, a space before it included."""
CERTAIN = re.compile(
    rb"%b|\xea[\xb0-\xbf]|[\xeb\xec][\x80-\xbf]|\xed[\x80-\x9e]|\xe1[\x84-\x87]|\xe3[\x84-\x86]" % _WHOLE
)
"""Enough of a Hangul letter that no text without such letters has it."""


def may_be_korean(token: bytes) -> bool:
    """Whether nothing in the token tells that it is of another text."""
    return PART.fullmatch(token) is not None


def is_korean(token: bytes) -> bool:
    """Whether a token can stand in Korean text only (bar CJK brackets and Bopomofo, for two bytes of U+31xx)."""
    return may_be_korean(token) and CERTAIN.search(token) is not None
