"""Which stages of a training an arm needs: those that its model goes back to; the others are not run."""

from collections.abc import Collection, Iterator
from itertools import takewhile

from manifests.schema_training import Merge, TrainingManifest, TrainingStage, named_models
from manifests.schema_training_gates import LengthBiasGate, RewardDriftGate
from manifests.yaml_tree import Node
from training.stage_plan import starts_from

NAMED_BY_GATES = ("against", "teacher")


def needed_stages(manifest: TrainingManifest, wanted: Collection[str]) -> set[str]:
    """The stages of these names, all that they read, and the reward model that scores what they answer.

    Rewards are of the same reward model in all arms, so that they can be compared: it is trained also where an arm's
    model does not go back to it.
    """
    made = {stage.name: stage for stage in manifest.stages}
    found, to_do = set[str](), [*wanted, *_scored_by(manifest)]
    while to_do:
        name = to_do.pop()
        if name in made and name not in found:
            found.add(name)
            to_do += _reads(made[name], manifest)
    return found


def lineage(manifest: TrainingManifest, name: str) -> list[str]:
    """A stage and those whose models it goes back to, the first one first; of a merge those of all its models."""
    made = {stage.name: stage for stage in manifest.stages}
    found, to_do = set[str](), [name]
    while to_do:
        at = to_do.pop()
        if at in made and at not in found:
            found.add(at)
            to_do += _goes_on_from(made[at], manifest)
    return [stage.name for stage in manifest.stages if stage.name in found]


def drop_stages(root: Node, kept: Collection[str]) -> None:
    """Take the other stages out of the tree of a training, and gates that would name them."""
    assert isinstance(root.value, dict)
    stages = root.value["stages"].value
    assert isinstance(stages, list)
    dropped = {_text(stage, "name") for stage in stages} - set(kept)
    stages[:] = [stage for stage in stages if _text(stage, "name") in kept]
    for stage in stages:
        gates = stage.value.get("gates") if isinstance(stage.value, dict) else None
        if gates is not None and isinstance(gates.value, list):
            gates.value[:] = [gate for gate in gates.value if not _names(gate, dropped)]
    if _text(root, "reward") in dropped:
        del root.value["reward"]


def _names(gate: Node, dropped: Collection[str]) -> bool:
    return any(_text(gate, field) in dropped for field in NAMED_BY_GATES)


def _text(node: Node, field: str) -> str:
    child = node.value.get(field) if isinstance(node.value, dict) else None
    return str(child.value) if child is not None else ""


def _scored_by(manifest: TrainingManifest) -> list[str]:
    """The stage that makes the model which scores answers, if one does."""
    if manifest.prompts is None:
        return []
    if manifest.reward is not None:
        return [manifest.reward]
    return _last_reward(manifest.stages)


def _last_reward(stages: Collection[TrainingStage]) -> list[str]:
    return [stage.name for stage in stages if stage.kind == "reward"][-1:]


def _reads(stage: TrainingStage, manifest: TrainingManifest) -> Iterator[str]:
    """What a stage reads and its gates are judged by."""
    yield from _goes_on_from(stage, manifest)
    yield from (str(name) for *_, name, _ in named_models(stage))
    if any(isinstance(gate, LengthBiasGate | RewardDriftGate) for gate in stage.gates) and manifest.reward is None:
        yield from _last_reward(list(takewhile(lambda one: one.name != stage.name, manifest.stages)))


def _goes_on_from(stage: TrainingStage, manifest: TrainingManifest) -> list[str]:
    if isinstance(stage, Merge):
        return [item.model for item in stage.rule.models]
    return [starts_from(stage, manifest)]
