"""Whether Gigatoken gives the ids that a tokenizer's own library gives, on texts of the data and on odd ones."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.tokens.engines import text_bytes
from curation.tokens.tokenizer import Tokenizer

ODD_TEXTS = (
    "",
    "\x00a\x00b",
    "\n a\n",
    "\u0301a e\u0301 q\u0307\u0323",  # combining marks, one of them alone, two of them out of order
    "\u1112\u1161\u11ab\u1100\u1173\u11af \u1161 \u11ab \uac01\u11a8",  # jamo that make syllables, and that make none
    "ㅋㅋㅋㅋ ㅠㅠ 한국어  텍스트\n\n\n끝",
    "👩‍👩‍👧‍👦 🇰🇷 ❤️",
    " " * 1000 + "a" + " " * 17 + "\t\t\n \n  \r\n\r\n b ",
    "\ufeffa\u200bb\u00a0c\u3000d\u2028e\x85f",
    "ＡＢＣ１２３ ①② ﬁ \u212b İ ſ'S 'LL don't",
    "1234567890 3.14159 ١٢٣",
    "▁ a▁b Ġ Ċ <0x0A> <unk> </s>",
    "\ue000\uffff\U0010ffff",
)
"""What engines are known to differ in, whatever the data."""


@dataclass(frozen=True)
class EngineCheck:
    """The ids of two engines, compared."""

    n_texts: int
    n_bytes: int
    equal: bool
    first_difference: str | None = None
    """The first text whose ids differ, and how; None where all are equal."""


def check_engine(tokenizer: Tokenizer, texts: pa.LargeStringArray, *, odd: bool = True) -> EngineCheck:
    """Compare the ids of Gigatoken with the library's, on texts and on ODD_TEXTS.

    Args:
        tokenizer: with Gigatoken; one that uses its library is equal without a look.
        texts: a sample of the data, without nulls.
        odd: whether on ODD_TEXTS and special tokens, too, which once is enough for a tokenizer.

    Raises:
        RequestError: the library is not installed, or does not take the tokenizer.
    """
    if tokenizer.engine == "library":
        return EngineCheck(0, 0, True)
    library = tokenizer.with_engine("library")
    parts = [*([_odd_texts(tokenizer)] if odd else []), texts]
    n_texts, n_bytes = sum(map(len, parts)), sum(map(text_bytes, parts))
    for part in parts:
        if difference := _first_difference(tokenizer, library, part):
            return EngineCheck(n_texts, n_bytes, False, difference)
    return EngineCheck(n_texts, n_bytes, True)


def _odd_texts(tokenizer: Tokenizer) -> pa.LargeStringArray:
    added = [f"a {token.content} b{token.content}" for token in tokenizer.file.added]
    return pa.array([*ODD_TEXTS, *added, *tokenizer.file.specials], pa.large_string())


def checked(tokenizer: Tokenizer, texts: pa.LargeStringArray) -> tuple[Tokenizer, EngineCheck]:
    """The tokenizer with the engine whose ids are the library's, and what was compared.

    Raises:
        RequestError: the library is not installed, or does not take the tokenizer.
    """
    found = check_engine(tokenizer, texts)
    return (tokenizer if found.equal else tokenizer.with_engine("library")), found


def _first_difference(one: Tokenizer, other: Tokenizer, texts: pa.LargeStringArray) -> str | None:
    ids, bounds = one.encode(texts)
    expected, expected_bounds = other.encode(texts)
    if np.array_equal(bounds, expected_bounds) and np.array_equal(ids, expected):
        return None
    for row in range(len(texts)):
        given, right = (
            all_ids[all_bounds[row] : all_bounds[row + 1]].tolist()
            for all_ids, all_bounds in ((ids, bounds), (expected, expected_bounds))
        )
        if given != right:
            at = next((i for i, pair in enumerate(zip(given, right, strict=False)) if pair[0] != pair[1]), 0)
            return (
                f"{one.engine_name} gives {given[at : at + 4]} where {other.engine_name} gives {right[at : at + 4]}, "
                f"from id {at} of the text {texts[row].as_py()[:80]!r}"
            )
    return None
