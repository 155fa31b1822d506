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


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(HOME)], folder)
    return folder


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


def test_wheel_works_away_from_the_checkout(built: Path, tmp_path: Path) -> None:
    """Without extras, in a clean environment; one test, so that it is installed once however tests are spread."""
    run([sys.executable, "-m", "venv", "venv"], tmp_path)
    python, onggi = str(tmp_path / "venv" / "bin" / "python"), str(tmp_path / "venv" / "bin" / "onggi")
    (wheel,) = built.glob("*.whl")
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", "--no-compile", "-c", str(HOME / "requirements.lock"), str(wheel)], tmp_path)
    listed = {package["name"] for package in json.loads(run([*pip, "list", "--format=json"], tmp_path))}
    assert "onggi" in listed and not {"trafilatura", "datatrove", "torch", "pytest"} & listed

    assert "curate" in run([onggi, "--help"], tmp_path)
    assert "fineweb2-ko" in run([onggi, "recipes"], tmp_path)
    assert run([onggi, "recipes", "minimal"], tmp_path).startswith("# ")

    run([onggi, "demo", "--output", "tour"], tmp_path)
    record = json.loads((tmp_path / "tour" / "run.json").read_bytes())
    assert record["near"]["n_clusters"] == 10
    counts = record["counts"]
    assert counts["read"] == counts["kept"] + counts["dropped"] + counts["failed"] > 1000
    assert min(counts["kept"], counts["dropped"], counts["failed"]) > 0
    assert (tmp_path / "tour" / "report.html").stat().st_size > 10_000
