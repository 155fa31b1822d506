"""Steps with the changes of an arm: manifests in which what earlier steps made still stands as `step:NAME`."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from re import Match

from pydantic import ValidationError

from manifests.errors import RequestError
from manifests.load import COMMANDS, Manifest, checked, manifest_tree
from manifests.overrides import put
from manifests.recipes import find_manifest
from manifests.schema_experiments import STEP, AblationManifest, LadderManifest, NewTokenizer, Step, steps_named
from manifests.schema_training import BASE, TrainingManifest
from manifests.store import resolve
from manifests.yaml_tree import Mistake, Node, Where, planted

TOKENIZER = "tokenizer"
"""Kind of a step that trains one."""
SEEDED = ("mixture", "training")
"""Kinds of steps that each seed runs anew where they do not say otherwise."""
Experiment = AblationManifest | LadderManifest
Place = Callable[[Match[str]], str]
"""What stands for something that a step made."""


@dataclass(frozen=True)
class Template:
    """A step as an arm has it; seeds are not set yet."""

    step: Step
    kind: str
    tree: Node
    base: str
    """Where its relative paths start."""
    label: str
    """The experiment's file and the step, for errors."""
    is_seeded: bool = False
    """Whether each seed makes a run of its own."""

    @property
    def name(self) -> str:
        """Of the step."""
        return self.step.name

    @property
    def reads(self) -> list[Match[str]]:
        """What it names of earlier steps."""
        return list(steps_named(self.tree.plain()))

    @property
    def stages(self) -> list[str]:
        """Names of the stages, of a training."""
        stages = self.tree.plain().get("stages") if self.kind == "training" else None
        return [str(one.get("name")) for one in stages if isinstance(one, dict)] if isinstance(stages, list) else []

    @property
    def has_own_seed(self) -> bool:
        """Whether the experiment's seeds become the `seed` of its manifest."""
        return self.kind in SEEDED if self.step.seeds is None else self.step.seeds

    def copied(self) -> Node:
        """Its tree, to be changed."""
        return copy.deepcopy(self.tree)


def steps_of(experiment: Experiment, base: str, named: str) -> list[Template]:
    """The steps as the experiment has them, with their own `set`.

    Args:
        experiment: with the steps.
        base: the experiment's folder.
        named: its file, for errors.

    Raises:
        RequestError: a step's manifest cannot be read, or is of a kind that is no step.
    """
    found = []
    for step in experiment.steps:
        label = f"{named}: step {step.name}"
        if step.tokenizer is not None:
            tree = planted(step.tokenizer.model_dump(mode="json"), Where(0, f"{named}: steps.{step.name}.tokenizer"))
            found.append(Template(step, TOKENIZER, tree, base, label))
            continue
        tree, start = _tree(step, base, named)
        kind = tree.value.get("kind") if isinstance(tree.value, dict) else None
        if kind is None or kind.written not in COMMANDS or kind.written in ("ablation", "ladder"):
            valid = ", ".join(name for name in COMMANDS if name not in ("ablation", "ladder"))
            said = f"found `{kind.written if kind else ''}`; valid of a step: {valid}"
            raise RequestError(f"{tree.where.label}: kind: {said}")
        found.append(Template(step, kind.written, tree, start, label))
    return found


def _tree(step: Step, base: str, named: str) -> tuple[Node, str]:
    """The tree of a step's manifest, and where its relative paths start."""
    if isinstance(step.manifest, dict):
        return planted(step.manifest, Where(0, f"{named}: steps.{step.name}.manifest")), base
    assert step.manifest is not None
    try:
        found = find_manifest(step.manifest)
    except RequestError as error:
        raise RequestError(f"{named}: steps.{step.name}.manifest: {error}") from None
    path = resolve(found, base)
    try:
        tree = manifest_tree(path)
    except RequestError as error:
        raise RequestError(f"{named}: steps.{step.name}.manifest: {error}") from None
    return tree, path.rsplit("/", 1)[0] if found == step.manifest else base


def changed(
    templates: Sequence[Template], changes: Mapping[str, object], named: str, arm: str = ""
) -> list[Template]:
    """The steps with their own `set`, and the changes of an arm (STEP.FIELD and the value).

    Raises:
        RequestError: a field is not there or is given by the experiment, or something names what no step makes.
    """
    found, mistakes = list[Template](), list[str]()
    for template in templates:
        tree = template.copied()
        own = [(f"{named}: steps.{template.name}.set.{field}", field, at) for field, at in template.step.set.items()]
        arms = [
            (f"{named}: {f'arms.{arm}.set' if arm else 'set'}.{field}", field.partition(".")[2], value)
            for field, value in changes.items()
            if field.partition(".")[0] == template.name
        ]
        for label, field, value in [*own, *arms]:
            if said := _given(template, field):
                mistakes.append(f"{label}: {said}")
            mistakes += map(str, put(tree, field, value, label))
        if template.kind != TOKENIZER:
            _name(tree, template.name)
        new = Template(template.step, template.kind, tree, template.base, template.label)
        mistakes += _wrong_names(new, found, f"{template.label}{f' (arm {arm})' if arm else ''}")
        found.append(new)
    if mistakes:
        raise RequestError("\n".join(mistakes))
    return _with_seeds(found)


def _given(template: Template, field: str) -> str:
    """Why a field cannot be set: the experiment gives it a value, which would go over this one."""
    if field in ("name", "output", "output.path"):
        return f"`{field}` is given by the experiment, so it cannot be set"
    if field == "seed" and template.has_own_seed:
        return "`seed` is given by the experiment's `seeds`: name seeds there, or give the step `seeds: false`"
    return ""


def _name(tree: Node, name: str) -> None:
    """What the experiment gives a manifest; its folder is known later, and stands for it until then."""
    label = tree.where.label
    put(tree, "name", name, label)
    assert isinstance(tree.value, dict)
    output = tree.value.get("output")
    put(tree, "output.path" if output is not None and isinstance(output.value, dict) else "output", name, label)


def _wrong_names(template: Template, earlier: Sequence[Template], label: str) -> Iterator[str]:
    """What it names that no earlier step makes."""
    there = {one.name: one for one in earlier}
    for found in template.reads:
        at = there.get(found["step"])
        if at is None:
            yield f"{label}: {found[0]!r} names no earlier step; valid: {', '.join(there) or 'there is none'}"
        elif found["stage"] and at.kind != "training":
            yield f"{label}: {found[0]!r}: {at.name} is of `kind: {at.kind}`, which has no stages"
        elif found["stage"] and found["stage"] not in (BASE, *at.stages):
            yield f"{label}: {found[0]!r} names no stage of {at.name}; valid: {', '.join(at.stages)}"


def _with_seeds(templates: Sequence[Template]) -> list[Template]:
    """Which steps each seed runs anew: mixtures, trainings, what asks for it, and what goes on from them.

    Raises:
        RequestError: a step that is to be the same for all seeds reads one that is not.
    """
    seeded, found = set[str](), list[Template]()
    for template in templates:
        reads = sorted({match["step"] for match in template.reads} & seeded)
        asked = template.step.seeds
        if asked is False and reads:
            said = f"reads {reads[0]}, which each seed makes anew, so it cannot be the same for all"
            raise RequestError(f"{template.label}: seeds: {said}")
        is_seeded = bool(reads) or template.has_own_seed
        if is_seeded:
            seeded.add(template.name)
        kept = Template(template.step, template.kind, template.tree, template.base, template.label, is_seeded)
        found.append(kept)
    return found


def replaced(node: Node, place: Place) -> Node:
    """A tree in which what names something that a step made is replaced."""
    if isinstance(node.value, dict):
        return Node({key: replaced(child, place) for key, child in node.value.items()}, node.where, node.written)
    if isinstance(node.value, list):
        return Node([replaced(child, place) for child in node.value], node.where, node.written)
    if isinstance(node.value, str) and (found := STEP.fullmatch(node.value)):
        text = place(found)
        return Node(text, node.where, text)
    return node


def validated(kind: str, tree: Node, mistakes: Sequence[Mistake] = ()) -> Manifest | NewTokenizer:
    """The manifest of a step.

    Raises:
        RequestError: something in it is wrong.
    """
    if kind != TOKENIZER:
        return checked(tree, mistakes)
    try:
        return NewTokenizer.model_validate(tree.plain())
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise RequestError(f"{tree.where.label}: {at}: {first['msg']}") from None


def as_training(manifest: Manifest | NewTokenizer) -> TrainingManifest:
    """A manifest that is known to be of a training."""
    assert isinstance(manifest, TrainingManifest)
    return manifest
