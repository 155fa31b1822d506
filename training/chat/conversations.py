"""Conversations, from rows with `messages`, or with `prompt` and `completion`.

A row that a chat template could not render, or of which nothing could be learnt, is a `BadRow` with its reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from training.chat.rows import BadRow, Row, Values

COLUMNS = ("messages", "tools", "prompt", "completion")
ROLES = ("system", "user", "assistant", "tool")
MAY_BE_EMPTY = ("system", "tool")
"""Who may say nothing: functions return nothing at times, and some sets have an empty system prompt in each row."""
Message = dict[str, Any]
"""`role`, `content`, and `tool_calls`, `name` or others where it has them; never null."""


@dataclass(frozen=True)
class Conversation:
    """What is said, in turns."""

    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()
    """JSON Schema of the functions that the assistant may call."""
    n_context: int = 0
    """Messages at the beginning that nothing is learnt of, whoever says them: those of `prompt`."""


def conversation(row: Row) -> Conversation:
    """What a row says.

    Raises:
        BadRow: it is no conversation, or the assistant says nothing in it that could be learnt.
    """
    values = row.values
    tools = tools_of(values)
    if values.get("messages") is not None:
        messages, n_context = messages_of(values["messages"], "messages"), 0
    elif values.get("prompt") is not None and values.get("completion") is not None:
        prompt = messages_of(values["prompt"], "prompt", text_role="user")
        messages, n_context = prompt + messages_of(values["completion"], "completion", "assistant"), len(prompt)
    else:
        found = ", ".join(f"`{name}`" for name in COLUMNS if values.get(name) is not None) or "neither"
        raise BadRow("no_messages", f"expected `messages`, or `prompt` and `completion`; found {found}")
    check_order(messages)
    if not any(message["role"] == "assistant" for message in messages[n_context:]):
        where = "`completion`" if n_context else "`messages`"
        raise BadRow("no_assistant_turn", f"{where}: no turn is the assistant's, so there is nothing to learn")
    return Conversation(tuple(messages), tools, n_context)


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
        found = "an empty list" if value == [] else type(value).__name__
        raise BadRow("no_messages", f"`{field}`: found {found}; expected a list of messages")
    return [_message(one, f"{field}[{number}]") for number, one in enumerate(value)]


def _message(value: Any, field: str) -> Message:
    if not isinstance(value, Mapping):
        raise BadRow("no_messages", f"`{field}`: found {type(value).__name__}; expected {{role, content}}")
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


def tools_of(values: Values) -> tuple[dict[str, Any], ...]:
    """The functions of a row: a list of JSON Schemas, or JSON of one.

    Raises:
        BadRow: they are none.
    """
    value = _parsed(values.get("tools"))
    tools = [_parsed(one) for one in value] if isinstance(value, list) else value
    if tools is None or tools == "":
        return ()
    if not isinstance(tools, list) or not all(isinstance(one, Mapping) for one in tools):
        raise BadRow("bad_tools", f"`tools`: found {type(tools).__name__}; expected a list of JSON Schemas")
    return tuple(dict(one) for one in tools)


def _parsed(value: Any) -> Any:
    """What JSON in a text says; everything else as it is."""
    try:
        return orjson.loads(value) if isinstance(value, str) and value.strip()[:1] in ("[", "{") else value
    except ValueError:
        return value


def check_order(messages: Sequence[Message]) -> None:
    """Check who speaks after whom: the system first, then user and assistant by turns, and functions where the
    assistant called one.

    Raises:
        BadRow: names the first turn that is out of order.
    """
    before = "start"
    for number, message in enumerate(messages):
        role = message["role"]
        if role not in FOLLOWERS[before]:
            after = "the first" if before == "start" else f"after {before}"
            expected = " or ".join(FOLLOWERS[before])
            raise BadRow(
                "roles_out_of_order", f"turn {number + 1}: {role} is {after}; expected {expected or 'no more turns'}"
            )
        before = "assistant's call" if message.get("tool_calls") and role == "assistant" else role


FOLLOWERS = {
    "start": ("system", "user"),
    "system": ("user",),
    "user": ("assistant",),
    "assistant": ("user",),
    "assistant's call": ("tool", "user"),
    "tool": ("tool", "assistant", "user"),
}
"""Who may speak next."""
