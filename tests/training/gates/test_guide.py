"""What docs/gates.md shows: a manifest that loads, and sentences as gates say them."""

import re
from pathlib import Path
from typing import Any

import yaml

from manifests.schema_training import TrainingManifest
from manifests.schema_training_gates import AccuracyGate, LossGate
from training.gates.facts import Facts
from training.gates.judge import judge
from training.measuring.jobs import Measured

GUIDE = (Path(__file__).parents[3] / "docs" / "gates.md").read_text("utf-8")
NEEDED: dict[str, dict[str, Any]] = {
    "cpt": {"mixture": "mixture"},
    "merged": {"rule": {"models": ["cpt", "./instruct"]}},
    "online": {"prompts": "prompts.jsonl", "reward": "./reward"},
}


def test_the_manifest_loads() -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.S)
    written = yaml.safe_load(shown)
    for stage in written["stages"]:
        stage |= NEEDED[stage["name"]]
    more = {"kind": "training", "name": "small", "base": "base", "reward": "./reward", "output": "out"}
    found = TrainingManifest.model_validate(written | more)
    assert [len(stage.gates) for stage in found.stages] == [3, 1, 2]
    limits = [gate.max_rise for gate in found.stages[0].gates if isinstance(gate, LossGate)]
    assert limits == [0.02, -0.05]


def test_sentences_are_those_of_gates() -> None:
    def measured(loss: float, accuracy: float, credit: float) -> Measured:
        return Measured(
            measures={"en": {"loss": loss, "n_tokens": 10}, "mmlu": {"accuracy": accuracy}},
            units={"mmlu": [credit, 0.0]},
        )

    facts = Facts(kind="cpt", of=measured(2.401, 0.602, 0.0), models={"before": measured(2.314, 0.651, 0.104)})
    loss = judge(LossGate(gate="validation_loss", set="en", max_rise=0.02), facts)
    accuracy = judge(AccuracyGate(gate="accuracy", set="mmlu", max_fall=0.05), facts)
    assert f"```\n{loss.found}\n{accuracy.found}\n```" in GUIDE
