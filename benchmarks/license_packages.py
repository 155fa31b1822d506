"""The packages of `benchmarks/licenses.py`: fixed before any result was seen, with odd ones on purpose.

Copyleft, dual, non-commercial, proprietary, Korean and undeclared packages stand among ordinary ones. Every second
package of each ecosystem, in the order of the list, was used to set the rules; the others were first looked at for
the result. The versions are those that were newest when the list was made; `-` is what could not be had.
"""

from pathlib import Path
from typing import NamedTuple

LIST = Path(__file__).parent / "data" / "license_packages.tsv"


class Package(NamedTuple):
    """One line of the list."""

    ecosystem: str
    name: str
    version: str
    held_out: bool

    def folder(self, downloads: Path) -> Path:
        """Where its archives lie."""
        return downloads / self.ecosystem / self.name.replace("/", "__")


def packages() -> list[Package]:
    """All that could be had."""
    rows = [line.split("\t") for line in LIST.read_text().splitlines()[1:]]
    seen: dict[str, int] = {}
    found = []
    for ecosystem, name, version in rows:
        number = seen.get(ecosystem, 0)
        seen[ecosystem] = number + 1
        found.append(Package(ecosystem, name, version, held_out=number % 2 == 1))
    return [package for package in found if package.version != "-"]
