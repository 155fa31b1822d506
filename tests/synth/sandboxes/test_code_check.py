"""What counts as passed: programs that are right, and none that only says so."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from textwrap import indent

import pytest

from manifests.errors import RequestError
from synth.sandboxes.code_check import Asserts, Case, Cases, CodeVerdict, Item, check_all, check_code
from synth.sandboxes.sandbox import Sandbox, choose_sandbox
from synth.sandboxes.sandbox_limits import Limits
from tests.synth.children import remember, started
from tests.synth.programs import CHEATS, RIGHT, TESTS

LIMITS = Limits(time_s=20, memory_bytes=256 << 20)
TIGHT = Limits(time_s=2, memory_bytes=256 << 20)
SHORT = Limits(time_s=0.5, memory_bytes=256 << 20)


@pytest.fixture(autouse=True)
def processes() -> None:
    remember()


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    try:
        return choose_sandbox()
    except RequestError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("name", "program", "tests", "entry_point"), RIGHT, ids=[row[0] for row in RIGHT])
def test_what_is_right_passes(name: str, program: str, tests: str, entry_point: str | None, sandbox: Sandbox) -> None:
    verdict = check_code(program, Asserts(tests, entry_point), sandbox, LIMITS)
    assert verdict.has_passed, verdict


@pytest.mark.parametrize("program", [row[1] for row in CHEATS], ids=[row[0] for row in CHEATS])
@pytest.mark.parametrize("entry_point", [None, "f"])
def test_what_only_says_so_does_not_pass(program: str, entry_point: str | None, sandbox: Sandbox) -> None:
    """Each of all tests is asked for by itself, in one run: each must fail."""
    each = [f"def one():\n{indent(tests, '    ')}\n" for tests in TESTS[:-2]]
    tests = "passed = []\n" + "".join(
        f"{one}try:\n    one()\n    passed.append({place})\nexcept Exception:\n    pass\n"
        for place, one in enumerate(each)
    )
    verdict = check_code(program, Asserts(f"{tests}assert passed, passed", entry_point), sandbox, LIMITS)
    assert verdict.outcome in ("failed", "no_tests"), verdict
    for last in TESTS[-2:] if entry_point else []:
        assert not check_code(program, Asserts(last, entry_point), sandbox, LIMITS).has_passed


@pytest.mark.parametrize(
    ("program", "tests", "entry_point", "outcome", "message"),
    [
        ("def f(x): return x", "f(1)", None, "no_tests", "no assertion was reached"),
        (
            "def f(x): return x",
            "def check(candidate):\n    assert candidate(1) == 1",
            None,
            "no_tests",
            "no assertion",
        ),
        ("def f(x): return x", "assert 1 + 1 == 2", None, "no_tests", "the tests never call the program"),
        ("def f(x): return x", "assert 1 + 1 == 2", "f", "no_tests", "the tests never call f"),
        ("def f(x): return x", "def f(x): return 7\nassert f(1) == 7", None, "no_tests", "never call the program"),
        ("def f(x): return x\ndef g(x): return x", "assert g(1) == 1", "f", "no_tests", "the tests never call f"),
        ("def g(x): return x", "assert g(1) == 1", "f", "failed", "the program defines no f"),
        ("f = 5", "assert f == 5", "f", "failed", "the program defines no f"),
        (
            "def f(x): return x",
            "x = 1\nassert f(1) == 2, 'one'",
            None,
            "failed",
            "AssertionError: one (tests, line 2: assert f(1) ==",
        ),
        (
            "def f(x): return y",
            "assert f(1) == 2",
            None,
            "failed",
            "NameError: name 'y' is not defined (tests, line 1",
        ),
        ("def f(x) return", "assert f(1) == 2", None, "failed", "the program does not run: SyntaxError"),
        ("input()\ndef f(x): return x", "assert f(1) == 1", None, "failed", "does not run: EOFError"),
        ("import numpypy", "assert f(1) == 1", None, "failed", "does not run: ModuleNotFoundError"),
        ("def f(x): return bytearray(10 << 30)", "assert f(1) == 1", None, "memory", "MemoryError"),
        ("def f(x):\n    while True: pass", "assert f(1) == 1", None, "timeout", "it took too long"),
        ("while True: pass", "assert f(1) == 1", None, "timeout", "it took too long"),
        ("while True: print('x' * 1000)", "assert f(1) == 1", None, "output", "it wrote too much"),
        ("def f(x): return x", "while True: pass", None, "timeout", "it took too long"),
        ("import os\nos.fork()", "assert f(1) == 1", None, "failed", "PermissionError"),
        (
            "import ctypes\ndef f(x): ctypes.string_at(0)",
            "assert f(1) == 1",
            None,
            "failed",
            "the program ended before",
        ),
    ],
)
def test_why_it_did_not_pass(
    program: str, tests: str, entry_point: str | None, outcome: str, message: str, sandbox: Sandbox
) -> None:
    limits = SHORT if outcome == "timeout" else LIMITS
    verdict = check_code(program, Asserts(tests, entry_point), sandbox, limits)
    assert (verdict.outcome, message in verdict.message) == (outcome, True), verdict


def test_a_program_has_two_pipes_and_no_way_to_report(sandbox: Sandbox) -> None:
    program = "import os\ndef f():\n" + indent(
        "found = []\nfor number in range(64):\n    try: found.append((number, os.fstat(number).st_mode >> 12))\n"
        "    except OSError: pass\nreturn [kind for number, kind in found if number > 2]",
        "    ",
    )
    verdict = check_code(program, Asserts("assert f() == [1, 1], f()"), sandbox, LIMITS)
    assert verdict.has_passed, verdict


def test_programs_that_read_and_write(sandbox: Sandbox) -> None:
    program = "n = int(input())\nprint(sum(map(int, input().split())), '')\nprint()"
    cases = Cases((Case("2\n1 2\n", "3\n"), Case("3\n1 2 3\n", "6")))
    assert check_code(program, cases, sandbox).has_passed
    wrong = Cases((*cases.cases, Case("1\n1\n", "2\n")))
    verdict = check_code(program, wrong, sandbox)
    assert (verdict.outcome, verdict.message) == ("failed", "case 3: wrote '1 \\n\\n', expected '2\\n'")
    verdict = check_code("print(3)\nraise SystemExit(1)", cases, sandbox)
    assert (verdict.outcome, verdict.message) == ("failed", "case 1: exit code 1")
    assert check_code("while True: pass", cases, sandbox, SHORT).message == "case 1: it took too long"
    assert not check_code("print(3)", cases, sandbox).has_passed


def test_requests_that_are_wrong(sandbox: Sandbox) -> None:
    with pytest.raises(RequestError, match="code in 'rust' cannot be checked; only python can"):
        check_code("", Asserts("assert True"), sandbox, language="rust")
    with pytest.raises(RequestError, match=r"tests are no Python: .*'assert f"):
        check_code("", Asserts("assert f("), sandbox)
    with pytest.raises(RequestError, match="there is no case"):
        check_code("", Cases(()), sandbox)
    with pytest.raises(RequestError, match="n_workers: 0 is below 1"):
        check_all([], sandbox, 0)


def test_many_are_checked_in_order(sandbox: Sandbox) -> None:
    programs = ["def f(x): return x", "def f(x): return 0", "import os; os._exit(0)", "while True: pass"] * 4
    verdicts = check_all([Item(program, Asserts("assert f(1) == 1")) for program in programs], sandbox, 4, TIGHT)
    assert [verdict.outcome for verdict in verdicts] == ["passed", "failed", "failed", "timeout"] * 4


def test_nothing_is_lost_where_processes_are_killed(sandbox: Sandbox) -> None:
    """Whatever dies under a check, the check has a verdict, it is not `passed`, and the others have theirs."""
    is_over, n_killed = threading.Event(), [0]

    def kill() -> None:
        while not is_over.wait(0.2):
            for child in started(recursive=False):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
                    n_killed[0] += 1
                break

    slow = Item("import time\ntime.sleep(1)\ndef f(x): return x", Asserts("assert f(1) == 1"))
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        verdicts = check_all([slow] * 6, sandbox, 3, LIMITS)
    finally:
        is_over.set()
        thread.join()
    assert len(verdicts) == 6 and n_killed[0]
    assert {verdict.outcome for verdict in verdicts} <= {"passed", "killed", "failed"}
    assert started() == []


def test_the_tests_leave_no_process_and_no_file(tmp_path: Path, sandbox: Sandbox) -> None:
    here = Sandbox(sandbox.kind, str(tmp_path))
    began_s = time.monotonic()
    verdict = check_code("import time\nopen('x', 'w').write('x')\ntime.sleep(9)", Asserts("assert f(1)"), here, SHORT)
    assert verdict == CodeVerdict("timeout", "it took too long", verdict.seconds)
    assert time.monotonic() - began_s < 5
    assert list(tmp_path.iterdir()) == []
    assert started() == []
