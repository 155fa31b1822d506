"""A program and its tests in two processes, so that a program can neither see the tests nor answer for them.

It stands alone: its text runs on both sides inside a sandbox. On the side of the tests, what the program defines are
proxies; a call of one sends the arguments over and brings the result back as plain data, and the tests compare that
data here, where nothing of the program runs. So nothing that a program overrides (`__eq__`, `print`, `sys.exit`)
reaches a comparison, and what is expected is nowhere in its memory. What is no plain data stays on its side and is
called through a proxy, which is never equal to plain data and does no arithmetic with it.
"""

import ast
import builtins
import contextlib
import importlib
import json
import operator
import os
import sys
import traceback
import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

INT_MAX = 1 << 62
COLLECTIONS: dict[str, Callable[[Any], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": deque,
}
BASES = (bool, int, float, complex, str, bytes, bytearray, *COLLECTIONS.values(), dict)
MESSAGE_CHARS = 2_000
COMPARE = {"isclose", "fabs"}
"""Functions that tests compare with and may take from what the program imports; never of its own making."""

OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda what, *args, **named: what(*args, **named),
    "get": getattr,
    "set": setattr,
    "del": delattr,
    "enter": lambda what: what.__enter__(),
    "exit": lambda what: what.__exit__(None, None, None),
    "isinstance": lambda what, value: isinstance(value, what),
    **{name: getattr(builtins, name) for name in ("len", "iter", "next", "reversed", "str", "repr", "bool", "dir")},
    **{name: getattr(operator, name) for name in ("getitem", "setitem", "delitem")},
    **{name: getattr(operator, name) for name in ("eq", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv")},
}
"""What the tests may have done with an object of the program."""


class Gone(BaseException):
    """The other side has ended, or speaks no longer as agreed; no `except Exception` of a test hides it."""


class Peer:
    """One side: asks the other, and does what it asks while it waits for an answer."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads, self._writes = reads, writes
        self._mine: list[Any] = []
        self._numbers: dict[int, int] = {}

    def ask(self, name: str, *parts: Any) -> Any:
        """The answer to a question, as it came."""
        self.send([name, *parts])
        while True:
            message = self.receive()
            if message[0] == "answer":
                return message[1:]
            self.send(["answer", *self.serve(message)])

    def serve(self, message: list[Any]) -> list[Any]:
        """Do what the other side asks."""
        raise NotImplementedError

    def send(self, message: list[Any]) -> None:
        content = json.dumps(message).encode()
        content = len(content).to_bytes(8, "little") + content
        try:
            while content:
                content = content[os.write(self._writes, content) :]
        except OSError as error:
            raise Gone("the program ended") from error

    def receive(self) -> list[Any]:
        size_bytes = int.from_bytes(self._read(8), "little")
        try:
            message = json.loads(self._read(size_bytes))
        except (ValueError, RecursionError, OverflowError) as error:
            raise Gone(f"the program sent nonsense: {error}") from error
        if not isinstance(message, list) or not message:
            raise Gone("the program sent nonsense")
        return message

    def _read(self, size_bytes: int) -> bytes:
        content = bytearray()
        while len(content) < size_bytes:
            some = os.read(self._reads, min(size_bytes - len(content), 1 << 20))
            if not some:
                raise Gone("the program ended before its tests did")
            content += some
        return bytes(content)

    def encode(self, value: Any) -> Any:
        """A value as JSON: plain data whole, else the number of an object that stays here."""
        kind = type(value)
        if value is None or kind in (bool, str, float):
            return value
        if kind is int:
            return value if abs(value) < INT_MAX else ["int", hex(value)]
        if kind.__name__ in COLLECTIONS and kind is COLLECTIONS[kind.__name__]:
            return [kind.__name__, [self.encode(part) for part in value]]
        if kind is dict:
            return ["dict", [[self.encode(key), self.encode(part)] for key, part in value.items()]]
        if kind in (bytes, bytearray):
            return [kind.__name__, value.hex()]
        if kind in (complex, range):
            return [
                kind.__name__,
                *([value.real, value.imag] if kind is complex else [value.start, value.stop, value.step]),
            ]
        if kind.__module__ in ("decimal", "fractions", "datetime") and kind.__name__ in _OTHERS:
            return [kind.__name__, _OTHERS[kind.__name__][0](value)]
        for base in BASES:
            if isinstance(value, base) and type(plain := base(value)) is base:
                return self.encode(plain)
        return self.refer(value)

    def decode(self, value: Any) -> Any:
        """The value that was encoded over there; data of types of Python itself, and proxies.

        Raises:
            Gone: it is none.
        """
        if not isinstance(value, list):
            return value
        try:
            return self._decode(value[0], value[1:])
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise Gone(f"the program sent nonsense: {error!r}") from error

    def _decode(self, kind: str, parts: list[Any]) -> Any:
        if kind in COLLECTIONS:
            return COLLECTIONS[kind](self.decode(part) for part in parts[0])
        if kind == "dict":
            return {self.decode(key): self.decode(part) for key, part in parts[0]}
        if kind == "int":
            return int(parts[0], 16)
        if kind in ("bytes", "bytearray"):
            return {"bytes": bytes, "bytearray": bytearray}[kind].fromhex(parts[0])
        if kind in ("complex", "range"):
            return {"complex": complex, "range": range}[kind](*parts)
        if kind == "yours":
            return self._mine[parts[0]]
        if kind in _OTHERS:
            return _OTHERS[kind][1](parts[0])
        return self.meet(kind, parts)

    def refer(self, value: Any) -> list[Any]:
        """A number for an object that stays here."""
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self._mine)
            self._mine.append(value)
        return ["ref", self._numbers[id(value)]]

    def meet(self, kind: str, parts: list[Any]) -> Any:
        """What stands here for an object over there."""
        raise ValueError(kind)


def _of(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


_OTHERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "Decimal": (str, lambda text: _of("decimal", "Decimal")(text)),
    "Fraction": (str, lambda text: _of("fractions", "Fraction")(text)),
    "date": (lambda value: value.isoformat(), lambda text: _of("datetime", "date").fromisoformat(text)),
    "datetime": (lambda value: value.isoformat(), lambda text: _of("datetime", "datetime").fromisoformat(text)),
    "timedelta": (
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda parts: _of("datetime", "timedelta")(*parts),
    ),
}


# The side of the program


def serve(load: Callable[[], dict[str, Any]], reads: int, writes: int) -> None:
    """Run the program, say what it defines, and do what the tests ask; never returns."""
    peer = _Program(reads, writes)
    status = 1
    try:
        try:
            message = ["defines", _definitions(peer, load())]
        except BaseException as error:
            message = ["broken", _name_and_text(error)]
        peer.send(message)
        while True:
            peer.send(["answer", *peer.serve(peer.receive())])
    except Gone:
        status = 0
    finally:
        os._exit(status)


def _definitions(peer: Peer, found: dict[str, Any]) -> list[Any]:
    """What the tests get by name: functions, classes and data of the program, and what it imports from Python."""
    definitions: list[Any] = []
    for name, value in list(found.items()):
        if name.startswith("__"):
            continue
        home = getattr(value, "__module__", None)
        if isinstance(value, types.ModuleType):
            definitions.append([name, ["module", value.__name__]])
        elif isinstance(value, type) and issubclass(value, Exception) and home == "program":
            definitions.append([name, ["exception", [base.__name__ for base in value.__mro__[1:]]]])
        elif isinstance(home, str) and home.partition(".")[0] in sys.stdlib_module_names and callable(value):
            definitions.append([name, ["imported", home, getattr(value, "__name__", name)]])
        else:
            definitions.append([name, peer.encode(value)])
    return definitions


class _Program(Peer):
    def serve(self, message: list[Any]) -> list[Any]:
        try:
            operation, args, named = message
            args = [self.decode(part) for part in args]
            kept = [self.encode(part) if isinstance(part, _MUTABLE) else None for part in args]
            result = OPERATIONS[operation](*args, **{key: self.decode(part) for key, part in named.items()})
            answer = self.encode(result)
            now = [self.encode(part) if isinstance(part, _MUTABLE) else None for part in args]
            changed = [[place, new] for place, (old, new) in enumerate(zip(kept, now, strict=True)) if old != new]
            return ["value", answer, changed]
        except Gone:
            raise
        except BaseException as error:
            try:
                parts = [self.encode(part) for part in error.args]
                fields = [[name, self.encode(part)] for name, part in vars(error).items()]
            except Exception:
                parts, fields = [], []
            return ["raise", [base.__name__ for base in type(error).__mro__], _name_and_text(error), parts, fields]

    def meet(self, kind: str, parts: list[Any]) -> Any:
        if kind == "builtin":
            return getattr(builtins, parts[0])
        if kind != "ref":
            raise ValueError(kind)
        number = parts[0]

        def call(*args: Any) -> Any:
            answer = self.ask("back", number, [self.encode(part) for part in args])
            if answer[0] == "value":
                return self.decode(answer[1])
            raise getattr(builtins, answer[1], RuntimeError)(answer[2])

        return call


_MUTABLE = (list, dict, set, bytearray, deque)


def _name_and_text(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:MESSAGE_CHARS]
    except Exception:
        return type(error).__name__


# The side of the tests


class Remote:
    """Stands for an object of the program."""

    __slots__ = ("_number", "_peer")

    def __init__(self, peer: "_Tests", number: int) -> None:
        object.__setattr__(self, "_peer", peer)
        object.__setattr__(self, "_number", number)

    def __call__(self, *args: Any, **named: Any) -> Any:
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
        outcome, message = "failed", _name_and_text(error) + _line_of(error, job["tests"])
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
    numbers = [
        number for frame, number in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == "tests.py"
    ]
    lines = tests.splitlines()
    return f" (tests, line {numbers[-1]}: {lines[numbers[-1] - 1].strip()[:200]})" if numbers else ""
