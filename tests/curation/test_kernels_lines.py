"""What the line kernels take for granted of the phrases that they look for."""

import numpy as np
import pytest

from curation.kernels.lines import _POLICY, may_say

PHRASES = ["lorem ipsum", "javascript", "{", *_POLICY]


@pytest.mark.parametrize("phrase", PHRASES)
@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
def test_every_phrase_passes_the_prefilter(phrase: str, spelling) -> None:  # type: ignore[no-untyped-def]
    line = np.frombuffer(f"This page has {spelling(phrase)} in it.".encode(), np.uint8)
    assert may_say(line, 0, len(line))


def test_a_line_without_them_does_not() -> None:
    line = np.frombuffer(b"The weather is fine.", np.uint8)
    assert not may_say(line, 0, len(line))
