"""The process of the tests of a program that runs in another, so that it can neither see nor answer for them.

What the program defines are proxies here (synth/sandboxes/code_remote.py), and what they bring back is compared here,
where nothing of the program runs: nothing that it overrides (`__eq__`, `print`, `sys.exit`) reaches a comparison, and
what is expected is nowhere in its memory. The text of this module runs inside a sandbox.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import json
import sys
import types

from synth.sandboxes.code_remote import ProgramExited, Remote, Tests
from synth.sandboxes.code_wire import name_and_text

TYPE_CHECKING = False  # see synth/sandboxes/sandbox_inside.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

RESERVED = {
    *("isclose", "fabs", "sqrt", "approx", "allclose", "array_equal", "Decimal", "Fraction", "deepcopy", "copy"),
    *("reduce", "Counter", "OrderedDict", "defaultdict", "deque", "namedtuple"),
}
"""What tests compare with and may take from what the program imports; never of its own making."""


class _Counting(ast.NodeTransformer):
    """Counts assertions as they are reached."""

    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        call = ast.Expr(ast.Call(ast.Name("__counted__", ast.Load()), [], []))
        return [ast.fix_missing_locations(ast.copy_location(call, node)), node]


def judge(job: dict[str, Any], reads: int, writes: int) -> bytes:
    """Run tests; what came of them as JSON: `outcome`, `message`, `n_asserts`, `n_calls`.

    Args:
        job: `tests`, source; `entry_point`, the name of what they test, or None.
        reads: where the program answers.
        writes: where it is asked.
    """
    peer, n_asserts = Tests(reads, writes), [0]
    sys.set_int_max_str_digits(0)
    try:
        _run_tests(peer, job, n_asserts)
        outcome, message = _proof(peer, n_asserts[0], job["entry_point"])
    except BaseException as error:
        outcome, message = "failed", name_and_text(error) + _line_of(error, job["tests"])
        if isinstance(error, MemoryError):
            outcome = "memory"
    report = {"outcome": outcome, "message": message, "n_asserts": n_asserts[0], "n_calls": peer.n_calls}
    return json.dumps(report).encode()


def _proof(peer: Tests, n_asserts: int, entry_point: str | None) -> tuple[str, str]:
    """Tests that assert nothing, or nothing of the program, prove nothing."""
    if peer.end:
        return "failed", name_and_text(peer.end)
    if not n_asserts:
        return "no_tests", "no assertion was reached"
    if not peer.n_calls:
        return "no_tests", f"the tests never call {entry_point or 'the program'}"
    return "passed", ""


def _run_tests(peer: Tests, job: dict[str, Any], n_asserts: list[int]) -> None:
    def counted() -> None:
        n_asserts[0] += 1

    module = sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv[:] = ["tests.py"]
    names = _names(peer, job["entry_point"])
    module.__dict__.update(names, __counted__=counted)
    for alias in ("solution", "program"):
        sys.modules[alias] = types.ModuleType(alias)
        sys.modules[alias].__dict__.update(names)
    tree = _Counting().visit(ast.parse(job["tests"], "tests.py"))
    try:
        exec(compile(tree, "tests.py", "exec"), module.__dict__)
    except SystemExit as end:  # as unittest.main() does
        if end.code:
            raise
    for test in _found_tests(module.__dict__, peer.entry):
        test()
    if "unittest" in sys.modules:
        n_asserts[0] += _run_cases(module)


def _names(peer: Tests, entry_point: str | None) -> dict[str, Any]:
    """What the program defines, by name. It cannot take the place of what is Python's, unless that is tested."""
    kind, found = peer.receive()
    if kind != "defines":
        raise ProgramExited(f"the program does not run: {found}")
    names: dict[str, Any] = {}
    for name, value in found:
        if not isinstance(name, str) or name.startswith("__"):
            continue
        kind, *parts = value if isinstance(value, list) else ("data",)
        if kind in ("module", "imported"):
            _import(name, parts, names)
        elif name != entry_point and (name in RESERVED or hasattr(builtins, name) or name in sys.stdlib_module_names):
            continue
        elif kind == "exception":
            names[name] = peer.exceptions[name] = type(name, (peer.known(parts[0]),), {})
        else:
            names[name] = peer.decode(value)
    if entry_point is not None:
        if not isinstance(entry := names.get(entry_point), Remote):
            raise ProgramExited(f"the program defines no {entry_point}")
        peer.entry = names["candidate"] = entry
    return names


def _import(name: str, parts: list[str], names: dict[str, Any]) -> None:
    """What a program imports from Python is Python's here, too; by another name it could pass for a comparison."""
    module, *attribute = parts
    if parts[-1].rpartition(".")[2] == name and module.partition(".")[0] in sys.stdlib_module_names:
        with contextlib.suppress(ImportError, AttributeError):
            found = importlib.import_module(module)
            names[name] = getattr(found, attribute[0]) if attribute else found


def _found_tests(names: dict[str, Any], entry: Remote | None) -> Iterator[Callable[[], Any]]:
    """`check(candidate)` as in HumanEval, and functions `test_...` without arguments."""
    check = names.get("check")
    if entry is not None and isinstance(check, types.FunctionType):
        yield lambda: check(entry)
    for name, value in list(names.items()):
        if name.startswith("test") and isinstance(value, types.FunctionType) and not value.__code__.co_argcount:
            yield value


def _run_cases(module: types.ModuleType) -> int:
    """Tests of `unittest`; how many there are."""
    import unittest

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromModule(module).run(result)
    for _, text in [*result.failures, *result.errors]:
        raise AssertionError(text.strip().rpartition("\n")[2])
    return result.testsRun - len(result.skipped)


def _line_of(error: BaseException, tests: str) -> str:
    """Which line of the tests it was."""
    import traceback

    numbers = [
        number for frame, number in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == "tests.py"
    ]
    lines = tests.splitlines()
    return f" (tests, line {numbers[-1]}: {lines[numbers[-1] - 1].strip()[:200]})" if numbers else ""
