"""Verdicts on samples that are programs: right where all tests pass."""

import os
from collections.abc import Sequence

from synth.final_answers.compare import Outcome
from synth.sandboxes.code_blocks import extract_code
from synth.sandboxes.code_check import Asserts, CodeVerdict, Item, check_all
from synth.sandboxes.sandbox import Sandbox
from synth.sandboxes.sandbox_limits import Limits
from synth.verify import Verdict

PROGRAMS_AT_ONCE = min(4, os.cpu_count() or 1)


def verify_programs(texts: Sequence[str], tests: Asserts, sandbox: Sandbox, limit_s: float) -> list[Verdict]:
    """Run the program in each text under the tests; equal programs run once.

    Raises:
        RunError: the sandbox could not be set up.
    """
    programs = [extract_code(text, tests.entry_point) for text in texts]
    distinct = list(dict.fromkeys(program for program in programs if program is not None))
    items = [Item(program, tests) for program in distinct]
    found = dict(zip(distinct, check_all(items, sandbox, PROGRAMS_AT_ONCE, Limits(time_s=limit_s)), strict=True))
    return [_NO_PROGRAM if program is None else _verdict(found[program]) for program in programs]


_NO_PROGRAM = Verdict("form", None, "holds no program")


def _verdict(found: CodeVerdict) -> Verdict:
    if found.has_passed:
        return Verdict("right", found.outcome, "all tests pass")
    # Tests that prove nothing do not make a program wrong.
    outcome: Outcome = "form" if found.outcome == "no_tests" else "wrong"
    return Verdict(outcome, found.outcome, found.message or found.outcome)
