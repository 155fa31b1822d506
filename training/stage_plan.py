"""Which stages a training has, what each reads, and which of them are done: known before any work."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import orjson
import xxhash

from manifests.errors import RequestError
from manifests.schema_distillation import Distill
from manifests.schema_embedding import Mntp
from manifests.schema_surgery import NewModel, Prune
from manifests.schema_training import (
    BASE,
    MAKES_ENCODER,
    MAKES_POLICY,
    Merge,
    TrainingManifest,
    TrainingStage,
    named_models,
)
from manifests.schema_training_gates import PlateauGate, Validation
from manifests.schema_training_preferences import Dpo
from manifests.store import resolve
from training.distilling.vocabularies import check_of_base
from training.encoders.foretold import check_mask
from training.inputs import Digests, joined, stage_data
from training.jobs import MODEL, Job
from training.new_models import digest_of_new
from training.stage_kinds import VERSIONS

STAGES, DIGESTS, DONE, MEASURES = "stages", "digests.json", "made.json", "measures"
NAMED_BY_CHARS = 8
"""Of a stage's fingerprint in the name of its folder."""
OF_ANY_STAGE = ("gates", "checkpoints", "micro_batch", "recompute", "vocabulary_chunk")
OF_PRUNING: dict[str, Any] = {"calibration": {"micro_batch"}, "search": {"trial": {"micro_batch"}}}
NOT_IN_THE_FINGERPRINT: dict[str, Any] = dict.fromkeys(OF_ANY_STAGE, True) | OF_PRUNING
"""Fields, and fields of fields, on which it does not depend what a stage makes."""
OF_A_MICRO_BATCH = {"aot", "aot_unpaired"}
"""Losses of DPO that compare the pairs of a micro-batch with each other."""


@dataclass(frozen=True)
class PlannedStage:
    """A stage, what it reads, and where it works."""

    stage: TrainingStage
    fingerprint: str
    """Of the stage and of all that it reads: another one is another stage, in another folder."""
    makes: str
    """Of what its model depends on: stages that go on from it are others where it is another one."""
    folder: Path
    models: Mapping[str, str]
    """Folder of each model by what the manifest calls it; `model` is the one that it goes on from."""
    starts_from: list[str]
    """What the manifest calls the models that it reads, `model` first."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Digests of the data that it reads, by path."""

    @property
    def name(self) -> str:
        """The stage's name."""
        return self.stage.name

    @property
    def is_done(self) -> bool:
        """Whether it was finished before."""
        return (self.folder / DONE).is_file()

    @property
    def model_path(self) -> Path:
        """What it makes."""
        return self.folder / MODEL


@dataclass(frozen=True)
class Plan:
    """A training with all paths resolved."""

    manifest: TrainingManifest
    base: str
    """The manifest's folder."""
    output: Path
    store: Path
    """Where stages are kept, by their fingerprints: the output, or a folder that several trainings share."""
    base_model: str
    base_digest: str
    stages: list[PlannedStage]

    def folder_of(self, model: str) -> str:
        """The folder of a model by what the manifest calls it."""
        made = {planned.name: str(planned.model_path) for planned in self.stages}
        return {BASE: self.base_model, **made}.get(model) or resolve(model, self.base)

    def job(self, planned: PlannedStage) -> Job:
        """What the process of a stage is told."""
        return Job(
            stage=planned.stage,
            folder=str(planned.folder),
            manifest_base=self.base,
            models=planned.models,
            seed=_seed(self.manifest.seed, planned.name),
            threads=self.manifest.threads,
            report_to=tuple(self.manifest.report_to),
            validation=tuple(_swept_on(planned.stage, self.manifest)),
            measures=str(self.store / MEASURES),
        )


def plan_stages(manifest: TrainingManifest, base: str, output: str | None = None, store: Path | None = None) -> Plan:
    """What each stage of a manifest reads; nothing is trained.

    Args:
        manifest: of the training.
        base: the manifest's folder.
        output: instead of the manifest's.
        store: folder in which stages are kept, which trainings may share; None is the output.

    Raises:
        RequestError: the output is no local folder, a model or data is not there, or a teacher has other tokens.
    """
    folder = resolve(output or manifest.output.path, base)
    if "://" in folder:
        raise RequestError(f"output: {folder}: models are written to a folder on this machine")
    store = store or Path(folder)
    digests = Digests(store / DIGESTS)
    base_model, base_digest = _base(manifest, base, store, digests)
    known = {BASE: base_digest}
    plan = Plan(manifest, base, Path(folder), store, base_model, base_digest, [])
    for stage in manifest.stages:
        check_teacher(stage, manifest, base)
        if isinstance(stage, Mntp) and (begun_with := origin(starts_from(stage, manifest), manifest)):
            check_mask(stage, base_model if begun_with == BASE else resolve(begun_with, base))
        planned = _planned(stage, plan, known, digests)
        known[stage.name] = planned.makes
        plan.stages.append(planned)
    _check_measured_with(plan)
    if store.is_dir():
        digests.keep()
    return plan


def check_teacher(stage: TrainingStage, manifest: TrainingManifest, base: str) -> None:
    """That a teacher which is a folder has the tokens of the model that its student goes back to.

    Raises:
        RequestError: a token has another id there.
    """
    if not isinstance(stage, Distill) or stage.teacher is None:
        return
    student = origin(starts_from(stage, manifest), manifest)
    if student is None or stage.teacher in (BASE, *(one.name for one in manifest.stages)):
        return
    begun_with = manifest.base.tokenizer if isinstance(manifest.base, NewModel) else manifest.base
    student_folder = resolve(begun_with if student == BASE else student, base)
    try:
        check_of_base(student_folder, resolve(stage.teacher, base))
    except RequestError as error:
        raise RequestError(f"stage {stage.name}: {error}") from None


def starts_from(stage: TrainingStage, manifest: TrainingManifest) -> str:
    """What the manifest calls the model that a stage goes on from: the one it names, or the last policy before."""
    if not isinstance(stage, Merge) and stage.model is not None:
        return stage.model
    earlier = list(takewhile(lambda one: one.name != stage.name, manifest.stages))
    if stage.kind == "contrast" and (encoders := [one.name for one in earlier if one.kind in MAKES_ENCODER]):
        return encoders[-1]
    return next((one.name for one in reversed(earlier) if one.kind in MAKES_POLICY), BASE)


def origin(model: str, manifest: TrainingManifest) -> str | None:
    """The base or the folder that a model goes back to; None of one that was merged."""
    made = {stage.name: stage for stage in manifest.stages}
    while (stage := made.get(model)) is not None:
        if isinstance(stage, Merge):
            return None
        model = starts_from(stage, manifest)
    return model


def _base(manifest: TrainingManifest, base: str, store: Path, digests: Digests) -> tuple[str, str]:
    """The folder of the model that a training begins with, and its digest; that of a new one before it is made."""
    try:
        if isinstance(manifest.base, NewModel):
            tokenizer = Path(resolve(manifest.base.tokenizer, base))
            digest = digest_of_new(manifest.base, tokenizer, manifest.seed, digests)
            return str(store / STAGES / f"{BASE}-{digest[:NAMED_BY_CHARS]}" / MODEL), digest
        folder = resolve(manifest.base, base)
        return folder, digests.of_model(folder)
    except RequestError as error:
        raise RequestError(f"base: {error}") from None


def _check_measured_with(plan: Plan) -> None:
    """That models are there which no stage reads: those that gates compare with, and the one that scores answers."""
    named = {
        f"stage {stage.name}: gates[{number}].teacher": gate.teacher
        for stage in plan.manifest.stages
        for number, gate in enumerate(stage.gates)
        if isinstance(gate, PlateauGate)
    }
    if plan.manifest.reward is not None:
        named["reward"] = plan.manifest.reward
    made = {BASE, *(planned.name for planned in plan.stages)}
    for at, name in named.items():
        if name not in made and not Path(plan.folder_of(name), "config.json").is_file():
            raise RequestError(f"{at}: {plan.folder_of(name)}: is no model: there is no config.json")


def _planned(stage: TrainingStage, plan: Plan, known: dict[str, str], digests: Digests) -> PlannedStage:
    """A stage with the folder of each model that it names; their digests become a part of its fingerprint."""
    names = {place: str(name) for place, name in _model_names(stage, plan)}
    for name in names.values():
        if name not in known:
            try:
                known[name] = digests.of_model(plan.folder_of(name))
            except RequestError as error:
                raise RequestError(f"stage {stage.name}: {error}") from None
    data = dict(stage_data(stage, plan.base, digests))
    settings = stage.model_dump(mode="json", exclude=_not_counted(stage))
    said = {
        "stage": settings if plan.store == plan.output else _from_here(settings, f"{plan.store}/"),
        "models": {place: known[name] for place, name in names.items()},
        "data": list(data.values()),  # in the manifest's order: two files that change places are other data
        "seed": plan.manifest.seed,
        "version": VERSIONS[stage.kind],
    }
    if isinstance(stage, Dpo) and OF_A_MICRO_BATCH & stage.loss.keys():
        said["micro_batch"] = stage.micro_batch
    if swept_on := _swept_on(stage, plan.manifest):
        said["validation"] = [(item.model_dump(mode="json"), _digest(item, plan, digests)) for item in swept_on]
    fingerprint = _hashed(said)
    return PlannedStage(
        stage=stage,
        fingerprint=fingerprint,
        makes=_hashed(_without_sweep(said)) if isinstance(stage, Merge) else fingerprint,
        folder=plan.store / STAGES / f"{stage.name}-{fingerprint[:NAMED_BY_CHARS]}",
        models={name: plan.folder_of(name) for name in names.values()}
        | ({"model": plan.folder_of(names["model"])} if "model" in names else {})
        | ({"reference": plan.folder_of(names["reference"])} if "reference" in names else {}),
        starts_from=list(dict.fromkeys(names.values())),
        data=data,
    )


def _not_counted(stage: TrainingStage) -> dict[str, Any]:
    """Fields of a stage that its fingerprint leaves out: `cut_max` too where sizes are named, as it only refuses."""
    is_named = isinstance(stage, Prune) and stage.search is None
    return NOT_IN_THE_FINGERPRINT | ({"cut_max": True} if is_named else {})


def _from_here(value: Any, folder: str) -> Any:
    """Settings in which paths start at the folder that trainings share, so that it may be moved: what lies there has
    digests beside."""
    if isinstance(value, str):
        return value.removeprefix(folder)
    if isinstance(value, list):
        return [_from_here(item, folder) for item in value]
    return {name: _from_here(item, folder) for name, item in value.items()} if isinstance(value, dict) else value


def _hashed(said: Mapping[str, Any]) -> str:
    return xxhash.xxh3_128_hexdigest(orjson.dumps(said, option=orjson.OPT_SORT_KEYS))


def _without_sweep(said: Mapping[str, Any]) -> dict[str, Any]:
    """What the model of a merge depends on: not on the other values of `t` that are tried, nor on what they are
    measured by."""
    stage = {name: value for name, value in said["stage"].items() if name != "sweep"}
    return {name: value for name, value in said.items() if name != "validation"} | {"stage": stage}


def _digest(item: Validation, plan: Plan, digests: Digests) -> str:
    """Of the data of a set."""
    from training.measuring.validation_sets import data_digest  # brings readers of all kinds, for few manifests

    return data_digest(item, plan.base, lambda paths: joined(map(digests.of_file, paths)))


def _model_names(stage: TrainingStage, plan: Plan) -> list[tuple[str, str]]:
    """Where a stage names a model, and which; `model` first, whether it is named or not."""
    named = [(".".join(map(str, place)), name) for *place, name, _ in named_models(stage)]
    if isinstance(stage, Merge) or any(place == "model" for place, _ in named):
        return named
    return [("model", starts_from(stage, plan.manifest)), *named]


def _swept_on(stage: TrainingStage, manifest: TrainingManifest) -> list[Validation]:
    return manifest.validation if isinstance(stage, Merge) and stage.sweep else []


def _seed(seed: int, name: str) -> int:
    """A seed for each stage: two stages on the same data go through it in two orders."""
    return xxhash.xxh3_64_intdigest(f"{seed}/{name}".encode()) % 2**31
