"""Manifests from files: every mistake at once, each with its line, its field, and what would be valid."""

import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import fsspec
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from manifests.errors import RequestError
from manifests.overrides import override
from manifests.schema import CorpusManifest
from manifests.yaml_tree import Mistake, Node, parse_tree

KINDS: Mapping[str, type[CorpusManifest]] = {"corpus": CorpusManifest}
MANIFEST_BYTES_MAX = 1 << 20
MISTAKES_SHOWN_MAX = 50
FOUND_CHARS_MAX = 60

Schema = dict[str, Any]
"""A part of a JSON Schema."""

_PATTERNS = {
    r"^[A-Za-z][A-Za-z0-9_-]*$": "a name (a letter, then letters, digits, `_` and `-`)",
    r"^[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z][A-Za-z0-9_-]*)?$": "a name (letters, digits, `_`, `-` and at most one dot)",
}


def load_manifest(path: str, overrides: Sequence[str] = ()) -> CorpusManifest:
    """The manifest at a path or fsspec URL, changed by overrides such as `limits.shard_bytes=1048576`.

    Raises:
        RequestError: the file cannot be read, or something in it is wrong; one line per mistake.
    """
    return _manifest(_read(path), path, overrides)


def parse_manifest(text: str, name: str) -> CorpusManifest:
    """The manifest in a text; `name` stands for the file's name in errors.

    Raises:
        RequestError: one line per mistake.
    """
    return _manifest(text, name, ())


def _read(path: str) -> str:
    try:
        with fsspec.open(path, "rb") as file:
            content: bytes = file.read(MANIFEST_BYTES_MAX + 1)
    except FileNotFoundError:
        raise RequestError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise RequestError(f"{path}: is a folder; expected a YAML file") from None
    except Exception as error:  # every file system has errors of its own
        raise RequestError(f"{path}: cannot be read: {str(error) or type(error).__name__}") from error
    if len(content) > MANIFEST_BYTES_MAX:
        raise RequestError(f"{path}: larger than {MANIFEST_BYTES_MAX:,} bytes, so it is no manifest")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{content[error.start]:02x} is not UTF-8"
        raise RequestError(f"{path}:{line}: {found}; save the file as UTF-8") from None


def _manifest(text: str, name: str, overrides: Sequence[str]) -> CorpusManifest:
    root, mistakes = parse_tree(text, name)
    if root is None:
        raise _request_error(mistakes)
    for assignment in overrides:
        mistakes += override(root, assignment)
    manifest, invalid = _validated(root)
    if manifest is None or mistakes:
        raise _request_error(mistakes + invalid)
    return manifest


def _request_error(mistakes: Iterable[Mistake]) -> RequestError:
    lines = [str(mistake) for mistake in sorted(set(mistakes))]
    more = [f"... and {len(lines) - MISTAKES_SHOWN_MAX} more"] if len(lines) > MISTAKES_SHOWN_MAX else []
    return RequestError("\n".join(lines[:MISTAKES_SHOWN_MAX] + more))


def _validated(root: Node) -> tuple[CorpusManifest | None, list[Mistake]]:
    if not isinstance(root.value, dict):
        return None, [Mistake(root.where, "", f"found {_found(root)}; expected a mapping that begins `kind: corpus`")]
    kind = root.value.get("kind")
    if kind is None:
        return None, [Mistake(root.where, "kind", f"missing; valid: {', '.join(KINDS)}")]
    if kind.written not in KINDS:
        return None, [Mistake(kind.where, "kind", f"found {_found(kind)}; {_valid(kind.written, KINDS)}")]
    model = KINDS[kind.written]
    try:
        return model.model_validate(root.plain()), []
    except ValidationError as error:
        return None, list(_mistakes(error, root, _json_schema(model)))


@functools.cache
def _json_schema(model: type[CorpusManifest]) -> Schema:
    return model.model_json_schema()


# From an error of Pydantic to a place in the file


class _Place(NamedTuple):
    """A value in the file, what the schema says of it, and how a person would name it."""

    node: Node
    schema: Schema
    path: str


def _mistakes(error: ValidationError, root: Node, top: Schema) -> Iterator[Mistake]:
    for detail in error.errors(include_url=False):
        location = tuple(part for part in detail["loc"] if part != "[key]")
        place, holder = _place(location, root, top), _place(location[:-1], root, top)
        if place and holder:
            yield Mistake(place.node.where, place.path, _complaint(detail, place, holder))


def _place(location: Sequence[str | int], root: Node, top: Schema) -> _Place | None:
    """Where a location leads; None where it leads into a branch of a union that was not meant."""
    place = _Place(root, top, "")
    for part in location:
        options = _options(place.schema)
        meant = _meant(options, place.node)
        if len(options) == 1 or part not in [_label(option) for option in options]:
            place = _child(place, meant or options[0], part, top)
        elif meant is None:
            return place
        elif _label(meant) != part:
            return None
        else:
            place = place._replace(schema=meant)
    return place


def _child(place: _Place, schema: Schema, part: str | int, top: Schema) -> _Place:
    node = place.node
    if isinstance(part, int):
        node = node.value[part] if isinstance(node.value, list) else node
        return _Place(node, _resolved(schema.get("items", {}), top), f"{place.path}[{part}]")
    node = node.value.get(part, node) if isinstance(node.value, dict) else node
    others = [schema.get("additionalProperties") or {}, *schema.get("patternProperties", {}).values()]
    child = schema.get("properties", {}).get(part, others[-1])
    return _Place(node, _resolved(child, top), f"{place.path}.{part}".removeprefix("."))


def _resolved(schema: Schema, top: Schema) -> Schema:
    """The schema with what it and its alternatives refer to in place."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [_resolved(option, top) for option in schema["anyOf"]]}
    reference = schema.get("$ref", "").removeprefix("#/$defs/")
    return {**top["$defs"][reference], **schema} if reference else schema


def _options(schema: Schema) -> list[Schema]:
    return [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]


def _label(option: Schema) -> str:
    """How Pydantic calls a branch of a union."""
    return str(option["$ref"]).removeprefix("#/$defs/") if "$ref" in option else ""


def _meant(options: Sequence[Schema], node: Node) -> Schema | None:
    """Of several forms the one that was meant: whose own keys are there; None where two are as likely."""
    if len(options) == 1:
        return options[0]
    keys = set(node.value) if isinstance(node.value, dict) else set()
    scores = [
        (len(keys & {*option.get("required", ())}), -len(keys - {*option.get("properties", ())}))
        for option in options
    ]
    return options[scores.index(max(scores))] if scores.count(max(scores)) == 1 else None


# In words


def _complaint(detail: ErrorDetails, place: _Place, holder: _Place) -> str:
    last = str(detail["loc"][-1]) if detail["loc"] else ""
    if len(_options(place.schema)) > 1:  # nothing tells which form was meant
        return f"found {_found(place.node)}; {_wanted(place)}"
    if detail["type"] == "extra_forbidden":
        return f"unknown key; {_valid(last, _options(holder.schema)[0].get('properties', {}))}"
    if last == "[key]":
        return f"unknown key; {_valid_key(str(detail['loc'][-2]), holder.schema)}"
    if detail["type"] == "missing":
        meaning = " ".join(place.schema.get("description", "").split())
        return f"missing; expected {_expected(place.schema)}" + (f": {meaning}" if meaning else "")
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    return f"found {_found(place.node)}; {_wanted(place)}"


def _found(node: Node) -> str:
    if isinstance(node.value, dict):
        return f"a mapping of {_short(', '.join(node.value))}" if node.value else "an empty mapping"
    if isinstance(node.value, list):
        return "a list" if node.value else "an empty list"
    return f"`{_short(node.written)}`" if node.written else "nothing"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= FOUND_CHARS_MAX else line[: FOUND_CHARS_MAX - 3] + "..."


def _wanted(place: _Place) -> str:
    schema, value = _options(place.schema)[0], place.node.value
    if "enum" in schema:
        return _valid(place.node.written, schema["enum"])
    hint = ""
    if schema.get("type") == "string" and "pattern" not in schema and isinstance(value, int | float):  # or a bool
        hint = "; put it in quotes"
    if value is None and "default" in place.schema:
        hint = "; or leave the key out"
    return f"expected {_expected(place.schema)}{hint}"


def _valid(written: str, valid: Iterable[str]) -> str:
    names = sorted(valid)
    close = difflib.get_close_matches(written, names, n=1)
    return (f"did you mean `{close[0]}`? " if close else "") + f"valid: {', '.join(names)}"


def _valid_key(written: str, schema: Schema) -> str:
    names = schema.get("propertyNames", {})
    if "enum" in names:
        return _valid(written, names["enum"])
    return f"expected {_text({'pattern': next(iter(schema.get('patternProperties', {})), '')} | names)}"


def _expected(schema: Schema) -> str:
    """What a schema accepts, in words."""
    options = _options(schema)
    if len(options) > 1:
        return ", or ".join(_expected(option) for option in options)
    match options[0]:
        case {"const": value}:
            return f"`{value}`"
        case {"enum": values}:
            return f"one of {', '.join(values)}"
        case {"type": "string"} as text:
            return _text(text)
        case {"type": "integer" | "number" as kind} as number:
            return ("a whole number" if kind == "integer" else "a number") + _bounds(number)
        case {"type": "boolean"}:
            return "true or false"
        case {"type": "array"} as items:
            return "a list" + (" that is not empty" if items.get("minItems") else "")
        case {"properties": keys} as mapping:
            return _mapping(list(keys), mapping.get("required", []))
    return "a mapping"


def _text(schema: Schema) -> str:
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
