"""The committed reference is that of this schema, and says the same as the models do."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from manifests.errors import RequestError
from manifests.house import HOME
from manifests.load import KINDS, parse_manifest
from manifests.recipes import list_recipes, read_recipe
from manifests.reference import EXAMPLE, FOLDER, json_schema, write_reference

SCHEMA = json.loads(json_schema("corpus"))


def test_committed_pages_are_those_of_this_version(tmp_path: Path) -> None:
    write_reference(tmp_path)
    subprocess.run([sys.executable, str(HOME / "docs" / "generate.py"), str(tmp_path)], check=True, cwd=HOME)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {path.name for path in FOLDER.iterdir()}
    stale = [name for name in names if (tmp_path / name).read_bytes() != (FOLDER / name).read_bytes()]
    assert not stale, "run `make docs`"


@pytest.mark.parametrize("kind", KINDS)
def test_every_model_has_a_section(kind: str) -> None:
    """Those that a key tells apart too: tasks, gates, stages."""
    page = (FOLDER / "manifest.md").read_text("utf-8")
    (section,) = [part for part in page.split("\n## kind: ") if part.startswith(f"{kind}\n")]
    models = [
        name for name, schema in json.loads(json_schema(kind)).get("$defs", {}).items() if "properties" in schema
    ]
    assert [name for name in models if f"\n## {name}\n" not in section] == []


def test_example_is_a_manifest() -> None:
    assert parse_manifest(EXAMPLE, "example").name == "web"


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_one(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(json_schema(kind)))


@pytest.mark.parametrize("text", [EXAMPLE, *(read_recipe(recipe.name) for recipe in list_recipes())])
def test_editor_accepts_what_loads(text: str) -> None:
    manifest = yaml.safe_load(text)
    jsonschema.validate(manifest, json.loads(json_schema(manifest["kind"])))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("signals: true", "signals: 3.5"),
        ("signals: true", "singals: true"),
        ("source: crawl", "source: 1st"),
        ("name: long_enough, ", ""),
        ("{exact: true}", "[exact]"),
        ("{license: CC-BY-SA-4.0}", "{licence: CC-BY-SA-4.0}"),
        ("output: out/web", "output: {pth: out/web}"),
    ],
)
def test_editor_refuses_what_does_not_load(right: str, wrong: str) -> None:
    assert right in EXAMPLE
    text = EXAMPLE.replace(right, wrong)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), SCHEMA)
    with pytest.raises(RequestError):
        parse_manifest(text, "example")
