"""`onggi ablate --plan`: the runs, which stages they share, and what is left to compute; nothing is run."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson
import xxhash
from pydantic import BaseModel, Field

from manifests.errors import RequestError, RunError
from manifests.schema_mixture import MixtureManifest
from manifests.schema_surgery import NewModel
from manifests.schema_training import BASE, Merge, TrainingManifest, TrainingStage, named_models
from manifests.schema_training_stages import Cpt
from manifests.store import resolve
from training.experiments.chain import Chains, Run, named_in
from training.experiments.outcome import is_done, manifest_of
from training.experiments.templates import as_training
from training.flops import Training
from training.outlook import StageOutlook, outlook
from training.stage_plan import NOT_IN_THE_FINGERPRINT, STAGES, plan_stages, starts_from


class RunOutlook(BaseModel):
    """A run before it is run."""

    step: str
    kind: str
    folder: str
    arms: list[str] = Field(default_factory=list)
    seeds: list[int] = Field(default_factory=list)
    is_done: bool
    stages: list[str] = Field(default_factory=list)
    """Of a training: those that it trains."""
    there: list[str] = Field(default_factory=list)
    """Those that were trained before, in this experiment as it was or by another run."""
    shared: list[str] = Field(default_factory=list)
    """Those that an earlier run of the experiment trains for it."""
    flops: float | None = None
    """6 N D of the stages that it trains; null where that is known only when data is there."""


class ExperimentOutlook(BaseModel):
    """What `onggi ablate --plan` says."""

    name: str
    folder: str
    arms: list[str]
    seeds: list[int]
    runs: list[RunOutlook]
    n_stages: int = 0
    """That all trainings name together."""
    n_stages_trained: int = 0
    """That are still to be trained: those that runs share count once."""
    flops: float = 0.0
    """Of all runs that are not done, as far as it is known."""


def plan_of(chains: Chains, name: str, seeds: list[int]) -> ExperimentOutlook:
    """What an experiment would run.

    Args:
        chains: its runs.
        name: of the experiment.
        seeds: of it.
    """
    found, trained = list[RunOutlook](), set[str]()
    for shared in chains.runs:
        run = shared.run
        row = RunOutlook(
            step=run.step,
            kind=run.kind,
            folder=named_in(run.folder, chains.output),
            arms=shared.arms,
            seeds=shared.seeds,
            is_done=is_done(run),
        )
        found.append(_with_stages(row, run, trained, chains.output) if run.kind == "training" else row)
    return ExperimentOutlook(
        name=name,
        folder=str(chains.output),
        arms=[arm.name for arm in chains.arms],
        seeds=seeds,
        runs=found,
        n_stages=sum(len(row.stages) + len(row.there) + len(row.shared) for row in found),
        n_stages_trained=sum(len(row.stages) for row in found),
        flops=sum(row.flops or 0.0 for row in found if not row.is_done),
    )


def _with_stages(row: RunOutlook, run: Run, trained: set[str], store: Path) -> RunOutlook:
    """Which stages a training trains, which another run trains for it, and which are there."""
    manifest = as_training(run.manifest())
    identities, there = dict(_identities(manifest)), _finished(run, store)
    own = [name for name, identity in identities.items() if identity not in trained and name not in there]
    trained.update(identities.values())
    looked = {stage.name: stage for stage in outlook(manifest, run.base, str(run.folder), done={}).stages}
    flops = [_flops(stage, looked[stage.name], run) for stage in manifest.stages if stage.name in own]
    known = [one for one in flops if one is not None]
    shared = [name for name in identities if name not in own and name not in there]
    counted = sum(known) if len(known) == len(flops) else None
    return row.model_copy(update={"stages": own, "there": there, "shared": shared, "flops": counted})


def _finished(run: Run, store: Path) -> list[str]:
    """Stages that lie in the folder which trainings share; none where what they read is still to come."""
    if not (store / STAGES).is_dir():
        return []
    try:
        plan = plan_stages(as_training(manifest_of(run)), run.base, str(run.folder), store)
    except (RequestError, RunError):
        return []
    return [planned.name for planned in plan.stages if planned.is_done]


def _identities(manifest: TrainingManifest) -> Iterator[tuple[str, str]]:
    """What each stage is by what it says, before what it reads is there: equal ones are trained once."""
    new = manifest.base.model_dump(mode="json") if isinstance(manifest.base, NewModel) else manifest.base
    known = {BASE: _hashed([new, manifest.seed if isinstance(manifest.base, NewModel) else 0])}
    for stage in manifest.stages:
        said = stage.model_dump(mode="json", exclude=NOT_IN_THE_FINGERPRINT)
        models = [known.get(name, name) for name in _models(stage, manifest)]
        known[stage.name] = _hashed([said, models, manifest.seed])
        yield stage.name, known[stage.name]


def _models(stage: TrainingStage, manifest: TrainingManifest) -> list[str]:
    first = [] if isinstance(stage, Merge) else [starts_from(stage, manifest)]
    return [*first, *(str(name) for *_, name, _ in named_models(stage))]


def _hashed(said: list[object]) -> str:
    return xxhash.xxh3_128_hexdigest(orjson.dumps(said, option=orjson.OPT_SORT_KEYS))


def _flops(stage: TrainingStage, looked: StageOutlook, run: Run) -> float | None:
    """Of a stage; where its mixture is to come, by its steps and the length of the mixture's sequences."""
    if looked.flops is not None or not isinstance(stage, Cpt):
        return looked.flops if looked.flops is not None else _free(stage)
    lengths = {_lengths(run).get(resolve(use.path, run.base)) for use in stage.mixture}
    length = lengths.pop() if len(lengths) == 1 else None
    if length is None or stage.steps is None or not looked.n_parameters:
        return None
    return Training(looked.n_parameters, stage.steps * stage.batch * length).flops


def _free(stage: TrainingStage) -> float | None:
    """A stage without training computes nothing that counts."""
    return 0.0 if isinstance(stage, Merge) or stage.kind in ("init", "upscale", "prune") else None


def _lengths(run: Run) -> Mapping[str, int]:
    """Tokens per sequence of the mixtures that earlier steps will make, by folder."""
    manifests = {str(read.folder): read.manifest() for read in run.reads.values()}
    return {path: one.sequence_length for path, one in manifests.items() if isinstance(one, MixtureManifest)}
