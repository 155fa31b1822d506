"""Whether code does what its tests ask for, proved by running both in a sandbox.

Functions are tested in a second process that the program cannot reach (`synth.sandboxes.code_tests`); programs that
read and write are compared here. In neither does a program see what is expected of it.
"""

import ast
import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Literal

import orjson

from manifests.errors import RequestError
from synth.sandboxes.sandbox import Apart, Sandbox
from synth.sandboxes.sandbox_limits import Limits, Ran

Outcome = Literal["passed", "failed", "timeout", "memory", "killed", "output", "no_tests"]
MESSAGE_CHARS = 2_000


@dataclass(frozen=True)
class Asserts:
    """Tests of functions: statements with `assert`, `check(candidate)`, functions `test_...`, `unittest` cases."""

    source: str
    entry_point: str | None = None
    """What is tested. With it, tests that never call it prove nothing, and `candidate` is its name as well."""


@dataclass(frozen=True)
class Case:
    """What a program reads, and what it has to write."""

    stdin: str
    stdout: str


@dataclass(frozen=True)
class Cases:
    """Tests of a program that reads and writes: it runs once for each."""

    cases: tuple[Case, ...]


Tests = Asserts | Cases


@dataclass(frozen=True)
class CodeVerdict:
    """What is known of a program."""

    outcome: Outcome
    message: str = ""
    """Which test failed and how, or what the program said at its end."""
    seconds: float = 0.0

    @property
    def has_passed(self) -> bool:
        """Whether every test passed, and there were some."""
        return self.outcome == "passed"


@dataclass(frozen=True)
class Item:
    """A program and its tests."""

    program: str
    tests: Tests


def check_code(
    program: str, tests: Tests, sandbox: Sandbox, limits: Limits | None = None, language: str = "python"
) -> CodeVerdict:
    """Run a program under its tests.

    Args:
        program: source, as from `synth.sandboxes.code_blocks.extract_code`.
        tests: of functions or of input and output.
        sandbox: from `choose_sandbox`.
        limits: for all tests of functions together, or for each case of input and output.
        language: `python`.

    Raises:
        RequestError: another language, or tests that are no Python or hold no test at all.
        RunError: the sandbox could not be set up.
    """
    if language != "python":
        raise RequestError(f"code in {language!r} cannot be checked; only python can")
    if isinstance(tests, Cases):
        return _check_cases(program, tests.cases, sandbox, limits or Limits())
    _parse_tests(tests)
    apart = Apart(_modules(), {"tests": tests.source, "entry_point": tests.entry_point})
    ran, report = sandbox.judge(program, apart, limits)
    return _verdict(ran, report)


def check_all(
    items: Sequence[Item], sandbox: Sandbox, n_workers: int, limits: Limits | None = None
) -> list[CodeVerdict]:
    """Verdicts of many programs in their order, `n_workers` at once. Each has a process of its own, and may die.

    Raises:
        RequestError, RunError: see `check_code`; the others' processes have ended by then.
    """
    if n_workers < 1:
        raise RequestError(f"n_workers: {n_workers} is below 1")
    with ThreadPoolExecutor(n_workers, "check-code") as pool:
        asked = [pool.submit(check_code, item.program, item.tests, sandbox, limits) for item in items]
        try:
            return [one.result() for one in asked]
        finally:
            pool.shutdown(cancel_futures=True)


@functools.cache
def _modules() -> tuple[tuple[str, CodeType], ...]:
    names = ("code_wire", "code_program", "code_remote", "code_tests")
    files = [Path(__file__).with_name(f"{name}.py") for name in names]
    return tuple((f"synth.sandboxes.{file.stem}", compile(file.read_bytes(), file.name, "exec")) for file in files)


def _parse_tests(tests: Asserts) -> None:
    try:
        ast.parse(tests.source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RequestError(f"tests are no Python: {error}: {tests.source[:200]!r}") from error


def _verdict(ran: Ran, report: bytes) -> CodeVerdict:
    """Only a whole report of the tests' process counts, which the program has no way to write."""
    if ran.outcome != "passed" or not report:
        outcome: Outcome = "failed" if ran.outcome == "passed" else ran.outcome
        return CodeVerdict(outcome, _said(ran) or "the tests did not end", ran.seconds)
    found = orjson.loads(report)
    return CodeVerdict(found["outcome"], found["message"][:MESSAGE_CHARS], ran.seconds)


def _check_cases(program: str, cases: Sequence[Case], sandbox: Sandbox, limits: Limits) -> CodeVerdict:
    if not cases:
        raise RequestError("tests: there is no case of input and output")
    seconds = 0.0
    for number, case in enumerate(cases, 1):
        ran = sandbox.run(program, case.stdin.encode(errors="surrogatepass"), limits)
        seconds += ran.seconds
        if ran.outcome != "passed":
            return CodeVerdict(ran.outcome, f"case {number}: {_said(ran)}", seconds)
        said = ran.stdout.decode(errors="replace")
        if _lines(said) != _lines(case.stdout):
            message = f"case {number}: wrote {said[:200]!r}, expected {case.stdout[:200]!r}"
            return CodeVerdict("failed", message, seconds)
    return CodeVerdict("passed", seconds=seconds)


def _lines(text: str) -> list[str]:
    """Lines without spaces at their ends and without empty ones at the end, as judges of contests compare."""
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _said(ran: Ran) -> str:
    if ran.outcome in ("timeout", "output"):
        return {"timeout": "it took too long", "output": "it wrote too much"}[ran.outcome]
    lines = ran.stderr.decode(errors="replace").strip().splitlines()
    return (lines[-1] if lines else f"exit code {ran.exit_code}")[-MESSAGE_CHARS:]
