"""Conversations, from rows with `messages`, or with `prompt` and `completion`.

A row that a chat template could not render, or of which nothing could be learnt, is a `BadRow` with its reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training.chat.messages import Message, messages_of, tools_of
from training.chat.rows import BadRow, Row

COLUMNS = ("messages", "tools", "prompt", "completion")


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
    tools = tools_of(values.get("tools"))
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
