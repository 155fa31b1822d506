"""The record of a training, `run.json`: written when all stages are done and all gates passed."""

import os

from manifests.code import version
from manifests.errors import RequestError
from manifests.record import RECORD, Entry, RunRecord, now
from manifests.store import Folder
from training.stage_plan import Plan
from training.summary_models import TrainingSummary

__all__ = ["RECORD", "TrainingRecord", "read_training", "record_of"]

KIND = "training"


class TrainingRecord(RunRecord):
    """What was trained, on what, and what came of it."""

    stages: dict[str, str]
    """Fingerprint of each stage."""
    models: dict[str, str]
    """Folder of what each stage made, in the run's."""
    base_digest: str
    """Of the weights, configuration and tokenizer of the model that it began with."""
    flops: dict[str, float]
    """Of each stage, 6 N D."""


def record_of(plan: Plan, summary: TrainingSummary, peak_bytes: int, n_processes: int) -> TrainingRecord:
    """The record of a training whose stages are all done."""
    trained = {stage.name: stage for stage in summary.stages}
    return TrainingRecord(
        name=plan.manifest.name,
        kind=KIND,
        fingerprint=plan.stages[-1].fingerprint,
        onggi_version=version(),
        created=now(),
        manifest=plan.manifest.model_dump(mode="json"),
        manifest_base=plan.base,
        measured_in="",
        inputs=[
            Entry(path=path, size_bytes=0, digest=digest, source=planned.name)
            for planned in plan.stages
            for path, digest in planned.data.items()
        ],
        outputs=[
            Entry(
                path=os.path.relpath(path, plan.output),
                size_bytes=path.stat().st_size,
                source=planned.name,
            )
            for planned in plan.stages
            for path in sorted(planned.model_path.glob("*.safetensors"))
        ],
        counts={name: stage.made.counts.get("tokens", 0) for name, stage in trained.items()},
        skipped={name: sum(stage.made.left_out.values()) for name, stage in trained.items()},
        licenses={},
        shards={},
        digests={},
        timings={name: stage.seconds for name, stage in trained.items()},
        throughput={},
        peak_memory_bytes=peak_bytes,
        n_workers=n_processes,
        stages={planned.name: planned.fingerprint for planned in plan.stages},
        models={planned.name: os.path.relpath(planned.model_path, plan.output) for planned in plan.stages},
        base_digest=plan.base_digest,
        flops={name: stage.flops for name, stage in trained.items()},
    )


def read_training(folder: Folder) -> TrainingRecord:
    """The record of a finished training.

    Raises:
        RequestError: there is none, or it is of another kind.
    """
    if not folder.exists(RECORD):
        raise RequestError(f"{folder.path}: holds no finished run of `onggi train` (no {RECORD})")
    value = folder.read_json(RECORD)
    if value.get("kind") != KIND:
        raise RequestError(f"{folder.path}: is a run of `kind: {value.get('kind')}`; expected one of `kind: {KIND}`")
    try:
        return TrainingRecord.model_validate(value)
    except ValueError as error:
        raise RequestError(f"{folder.url(RECORD)}: not a record that this version of Onggi reads: {error}") from None
