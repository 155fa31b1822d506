"""What docs/training.md shows loads, and what it names is there."""

import re
from pathlib import Path

import orjson

from manifests.house import HOME
from manifests.load import load_kind
from manifests.recipes import list_recipes
from manifests.schema_mixture import MixtureManifest
from manifests.schema_training import TrainingManifest
from training.stage_kinds import MODULES
from training.stage_plan import OF_ANY_STAGE

GUIDE = HOME / "docs" / "training.md"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


def test_manifests_load(tmp_path: Path) -> None:
    mix, train = blocks("yaml")
    (tmp_path / "mix.yaml").write_text(mix, "utf-8")
    (tmp_path / "train.yaml").write_text(train, "utf-8")
    mixture = load_kind(MixtureManifest, str(tmp_path / "mix.yaml"))
    training = load_kind(TrainingManifest, str(tmp_path / "train.yaml"))
    assert mixture.tokenizer.path == training.base
    assert {item.mixture for item in training.validation} == {mixture.output.path}
    [chats] = blocks("json")
    assert all(orjson.loads(line)["messages"][-1]["role"] == "assistant" for line in chats.splitlines())


RECIPES = {
    "dna-1.0",
    "kanana-post",
    "kanana-base",
    "kanana-rag",
    "kanana-function-calling",
    "kanana-embedding",
}


def test_all_kinds_of_stages_are_told() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", GUIDE.read_text("utf-8"), re.MULTILINE)) >= set(MODULES)


def test_recipes_and_fields_that_it_names_are_there() -> None:
    text = GUIDE.read_text("utf-8")
    assert set(re.findall(r"\b(dna-1\.0|kanana-[a-z-]+)\b", text)) >= RECIPES
    assert {recipe.name for recipe in list_recipes()} >= RECIPES
    [sentence] = re.findall(r"fingerprint was finished before.*?\n\n", text, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", sentence)) == set(OF_ANY_STAGE)
