"""Recipes: each is a manifest that loads, says what it is, and can be found."""

from pathlib import Path

import pytest

from manifests.errors import RequestError
from manifests.load import any_manifest
from manifests.recipes import find_manifest, list_recipes, read_recipe

NAMES = [recipe.name for recipe in list_recipes()]


def test_what_the_command_line_speaks_of_is_there() -> None:
    assert {"demo", "minimal"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_recipe_loads(name: str) -> None:
    manifest = any_manifest(find_manifest(name))
    assert manifest.name == name


def test_summary_is_the_first_sentence() -> None:
    for recipe in list_recipes():
        assert recipe.summary[0].isupper() and recipe.summary.endswith(".")
        assert read_recipe(recipe.name).startswith("# " + recipe.summary[:60])


def test_paths_and_urls_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_manifest("s3://bucket/web.yaml") == "s3://bucket/web.yaml"
    assert find_manifest("missing.yml") == "missing.yml"  # loading says that it is not there
    monkeypatch.chdir(tmp_path)
    Path("demo").write_text("", "utf-8")
    assert find_manifest("demo") == "demo"  # a file of the user's comes before a recipe


def test_unknown_recipe() -> None:
    with pytest.raises(RequestError) as caught:
        find_manifest("demmo")
    assert "no file and no recipe `demmo`; did you mean `demo`? recipes: dclm, demo, " in str(caught.value)
    with pytest.raises(RequestError, match="no recipe"):
        read_recipe("../schema")
