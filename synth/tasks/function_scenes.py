"""What a dialogue with functions is about, the forms of what is asked for it, and what of an argument was said."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from synth.samples import Item
from synth.tasks.functions import name_of, parameters_of
from synth.tasks.grounding import days_said, new_numbers

_ASKS = re.compile(
    r"[?？]|주세요|주십시오|주시겠|알려\s?주|말씀해|부탁드"
    r"|\b(?:please|which|what|when|where|who|how|could you|can you)\b",
    re.IGNORECASE,
)
_TIME_SAID = re.compile(
    r"\d\s*시(?!\s*간)|[한두세네]\s?시|정오|자정|\d:\d\d|o'clock|noon|midnight|\d\s*[ap]\.?m", re.IGNORECASE
)
_DATE_SAID = re.compile(
    r"\d+\s*일(?!\s*(?:동안|간))|\d{4}-\d\d|(?<!\d)\d{1,2}/\d{1,2}(?!\d)"
    r"|\b(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.? \d{1,2}(?!\d)",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"\d\d:\d\d")

_WEEKDAYS = ("월요일", "화요일", "수요일", "목요일", "금요일", "토요일", "일요일")


@dataclass(frozen=True)
class Scene:
    """What a dialogue is about."""

    item: Item
    language: str
    turn: str
    today: date
    target: str
    """JSON of the function that is wanted."""
    offered: tuple[str, ...]
    """JSON of the functions that the assistant has."""
    missing: str = ""
    """Of `slot`: the argument that the user does not say."""

    @property
    def day(self) -> str:
        """Today, as it is said."""
        if self.language == "ko":
            return f"{self.today.year}년 {self.today.month}월 {self.today.day}일 {_WEEKDAYS[self.today.weekday()]}"
        return f"{self.today:%A}, {self.today.day} {self.today:%B %Y}"

    @property
    def parameters(self) -> dict[str, Any]:
        """Schema of the arguments of the wanted function."""
        return parameters_of(self.target)


@dataclass(frozen=True)
class Requested:
    """What a user says, and the arguments that are meant."""

    utterance: str
    arguments: dict[str, Any]


def request_schema(scene: Scene) -> dict[str, Any]:
    """Arguments first: what is said is made from them."""
    utterance = {"type": "string", "minLength": 1}
    if scene.turn == "relevance":
        properties: dict[str, Any] = {"utterance": utterance}
    else:
        properties = {"arguments": {"type": "object"}, "utterance": utterance}
    return {"type": "object", "properties": properties, "required": list(properties)}


def answer_schema(scene: Scene) -> dict[str, Any]:
    """One form for all that an assistant may do, so that it is not told what is wanted."""
    call = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "enum": sorted(name_of(tool) for tool in scene.offered)},
            "arguments": {"type": "object"},
        },
        "required": ["name", "arguments"],
    }
    properties = {
        "turn": {"type": "string", "enum": ["call", "ask", "unable"]},
        "calls": {"type": "array", "items": call},
        "missing": {"type": "array", "items": {"type": "string"}},
        "message": {"type": "string"},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def filled(scene: Scene, requested: Requested) -> str | None:
    """The value of the argument that is to be missing, where the user says it all the same.

    What is said of dates, times and numbers belongs to the other arguments where it is theirs. Of names and texts
    nobody but the assistant can tell: it has to ask.
    """
    if scene.missing in requested.arguments:
        return f"{scene.missing} is given"
    rule, said = scene.parameters.get("properties", {}).get(scene.missing, {}), requested.utterance
    given = dumped(requested.arguments)
    if rule.get("format") == "date":
        days = {str(day) for day in days_said(said, scene.today)}
        is_new = days and not any(day in given for day in days)
        dates = "\n".join(match[0] for match in _DATE_SAID.finditer(said))
        return said if is_new or new_numbers(dates, given, 0) else None
    if ":" in rule.get("pattern", ""):
        return said if _TIME_SAID.search(said) and not _CLOCK.search(given) else None
    if rule.get("type") in ("integer", "number"):
        return said if new_numbers(said, given, 0) else None
    return next((str(one) for one in rule.get("enum", []) if len(str(one)) > 1 and str(one) in said), None)


def asks(message: str) -> bool:
    """Whether a message asks for something."""
    return _ASKS.search(message) is not None


def dumped(value: Any) -> str:
    """As JSON."""
    return orjson.dumps(value).decode()
