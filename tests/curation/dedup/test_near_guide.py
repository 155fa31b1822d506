"""What docs/near-duplicates.md shows works: its manifests load, its rules hold, its numbers are those of the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from curation.dedup.signatures import detection
from curation.pipeline import curate, prepare
from manifests.house import HOME
from manifests.load import parse_manifest
from tests.curation.dedup.test_survivors import lay_out
from tests.scenarios.runs import job_of

GUIDE = (HOME / "docs" / "near-duplicates.md").read_text("utf-8")
HEAD = 'kind: corpus\nname: web\ninputs: [{source: web, path: "web.jsonl", key: key}]\noutput: out/web\n'
MANIFESTS = re.findall(r"```yaml\n(.*?)```", GUIDE, re.S)
SNIPPETS = re.findall(r"```python\n(.*?)```", GUIDE, re.S)


@pytest.mark.parametrize("block", MANIFESTS)
def test_manifests_load(block: str, tmp_path: Path) -> None:
    lay_out(tmp_path)
    manifest = parse_manifest(HEAD + block, "guide")
    assert manifest.dedup.near is not None
    if not manifest.dedup.against:
        prepare(manifest, str(tmp_path))


def test_defaults_are_those_that_are_written_out() -> None:
    plain, written = (parse_manifest(HEAD + block, "guide").dedup for block in MANIFESTS[:2])
    assert plain == written


@pytest.mark.parametrize("policy", re.findall(r"^\| `(\{.*?\}|(?!keep)[a-z]+)` \|", GUIDE, re.M))
def test_policies_are_policies(policy: str) -> None:
    parse_manifest(HEAD + f"dedup: {{near: {{keep: {policy}}}}}", "guide")


def test_the_table_of_bands_is_that_of_the_formula() -> None:
    rows = re.findall(r"^\| (0\.\d\d) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", GUIDE, re.M)
    assert len(rows) == 7
    for jaccard, *shown in rows:
        for value, (bands, n_rows) in zip(shown, ((14, 8), (20, 5), (9, 12), (26, 11)), strict=True):
            assert float(value) == pytest.approx(detection(float(jaccard), bands, n_rows), abs=5.1e-4)


def test_snippets_run(tmp_path: Path) -> None:
    curate(job_of(lay_out(tmp_path), tmp_path / "out" / "web"))
    outputs = [
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        for code in SNIPPETS
    ]
    assert len(outputs) == 2
    assert f"0.8 {detection(0.8, 20, 6):.3f}".rstrip("0") in outputs[0]
    assert "n_docs" in outputs[1]
