"""Messages, prompts and functions as rows hold them, checked: what is none is a bad row, with its field named."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from training.chat.rendering import Message as ReadMessage
from training.chat.rows import BadRow

ROLES = ("system", "user", "assistant", "tool")
MAY_BE_EMPTY = ("system", "tool")
"""Who may say nothing: functions return nothing at times, and some sets have an empty system prompt in each row."""
Message = dict[str, Any]
"""`role`, `content`, and `tool_calls`, `name` or others where it has them; never null."""


def messages_of(value: Any, field: str, text_role: str | None = None) -> list[Message]:
    """Messages, checked one by one.

    Args:
        value: a list of messages, or JSON of one; with `text_role` also a text, which is one message of that role.
        field: the column, as errors call it.
        text_role: whose words a text is.

    Raises:
        BadRow: they are none.
    """
    if isinstance(value, str) and text_role is not None:
        return [_message({"role": text_role, "content": value}, field)]
    value = _parsed(value)
    if not isinstance(value, list) or not value:
        found = "an empty list" if value == [] else "nothing" if value is None else type(value).__name__
        raise BadRow(f"no_{field}", f"`{field}`: found {found}; expected a list of messages")
    return [_message(one, f"{field}[{number}]") for number, one in enumerate(value)]


def _message(value: Any, field: str) -> Message:
    if not isinstance(value, Mapping):
        raise BadRow("bad_message", f"`{field}`: found {type(value).__name__}; expected {{role, content}}")
    message = {key: one for key, one in value.items() if one is not None}
    role, content = message.get("role"), message.get("content", "")
    role = "system" if role == "developer" else role  # what OpenAI calls it today
    if role not in ROLES:
        keys = ", ".join(f"`{key}`" for key in message)
        found = f"found {role!r}" if "role" in message else f"missing; found {keys or 'nothing'}"
        raise BadRow("unknown_role", f"`{field}.role`: {found}; expected one of {', '.join(ROLES)}")
    if not isinstance(content, str):
        raise BadRow("content_not_text", f"`{field}.content`: found {type(content).__name__}; expected text")
    calls = [_call(one, f"{field}.tool_calls") for one in message.get("tool_calls") or []]
    if not content.strip() and not calls and role not in MAY_BE_EMPTY:
        raise BadRow("empty_content", f"`{field}.content`: is empty; the {role} has to say something")
    message.pop("tool_calls", None)
    return message | {"role": role, "content": content} | ({"tool_calls": calls} if calls else {})


def _call(value: Any, field: str) -> dict[str, Any]:
    """A call of a function; arguments that are JSON of an object become one, as templates write them as JSON."""
    function = value.get("function", value) if isinstance(value, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise BadRow("bad_tool_call", f"`{field}`: found {value!r:.60}; expected {{function: {{name, arguments}}}}")
    arguments = _parsed(function.get("arguments"))
    arguments = {} if arguments is None else arguments
    named = {key: one for key, one in value.items() if key == "id" and one is not None}
    return {"type": "function", **named, "function": {"name": function["name"], "arguments": arguments}}


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


def tools_of(value: Any) -> tuple[dict[str, Any], ...]:
    """The functions of a row: a list of JSON Schemas, or JSON of one.

    Raises:
        BadRow: they are none.
    """
    value = _parsed(value)
    tools = [_parsed(one) for one in value] if isinstance(value, list) else value
    if tools is None or tools == "":
        return ()
    if not isinstance(tools, list) or not all(isinstance(one, Mapping) for one in tools):
        raise BadRow("bad_tools", f"`tools`: found {type(tools).__name__}; expected a list of JSON Schemas")
    return tuple(dict(one) for one in tools)


def says_something(answer: str | Sequence[ReadMessage]) -> bool:
    """Whether an answer has any text, or calls a function."""
    if isinstance(answer, str):
        return bool(answer.strip())
    return any((message.get("content") or "").strip() or message.get("tool_calls") for message in answer)


def _parsed(value: Any) -> Any:
    """What JSON in a text says; everything else as it is."""
    try:
        return orjson.loads(value) if isinstance(value, str) and value.strip()[:1] in ("[", "{") else value
    except ValueError:
        return value
