"""The struct of signals: its shape, its nulls, and that batches, slices and neighbours change nothing."""

import math

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.signals import SIGNAL_TYPE, SIGNALS, measure_signals
from tests.curation.texts import texts


def measure(documents: list[str | None]) -> pa.StructArray:
    return measure_signals(pa.array(documents, pa.large_string()))


def test_every_signal_is_described() -> None:
    assert [field.name for field in SIGNAL_TYPE] == [signal.name for signal in SIGNALS]
    assert len({signal.name for signal in SIGNALS}) == len(SIGNALS)
    assert all(signal.doc.endswith(".") and signal.unit and signal.source for signal in SIGNALS)


def test_no_document_no_signal() -> None:
    assert measure([]).type == SIGNAL_TYPE
    assert len(measure([])) == 0


def test_a_ratio_without_denominator_is_null() -> None:
    empty, blank, newlines, symbols = measure(["", " \u3000 ", "\n\n", "!!! ..."]).to_pylist()
    assert empty["char_count"] == 0
    assert empty["dup_line_frac"] is empty["top_2_gram_char_frac"] is empty["bullet_line_frac"] is None
    assert blank["dup_line_frac"] == blank["top_2_gram_char_frac"] == 0
    assert blank["alpha_word_frac"] is blank["terminal_line_frac"] is blank["jamo_frac"] is None
    assert newlines["newline_word_ratio"] is None
    assert symbols["avg_word_length"] is None
    assert symbols["alpha_word_frac"] == 0


def test_null_text_gives_null() -> None:
    assert measure(["a", None, "b c"]).is_null().to_pylist() == [False, True, False]
    assert measure([None, None]).to_pylist() == [None, None]


@pytest.mark.parametrize("texts", [pa.array(["a"]), pa.array([1]), pa.chunked_array([["a"]], pa.large_string())])
def test_other_types_are_refused(texts: pa.Array) -> None:
    with pytest.raises(TypeError, match="takes one array of large_string, not "):
        measure_signals(texts)


@given(st.lists(st.none() | texts(), max_size=6), st.integers(0, 6), st.integers(0, 6))
@settings(max_examples=100, deadline=None)
def test_slices_and_neighbours_change_nothing(documents: list[str | None], start: int, length: int) -> None:
    array = pa.array(documents, pa.large_string())
    alone = [measure([document])[0].as_py() for document in documents]
    assert measure_signals(array).to_pylist() == alone
    assert measure_signals(array.slice(start, length)).to_pylist() == alone[start : start + length]


@given(st.lists(texts(), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_a_measured_number_is_finite(documents: list[str]) -> None:
    signals = measure(documents)
    signals.validate(full=True)
    for signal, values in zip(SIGNALS, signals.flatten(), strict=True):
        numbers = pc.drop_null(values).to_pylist()
        assert all(math.isfinite(number) and number >= 0 for number in numbers)
        assert signal.unit != "frac" or all(number <= 1 for number in numbers)


def test_no_pass_is_quadratic_in_a_long_document() -> None:
    for unit in ("a ", "가 ", "\n", "...", "[", "ㅋ", "the same line\n", "word word", "\n\n x"):
        document = measure([unit * 100_000])[0].as_py()
        assert document["char_count"] == 100_000 * len(unit)
