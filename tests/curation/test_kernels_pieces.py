"""Pieces: a regular expression is the oracle of the segmentation, datatrove's own counting that of the n-grams."""

import re

import pyarrow as pa
import pytest
from datatrove.pipeline.filters.gopher_repetition_filter import find_all_duplicate
from datatrove.utils.text import PUNCTUATION_SET
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.signals import measure_signals

PIECE = re.compile(
    r"https?://[^\s가-힣<>\"'`]*"
    r"|[가-힣]{1,2}"
    r"|[ㄱ-ㅎㅏ-ㅣ]+"
    r"|[^\W\d_가-힣ㄱ-ㅎㅏ-ㅣ]+"
    r"|\d+(?:[.,:/-]\d+)*"
    r"|([^\w\s]|_)\1*"
)
PARTS = [
    "가",
    "나다",
    "한국어",
    "ㅋㅋ",
    "ㅠ",
    "abc",
    "Ω",
    "7",
    "12,345.6",
    "2024-05-01",
    "https://a.b/c?d=1",
    "http:/",
    "http",
    "://",
]
SYMBOLS = ["***", "**", "*", "...", ".", ",", "-", "/", ":", "(", ")", "#", "_", "'", "|", "…", "😀", "「"]
SPACES = [" ", "\n", "\n\n", "\t", "\u3000"]
texts = st.lists(st.sampled_from(PARTS + SYMBOLS + SPACES), max_size=60).map(lambda parts: "가" + "".join(parts))


def pieces_of(text: str) -> list[str]:
    return [match.group(0) for match in PIECE.finditer(text)]


def expected(text: str) -> dict[str, float | None]:
    pieces = pieces_of(text)
    spoken = [piece for piece in pieces if any(char not in PUNCTUATION_SET for char in piece)]
    return {
        "piece_count": len(pieces),
        "non_symbol_piece_count": len(spoken),
        "avg_piece_length": sum(map(len, spoken)) / len(spoken),
        "letter_piece_frac": sum(any(char.isalpha() for char in piece) for piece in pieces) / len(pieces),
        "newline_piece_ratio": text.count("\n") / len(pieces),
        "hash_piece_ratio": text.count("#") / len(pieces),
        "ellipsis_piece_ratio": (text.count("...") + text.count("…")) / len(pieces),
        "dup_5_piece_char_frac": find_all_duplicate(pieces, 5) / len(text),
        "dup_8_piece_char_frac": find_all_duplicate(pieces, 8) / len(text),
    }


@settings(max_examples=200, deadline=None)
@given(texts)
@example("가http://")
@example("가https:/")
def test_agrees_with_the_oracle(text: str) -> None:
    [signals] = measure_signals(pa.array([text], pa.large_string())).to_pylist()
    wanted = expected(text)
    assert {name: signals[name] for name in wanted} == pytest.approx(wanted, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.lists(texts, min_size=2, max_size=4))
def test_documents_do_not_touch_each_other(several: list[str]) -> None:
    together = measure_signals(pa.array(["", *several], pa.large_string())).to_pylist()
    assert [signals["piece_count"] for signals in together] == [0, *(len(pieces_of(text)) for text in several)]


def test_the_cuts() -> None:
    text = "컴파일러 경고(수준 4)는 https://a.kr/b?c=1 에서 **1,234.5**번 ㅋㅋㅋ C4505"
    cuts = "컴파 일러 경고 ( 수준 4 ) 는 https://a.kr/b?c=1 에서 ** 1,234.5 ** 번 ㅋㅋㅋ C 4505"
    assert pieces_of(text) == cuts.split()
    [signals] = measure_signals(pa.array([text], pa.large_string())).to_pylist()
    assert signals["piece_count"] == 17


def test_a_text_without_hangul_has_no_pieces() -> None:
    [signals] = measure_signals(pa.array(["no Hangul here, 42 times"], pa.large_string())).to_pylist()
    assert signals["piece_count"] == signals["non_symbol_piece_count"] == 0
    assert signals["letter_piece_frac"] is signals["dup_5_piece_char_frac"] is None
