"""The house stands: floors hold, the core is light, and the packages in use are its own."""

import ast
import os
import subprocess
import sys
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from manifests.house import HOME, PACKAGES, check_packages

HEAVY = {"torch", "transformers", "dask", "distributed", "vllm", "datatrove", "datasets", "trafilatura", "pandas"}
BEHIND_EXTRAS = {
    "curation.datatrove_steps": "datatrove",
    "synth.teachers.serve": "httpx2",
    "synth.teachers.teacher_http": "httpx2",
}
"""Modules that nothing of the core imports, since they begin with the import of an extra."""
OF_COMMANDS: tuple[str, ...] = ("embeddings", "outlook", "stages", "token_batches", "token_dataset", "worker")
OF_COMMANDS += ("experiments.ablate", "experiments.ladder", "experiments.outlook")
"""Modules of `training` that commands begin with: what they import is light. Others run in processes of stages."""
ELSEWHERE = {"loguru", "vllm"}
"""What datatrove brings, and what only an interpreter of its own imports."""
PART_OF = {"markupsafe": "jinja2", "pydantic-core": "pydantic"}


def core_files() -> list[Path]:
    return [HOME / "onggi.py", *(path for name in PACKAGES for path in sorted((HOME / name).rglob("*.py")))]


def core_modules() -> list[str]:
    dotted = [".".join(path.relative_to(HOME).with_suffix("").parts) for path in core_files()]
    return [name.removesuffix(".__init__") for name in dotted]


def run_python(code: str, *, path: list[Path], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def test_core_loads_nothing_heavy(tmp_path: Path) -> None:
    modules = [name for name in core_modules() if name not in BEHIND_EXTRAS and not name.startswith("training.")]
    modules += [f"training.{name}" for name in OF_COMMANDS]
    assert len(modules) > 10
    code = f"import sys, {', '.join(modules)}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = run_python(code, path=[HOME], folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(HEAVY & set(done.stdout.split())) == []


def test_packages_are_our_own() -> None:
    check_packages()


@pytest.mark.parametrize("shadow", ["curation/__init__.py", "classifiers.py"])
def test_package_of_another_is_named(tmp_path: Path, shadow: str) -> None:
    (tmp_path / shadow).parent.mkdir(exist_ok=True)
    (tmp_path / shadow).touch()
    code = "from manifests.house import check_packages\ncheck_packages()"
    done = run_python(code, path=[tmp_path, HOME], folder=tmp_path)
    name = Path(shadow).parts[0].removesuffix(".py")
    assert f"package `{name}` was imported from {tmp_path / shadow}, which is not Onggi's" in done.stderr
    assert done.returncode == 1


def test_even_another_manifests_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/__init__.py").touch()
    done = run_python("import onggi", path=[tmp_path, HOME], folder=tmp_path)
    assert done.returncode == 2
    assert f"package `manifests` was imported from {tmp_path / 'manifests/__init__.py'}" in done.stderr


def test_floors_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def locked() -> dict[str, str]:
    lines = (HOME / "requirements.lock").read_text("utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def imported(file: Path) -> set[str]:
    """The top-level names that a file imports, wherever in it."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.append(node.module or "")
    return {name.partition(".")[0] for name in modules}


def test_dependencies_are_those_that_are_imported() -> None:
    distributions = packages_distributions()
    names = set().union(*map(imported, core_files())) - sys.stdlib_module_names - {"onggi", *PACKAGES}
    used = {canonicalize_name(distributions.get(name, [name])[0]) for name in names}  # extras may be missing
    requirements = [Requirement(text) for text in distribution("onggi").requires or []]
    core = {canonicalize_name(requirement.name) for requirement in requirements if not requirement.marker}
    extra = {canonicalize_name(requirement.name) for requirement in requirements if requirement.marker}
    assert {PART_OF.get(name, name) for name in used} - extra - ELSEWHERE == core


def test_lock_covers_all_that_is_required() -> None:
    """Everything that the core and the tests pull in has one exact version."""
    pins, wanted, seen = locked(), [("onggi", frozenset({"test"}))], set[tuple[str, frozenset[str]]]()
    while wanted:
        name, extras = wanted.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for text in distribution(name).requires or []:
            requirement = Requirement(text)
            if any(
                not requirement.marker or requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}
            ):
                wanted.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    assert {name for name, _ in seen} - {"onggi"} == set(pins)
