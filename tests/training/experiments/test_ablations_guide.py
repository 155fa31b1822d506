"""What docs/ablations.md shows loads, and can be planned."""

import re
from pathlib import Path

import yaml

from manifests.house import HOME
from manifests.load import load_kind
from manifests.schema_experiments import AblationManifest
from training.experiments.chain import plan_chains

GUIDE = (HOME / "docs/ablations.md").read_text("utf-8")


def test_the_example_has_the_runs_that_it_tells_of(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "korean.yaml").write_text(blocks[0], "utf-8")
    manifest = load_kind(AblationManifest, str(tmp_path / "korean.yaml"))
    steps = [one.run.step for one in plan_chains(manifest, str(tmp_path)).runs]
    assert {step: steps.count(step) for step in steps} == {
        "words": 1,
        "mix": 9,
        "held_ko": 1,
        "held_en": 1,
        "train": 9,
    }
    for block in blocks[1:]:
        assert isinstance(yaml.safe_load(block), dict)
