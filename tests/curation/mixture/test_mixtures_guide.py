"""What docs/mixtures.md shows works: its manifests load, its expressions hold."""

import re
from pathlib import Path

import pyarrow as pa
import yaml

from curation.expressions import parse_expression
from curation.mixture.licenses import is_allowed
from curation.mixture.rehydrate import FINEWEB2, KOREAN
from manifests.house import HOME
from manifests.load import load_kind
from manifests.recipes import list_recipes
from manifests.schema_mixture import MixtureManifest

GUIDE = HOME / "docs" / "mixtures.md"


def blocks() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


def load(text: str, folder: Path) -> MixtureManifest:
    (folder / "mix.yaml").write_text(text, "utf-8")
    return load_kind(MixtureManifest, str(folder / "mix.yaml"))


def test_each_manifest_loads(tmp_path: Path) -> None:
    demo, first, *others = blocks()
    assert [stage.name for stage in load(demo, tmp_path).stages] == ["broad", "fine"]
    assert load(first, tmp_path).tokens == 20_000_000
    for block in others:
        if not block.startswith("    repeat"):
            changed = yaml.safe_load(first) | yaml.safe_load(block)
            if "stages" in changed:
                del changed["tokens"]
                changed["sources"].append({"name": "c", "path": "c", "category": "code"})
                for source in changed["sources"]:
                    source.pop("weight", None)
            load(yaml.safe_dump(changed), tmp_path)


def test_rehydration_is_that_of_the_code() -> None:
    shown = [yaml.safe_load(block)["repeat"] for block in blocks() if block.startswith("    repeat")]
    assert [sql.split() for sql in shown] == [KOREAN.split(), FINEWEB2.split()]
    for sql in shown:
        parse_expression(sql, {"near_cluster_size": pa.int64()})


def test_licences_are_read_as_it_says(tmp_path: Path) -> None:
    [block] = [block for block in blocks() if block.startswith("licenses")]
    policy = load(blocks()[1] + block, tmp_path).licenses
    for license in (
        "CC BY 4.0",
        "https://creativecommons.org/licenses/by/4.0/",
        "MIT; CC-BY-4.0",
        "MIT OR GPL-3.0-only",
    ):
        assert is_allowed(license, policy), license
    for license in ("CC-BY-4.0 (text)", "CC-BY-NC", "NOASSERTION", "MIT, GPL-3.0"):
        assert not is_allowed(license, policy), license


def test_recipes_that_it_names_are_there() -> None:
    named = set(re.findall(r"`((?:kanana|dna)[a-z0-9.-]*)`", GUIDE.read_text("utf-8")))
    mixtures = {recipe.name for recipe in list_recipes() if recipe.kind == "mixture"}
    assert named == {name for name in mixtures if name.startswith(("kanana", "dna"))}
