"""The record of a run of synthetic data, `run.json`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from manifests.code import version
from manifests.errors import RequestError
from manifests.record import RECORD, Entry, RunRecord, now
from manifests.schema_synthesis import SynthesisManifest
from manifests.store import Folder

if TYPE_CHECKING:
    from synth.pipeline import Made

KIND = "synthesis"


class SynthesisRecord(RunRecord):
    """What was made, of what, by whom."""

    usage: dict[str, dict[str, int]]
    """Of each role: requests, those that were answered already, paid, failed; tokens."""
    cost: dict[str, float]
    """Of what this run paid, by role, in the currency of the manifest's prices."""
    rejected: dict[str, dict[str, int]]
    """Samples that are not kept, by stage and reason."""
    n_unanswered: int
    """Samples that a teacher owes: it was gone, and another run asks again."""
    unanswered_why: str = ""
    """What it said of one of them, or what became of the connection."""


def record_of(
    manifest: SynthesisManifest,
    base: str,
    fingerprint: str,
    inputs: Sequence[Entry],
    made: "Made",
    seconds: dict[str, float],
    peak_bytes: int,
) -> SynthesisRecord:
    """The record of what was made."""
    summary = made.summary
    rejected = {
        stage.name: {reason.reason: reason.n_samples for reason in stage.reasons}
        for stage in summary.stages
        if stage.reasons
    }
    owed = [
        reason
        for stage in summary.stages
        if stage.name in ("teacher", "score")
        for reason in stage.reasons
        if reason.reason == "no_answer"
    ]
    return SynthesisRecord(
        name=manifest.name,
        kind=KIND,
        fingerprint=fingerprint,
        onggi_version=version(),
        created=now(),
        manifest=manifest.model_dump(mode="json"),
        manifest_base=base,
        measured_in="",
        inputs=list(inputs),
        outputs=[entry for table in made.written for entry in table.files],
        counts={
            "seeds": made.counts.n_items,
            "items": made.n_items,
            "samples": summary.n_samples,
            "kept": summary.n_kept,
            "rejected": summary.n_samples - summary.n_kept,
        },
        skipped={"blank": made.counts.n_blank, "repeated": made.counts.n_repeated},
        licenses={split.name: split.n_kept for split in summary.licenses},
        shards={},
        digests={table.name: table.digest for table in made.written},
        timings=seconds,
        throughput={},
        peak_memory_bytes=peak_bytes,
        n_workers=1,
        usage={role: asdict(usage) for role, usage in made.usage.items()},
        cost={role: spent.cost for role, spent in summary.spent.items()},
        rejected=rejected,
        n_unanswered=sum(reason.n_samples for reason in owed),
        unanswered_why=next((example.detail for reason in owed for example in reason.examples), ""),
    )


def read_synthesis(folder: Folder) -> SynthesisRecord:
    """The record of a finished run.

    Raises:
        RequestError: there is none, or it is of another kind.
    """
    if not folder.exists(RECORD):
        raise RequestError(f"{folder.path}: holds no finished run of `onggi synth` (no {RECORD})")
    value = folder.read_json(RECORD)
    if value.get("kind") != KIND:
        raise RequestError(f"{folder.path}: is a run of `kind: {value.get('kind')}`; expected one of `kind: {KIND}`")
    try:
        return SynthesisRecord.model_validate(value)
    except ValueError as error:
        raise RequestError(f"{folder.url(RECORD)}: not a record that this version of Onggi reads: {error}") from None
