"""JSON Schema (draft 2020-12), without a network: what a `$ref` names must be in the schema."""

from typing import Any

from manifests.errors import RequestError

WHY_CHARS = 160


def check_schema(schema: Any, name: str) -> None:
    """Whether it is a schema.

    Raises:
        RequestError: it is not; names it and says why.
    """
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise RequestError(f"{name}: is no JSON Schema: {error.message[:WHY_CHARS]}") from error


def misfit(schema: Any, value: Any) -> str | None:
    """Why a value does not fit a schema; None where it does.

    `1.0` is an integer, as JSON Schema has it, and `true` no number.

    Raises:
        RequestError: the schema names another that is not in it.
    """
    from jsonschema import Draft202012Validator
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        error = next(iter(Draft202012Validator(schema, registry=Registry()).iter_errors(value)), None)
    except Unresolvable as missing:
        raise RequestError(f"JSON Schema: {missing} is not in it, and nothing is fetched") from missing
    return None if error is None else f"{error.json_path}: {error.message}"[:WHY_CHARS]


def needs_a_limit(schema: Any) -> bool:
    """Whether checking may take for ever: patterns are searched by backtracking."""
    if isinstance(schema, dict):
        has = any(isinstance(schema.get(key), kind) for key, kind in (("pattern", str), ("patternProperties", dict)))
        return has or any(map(needs_a_limit, schema.values()))
    return isinstance(schema, list) and any(map(needs_a_limit, schema))
