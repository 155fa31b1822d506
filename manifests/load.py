"""Manifests from files: every mistake at once, each with its line, its field, and what would be valid."""

import difflib
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import fsspec
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from manifests.errors import RequestError
from manifests.json_schema import Schema, expected, options, resolved, tagged, text_expected
from manifests.overrides import override
from manifests.schema import CorpusManifest
from manifests.schema_classifier import ClassifierManifest
from manifests.schema_evaluation import EvaluationManifest
from manifests.schema_experiments import AblationManifest, LadderManifest
from manifests.schema_merge import MergeRule
from manifests.schema_mixture import MixtureManifest
from manifests.schema_synthesis import SynthesisManifest
from manifests.schema_training import TrainingManifest
from manifests.yaml_tree import Mistake, Node, parse_tree

Manifest = (
    CorpusManifest
    | ClassifierManifest
    | MixtureManifest
    | SynthesisManifest
    | TrainingManifest
    | EvaluationManifest
    | AblationManifest
    | LadderManifest
)
Kind = TypeVar(
    "Kind",
    CorpusManifest,
    ClassifierManifest,
    MixtureManifest,
    SynthesisManifest,
    TrainingManifest,
    EvaluationManifest,
    AblationManifest,
    LadderManifest,
)

KINDS: Mapping[str, type[Manifest]] = {
    "corpus": CorpusManifest,
    "classifier": ClassifierManifest,
    "mixture": MixtureManifest,
    "synthesis": SynthesisManifest,
    "training": TrainingManifest,
    "evaluation": EvaluationManifest,
    "ablation": AblationManifest,
    "ladder": LadderManifest,
}
COMMANDS = {
    "corpus": "onggi curate",
    "classifier": "onggi classifier",
    "mixture": "onggi mix",
    "synthesis": "onggi synth",
    "training": "onggi train",
    "evaluation": "onggi eval",
    "ablation": "onggi ablate",
    "ladder": "onggi ladder",
}
MANIFEST_BYTES_MAX = 1 << 20
MISTAKES_SHOWN_MAX = 50
FOUND_CHARS_MAX = 60


def load_manifest(path: str, overrides: Sequence[str] = ()) -> CorpusManifest:
    """The corpus manifest at a path or fsspec URL, changed by overrides such as `limits.shard_bytes=1048576`.

    Raises:
        RequestError: the file cannot be read, something in it is wrong, or it is of another kind; a line per mistake.
    """
    return load_kind(CorpusManifest, path, overrides)


def load_kind(kind: type[Kind], path: str, overrides: Sequence[str] = ()) -> Kind:
    """The manifest of any kind at a path; see `load_manifest`."""
    return _of_kind(_manifest(_read(path), path, overrides), kind, path)


def parse_manifest(text: str, name: str) -> CorpusManifest:
    """The corpus manifest in a text; `name` stands for the file's name in errors.

    Raises:
        RequestError: one line per mistake.
    """
    return _of_kind(_manifest(text, name, ()), CorpusManifest, name)


def load_rule(path: str) -> MergeRule:
    """The rule of a merge in a YAML file: what stands under `rule` in a stage of a training.

    Raises:
        RequestError: the file cannot be read, or something in it is wrong; a line per mistake.
    """
    root, mistakes = parse_tree(_read(path), path)
    if root is None:
        raise _request_error(mistakes)
    try:
        rule = MergeRule.model_validate(root.plain())
    except ValidationError as error:
        raise _request_error([*mistakes, *_mistakes(error, root, _json_schema(MergeRule))]) from None
    if mistakes:
        raise _request_error(mistakes)
    return rule


def any_manifest(path: str) -> Manifest:
    """The manifest at a path, whatever its kind; see `load_manifest`."""
    return _manifest(_read(path), path, ())


def manifest_tree(path: str) -> Node:
    """The YAML tree of the manifest at a path, for changes before it is checked.

    Raises:
        RequestError: the file cannot be read, or is no YAML; a line per mistake.
    """
    root, mistakes = parse_tree(_read(path), path)
    if root is None or mistakes:
        raise _request_error(mistakes)
    return root


def checked(root: Node, mistakes: Sequence[Mistake] = ()) -> Manifest:
    """The manifest that a tree is.

    Args:
        root: of the tree.
        mistakes: that are known before; they are told with the others.

    Raises:
        RequestError: something is wrong; a line per mistake.
    """
    manifest, invalid = _validated(root)
    if manifest is None or mistakes:
        raise _request_error([*mistakes, *invalid])
    return manifest


def _of_kind(manifest: Manifest, kind: type[Kind], name: str) -> Kind:
    if isinstance(manifest, kind):
        return manifest
    raise RequestError(f"{name}: is of `kind: {manifest.kind}`, which is for `{COMMANDS[manifest.kind]}`")


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


def _manifest(text: str, name: str, overrides: Sequence[str]) -> Manifest:
    root, mistakes = parse_tree(text, name)
    if root is None:
        raise _request_error(mistakes)
    for assignment in overrides:
        mistakes += override(root, assignment)
    return checked(root, mistakes)


def _request_error(mistakes: Iterable[Mistake]) -> RequestError:
    lines = [str(mistake) for mistake in sorted(set(mistakes))]
    more = [f"... and {len(lines) - MISTAKES_SHOWN_MAX} more"] if len(lines) > MISTAKES_SHOWN_MAX else []
    return RequestError("\n".join(lines[:MISTAKES_SHOWN_MAX] + more))


def _validated(root: Node) -> tuple[Manifest | None, list[Mistake]]:
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
def _json_schema(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


# From an error of Pydantic to a place in the file


class _Place(NamedTuple):
    """A value in the file, what the schema says of it, and how a person would name it."""

    node: Node
    schema: Schema
    path: str
    is_unclear: bool = False
    """It has several forms, and nothing tells which was meant."""


def _mistakes(error: ValidationError, root: Node, top: Schema) -> Iterator[Mistake]:
    for detail in error.errors(include_url=False):
        within = getattr(detail.get("ctx", {}).get("error"), "at", ())
        location = (*(_branch(part) for part in detail["loc"] if part != "[key]"), *within)
        place, holder = _place(location, root, top), _place(location[:-1], root, top)
        if place and detail["type"].startswith("union_tag_"):
            yield _untold(place)
        elif place and holder:
            yield Mistake(place.node.where, place.path, _complaint(detail, place, holder))


def _branch(part: str | int) -> str | int:
    """A branch of a union by its model's name, which Pydantic wraps where the model checks itself."""
    wrapped = re.fullmatch(r"function-\w+\[.*, (\w+)\]", part) if isinstance(part, str) else None
    return wrapped[1] if wrapped else part


def _place(location: Sequence[str | int], root: Node, top: Schema) -> _Place | None:
    """Where a location leads; None where it leads into a branch of a union that was not meant."""
    place = _Place(root, top, "")
    for part in location:
        if told := tagged(place.schema):
            is_tag = part in told["mapping"] and _tag(place.node, told["propertyName"]) in (part, "")
            place = _told(place, told, part if is_tag else "", top)
            if is_tag:
                continue
        forms = options(place.schema)
        meant = _meant(forms, place.node)
        if len(forms) > 1 and _TYPE.fullmatch(str(part)):
            return place._replace(is_unclear=True)
        if len(forms) == 1 or part not in [_label(form) for form in forms]:
            place = _child(place, meant or forms[0], part, top)
        elif meant is None:
            return place._replace(is_unclear=True)
        elif _label(meant) != part:
            return None
        else:
            place = place._replace(schema=meant)
    return place


_TYPE = re.compile(r"bool|int|float|str|(?:list|dict)\[.*\]")
"""What Pydantic calls the forms of a value that has no model: they are no keys of it."""


def _tag(node: Node, name: str) -> str:
    """Which form a value says it has; a field may be called like another form."""
    given = node.value if isinstance(node.value, dict) else {}
    return given[name].written if name in given else ""


def _told(place: _Place, told: Schema, tag: str | int, top: Schema) -> _Place:
    """The value in the form that Pydantic names, or, where it names none, in the one that the value says it has."""
    value = tag or _tag(place.node, told["propertyName"])
    return place._replace(schema=resolved({"$ref": told["mapping"].get(value, "")}, top))


def _child(place: _Place, schema: Schema, part: str | int, top: Schema) -> _Place:
    node = place.node
    if isinstance(part, int):
        node = node.value[part] if isinstance(node.value, list) else node
        return _Place(node, resolved(schema.get("items", {}), top), f"{place.path}[{part}]")
    node = node.value.get(part, node) if isinstance(node.value, dict) else node
    others = [schema.get("additionalProperties") or {}, *schema.get("patternProperties", {}).values()]
    child = schema.get("properties", {}).get(part, others[-1] if isinstance(others[-1], dict) else {})
    return _Place(node, resolved(child, top), f"{place.path}.{part}".removeprefix("."))


def _label(form: Schema) -> str:
    """How Pydantic calls a branch of a union."""
    return str(form.get("$ref", "")).removeprefix("#/$defs/")


def _meant(forms: Sequence[Schema], node: Node) -> Schema | None:
    """Of several forms the one that was meant: whose own keys are there; None where two are as likely."""
    keys = set(node.value) if isinstance(node.value, dict) else set()
    fitting = [form for form in forms if ("properties" in form) == isinstance(node.value, dict)] or forms
    fitting = [form for form in fitting if _says_so(form, node)] or fitting
    scores = [
        (len(keys & {*form.get("required", ())}), -len(keys - {*form.get("properties", ())})) for form in fitting
    ]
    return fitting[scores.index(max(scores))] if scores.count(max(scores)) == 1 else None


def _says_so(form: Schema, node: Node) -> bool:
    """Whether the values that tell forms apart, as `kind: lsa`, are those of this one."""
    told = {name: field["const"] for name, field in form.get("properties", {}).items() if "const" in field}
    given = node.value if isinstance(node.value, dict) else {}
    return all(name in given and given[name].written == value for name, value in told.items())


# In words


def _complaint(detail: ErrorDetails, place: _Place, holder: _Place) -> str:
    last = str(detail["loc"][-1]) if detail["loc"] else ""
    if place.is_unclear:
        return f"found {_found(place.node)}; {_wanted(place)}"
    if detail["type"] == "extra_forbidden":
        form = _meant(options(holder.schema), holder.node) or {}
        return f"unknown key; {_valid(last, form.get('properties', {}))}"
    if last == "[key]":
        return f"unknown key; {_valid_key(str(detail['loc'][-2]), holder.schema)}"
    if detail["type"] == "missing":
        meaning = " ".join(place.schema.get("description", "").split())
        return f"missing; expected {expected(place.schema)}" + (f": {meaning}" if meaning else "")
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    return f"found {_found(place.node)}; {_wanted(place)}"


def _untold(place: _Place) -> Mistake:
    """Of a value that does not say which form it has, or one that there is not."""
    told = tagged(place.schema)
    assert told
    node, path = place.node, place.path
    if isinstance(node.value, dict):
        path = f"{path}.{told['propertyName']}"
        if told["propertyName"] not in node.value:
            return Mistake(node.where, path, f"missing; {_valid('', told['mapping'])}")
        node = node.value[told["propertyName"]]
    return Mistake(node.where, path, f"found {_found(node)}; {_valid(node.written, told['mapping'])}")


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
    schema, value = options(place.schema)[0], place.node.value
    if "enum" in schema:
        return _valid(place.node.written, schema["enum"])
    hint = ""
    if schema.get("type") == "string" and "pattern" not in schema and isinstance(value, int | float):  # or a bool
        hint = "; put it in quotes"
    if value is None and "default" in place.schema:
        hint = "; or leave the key out"
    return f"expected {expected(place.schema)}{hint}"


def _valid(written: str, valid: Iterable[str]) -> str:
    names = sorted(valid)
    close = difflib.get_close_matches(written, names, n=1)
    return (f"did you mean `{close[0]}`? " if close else "") + f"valid: {', '.join(names)}"


def _valid_key(written: str, schema: Schema) -> str:
    names = schema.get("propertyNames", {})
    if "enum" in names:
        return _valid(written, names["enum"])
    return f"expected {text_expected({'pattern': next(iter(schema.get('patternProperties', {})), '')} | names)}"
