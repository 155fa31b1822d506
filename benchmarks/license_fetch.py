"""Fetches the packages of `benchmarks/licenses.py` by each registry's own client or index; runs none of their code.

    python benchmarks/license_fetch.py FOLDER

What is there already is not asked for again. Debian's sources come through apt-get with a state of its own.
"""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from benchmarks.license_packages import Package, packages

HEADERS = {"Accept": "application/vnd.pypi.simple.v1+json"}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SOURCES = f"deb-src [signed-by={KEYRING}] http://deb.debian.org/debian bookworm main\n"


def main(folder: Path) -> None:
    for package in packages():
        target = package.folder(folder)
        if not target.is_dir() or not any(target.iterdir()):
            target.mkdir(parents=True, exist_ok=True)
            FETCH[package.ecosystem](package, target)
            print(*package[:3], [path.name for path in target.iterdir()], flush=True)


def pypi(package: Package, target: Path) -> None:
    """The source distribution of that version, by the index that pip uses."""
    with urllib.request.urlopen(
        urllib.request.Request(f"https://pypi.org/simple/{package.name}/", headers=HEADERS)
    ) as page:
        files = json.load(page)["files"]
    found = next(one for one in files if one["filename"].endswith(f"-{package.version}.tar.gz"))
    with urllib.request.urlopen(found["url"]) as source:
        (target / found["filename"]).write_bytes(source.read())
    time.sleep(0.2)


def npm(package: Package, target: Path) -> None:
    command = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
    subprocess.run(command, cwd=target, check=True, stdout=subprocess.DEVNULL)


def debian(package: Package, target: Path) -> None:
    state = target.parent / ".apt"
    options = [f"-oDir::State={state}", f"-oDir::Cache={state}/cache", f"-oDir::Etc::SourceList={state}/sources.list"]
    options += ["-oDir::Etc::SourceParts=-", "-oDir::State::status=/dev/null"]
    if not state.is_dir():
        for part in ("lists/partial", "cache/archives/partial"):
            (state / part).mkdir(parents=True)
        (state / "sources.list").write_text(SOURCES)
        subprocess.run(["apt-get", *options, "-qq", "update"], check=True)
    source = f"{package.name}={package.version}"
    subprocess.run(["apt-get", *options, "-qq", "source", "--download-only", source], cwd=target, check=False)


FETCH = {"pypi": pypi, "npm": npm, "debian": debian}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
