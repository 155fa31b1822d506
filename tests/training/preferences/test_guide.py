"""What docs/preferences.md shows loads, and what it names is there."""

import re
import textwrap
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import TypeAdapter

import training
from manifests.house import HOME
from manifests.schema_training import TrainingManifest, TrainingStage
from manifests.schema_training_preferences import SMOOTHED, BestOfN, DpoLoss

GUIDE = (HOME / "docs" / "preferences.md").read_text("utf-8")


def _blocks() -> list[Any]:
    found = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    return [yaml.safe_load(textwrap.dedent(block)) for block in found]


def test_stages_load() -> None:
    stages, choice, dpo = _blocks()
    whole = {"kind": "training", "name": "guide", "base": "./base", "output": "out"}
    loaded = TrainingManifest.model_validate(whole | stages)
    assert [stage.kind for stage in loaded.stages] == ["sft", "reward", "dpo"]
    assert BestOfN.model_validate(choice["best_of_n"]).judge == "answers"
    [one] = dpo
    adapter: TypeAdapter[Any] = TypeAdapter(TrainingStage)
    assert adapter.validate_python(one).loss == {"sigmoid": 1, "sft": 0.2}


def test_all_losses_are_told() -> None:
    told = set(re.findall(r"`(\w+)`", "\n".join(line for line in GUIDE.splitlines() if line.startswith("| `"))))
    assert set(get_args(DpoLoss)) <= told and set(SMOOTHED) <= told


def test_reasons_are_those_of_the_code() -> None:
    code = "\n".join(path.read_text("utf-8") for path in Path(training.__file__).parent.rglob("*.py"))
    table = GUIDE.split("| reason | |")[1].split("\n\n")[0]
    reasons = {reason for line in table.splitlines()[2:] for reason in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert len(reasons) == 19
    missing = [reason for reason in reasons if f'"{reason}"' not in code]
    assert set(missing) <= {"no_chosen", "no_rejected"}  # made of the column's name
