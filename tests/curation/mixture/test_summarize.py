"""What the summary of a mixture says of what was left out."""

from pathlib import Path

import orjson
import pytest

from tests.curation.mixture import small

pytest.importorskip("tokenizers")


def test_why_documents_of_a_licence_are_left_out(tmp_path: Path) -> None:
    licenses = ["MIT", "GPL-3.0", "CC-BY-NC-4.0", "N/A", None]
    rows = [row | {"license": licenses[number % 5]} for number, row in enumerate(small.rows(50, "en"))]
    small.tokenizer(tmp_path / "tokenizer")
    small.parquet(tmp_path / "data/en.parquet", rows)
    source = {"name": "en", "path": "data/en.parquet", "category": "en"}
    policy = {"allow": ["MIT"], "deny": ["*-NC-*"], "unknown": "deny"}
    small.mixed(small.manifest(tmp_path, sources=[source], licenses=policy))
    found = orjson.loads((tmp_path / "out/summary.json").read_bytes())["licenses"]
    assert {of["license"]: of["why"] for of in found} == {
        "MIT": None,
        "GPL-3.0": "not in allow",
        "CC-BY-NC-4.0": "deny: *-NC-*",
        "N/A": "unknown: deny",
        None: "unknown: deny",
    }
    assert {of["license"]: of["n_left_out"] for of in found} == {name: 10 * (name != "MIT") for name in licenses}
