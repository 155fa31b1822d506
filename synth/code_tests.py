"""The process of the tests of a program that runs in another, so that it can neither see nor answer for them.

What the program defines are proxies here. A call of one sends the arguments over and brings the result back as plain
data, and the tests compare that data here, where nothing of the program runs: nothing that it overrides (`__eq__`,
`print`, `sys.exit`) reaches a comparison, and what is expected is nowhere in its memory. What is no plain data stays
over there and is called through its proxy, which never equals plain data and does no arithmetic with it. The text of
this module runs inside a sandbox.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import json
import sys
import types
from collections import deque

from synth.code_wire import MESSAGE_CHARS, Gone, Peer, name_and_text

TYPE_CHECKING = False  # see synth/sandbox_inside.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

COMPARE = {"isclose", "fabs"}
"""Functions that tests compare with and may take from what the program imports; never of its own making."""


class Remote:
    """Stands for an object of the program."""

    __slots__ = ("_number", "_peer")

    def __init__(self, peer: _Tests, number: int) -> None:
        object.__setattr__(self, "_peer", peer)
        object.__setattr__(self, "_number", number)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Call it, over there."""
        return self._peer.do("call", self, *args, **named)

    def __getattr__(self, name: str) -> Any:
        return self._peer.do("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._peer.do("set", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._peer.do("del", self, name)

    def __exit__(self, *_: object) -> Any:
        return self._peer.do("exit", self)

    def __instancecheck__(self, value: Any) -> bool:
        return type(value) is Remote and self._peer.do("isinstance", self, value) is True

    def __bool__(self) -> bool:
        return self._peer.do("bool", self) is True

    def __eq__(self, other: object) -> Any:
        return self is other or (type(other) is Remote and self._peer.do("eq", self, other) is True)

    def __hash__(self) -> int:
        return hash(self._number)


def _through(name: str) -> Callable[..., Any]:
    return lambda self, *args: self._peer.do(name, self, *args)


def _between_two(name: str) -> Callable[..., Any]:
    """Only between objects of the program: with plain data of a test it could find out what is expected."""

    def act(self: Remote, other: Any) -> Any:
        return self._peer.do(name, self, other) if type(other) is Remote else NotImplemented

    return act


for _name in ("len", "iter", "next", "reversed", "str", "repr", "dir", "getitem", "setitem", "delitem", "enter"):
    setattr(Remote, f"__{_name}__", _through(_name))
for _name in ("lt", "le", "gt", "ge", "add", "sub", "mul", "truediv"):
    setattr(Remote, f"__{_name}__", _between_two(_name))


class ProgramExited(BaseException):
    """The program asked to exit, or was interrupted."""


class _Tests(Peer):
    def __init__(self, reads: int, writes: int) -> None:
        super().__init__(reads, writes)
        self._remotes: dict[int, Remote] = {}
        self.exceptions: dict[str, type[Exception]] = {}
        self.entry: Remote | None = None
        self.n_calls = 0
        """Of the function that is tested, or of whatever the program defines where none is named."""

    def do(self, operation: str, *args: Any, **named: Any) -> Any:
        """Have something done over there; what it did to lists and the like is done to ours."""
        self.n_calls += operation == "call" and (self.entry is None or args[0] is self.entry)
        sent = [self.encode(part) for part in args]
        kind, *parts = self.ask(operation, sent, {key: self.encode(part) for key, part in named.items()})
        if kind != "value":
            raise self._exception(*parts)
        for place, new in parts[1]:
            _become(args[place], self.decode(new))
        return self.decode(parts[0])

    def serve(self, message: list[Any]) -> list[Any]:
        """Only functions that a test passed may be called, and with nothing but data."""
        try:
            asked, number, args = message
            if asked != "back":
                raise Gone(f"the program asked for {asked}")
            return ["value", self.encode(self._mine[number](*[self.decode(part) for part in args]))]
        except Exception as error:
            return ["raise", type(error).__name__, str(error)[:MESSAGE_CHARS]]

    def refer(self, value: Any) -> list[Any]:
        if type(value) is Remote:
            return ["yours", value._number]
        name = getattr(value, "__name__", None)
        if isinstance(name, str) and getattr(builtins, name, None) is value:
            return ["builtin", name]
        if not callable(value):
            raise TypeError(f"tests can pass data and functions to a program, and no {type(value).__name__}")
        return super().refer(value)

    def meet(self, kind: str, parts: list[Any]) -> Any:
        if kind == "ref":
            return self._remotes.setdefault(parts[0], Remote(self, parts[0]))
        if kind in ("module", "imported"):
            if parts[0].partition(".")[0] not in sys.stdlib_module_names:
                raise ValueError(parts[0])
            module = importlib.import_module(parts[0])
            return module if kind == "module" else getattr(module, parts[1])
        if kind == "exception":
            return type("Error", (self._known(parts[0]),), {})
        raise ValueError(kind)

    def _known(self, names: list[str]) -> type[Exception]:
        """The nearest class of exceptions that is known here."""
        for name in names:
            found = self.exceptions.get(name) or getattr(builtins, name, None)
            if isinstance(found, type) and issubclass(found, Exception):
                return found
        return Exception

    def _exception(self, names: list[str], text: str, parts: list[Any], fields: list[Any]) -> BaseException:
        if "Exception" not in names:
            return ProgramExited(text)
        try:
            error = self._known(names)(*[self.decode(part) for part in parts])
            for name, value in fields:
                setattr(error, name, self.decode(value))
        except Exception:
            return RuntimeError(text)
        return error


def _become(old: Any, new: Any) -> None:
    if isinstance(old, list | bytearray):
        old[:] = new
    elif isinstance(old, dict | set | deque):
        old.clear()
        (old.extend if isinstance(old, deque) else old.update)(new)


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
    peer, n_asserts = _Tests(reads, writes), [0]
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


def _proof(peer: _Tests, n_asserts: int, entry_point: str | None) -> tuple[str, str]:
    """Tests that assert nothing, or nothing of the program, prove nothing."""
    if not n_asserts:
        return "no_tests", "no assertion was reached"
    if not peer.n_calls:
        return (
            "no_tests",
            f"the tests call {entry_point or 'nothing of the program'}{' never' if entry_point else ''}",
        )
    return "passed", ""


def _run_tests(peer: _Tests, job: dict[str, Any], n_asserts: list[int]) -> None:
    def counted() -> None:
        n_asserts[0] += 1

    module = types.ModuleType("tests")
    sys.modules["tests"] = module
    names = _names(peer, job["entry_point"])
    module.__dict__.update(names, __counted__=counted)
    for alias in ("solution", "program"):
        sys.modules[alias] = types.ModuleType(alias)
        sys.modules[alias].__dict__.update(names)
    tree = _Counting().visit(ast.parse(job["tests"], "tests.py"))
    exec(compile(tree, "tests.py", "exec"), module.__dict__)
    for test in _found_tests(module.__dict__, peer.entry):
        test()
    if "unittest" in sys.modules:
        n_asserts[0] += _run_cases(module)


def _names(peer: _Tests, entry_point: str | None) -> dict[str, Any]:
    """What the program defines, by name. It cannot take the place of what is Python's, unless that is tested."""
    kind, found = peer.receive()
    if kind != "defines":
        raise ProgramExited(f"the program does not run: {found}")
    names: dict[str, Any] = {}
    for name, value in found:
        is_import = isinstance(value, list) and value[0] in ("module", "imported")
        if name != entry_point and (hasattr(builtins, name) or (name in COMPARE and not is_import)):
            continue
        if is_import:
            if value[-1].rpartition(".")[2] != name:
                continue  # by another name it could pass for a comparison
            with contextlib.suppress(ImportError, AttributeError, Gone):
                names[name] = peer.decode(value)
            continue
        names[name] = peer.decode(value)
        if isinstance(names[name], type) and issubclass(names[name], Exception):
            names[name].__name__ = name
            peer.exceptions[name] = names[name]
    if entry_point is not None:
        if not isinstance(entry := names.get(entry_point), Remote):
            raise ProgramExited(f"the program defines no {entry_point}")
        peer.entry = names["candidate"] = entry
    return names


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
