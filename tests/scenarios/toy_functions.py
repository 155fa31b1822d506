"""Dialogues about household functions in the columns of `onggi synth function-calling`, of four turn types.

Requests, calls and results are made of a handful of words, so that a model of some hundred thousand weights can learn
when to call, with what, and when to ask or to decline.
"""

import json
import random
from typing import Any

ROOMS = {"ko": ("거실", "부엌", "침실", "욕실"), "en": ("hall", "kitchen", "bedroom", "bathroom")}
DEVICES = {"ko": ("조명", "난방", "환기"), "en": ("light", "heater", "fan")}
SAYS: dict[str, dict[str, str]] = {
    "ko": {
        "asked": "{room} {device} {level}단으로 해 줘.",
        "without": "{room} {device} 조절해 줘.",
        "slot": "몇 단으로 할까요?",
        "completion": "{room} {device} {level}단으로 했습니다.",
        "other": "{room}에 둘 꽃을 주문해 줘.",
        "relevance": "그런 일을 하는 함수가 없습니다.",
    },
    "en": {
        "asked": "Set the {room} {device} to {level}.",
        "without": "Adjust the {room} {device}.",
        "slot": "To which level?",
        "completion": "The {room} {device} is at {level}.",
        "other": "Order flowers for the {room}.",
        "relevance": "There is no function for that.",
    },
}
Row = dict[str, Any]


def function(name: str) -> Row:
    """A function that sets a device."""
    properties = {"room": {"type": "string"}, "level": {"type": "integer", "minimum": 1, "maximum": 9}}
    parameters = {"type": "object", "properties": properties, "required": ["room", "level"]}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


def dialogue(turn: str, language: str, draw: random.Random) -> Row:
    """A row with `messages`, `tools`, `variety`."""
    place = draw.randrange(len(DEVICES[language]))
    name, device = f"set_{DEVICES['en'][place]}", DEVICES[language][place]
    given = {"room": draw.choice(ROOMS[language]), "device": device, "level": draw.randint(1, 9)}
    told = {key: text.format(**given) for key, text in SAYS[language].items()}
    asked = told[{"slot": "without", "relevance": "other"}.get(turn, "asked")]
    arguments = {"room": given["room"], "level": given["level"]}
    call = {"type": "function", "function": {"name": name, "arguments": arguments}}
    messages: list[Row] = [{"role": "user", "content": asked}]
    if turn in ("call", "completion"):
        messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
    if turn == "completion":
        messages.append({"role": "tool", "name": name, "content": json.dumps({"level": given["level"]})})
    if turn != "call":
        messages.append({"role": "assistant", "content": told[turn]})
    return {"messages": messages, "tools": json.dumps([function(name)]), "variety": turn, "language": language}


def dialogues(n: int, language: str, seed: int) -> list[Row]:
    """Rows of all turn types, by turns."""
    draw, turns = random.Random(seed), ("call", "completion", "slot", "relevance")
    return [dialogue(turns[number % 4], language, draw) for number in range(n)]


def xlam_rows(n: int, seed: int) -> list[Row]:
    """The same calls in the columns of xlam-function-calling-60k."""
    rows, draw = [], random.Random(seed)
    for _ in range(n):
        made = dialogue("call", "en", draw)
        [call] = made["messages"][1]["tool_calls"]
        parameters = {
            "room": {"type": "str", "description": "a room"},
            "level": {"type": "int", "description": "1-9"},
        }
        tool = {"name": call["function"]["name"], "description": "sets it", "parameters": parameters}
        rows.append(
            {
                "query": made["messages"][0]["content"],
                "answers": json.dumps([call["function"]]),
                "tools": json.dumps([tool]),
            }
        )
    return rows
