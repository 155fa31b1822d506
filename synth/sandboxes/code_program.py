"""The process of a program that is tested: it runs the program and does what the tests ask of it.

It is the child of the process of the tests (synth/sandboxes/code_tests.py), and has nothing of it: not the tests,
and no way to report. Its text runs inside a sandbox.
"""

from __future__ import annotations

import builtins
import operator
import os
import sys
import types
from collections import deque

from synth.sandboxes.code_wire import Gone, Peer, name_and_text

TYPE_CHECKING = False  # see synth/sandboxes/sandbox_inside.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MUTABLE = (list, dict, set, bytearray, deque)
"""What a function may change instead of returning it."""

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


def serve(load: Callable[[], dict[str, Any]], reads: int, writes: int) -> None:
    """Run the program, say what it defines, and do what the tests ask; never returns."""
    peer = _Program(reads, writes)
    status = 1
    try:
        try:
            message = ["defines", _definitions(peer, load())]
        except BaseException as error:
            message = ["broken", name_and_text(error)]
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
            kept = [self.encode(part) if isinstance(part, MUTABLE) else None for part in args]
            result = OPERATIONS[operation](*args, **{key: self.decode(part) for key, part in named.items()})
            answer = self.encode(result)
            now = [self.encode(part) if isinstance(part, MUTABLE) else None for part in args]
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
            return ["raise", [base.__name__ for base in type(error).__mro__], name_and_text(error), parts, fields]

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
