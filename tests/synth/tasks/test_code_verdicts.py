"""Samples that are programs."""

import pytest

from synth.sandboxes.code_check import Asserts
from synth.sandboxes.sandbox import Sandbox, choose_sandbox, why_not
from synth.tasks.code_verdicts import verify_programs

TESTS = Asserts("assert twice(2) == 4\nassert twice(-1) == -2")
RIGHT = "두 배로 만듭니다.\n```python\ndef twice(x):\n    return x + x\n```"
WRONG = "```python\ndef twice(x):\n    return x * x\n```"
ENDLESS = "```python\ndef twice(x):\n    while True:\n        pass\n```"


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    if why_not("landlock") and why_not("bubblewrap"):
        pytest.skip("no sandbox works here")
    return choose_sandbox()


def test_verdicts_are_in_the_order_of_the_texts(sandbox: Sandbox) -> None:
    texts = [WRONG, "No program.", RIGHT, ENDLESS, "", RIGHT]
    found = verify_programs(texts, TESTS, sandbox, limit_s=2.0)
    assert [verdict.outcome for verdict in found] == ["wrong", "form", "right", "wrong", "form", "right"]
    assert (found[3].found, found[5]) == ("timeout", found[2])
    assert "4" in found[0].why or "assert" in found[0].why


def test_no_texts_have_no_verdicts(sandbox: Sandbox) -> None:
    assert verify_programs([], TESTS, sandbox, limit_s=1.0) == []


def test_tests_that_prove_nothing_prove_nothing_wrong(sandbox: Sandbox) -> None:
    (found,) = verify_programs([RIGHT], Asserts("assert 1 == 1"), sandbox, limit_s=2.0)
    assert (found.outcome, found.found) == ("form", "no_tests")
