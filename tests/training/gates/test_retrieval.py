"""The gate of encoders: up to its limit it passes, and where nothing was measured it does not."""

import pytest
from pydantic import TypeAdapter

from manifests.errors import FieldError
from manifests.schema_training import TrainingManifest
from manifests.schema_training_gates import TrainingGate
from training.gates.facts import Facts
from training.gates.judge import judge
from training.jobs import Made
from training.measuring.jobs import Measured

GATES: TypeAdapter[TrainingGate] = TypeAdapter(TrainingGate)
FIGURES = {"ndcg_before": 0.2, "ndcg_after": 0.5, "ndcg_ko_before": 0.6, "ndcg_ko_after": 0.55}


@pytest.mark.parametrize(
    ("fields", "passed", "found"),
    [
        ({"min": 0.5}, True, "held-out questions: nDCG@10 0.2000 -> 0.50 (+0.3000), at least 0.50"),
        ({"min": 0.51}, False, "held-out questions: nDCG@10 0.2000 -> 0.50 (+0.3000), at least 0.51"),
        ({"min": 0.4, "min_rise": 0.3}, True, "(+0.300; at least +0.300), at least 0.40"),
        ({"min": 0.4, "min_rise": 0.31}, False, "(+0.300; at least +0.310)"),
        ({"min": 0.5, "set": "ko", "min_rise": -0.05}, True, "ko: nDCG@10 0.6000 -> 0.55 (-0.050; at least -0.050)"),
        ({"min": 0.5, "set": "ko", "min_rise": 0.0}, False, "ko: nDCG@10"),
        ({"min": 0.1, "set": "en"}, False, "en: cannot be judged: there is no figure `ndcg_en_before`"),
    ],
)
def test_it_holds_up_to_its_limit(fields: dict[str, object], passed: bool, found: str) -> None:
    gate = GATES.validate_python({"gate": "retrieval", **fields})
    verdict = judge(gate, Facts(kind="contrast", of=Measured(), made=Made(figures=FIGURES)))
    assert verdict.passed is passed and found in verdict.found
    assert bool(verdict.advice) == (not passed and "cannot be judged" not in verdict.found)


@pytest.mark.parametrize(
    ("stage", "gate", "said"),
    [
        ({"held_out": 0.1}, {}, None),
        ({}, {}, "it judges held-out questions, and the stage's `held_out` is 0"),
        ({"held_out": 0.1}, {"set": "ko"}, "'ko' is none of the stage's `retrieval`; valid: there is none"),
    ],
)
def test_what_it_can_judge(stage: dict[str, object], gate: dict[str, object], said: str | None) -> None:
    contrast = {"kind": "contrast", "name": "c", "data": [{"path": "x.jsonl"}], **stage}
    contrast["gates"] = [{"gate": "retrieval", "min": 0.5, **gate}]
    if said is None:
        TrainingManifest.model_validate(whole(contrast))
        return
    with pytest.raises((ValueError, FieldError), match=said):
        TrainingManifest.model_validate(whole(contrast))


@pytest.mark.parametrize(
    ("stage", "gate"),
    [
        ({"kind": "cpt", "name": "c", "mixture": "m"}, {"gate": "retrieval", "min": 0.5}),
        (
            {"kind": "contrast", "name": "c", "data": [{"path": "x"}]},
            {"gate": "validation_loss", "set": "ko", "max_rise": 0},
        ),
    ],
)
def test_which_stages_it_judges(stage: dict[str, object], gate: dict[str, object]) -> None:
    with pytest.raises((ValueError, FieldError), match=r"makes no measure for it|which only `retrieval` judges"):
        TrainingManifest.model_validate(whole({**stage, "gates": [gate]}))


def whole(stage: dict[str, object]) -> dict[str, object]:
    validation = [{"name": "ko", "text": "ko.jsonl"}]
    return {"kind": "training", "name": "t", "base": "b", "output": "o", "stages": [stage], "validation": validation}
