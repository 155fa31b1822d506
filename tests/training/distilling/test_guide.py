"""What docs/distillation.md shows loads, and what it names is there."""

import re
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import TypeAdapter

import training
from manifests.house import HOME
from manifests.recipes import list_recipes
from manifests.schema_distillation import Distill, DistillLoss
from manifests.schema_teacher import Teacher
from manifests.schema_training import TrainingManifest
from manifests.schema_training_gates import TrainingGate

GUIDE = (HOME / "docs" / "distillation.md").read_text("utf-8")
USUAL = {"kind": "distill", "name": "small", "teacher": "./teacher"}


def blocks() -> list[Any]:
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)]


def test_stages_load() -> None:
    first, off_policy, contrastive, synth, stored, sft, gates = blocks()
    whole = {"kind": "training", "name": "guide", "base": "./base", "output": "out"}
    assert [stage.kind for stage in TrainingManifest.model_validate(whole | first).stages] == ["distill"]
    assert Distill.model_validate(USUAL | off_policy).off_policy is not None
    assert Distill.model_validate(USUAL | contrastive).contrastive is not None
    assert Teacher.model_validate(synth["teacher"]).logprobs is not None
    assert Distill.model_validate(stored[0]).logprobs == "out/synth"
    assert TrainingManifest.model_validate(whole | {"stages": sft}).stages[0].kind == "sft"
    adapter: TypeAdapter[Any] = TypeAdapter(TrainingGate)
    assert [adapter.validate_python(gate).gate for gate in gates["gates"]] == ["plateau"]


def test_all_losses_are_told() -> None:
    table = GUIDE.split("| `loss` |")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) >= set(get_args(DistillLoss))


def test_what_it_names_is_there() -> None:
    code = "\n".join(path.read_text("utf-8") for path in Path(training.__file__).parent.rglob("*.py"))
    for name in ("held_out_divergence", "held_out_loss", "held_out_teacher_loss", "held_out_agreement", "no_pair"):
        assert name in GUIDE and f'"{name}"' in code, name
    assert "Similarity of hidden states" in GUIDE and "Similarity of hidden states" in code
    named = re.search(r"onggi recipes (\S+) > synth.yaml\s+# or (.*)", GUIDE)
    assert named is not None
    assert {named[1], *named[2].split(", ")} <= {recipe.name for recipe in list_recipes()}


def test_messages_are_those_of_the_code() -> None:
    code = re.sub(
        r'"\s*f?"', "", "".join(path.read_text("utf-8") for path in Path(training.__file__).parent.rglob("*.py"))
    )
    table = GUIDE.split("| message |")[1].split("\n\n")[0]
    for said in re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE):
        for part in said.split("..."):
            assert part.strip(" ,") in code, part
