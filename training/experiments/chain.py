"""The runs of an experiment: the steps of each arm and seed, resolved, each with a folder of its own.

A run is known by its fingerprint: that of its manifest, in which what it reads of earlier steps stands by their
fingerprints. What arms and seeds have in common has one, and is run once.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from re import Match
from typing import Any

import orjson
import xxhash

from manifests.errors import RequestError
from manifests.load import KINDS, Manifest
from manifests.overrides import put
from manifests.schema_experiments import POINT, AblationManifest, Arm, LadderManifest, NewTokenizer
from manifests.schema_training import BASE
from manifests.store import resolve
from manifests.yaml_tree import Node
from training.experiments.arms import arms_of
from training.experiments.needed import drop_stages, needed_stages
from training.experiments.templates import (
    Experiment,
    Place,
    Template,
    as_training,
    changed,
    replaced,
    steps_of,
    validated,
)

RUNS = "runs"
"""Folder of the runs, in the experiment's."""
TOKENS = "tokens"
"""Folder of the tokenised documents that its mixtures share."""
NAMED_BY_CHARS = 8
"""Of a fingerprint in the name of a folder."""


@dataclass(frozen=True)
class Run:
    """A step of an arm and a seed, or of all that have it in common."""

    step: str
    kind: str
    fingerprint: str
    folder: Path
    base: str
    """Where its relative paths start."""
    tree: Node
    """Its manifest, in which what earlier steps made stands as `step:NAME`."""
    reads: Mapping[str, "Run"]
    """The runs that it names, by step."""
    is_seeded: bool

    def manifest(self, place: Place | None = None) -> Manifest | NewTokenizer:
        """Its manifest with every `step:NAME` replaced: by what will be there, or as `place` says."""
        return validated(self.kind, replaced(self.tree, place or self.to_come))

    def to_come(self, found: Match[str]) -> str:
        """Where something that an earlier step makes will lie; of a stage its name stands for its folder."""
        stage = f"/{found['stage']}" if found["stage"] else ""
        return f"{self.reads[found['step']].folder}{stage}{found['path'] or ''}"


@dataclass
class Shared:
    """A run, and who has it in common."""

    run: Run
    arms: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Chain:
    """The runs of an arm and a seed, by step."""

    arm: Arm | None
    """None in a ladder."""
    seed: int
    runs: Mapping[str, Run]

    @property
    def arm_name(self) -> str:
        """Empty in a ladder."""
        return self.arm.name if self.arm else ""

    def of(self, experiment: AblationManifest) -> str:
        """What its arm is judged by."""
        return self.arm.of if self.arm and self.arm.of else experiment.of


@dataclass(frozen=True)
class Chains:
    """All runs of an experiment."""

    output: Path
    arms: Sequence[Arm]
    """The baseline first; none in a ladder."""
    chains: Sequence[Chain]

    @property
    def runs(self) -> list[Shared]:
        """Every run once, in an order in which they can be run."""
        found = dict[str, Shared]()
        for chain in self.chains:
            for run in chain.runs.values():
                shared = found.setdefault(str(run.folder), Shared(run))
                if chain.arm_name and chain.arm_name not in shared.arms:
                    shared.arms.append(chain.arm_name)
                if run.is_seeded and chain.seed not in shared.seeds:
                    shared.seeds.append(chain.seed)
        return list(found.values())


def plan_chains(experiment: Experiment, base: str, output: str | None = None, named: str = "") -> Chains:
    """The runs of all arms and seeds; nothing is run.

    Args:
        experiment: an ablation or a ladder.
        base: its folder, where relative paths start.
        output: folder instead of the manifest's.
        named: its file, for errors.

    Raises:
        RequestError: the manifest of a step is wrong in some arm, or names what is not there; a line per mistake.
    """
    named = named or experiment.name
    folder = resolve(output or experiment.output.path, base)
    if "://" in folder:
        raise RequestError(f"{named}: output: {folder}: an experiment is run in a folder on this machine")
    steps = steps_of(experiment, base, named)
    if isinstance(experiment, LadderManifest):
        steps = changed(steps, {}, named)
        _check_rungs(experiment, steps, named)
        return Chains(Path(folder), [], [_chain(None, steps, seed, folder) for seed in experiment.seeds])
    arms = arms_of(experiment, named)
    chains, mistakes = list[Chain](), dict[str, None]()
    for arm in arms:
        try:
            chosen = _of_arm(experiment, arm, steps, named)
            chains += [_chain(arm, chosen, seed, folder) for seed in experiment.seeds]
        except RequestError as error:
            mistakes |= dict.fromkeys(str(error).splitlines())
    if mistakes:
        raise RequestError("\n".join(mistakes))
    return Chains(Path(folder), arms, chains)


def point_of(point: str) -> tuple[str, str]:
    """The step and the stage of STEP.STAGE; no stage of STEP."""
    found = POINT.fullmatch(point)
    assert found, "the schema lets no other through"
    return found["step"], found["stage"] or ""


def _of_arm(experiment: AblationManifest, arm: Arm, steps: Sequence[Template], named: str) -> list[Template]:
    """The steps of an arm which the model that it is judged by goes back to, with their stages that it needs."""
    chosen = changed(steps, arm.set, named, arm.name)
    of = arm.of or experiment.of
    _check_point(of, chosen, f"{named}: arms.{arm.name}.of" if arm.of else f"{named}: of")
    step, stage = point_of(of)
    return _needed(chosen, step, stage)


def _check_point(point: str, steps: Sequence[Template], at: str) -> None:
    """That a stage is one of its training, where only its file tells which there are."""
    name, stage = point_of(point)
    step = next(one for one in steps if one.name == name)
    if stage and stage not in (BASE, *step.stages):
        raise RequestError(f"{at}: {point!r} names no stage of {name}; valid: {', '.join(step.stages) or 'none'}")


def _check_rungs(experiment: LadderManifest, steps: Sequence[Template], named: str) -> None:
    for rung in experiment.rungs:
        _check_point(rung.of, steps, f"{named}: rungs.{rung.name}.of")
        if rung.against is not None:
            _check_point(rung.against, steps, f"{named}: rungs.{rung.name}.against")


def _needed(steps: Sequence[Template], of: str, stage: str) -> list[Template]:
    """The steps that one goes back to, trainings without stages that nothing asks for."""
    last = next(one for one in steps if one.name == of)
    asked: dict[str, set[str]] = {of: {stage or (last.stages[-1] if last.stages else "")}}
    found = list[Template]()
    for step in reversed(steps):
        if step.name not in asked:
            continue
        if step.kind == "training" and "" not in asked[step.name]:
            manifest = as_training(validated(step.kind, replaced(step.tree, _nowhere)))
            wanted = asked[step.name] - {BASE} or {step.stages[0]}  # there is no training without a stage
            drop_stages(step.tree, needed_stages(manifest, wanted))
        for match in step.reads:
            asked.setdefault(match["step"], set()).add(match["stage"] or "")
        found.append(step)
    return found[::-1]


def _nowhere(found: Match[str]) -> str:
    """A path for a manifest that is only looked at."""
    return f"/{found['step']}/{found['stage'] or ''}{found['path'] or ''}"


def _chain(arm: Arm | None, steps: Sequence[Template], seed: int, output: str) -> Chain:
    runs = dict[str, Run]()
    for step in steps:
        tree = step.copied()
        if step.has_own_seed:
            _set_seed(step, tree, seed)
        reads = {match["step"]: runs[match["step"]] for match in step.reads}
        fingerprint = _fingerprint(step, tree, reads)
        folder = Path(output, RUNS, f"{step.name}-{fingerprint[:NAMED_BY_CHARS]}")
        _set_output(step, tree, folder, output)
        run = Run(step.name, step.kind, fingerprint, folder, step.base, tree, reads, step.is_seeded)
        run.manifest()
        runs[step.name] = run
    return Chain(arm, seed, runs)


def _set_output(step: Template, tree: Node, folder: Path, output: str) -> None:
    """Where a run goes. Mixtures share their tokenised documents, so that those of two arms are tokenised once."""
    if step.kind not in KINDS:
        return
    assert isinstance(tree.value, dict)
    given = tree.value["output"].value
    if step.kind == "mixture" and not (isinstance(given, dict) and "store" in given):
        rest = {name: node.plain() for name, node in given.items()} if isinstance(given, dict) else {}
        put(tree, "output", rest | {"path": str(folder), "store": f"{output}/{TOKENS}"}, step.label)
    else:
        put(tree, "output.path" if isinstance(given, dict) else "output", str(folder), step.label)


def _set_seed(step: Template, tree: Node, seed: int) -> None:
    if "seed" not in KINDS[step.kind].model_fields:
        raise RequestError(
            f"{step.label}: seeds: a manifest of `kind: {step.kind}` has no `seed`, so all are the same"
        )
    put(tree, "seed", seed, step.label)


def _fingerprint(step: Template, tree: Node, reads: Mapping[str, Run]) -> str:
    """Of a manifest and of what it names of earlier steps; not of where the experiment lies, as long as its own paths
    are relative. Stages of trainings have fingerprints of their own, in which digests stand for data."""

    def by_fingerprint(found: Match[str]) -> str:
        run = reads[found["step"]]
        return f"/step/{run.fingerprint}/{found['stage'] or ''}{found['path'] or ''}"

    manifest = validated(step.kind, replaced(tree, by_fingerprint))
    said: dict[str, Any] = manifest.model_dump(mode="json", exclude_defaults=True, exclude={"name", "output"})
    return xxhash.xxh3_128_hexdigest(orjson.dumps([step.kind, said], option=orjson.OPT_SORT_KEYS))


def named_in(path: Path, folder: Path) -> str:
    """A path from the experiment's folder on."""
    return os.path.relpath(path, folder)
