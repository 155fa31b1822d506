"""The reference of manifests, written from the schema: `python -m manifests.reference [FOLDER]`.

`manifest.md` has a table per model, in the order in which a manifest names them; `KIND.schema.json` is for editors.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from manifests.json_schema import Schema, expected, options, resolved
from manifests.load import KINDS
from manifests.schema import MIB

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"

EXAMPLE = """\
# yaml-language-server: $schema=corpus.schema.json
kind: corpus
name: web
inputs:
  - {source: crawl, path: "crawl/*.warc.gz"}
  - {source: wiki, path: "wiki/*.parquet", text: body, key: title, set: {license: CC-BY-SA-4.0}}
measure:
  language: {model: lid176}
  signals: true
rules:                                  # the first that fails is the document's reason
  - {name: language, keep: "language in ('ko', 'en') and language_score >= 0.65"}
  - {ruleset: fineweb2-ko, when: "language = 'ko'"}
  - {ruleset: gopher, when: "language = 'en'"}
  - {name: long_enough, keep: "signals.char_count >= 200"}
dedup: {exact: true}
output: out/web
"""

_INTRODUCTION = f"""\
# Manifest reference

Written from `manifests/schema.py` by `make docs`. A manifest is one YAML file; unknown keys and impossible values are
errors that name file, line and field, before any work. What a manifest does not name does not happen.

```yaml
{EXAMPLE}```

The first line gives an editor with the YAML language server (VS Code, Neovim, Emacs, ...) completion, descriptions
and checks while you write; it is the path or URL of the schema of the kind, which lies beside this page:
{", ".join(f"[{kind}.schema.json]({kind}.schema.json)" for kind in KINDS)}.

`onggi plan MANIFEST` checks a manifest and shows it with what it will take. `--set inputs.crawl.path=other.warc.gz`
changes one field from the command line; a step into a list is a number, or the item's name, source, ruleset or gate.
Predicates are SQL over the columns of the [documents](data.md#documents) and their [signals](data.md#signals).
"""


class _Section(NamedTuple):
    """A model, and where a manifest names it."""

    title: str
    path: str
    schema: Schema


def reference_page() -> str:
    """The reference of all kinds of manifest, as Markdown."""
    return "\n".join([_INTRODUCTION, *(_kind_text(kind) for kind in KINDS)])


def json_schema(kind: str) -> str:
    """The JSON Schema of one kind of manifest, as text."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | KINDS[kind].model_json_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_reference(folder: Path) -> None:
    """Write the page and the schemas."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.md").write_text(reference_page(), "utf-8")
    for kind in KINDS:
        (folder / f"{kind}.schema.json").write_text(json_schema(kind), "utf-8")


def _kind_text(kind: str) -> str:
    top = KINDS[kind].model_json_schema()
    sections = [_Section(f"kind: {kind}", "", top), *_once(_sections("", top, top))]
    return "\n".join(_section_text(section, top) for section in sections)


def _once(sections: Iterator[_Section]) -> list[_Section]:
    """Each model once, with all the places that name it."""
    found: dict[str, _Section] = {}
    for section in sections:
        other = found.get(section.title)
        if other is None:
            found[section.title] = section
        elif section.path not in other.path.split("`, `"):
            found[section.title] = other._replace(path=f"{other.path}`, `{section.path}")
    return list(found.values())


def _sections(path: str, schema: Schema, top: Schema, inside: tuple[str, ...] = ()) -> Iterator[_Section]:
    """The models that a model's fields hold, each followed by its own; one that holds itself is not entered again."""
    for name, field in schema["properties"].items():
        for section in _models(f"{path}.{name}".removeprefix("."), resolved(field, top), top):
            yield section
            if section.title not in inside:
                yield from _sections(section.path, section.schema, top, (*inside, section.title))


def _models(path: str, schema: Schema, top: Schema) -> Iterator[_Section]:
    for form in options(schema):
        if "items" in form:
            yield from _models(f"{path}[]", resolved(form["items"], top), top)
        else:
            yield from (_Section(name, path, top["$defs"][name]) for name in _model_names(form))


def _model_names(form: Schema) -> list[str]:
    """The model that a form is, or those that one of its keys tells apart."""
    references = [form["$ref"]] if "$ref" in form else form.get("discriminator", {}).get("mapping", {}).values()
    return list(dict.fromkeys(str(reference).removeprefix("#/$defs/") for reference in references))


def _section_text(section: _Section, top: Schema) -> str:
    schema = section.schema
    rows = [
        _row(name, resolved(field, top), name in schema.get("required", ()))
        for name, field in schema["properties"].items()
    ]
    place = f"`{section.path}`: " if section.path else ""
    header = ["| field | value | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## {section.title}\n", f"{place}{schema['description']}\n", *header, *rows, ""])


def _row(name: str, field: Schema, is_required: bool) -> str:
    default = "**required**" if is_required else _default(field)
    meaning = " ".join(field.get("description", "").split())
    return (
        "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{name}`", _value(field), default, meaning)) + " |"
    )


def _value(field: Schema) -> str:
    """What a field holds; where that is a model, the section that tells."""
    return " or ".join(_form(form) for form in options(field))


def _form(form: Schema) -> str:
    names = [name for option in options(form.get("items", form)) for name in _model_names(option)]
    models = " or ".join(f"[{name}](#{name.lower()})" for name in names)
    return f"a list of {models}" if models and "items" in form else models or expected(form)


def _default(field: Schema) -> str:
    default = field.get("default")
    if isinstance(default, dict):
        return "its defaults"
    if default is None:
        return "none" if "default" in field else "empty"
    if isinstance(default, int) and default and default % MIB == 0:
        return f"`{default}` ({default // MIB} MiB)"
    return f"`{json.dumps(default)}`"


if __name__ == "__main__":
    write_reference(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
