"""Answers in JSON, and calls of functions: where they stand in a response, and whether they equal the gold answer."""

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

_FENCE = re.compile(r"```(?:json|jsonc|JSON)?[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_CALL = re.compile(r"<(tool_call|function_call)>(.*?)</\1>", re.DOTALL)


@dataclass(frozen=True)
class Found:
    """JSON in a response."""

    value: Any = None
    text: str | None = None
    """As it stands there; None where there is none, or more than one."""
    why: str = ""
    is_cut: bool = False


def parse(text: str) -> Any:
    """The value of a JSON text: no key twice, no NaN.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a key twice")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def find(response: str, are_calls: bool = False) -> Found:
    """The JSON of a response: all of it, in its one fence, in its `<tool_call>` tags, or among its words.

    Args:
        response: without its thoughts.
        are_calls: whether there may be several values, in tags, which make a list.
    """
    text = response.strip()
    if are_calls and (calls := [match[2] for match in _CALL.finditer(text)]):
        return _read("[" + ", ".join(call.strip() for call in calls) + "]", text)
    fenced = _FENCE.findall(text)
    if len(fenced) > 1:
        return Found(why=f"{len(fenced)} blocks of JSON")
    if fenced:
        return _read(fenced[0], text)
    start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    if start < 0:
        return Found(why="no JSON")
    end = max(text.rfind("}"), text.rfind("]")) + 1
    return _read(text[start:end] if end > start else text[start:], text[start:])


def _read(text: str, whole: str) -> Found:
    try:
        return Found(parse(text), text)
    except json.JSONDecodeError as error:
        is_cut = whole.count("{") > whole.count("}") or whole.count("[") > whole.count("]")
        return Found(why=f"no JSON: {error}", is_cut=is_cut)
    except ValueError as error:
        return Found(why=f"no JSON: {error}")


def same(left: Any, right: Any) -> bool:
    """Equal as JSON: numbers by value (1 is 1.0), `true` is no number; the order of items counts, of keys not.

    Texts are equal in their normal form NFC.
    """
    if isinstance(left, bool) or isinstance(right, bool) or left is None or right is None:
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    if isinstance(left, str) and isinstance(right, str):
        return unicodedata.normalize("NFC", left) == unicodedata.normalize("NFC", right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return False


@dataclass(frozen=True)
class Call:
    """Of a function."""

    name: str
    arguments: dict[str, Any]


def calls_of(value: Any) -> list[Call]:
    """The calls that a value says: one or a list, as `{name, arguments}` or as OpenAI's `{function: {...}}`.

    Raises:
        ValueError: it says none.
    """
    return [_call(one) for one in (value if isinstance(value, list) else [value])]


def _call(value: Any) -> Call:
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ValueError("a call has a name")
    arguments = value.get("arguments", value.get("parameters", {}))
    arguments = parse(arguments) if isinstance(arguments, str) else arguments
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of {value['name']} are no object")
    return Call(value["name"], arguments)


def tools_of(value: Any) -> dict[str, dict[str, Any]]:
    """The schema of the parameters of each function, by name.

    Raises:
        ValueError: it is no list of functions.
    """
    found = {}
    for one in value if isinstance(value, list) else [value]:
        tool = one.get("function", one) if isinstance(one, dict) else None
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise ValueError("a function has a name and parameters")
        found[tool["name"]] = tool.get("parameters") or {"type": "object", "properties": {}}
    return found


def unfit_call(call: Call, tools: dict[str, dict[str, Any]]) -> str | None:
    """Why no function takes a call by this name with arguments of these names; their values are for `misfit`."""
    if call.name not in tools:
        return f"no function is named {call.name}"
    schema = tools[call.name]
    unknown = sorted(call.arguments.keys() - schema.get("properties", {}).keys())
    if unknown and not schema.get("additionalProperties"):
        return f"{call.name} has no argument {unknown[0]}"
    return None


def same_calls(gold: list[Call], said: list[Call], tools: dict[str, dict[str, Any]]) -> bool:
    """The same calls in any order; an argument that is left out has its default."""
    left = list(said)
    for call in gold:
        match = next((other for other in left if _same_call(call, other, tools)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _same_call(gold: Call, said: Call, tools: dict[str, dict[str, Any]]) -> bool:
    declared = tools.get(gold.name, {}).get("properties", {})
    defaults = {name: one["default"] for name, one in declared.items() if isinstance(one, dict) and "default" in one}
    return gold.name == said.name and same(defaults | gold.arguments, defaults | said.arguments)
