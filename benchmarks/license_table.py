"""Make `curation/licenses/ids.tsv`: what each licence means for a corpus of permissive code.

    python benchmarks/license_table.py BLUEOAK_INDEX_JSON

BLUEOAK_INDEX_JSON is `package/index.json` of the npm package @blueoak/list. The other source is the licence database
of scancode-toolkit. As in The Stack v2, permissive is what the Blue Oak Council rates or ScanCode files under
Permissive or Public Domain; what restricts the field of use is not, whoever lists it.
"""

import json
import sys
from pathlib import Path
from typing import Any

from curation.licenses.index import database

TABLE = Path(__file__).parent.parent / "curation" / "code_license_ids.tsv"
NOT_PERMISSIVE = {
    "BSD-3-Clause-No-Nuclear-License-2014",  # not for nuclear facilities
    "BSD-3-Clause-No-Nuclear-Warranty",
    "HPND-export-US",  # ScanCode: Free Restricted
    "LicenseRef-scancode-free-art-1.3",  # a copyleft, filed under Permissive
    "JSON",  # "shall be used for Good, not Evil"
    "MS-LPL",  # on Windows only
}
VERDICTS = {
    "Permissive": "permissive",
    "Public Domain": "permissive",
    "Copyleft": "copyleft",
    "Copyleft Limited": "copyleft",
    "Unstated License": "unknown",
}


def main(blueoak: Path) -> None:
    rated = {row["id"]: tier["name"].lower() for tier in json.loads(blueoak.read_text()) for row in tier["licenses"]}
    rows = [row(key, entry, rated) for key, entry in sorted(database().items()) if entry.spdx_license_key]
    known = {name for fields in rows for name in (fields[0], *fields[1].split(" "))}
    rows += [(name, "", "permissive", f"blue-oak {rated[name]}") for name in rated.keys() - known]
    lines = ["\t".join(fields) for fields in sorted(rows, key=lambda fields: fields[0].lower())]
    TABLE.write_text("spdx\talso\tverdict\tsource\n" + "\n".join(lines) + "\n")


def row(key: str, entry: Any, rated: dict[str, str]) -> tuple[str, str, str, str]:
    """One line: the SPDX id, other ids of it with ScanCode's key first, the verdict, and who says so."""
    name, category = entry.spdx_license_key, entry.category
    also = " ".join([key, *(other for other in entry.other_spdx_license_keys or [] if " " not in other)])
    rating = next((rated[alias] for alias in (name, *also.split(" ")) if alias in rated), None)
    if name in NOT_PERMISSIVE:
        return name, also, "other", "restricted"
    if rating and category != "Free Restricted":
        return name, also, "permissive", f"blue-oak {rating}"
    verdict = VERDICTS.get(category, "other")
    if (entry.is_generic or entry.is_unknown) and verdict == "permissive" and category != "Public Domain":
        return name, also, "unknown", "scancode generic"
    return name, also, verdict, f"scancode {category}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
