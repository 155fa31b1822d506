"""Messages and prompts as rows hold them, checked: what is no conversation is a bad row, with its field named."""

from collections.abc import Sequence
from typing import Any

import orjson

from training.chat.rendering import Message
from training.chat.rows import BadRow

ROLES = ("system", "developer", "user", "assistant", "tool")
SHOWN_CHARS = 60


def messages_of(value: Any, field: str) -> list[Message]:
    """The messages of a column, without what is null in them.

    Raises:
        BadRow: they are none, or one of them has no role or no content.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise BadRow(f"no_{field}", f"`{field}`: found {_shown(value)}; expected messages")
    return [_message(one, f"{field}[{number}]") for number, one in enumerate(value)]


def _message(value: Any, place: str) -> Message:
    if not isinstance(value, dict):
        raise BadRow("bad_message", f"`{place}`: found {_shown(value)}; expected {{role, content}}")
    role, content = value.get("role"), value.get("content")
    if role not in ROLES:
        raise BadRow("bad_message", f"`{place}.role`: found {_shown(role)}; expected one of {', '.join(ROLES)}")
    calls = value.get("tool_calls")
    if not isinstance(content, str) and not (content is None and calls):
        raise BadRow("bad_message", f"`{place}.content`: found {_shown(content)}; expected text")
    return {name: one for name, one in value.items() if one is not None or name == "content"}


def prompt_of(value: Any, field: str = "prompt") -> str | list[Message]:
    """A prompt: a text, or messages of which the last is not the assistant's.

    Raises:
        BadRow: it is neither, or empty.
    """
    if isinstance(value, str):
        if not value.strip():
            raise BadRow("empty_prompt", f"`{field}`: is empty")
        return value
    messages = messages_of(value, field)
    if messages[-1]["role"] == "assistant":
        raise BadRow("bad_prompt", f"`{field}`: ends with the assistant's turn; expected what it answers")
    return messages


def tools_of(value: Any) -> tuple[Any, ...]:
    """Functions that may be called: a list of JSON objects, or one as JSON.

    Raises:
        BadRow: it is none.
    """
    if isinstance(value, str):
        try:
            value = orjson.loads(value) if value.strip() else None
        except ValueError:
            raise BadRow("bad_tools", f"`tools`: is no JSON: {_shown(value)}") from None
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise BadRow("bad_tools", f"`tools`: found {_shown(value)}; expected a list of objects")
    return tuple(value)


def says_something(answer: str | Sequence[Message]) -> bool:
    """Whether an answer has any text, or calls a function."""
    if isinstance(answer, str):
        return bool(answer.strip())
    return any((message.get("content") or "").strip() or message.get("tool_calls") for message in answer)


def _shown(value: Any) -> str:
    text = repr(value)
    return "nothing" if value is None else text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."
