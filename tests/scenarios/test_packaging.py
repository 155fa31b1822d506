"""What is shipped: the wheel holds what it should, and works without extras in an environment of its own."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from manifests.house import HOME, PACKAGES

NOT_SHIPPED = {"tests", "benchmarks", "docs", ".ci"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(HOME)], folder)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a clean environment away from the checkout: the wheel, and what it requires."""
    folder = tmp_path_factory.mktemp("clean")
    run([sys.executable, "-m", "venv", str(folder / "venv")], folder)
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    (wheel,) = built.glob("*.whl")
    install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile"]
    run([str(programs / "python"), *install, "-c", str(HOME / "requirements.lock"), str(wheel)], folder)
    return programs


def run(command: list[str], folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ONGGI"))}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def shipped_files() -> set[str]:
    folders = [HOME / name for name in PACKAGES if (HOME / name).is_dir()]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {"onggi.py", *(path.relative_to(HOME).as_posix() for path in files if "__pycache__" not in path.parts)}


def test_wheel_holds_the_packages_with_their_data(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    about = {name for name in names if ".dist-info/" in name}
    assert names - about == shipped_files()
    assert {"LICENSE", "NOTICE"} <= {Path(name).name for name in about}
    for part in ("sample/README.md", "recipes/demo.yaml", "rulesets/gopher.yaml", "templates/report.html", ".ftz"):
        assert any(name.endswith(part) for name in names), part


def test_sdist_holds_what_the_wheel_needs_and_the_tests(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert shipped_files() | {"LICENSE", "NOTICE", "README.md", "tests/conftest.py", "requirements.lock"} <= names
    assert not any(name.startswith((".venv", ".git/", ".ci", "demo", "out")) for name in names)


def test_command_line_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    onggi = str(installed / "onggi")
    assert "curate" in run([onggi, "--help"], tmp_path)
    assert "fineweb2-ko" in run([onggi, "recipes"], tmp_path)
    assert run([onggi, "recipes", "minimal"], tmp_path).startswith("# ")
    listed = json.loads(run([str(installed / "python"), "-m", "pip", "list", "--format=json"], tmp_path))
    assert not {"trafilatura", "datatrove", "torch", "pytest"} & {package["name"] for package in listed}


def test_demo_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    run([str(installed / "onggi"), "demo", "--output", str(tmp_path / "demo")], tmp_path)
    counts = json.loads((tmp_path / "demo" / "run.json").read_bytes())["counts"]
    assert counts["read"] == counts["kept"] + counts["dropped"] + counts["failed"] > 1000
    assert min(counts["kept"], counts["dropped"], counts["failed"]) > 0
    assert (tmp_path / "demo" / "report.html").stat().st_size > 10_000
