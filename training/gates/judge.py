"""What must hold after a stage: each gate of the manifest is judged by what was measured, and says what it found.

No torch here: figures come from `training.measuring.measures`. A gate that cannot be judged, because a measure is
missing or no number, does not pass, and says why.
"""

from collections.abc import Callable

from manifests.schema_training import Merge, TrainingStage
from manifests.schema_training_gates import (
    AccuracyGate,
    LengthBiasGate,
    LossGate,
    NeedleGate,
    PlateauGate,
    RetrievalGate,
    RewardAccuracyGate,
    RewardDriftGate,
    ScoreGate,
    TrainingGate,
)
from training.gates.advice import advice
from training.gates.facts import CannotJudgeError, Facts, Found
from training.gates.losses import accuracy_found, loss_found, plateau_found
from training.gates.retrieval import retrieval_found
from training.gates.rewards import length_bias_found, reward_accuracy_found, reward_drift_found
from training.gates.scores import needle_found, score_found
from training.measuring.jobs import Measured
from training.summary_models import Verdict

Compares = Callable[[Measured, str], Found]
"""What a gate finds against a model, and how the sentence calls that."""


def models_needed(stage: TrainingStage) -> list[str]:
    """Models that gates of a stage compare its own with, beside the parents of a merge: `before`, `base`, stages,
    folders of teachers."""
    named = [gate.teacher if isinstance(gate, PlateauGate) else getattr(gate, "against", "") for gate in stage.gates]
    return [name for name in dict.fromkeys(named) if name not in ("", "parents")]


def parents_of(stage: TrainingStage) -> list[str]:
    """The models that a merge is a mean of; what changes are counted from (`rule.base`) is none of them."""
    return [item.model for item in stage.rule.models] if isinstance(stage, Merge) else []


def judge(gate: TrainingGate, facts: Facts) -> Verdict:
    """What a gate found. What lies at its limit, up to rounding, passes."""
    try:
        found = _found(gate, facts)
    except CannotJudgeError as why:
        about = _about(gate)
        return Verdict(gate=gate.gate, passed=False, found=f"{about}cannot be judged: {why}")
    passed = found.excess <= 0
    said = "" if passed else advice(gate, facts.kind)
    return Verdict(gate=gate.gate, passed=passed, found=found.said, advice=said, figures=found.figures)


def _about(gate: TrainingGate) -> str:
    """What a gate is about, where it names a set."""
    name = gate.of if isinstance(gate, ScoreGate) else getattr(gate, "set", None)
    return f"{name}: " if name else ""


def _found(gate: TrainingGate, facts: Facts) -> Found:
    match gate:
        case RewardAccuracyGate():
            return reward_accuracy_found(gate, facts.made)
        case RetrievalGate():
            return retrieval_found(gate, facts.made)
        case PlateauGate():
            return plateau_found(gate, facts)
        case LossGate():
            return _against(gate.against, facts, lambda other, to: loss_found(gate, facts.of, other, to))
        case AccuracyGate():
            return _against(gate.against, facts, lambda other, to: accuracy_found(gate, facts.of, other, to))
        case NeedleGate():
            return needle_found(gate, facts.of)
        case ScoreGate() if gate.max_fall is None:
            return score_found(gate, facts.of, None, "")
        case ScoreGate():
            return _against(gate.against, facts, lambda other, to: score_found(gate, facts.of, other, to))
        case LengthBiasGate():
            return _against(gate.against, facts, lambda other, to: length_bias_found(gate, facts.of, other, to))
        case RewardDriftGate():
            return _against(gate.against, facts, lambda other, to: reward_drift_found(gate, facts.of, other, to))


def _against(name: str, facts: Facts, compare: Compares) -> Found:
    """What a comparison found; of several parents with that one against which it holds best."""
    if name == "parents":
        return _against_parents(facts, compare)
    if name not in facts.models:
        raise CannotJudgeError(f"`{name}`, which it is compared with, was not measured")
    return compare(facts.models[name], "" if name == "before" else f" against {name}")


def _against_parents(facts: Facts, compare: Compares) -> Found:
    judged, why = list[Found](), CannotJudgeError("no model that was merged was measured")
    for name, parent in facts.parents.items():
        try:
            judged.append(compare(parent, f" against {name} of {len(facts.parents)} parents"))
        except CannotJudgeError as error:
            why = CannotJudgeError(f"against {name}: {error}")
    if not judged:
        raise why
    return min(judged, key=lambda found: found.excess)
