"""Fetches the packages of `benchmarks/licenses.py`, by each registry's own client or index; none of their code is run.

    python benchmarks/license_fetch.py FOLDER

What is there already is not asked for again. Debian's sources come through apt-get with a state of its own.
"""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.license_packages import DEBIAN, NPM, PYPI

BYTES_MAX = 16 * 2**20
SOURCES = (
    "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main\n"
)


def main(folder: Path) -> None:
    for name, fetch, packages in (("pypi", pypi, PYPI), ("npm", npm, NPM), ("debian", debian, DEBIAN)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for package in packages:
            target = folder / name / package.replace("/", "__")
            if not target.is_dir() or not any(target.iterdir()):
                target.mkdir(exist_ok=True)
                fetch(package, target)
                print(name, package, [path.name for path in target.iterdir()], flush=True)


def pypi(package: str, target: Path) -> None:
    """The newest source distribution that is no pre-release, by the index that pip uses."""
    headers = {"Accept": "application/vnd.pypi.simple.v1+json"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"https://pypi.org/simple/{package}/", headers=headers)
        ) as page:
            files = json.load(page)["files"]
    except urllib.error.HTTPError as error:
        print(package, error)
        return
    sdists = [one for one in files if one["filename"].endswith(".tar.gz") and not one.get("yanked")]
    sdists = [one for one in sdists if (one.get("size") or 0) <= BYTES_MAX]
    if sdists:
        newest = max(sdists, key=lambda one: one.get("upload-time") or "")
        with urllib.request.urlopen(newest["url"]) as source:
            (target / newest["filename"]).write_bytes(source.read())
    time.sleep(0.2)


def npm(package: str, target: Path) -> None:
    subprocess.run(["npm", "pack", "--silent", package], cwd=target, check=False, stdout=subprocess.DEVNULL)


def debian(package: str, target: Path) -> None:
    state = target.parent / ".apt"
    options = [f"-oDir::State={state}", f"-oDir::Cache={state}/cache", f"-oDir::Etc::SourceList={state}/sources.list"]
    options += ["-oDir::Etc::SourceParts=-", "-oDir::State::status=/dev/null"]
    if not state.is_dir():
        for part in ("lists/partial", "cache/archives/partial"):
            (state / part).mkdir(parents=True)
        (state / "sources.list").write_text(SOURCES)
        subprocess.run(["apt-get", *options, "-qq", "update"], check=True)
    subprocess.run(["apt-get", *options, "-qq", "source", "--download-only", package], cwd=target, check=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
