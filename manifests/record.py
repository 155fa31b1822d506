"""The record of a run, `run.json`: written last, so its existence means that the run is complete."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from manifests.errors import RequestError
from manifests.store import Folder

RECORD = "run.json"


class Entry(BaseModel):
    """One file or table that a run read or wrote."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    size_bytes: int
    digest: str = ""
    source: str = ""
    rows: int | None = None


class RunRecord(BaseModel):
    """What was run, on what, and what came of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: str
    fingerprint: str
    onggi_version: str
    created: str
    manifest: dict[str, Any]
    manifest_base: str
    measured_in: str
    inputs: list[Entry]
    outputs: list[Entry]
    counts: dict[str, int]
    skipped: dict[str, int]
    licenses: dict[str, int]
    shards: dict[str, dict[str, int]]
    digests: dict[str, str]
    timings: dict[str, float]
    throughput: dict[str, float]
    peak_memory_bytes: int
    n_workers: int
    sample_frac: float = 1.0


def now() -> str:
    """The time, UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_record(folder: Folder, record: RunRecord) -> None:
    """Write the record: the last write of a run."""
    folder.write_json(RECORD, record.model_dump(mode="json"))


def read_record(folder: Folder) -> RunRecord:
    """The record of a complete run.

    Raises:
        RequestError: there is no run, or it is not complete.
    """
    if not folder.exists(RECORD):
        state = (
            "is not complete: run `onggi curate` again to finish it" if folder.exists("measured") else "holds no run"
        )
        raise RequestError(f"{folder.path}: {state} (no {RECORD})")
    return RunRecord.model_validate(folder.read_json(RECORD))
