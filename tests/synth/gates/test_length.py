"""The gate `length`."""

from hypothesis import given
from hypothesis import strategies as st

from manifests.schema_synthesis import LengthGate
from synth.gates.gate import Passed
from synth.gates.length import Length
from synth.samples import Rejection
from tests.synth.gates.judged import said, verdicts


@given(st.text(max_size=30), st.integers(0, 10), st.integers(10, 20))
def test_characters_are_counted(text: str, least: int, most: int) -> None:
    (verdict,) = verdicts(Length(LengthGate(gate="length", min_chars=least, max_chars=most)), said(text))
    n = len(text.strip())
    if n < least:
        assert verdict == Rejection("length", "too_short", n, least)
    elif n > most:
        assert verdict == Rejection("length", "too_long", n, most)
    else:
        assert verdict == Passed(n)


def test_empty_answers_fail_by_default() -> None:
    (verdict,) = verdicts(Length(LengthGate(gate="length")), said(" \n"))
    assert isinstance(verdict, Rejection)
