"""JSON Schema, as Pydantic writes it, in words: for errors and for the reference page."""

from collections.abc import Sequence
from typing import Any

Schema = dict[str, Any]
"""A JSON Schema or a part of one."""

_PATTERNS = {
    r"^[A-Za-z][A-Za-z0-9_-]*$": "a name in ASCII (a letter, then letters, digits, `_` and `-`)",
    r"^[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z][A-Za-z0-9_-]*)?$": "a name (letters, digits, `_`, `-` and at most one dot)",
    r"^[A-Za-z][A-Za-z0-9_]*$": "a name in ASCII (a letter, then letters, digits and `_`)",
    r"^[0-9]+(\.[0-9]+)?%$": "a share such as 10%",
    r"^[A-Z_][A-Z0-9_]*$": "the name of a variable of the environment, as TEACHER_KEY",
    r"^[A-Za-z][A-Za-z0-9_.-]*$": "the name of a robot, as ccbot",
    r"^[^&=*\s]+\*?$": "the name of a parameter, or its beginning and *",
    r"^https?://": "an address such as http://127.0.0.1:8000/v1",
}


def resolved(schema: Schema, top: Schema) -> Schema:
    """The schema with what it and its alternatives refer to in place; `$ref` stays, as their name."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [resolved(option, top) for option in schema["anyOf"]]}
    reference = schema.get("$ref", "").removeprefix("#/$defs/")
    return {**top["$defs"][reference], **schema} if reference else schema


def options(schema: Schema) -> list[Schema]:
    """The forms that a value may take, null left out."""
    return [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]


def tagged(schema: Schema) -> Schema | None:
    """Of forms that one key tells apart, as `kind` does those of `task`: that key, `propertyName`, and the form of
    each of its values, `mapping`; None where there are no such forms."""
    return next((option["discriminator"] for option in options(schema) if "discriminator" in option), None)


def expected(schema: Schema) -> str:
    """What a schema accepts, in words."""
    forms = options(schema)
    if len(forms) > 1:
        return ", or ".join(expected(form) for form in forms)
    match forms[0]:
        case {"const": value}:
            return f"`{value}`"
        case {"enum": values}:
            return f"one of {', '.join(map(str, values))}"
        case {"type": "string"} as text:
            return text_expected(text)
        case {"type": "integer" | "number" as kind} as number:
            return ("a whole number" if kind == "integer" else "a number") + _bounds(number)
        case {"discriminator": {"propertyName": key, "mapping": forms_by_value}}:
            return f"a mapping with `{key}`, one of {', '.join(sorted(forms_by_value))}"
        case {"type": "boolean"}:
            return "true or false"
        case {"type": "array"} as items:
            return "a list" + (" that is not empty" if items.get("minItems") else "")
        case {"properties": keys} as mapping:
            return _mapping(list(keys), mapping.get("required", []))
        case {"propertyNames": {"enum": keys}}:
            return _mapping(keys, [])
        case {"patternProperties": pattern}:
            return f"a mapping of names to {expected(*pattern.values())}"
        case {"additionalProperties": bool()}:
            return "a mapping"
        case {"additionalProperties": value}:
            return f"a mapping to {expected(value)}"
    return "a value"


def text_expected(schema: Schema) -> str:
    """What the schema of a text, or of a key, accepts."""
    if schema.get("pattern"):
        return _PATTERNS.get(schema["pattern"], f"text that matches {schema['pattern']}")
    return "text that is not empty" if schema.get("minLength") else "text"


def _bounds(schema: Schema) -> str:
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    return "".join(f", {word} {schema[key]}" for key, word in words.items() if key in schema)


def _mapping(keys: Sequence[str], required: Sequence[str]) -> str:
    optional = [key for key in keys if key not in required]
    if not required:
        return f"a mapping of any of {', '.join(optional)}"
    return f"a mapping of {', '.join(required)}" + (f" (optional: {', '.join(optional)})" if optional else "")
