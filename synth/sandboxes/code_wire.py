"""How a program and its tests speak with each other across two processes: in JSON, and never with more than data.

The text of this module runs on both sides, inside a sandbox.
"""

from __future__ import annotations

import importlib
import json
import os
from collections import deque

TYPE_CHECKING = False  # see synth/sandboxes/sandbox_inside.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

INT_MAX = 1 << 62
COLLECTIONS: dict[str, type] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": deque,
}
BASES: tuple[type, ...] = (bool, int, float, complex, str, bytes, bytearray, *COLLECTIONS.values(), dict)
MESSAGE_CHARS = 2_000
MESSAGE_BYTES_MAX = 1 << 28


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
        """Send a message, whole.

        Raises:
            Gone: nobody reads any more.
        """
        content = json.dumps(message).encode()
        content = len(content).to_bytes(8, "little") + content
        try:
            while content:
                content = content[os.write(self._writes, content) :]
        except OSError as error:
            raise Gone("the program ended") from error

    def receive(self) -> list[Any]:
        """The next message.

        Raises:
            Gone: there is none, or it is none.
        """
        size_bytes = int.from_bytes(self._read(8), "little")
        if size_bytes > MESSAGE_BYTES_MAX:
            raise Gone(f"a message of {size_bytes} bytes")
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
            return bytes.fromhex(parts[0]) if kind == "bytes" else bytearray.fromhex(parts[0])
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


def name_and_text(error: BaseException) -> str:
    """What a traceback ends with."""
    try:
        return f"{type(error).__name__}: {error}"[:MESSAGE_CHARS]
    except Exception:
        return type(error).__name__
