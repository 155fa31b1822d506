"""What the program that is tested defines, as the tests see it: proxies that send for what they are asked.

A call sends the arguments over and brings the result back as plain data. What is no plain data stays over there and
is called through its proxy, which never equals plain data and does no arithmetic with it: else it could pass for
whatever is expected. The text of this module runs inside a sandbox, on the side of the tests.
"""

from __future__ import annotations

import builtins
from collections import deque

from synth.sandboxes.code_wire import MESSAGE_CHARS, Gone, Peer

TYPE_CHECKING = False  # see synth/sandboxes/sandbox_inside.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Remote:
    """Stands for an object of the program."""

    __slots__ = ("_number", "_peer")

    def __init__(self, peer: Tests, number: int) -> None:
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


class Tests(Peer):
    """The side of the tests: it believes nothing but data."""

    def __init__(self, reads: int, writes: int) -> None:
        super().__init__(reads, writes)
        self._remotes: dict[int, Remote] = {}
        self.exceptions: dict[str, type[Exception]] = {}
        self.entry: Remote | None = None
        self.end: BaseException | None = None
        """Why the program is no longer there to be asked, whatever the tests make of it."""
        self.n_calls = 0
        """Of the function that is tested, or of whatever the program defines where none is named."""

    def do(self, operation: str, *args: Any, **named: Any) -> Any:
        """Have something done over there; what it did to lists and the like is done to ours."""
        self.n_calls += operation == "call" and (self.entry is None or args[0] is self.entry)
        sent = [self.encode(part) for part in args]
        try:
            kind, *parts = self.ask(operation, sent, {key: self.encode(part) for key, part in named.items()})
            if kind != "value":
                raise self._exception(*parts)
            for place, new in parts[1]:
                _become(args[place], self.decode(new))
            return self.decode(parts[0])
        except (Gone, ProgramExited) as error:
            self.end = error
            raise

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
        """What goes over for something that is no data: functions, and what came from there."""
        if type(value) is Remote:
            return ["yours", value._number]
        name = getattr(value, "__name__", None)
        if isinstance(name, str) and getattr(builtins, name, None) is value:
            return ["builtin", name]
        if not callable(value):
            raise TypeError(f"tests can pass data and functions to a program, and no {type(value).__name__}")
        return super().refer(value)

    def meet(self, kind: str, parts: list[Any]) -> Any:
        """A proxy; anything else that could come might pass for what is expected."""
        if kind == "ref":
            return self._remotes.setdefault(parts[0], Remote(self, parts[0]))
        raise ValueError(kind)

    def known(self, names: list[str]) -> type[Exception]:
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
            error = self.known(names)(*[self.decode(part) for part in parts])
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
