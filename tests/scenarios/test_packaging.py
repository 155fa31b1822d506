"""What is shipped: the wheel holds what it should, and works without extras in an environment of its own."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from manifests.house import HOME, PACKAGES

EXTRAS = {"trafilatura", "datatrove", "torch", "pytest"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(HOME)], folder)
    return folder


@pytest.fixture(scope="module")
def environment(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and links to the packages here that it requires without extras."""
    folder = tmp_path_factory.mktemp("environment")
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)], folder)
    (site,) = folder.glob("lib/python*/site-packages")
    zipfile.ZipFile(next(built.glob("*.whl"))).extractall(site)
    assert "onggi = onggi:main" in next(site.glob("onggi-*.dist-info/entry_points.txt")).read_text()
    for name in required() - {"onggi"}:
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(str(found.locate_file(top)))
    return folder


def required() -> set[str]:
    """Onggi and all that it pulls in without extras."""
    wanted, seen = ["onggi"], set[str]()
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name not in seen:
            seen.add(name)
            needs = map(Requirement, distribution(name).requires or [])
            wanted += [need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
    return seen


def run(command: list[str], folder: Path, **more: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ONGGI"))}
    done = subprocess.run(command, cwd=folder, env=environment | more, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def shipped_files() -> set[str]:
    folders = [HOME / name for name in PACKAGES if (HOME / name).is_dir()]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {"onggi.py", *(path.relative_to(HOME).as_posix() for path in files if "__pycache__" not in path.parts)}


def test_wheel_holds_the_packages_with_their_data(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    names = set(archive.namelist())
    about = {name for name in names if ".dist-info/" in name}
    assert names - about == shipped_files()
    assert [name for name in names - about if archive.read(name) != (HOME / name).read_bytes()] == []
    assert {"LICENSE", "NOTICE"} <= {Path(name).name for name in about}
    for part in ("sample/README.md", "recipes/demo.yaml", "rulesets/gopher.yaml", "templates/report.html", ".ftz"):
        assert any(name.endswith(part) for name in names), part


def test_sdist_holds_what_the_wheel_needs_and_the_tests(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert shipped_files() | {"LICENSE", "NOTICE", "README.md", "tests/conftest.py", "requirements.lock"} <= names
    assert not any(name.startswith((".venv", ".git/", ".ci", "demo", "out")) for name in names)


def test_wheel_works_away_from_the_checkout(environment: Path, tmp_path: Path) -> None:
    assert "polars" in required() and not EXTRAS & required()
    onggi = [str(environment / "bin" / "python"), "-m", "onggi"]
    code = "import onggi, manifests, curation; print(onggi.__file__, manifests.__file__, curation.__file__)"
    assert str(HOME) + "/" not in run([onggi[0], "-c", code], tmp_path)
    assert "curate" in run([*onggi, "--help"], tmp_path)
    assert "fineweb2-ko" in run([*onggi, "recipes"], tmp_path)
    assert run([*onggi, "recipes", "minimal"], tmp_path).startswith("# ")


def test_the_tour_needs_no_extra(environment: Path, tmp_path: Path) -> None:
    """With the same files as the wheel's, but where they lie here: elsewhere all kernels would compile anew."""
    python = str(environment / "bin" / "python")
    run([python, "-m", "onggi", "demo", "--output", "tour"], tmp_path, PYTHONPATH=str(HOME))
    check_tour(tmp_path / "tour")


@pytest.mark.slow
def test_wheel_is_installed_and_gives_the_tour(built: Path, tmp_path: Path) -> None:
    """By pip, without extras, in a clean environment; one test, so that it is installed once."""
    run([sys.executable, "-m", "venv", "venv"], tmp_path)
    python, onggi = str(tmp_path / "venv" / "bin" / "python"), str(tmp_path / "venv" / "bin" / "onggi")
    (wheel,) = built.glob("*.whl")
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", "--no-compile", "-c", str(HOME / "requirements.lock"), str(wheel)], tmp_path)
    listed = {package["name"] for package in json.loads(run([*pip, "list", "--format=json"], tmp_path))}
    assert "onggi" in listed and not EXTRAS & listed
    assert "curate" in run([onggi, "--help"], tmp_path)
    run([onggi, "demo", "--output", "tour"], tmp_path)
    check_tour(tmp_path / "tour")


def check_tour(run_folder: Path) -> None:
    record = json.loads((run_folder / "run.json").read_bytes())
    assert record["near"]["n_clusters"] == 10
    counts = record["counts"]
    assert counts["read"] == counts["kept"] + counts["dropped"] + counts["failed"] > 1000
    assert min(counts["kept"], counts["dropped"], counts["failed"]) > 0
    assert (run_folder / "report.html").stat().st_size > 10_000
