"""The record of an experiment, `run.json`: written when all of its runs are finished."""

from pathlib import Path

import orjson
import xxhash

from manifests.code import version
from manifests.errors import RequestError
from manifests.record import Entry, RunRecord, now
from manifests.store import Folder
from training.experiments.chain import RUNS
from training.experiments.summary_models import SUMMARY, ExperimentSummary
from training.stage_plan import STAGES

KINDS = ("ablation", "ladder")


def record_of(summary: ExperimentSummary, base: str, n_jobs: int, folder: Path) -> RunRecord:
    """The record of an experiment whose runs are all finished.

    Args:
        summary: what it came to.
        base: the manifest's folder.
        n_jobs: runs at once.
        folder: of the experiment.
    """
    fingerprints = orjson.dumps(sorted(run.fingerprint for run in summary.runs))
    return RunRecord(
        name=summary.name,
        kind=summary.kind,
        fingerprint=xxhash.xxh3_128_hexdigest(fingerprints),
        onggi_version=version(),
        created=now(),
        manifest=summary.manifest,
        manifest_base=base,
        measured_in="",
        inputs=_inputs(summary, folder),
        outputs=[
            Entry(path=f"{run.folder}/{name}", size_bytes=0, digest=digest, source=run.step)
            for run in summary.runs
            for name, digest in run.outputs.items()
        ],
        counts={"runs": len(summary.runs), "reused": sum(run.is_reused for run in summary.runs)},
        skipped={},
        licenses={},
        shards={},
        digests={},
        timings={run.folder: run.seconds for run in summary.runs},
        throughput={},
        peak_memory_bytes=0,
        n_workers=n_jobs,
    )


def _inputs(summary: ExperimentSummary, folder: Path) -> list[Entry]:
    """What runs read that none of them made: what lies in the folders of runs and stages of this experiment."""
    own = tuple(f"{folder / name}/" for name in (RUNS, STAGES))
    found = {
        path: Entry(path=path, size_bytes=0, digest=digest, source=run.step)
        for run in summary.runs
        for path, digest in run.inputs.items()
        if not path.startswith(own)
    }
    return list(found.values())


def holds_experiment(folder: Folder) -> bool:
    """Whether a folder is that of an experiment, finished or not."""
    try:
        return folder.exists(SUMMARY) and folder.read_json(SUMMARY).get("kind") in KINDS
    except (ValueError, AttributeError):
        return False


def read_experiment(folder: Folder) -> ExperimentSummary:
    """What an experiment came to, also one of which runs failed.

    Raises:
        RequestError: the folder holds none, or one that this version of Onggi does not read.
    """
    try:
        return ExperimentSummary.model_validate(folder.read_json(SUMMARY))
    except (OSError, ValueError) as error:
        raise RequestError(
            f"{folder.url(SUMMARY)}: not a summary that this version of Onggi reads: {error}"
        ) from None
