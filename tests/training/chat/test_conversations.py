"""Conversations of rows: all forms alike, and what is none named by its field."""

from typing import Any

import orjson
import pytest

from tests.training import tiny
from training.chat.conversations import Conversation, conversation
from training.chat.rows import BadRow, Row

ANSWERED = tiny.conversation("질문", "답", system="너는 옹기다.")
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "서울"}}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALLED = [
    {"role": "user", "content": "서울 날씨는?"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "", "name": "weather"},
    {"role": "assistant", "content": "모르겠습니다."},
]


def said(**values: Any) -> Conversation:
    return conversation(Row("a.jsonl", 1, values))


def test_all_forms_say_the_same() -> None:
    whole = said(messages=ANSWERED)
    assert whole == Conversation(tuple(ANSWERED))
    assert said(messages=orjson.dumps(ANSWERED).decode()) == whole
    assert said(messages=[{**message, "name": None, "tool_calls": None} for message in ANSWERED]) == whole
    assert said(prompt=ANSWERED[:2], completion=ANSWERED[2:]) == Conversation(tuple(ANSWERED), n_context=2)
    assert said(prompt="질문", completion="답") == Conversation(tuple(ANSWERED[1:]), n_context=1)
    assert said(prompt=ANSWERED[:2], completion="답") == Conversation(tuple(ANSWERED), n_context=2)
    assert said(messages=[{**ANSWERED[0], "role": "developer"}, *ANSWERED[1:]]) == whole


def test_functions_are_read_from_json_and_from_structures_alike() -> None:
    whole = said(messages=CALLED, tools=[TOOL])
    assert whole == Conversation(tuple(CALLED), (TOOL,))
    as_text = {"function": {"name": "weather", "arguments": '{"city": "서울"}'}}
    messages = [{**CALLED[1], "tool_calls": [as_text]} if message is CALLED[1] else message for message in CALLED]
    assert said(messages=messages, tools=orjson.dumps([TOOL]).decode()) == whole
    assert said(messages=messages, tools=[orjson.dumps(TOOL).decode()]) == whole
    alone = [{"name": "weather", "arguments": {"city": "서울"}}]
    messages = [{**CALLED[1], "tool_calls": alone} if message is CALLED[1] else message for message in CALLED]
    assert said(messages=messages, tools=[TOOL]) == whole
    assert said(messages=ANSWERED, tools="").tools == said(messages=ANSWERED, tools=[]).tools == ()


def test_several_turns_and_functions_that_return_nothing_are_in_order() -> None:
    turns = tiny.conversation("가", "나", "다", "라", "마")
    assert said(messages=turns).messages == tuple(turns)  # the last words of a user are nobody's loss
    assert len(said(messages=[*CALLED, *turns[:2]]).messages) == 6


USER, ASSISTANT = tiny.conversation("질문", "답")
SYSTEM = {"role": "system", "content": "s"}


@pytest.mark.parametrize(
    ("reason", "found", "values"),
    [
        ("no_messages", "expected `messages`, or `prompt` and `completion`; found `prompt`", {"prompt": "a"}),
        ("no_messages", "found neither", {}),
        ("no_messages", "`messages`: found an empty list", {"messages": []}),
        ("no_messages", "`messages`: found str", {"messages": "text"}),
        ("bad_message", r"`messages\[0\]`: found str; expected {role, content}", {"messages": ["hi"]}),
        ("no_assistant_turn", "`messages`: no turn is the assistant's", {"messages": [USER]}),
        ("roles_out_of_order", "turn 1: assistant is the first; expected system or user", {"messages": [ASSISTANT]}),
        (
            "roles_out_of_order",
            "turn 2: user is after user; expected assistant",
            {"messages": [USER, USER, ASSISTANT]},
        ),
        ("roles_out_of_order", "turn 3: assistant is after assistant", {"messages": [USER, ASSISTANT, ASSISTANT]}),
        ("roles_out_of_order", "turn 3: system is after assistant", {"messages": [USER, ASSISTANT, SYSTEM]}),
        ("roles_out_of_order", "turn 3: tool is after assistant", {"messages": [USER, ASSISTANT, CALLED[2]]}),
        ("unknown_role", r"`messages\[0\].role`: found 'human'", {"messages": [{"role": "human", "content": "a"}]}),
        ("unknown_role", "missing; found `from`, `value`", {"messages": [{"from": "human", "value": "a"}]}),
        ("content_not_text", r"`messages\[0\].content`: found int", {"messages": [{"role": "user", "content": 3}]}),
        ("content_not_text", "found list", {"messages": [{"role": "user", "content": [{"type": "image"}]}]}),
        (
            "empty_content",
            r"`messages\[1\].content`: is empty",
            {"messages": [USER, {**ASSISTANT, "content": " \n"}]},
        ),
        ("empty_content", "`completion.content`: is empty", {"prompt": "a", "completion": ""}),
        ("bad_tool_call", "tool_calls`: found 'f'", {"messages": [USER, {**ASSISTANT, "tool_calls": ["f"]}]}),
        ("bad_tools", "`tools`: found str", {"messages": [USER, ASSISTANT], "tools": "weather"}),
        ("bad_tools", "`tools`: found list", {"messages": [USER, ASSISTANT], "tools": [3]}),
        ("no_assistant_turn", "`completion`: no turn", {"prompt": [USER, ASSISTANT], "completion": [USER]}),
    ],
)
def test_bad_rows_are_named(reason: str, found: str, values: dict[str, Any]) -> None:
    with pytest.raises(BadRow, match=found) as raised:
        said(**values)
    assert raised.value.reason == reason
