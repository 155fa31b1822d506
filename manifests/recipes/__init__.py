"""Recipes: the manifests that are shipped, to run as they are or to start from.

The comment on top of each says what it is; its first sentence is the summary.
"""

import difflib
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from manifests.errors import RequestError

_FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Recipe:
    """A shipped manifest."""

    name: str
    kind: str
    """Of its manifest: `corpus`, `mixture`, ..."""
    summary: str


def list_recipes() -> list[Recipe]:
    """All recipes, by name."""
    return [Recipe(path.stem, _kind(path), _summary(path)) for path in sorted(_FOLDER.glob("*.yaml"))]


def read_recipe(name: str) -> str:
    """The text of a recipe.

    Raises:
        RequestError: there is no recipe of this name; says which there are.
    """
    return _path(name).read_text("utf-8")


def find_manifest(name: str) -> str:
    """The path of the manifest that is meant: a path or URL as it is, or that of the recipe of this name.

    Raises:
        RequestError: there is no such file and no such recipe; says which recipes there are.
    """
    is_path = Path(name).suffix in (".yaml", ".yml") or "/" in name or Path(name).is_file()
    return name if is_path else str(_path(name))


def _path(name: str) -> Path:
    names = [recipe.name for recipe in list_recipes()]
    if name in names:
        return _FOLDER / f"{name}.yaml"
    close = difflib.get_close_matches(name, names, n=1)
    meant = f"did you mean `{close[0]}`? " if close else ""
    raise RequestError(f"there is no file and no recipe `{name}`; {meant}recipes: {', '.join(names)}")


def _kind(path: Path) -> str:
    found = re.search(r"^kind: (\w+)$", path.read_text("utf-8"), re.MULTILINE)
    assert found
    return found[1]


def _summary(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        comment = " ".join(
            line.strip("# \n") for line in itertools.takewhile(lambda line: line.startswith("#"), lines)
        )
    return re.split(r"(?<=\.) (?=[A-Z])", comment)[0]
