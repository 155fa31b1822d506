"""Examples and descriptions that ship inside lm-eval (MIT), and are read from there instead of copied."""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from manifests.errors import RequestError

KNOWN = "the version that Onggi knows: pip install 'onggi[eval]'"


def folder(name: str) -> Path:
    """The folder of lm-eval's tasks with that name.

    Raises:
        RequestError: lm-eval is not installed, or has no such folder.
    """
    spec = find_spec("lm_eval")  # nothing of it is imported
    if spec is None or not spec.submodule_search_locations:
        raise RequestError("the examples of this benchmark come with lm-eval: pip install 'onggi[eval]'")
    found = Path(spec.submodule_search_locations[0]) / "tasks" / name
    if not found.is_dir():
        raise RequestError(f"lm-eval has no {found}; {KNOWN}")
    return found


@cache
def declarations(name: str) -> dict[str, dict[str, Any]]:
    """Of each task in a folder what its YAML says, by the file's name without `.yaml`; templates are left out.

    Raises:
        RequestError: see `folder`; or a file is no YAML that says this.
    """
    found = dict[str, dict[str, Any]]()
    for path in sorted(folder(name).glob("*.yaml")):
        if path.name.startswith("_"):
            continue
        try:
            found[path.stem] = yaml.load(path.read_text("utf-8"), Loader=SAFE)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise RequestError(f"{path}: {error}") from error
    return found


SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader, in C where it is there: BBH's files hold 500 KB of examples."""


@cache
def literal(name: str, function: str) -> Any:
    """The literal that a function of a folder's `utils.py` returns; the module is parsed, and not run.

    Raises:
        RequestError: see `folder`; or there is no such function, or it returns something else.
    """
    path = folder(name) / "utils.py"
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == function and isinstance(node.body[-1], ast.Return):
            value = node.body[-1].value
            try:
                return ast.literal_eval(value) if value is not None else None
            except ValueError as error:
                raise RequestError(f"{path}: `{function}` does not return a literal: {error}") from error
    raise RequestError(
        f"{path}: has no function `{function}`; the version that Onggi knows: pip install 'onggi[eval]'"
    )
