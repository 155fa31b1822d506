"""The record of a run, `run.json`: written last, so its existence means that the run is complete."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from manifests.errors import RequestError
from manifests.store import Folder

RECORD = "run.json"
PREVIOUS = "previous.json"
"""The record of decisions that are just being replaced: what a killed `decide` goes on from."""


class Entry(BaseModel):
    """One file or table that a run read or wrote."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    path: str
    size_bytes: int
    digest: str = ""
    source: str = ""
    rows: int | None = None


class ListRecord(BaseModel):
    """A list of addresses that were looked up, as it was then."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    digest: str
    """Of its content."""
    n_entries: int
    """Different domains and URLs."""
    n_lines: int
    """Lines that hold anything but a comment."""
    n_passed_over: int
    """Of these, lines of a known form that are about no site: exceptions, parts of pages, what pages embed."""
    n_not_understood: int
    """Of these, lines that are no entry of a known form."""


class Removal(BaseModel):
    """Documents that were taken down from a run after it was made."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    request: str
    """Digest of what was asked for."""
    created: str
    n_documents: int
    note: str
    """What the run's folder says of it."""
    note_digest: str
    """SHA-256 of that file."""


class RunRecord(BaseModel):
    """What was run, on what, and what came of it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

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
    pii: dict[str, dict[str, int]] = {}
    """Of each kind of personal data: spans and documents found, kept and masked."""
    benchmarks: dict[str, dict[str, int]] = {}
    """Of each benchmark that was found: documents that hold its items, and the items in them."""
    blocklists: dict[str, ListRecord] = {}
    """Of each list of addresses: its content, and how its lines were understood."""
    near: dict[str, int] = {}
    """Of near-duplicates: documents in clusters, clusters, texts in them; pairs that were candidates, compared, and
    similar."""
    semantic: dict[str, int] = {}
    """Of documents that mean the same: documents in groups, groups, texts in them; clusters by k-means, and similar
    pairs."""
    scores: dict[str, str] = {}
    """Of each score that came after the rules: the folder of its table beside the measured parts."""
    thresholds: dict[str, float | None] = {}
    """What each rule that keeps a top share came down to; null where it was asked of no document with a score."""
    shards: dict[str, dict[str, int]]
    digests: dict[str, str]
    timings: dict[str, float]
    throughput: dict[str, float]
    peak_memory_bytes: int
    n_workers: int
    sample_frac: float = 1.0
    removed: list[Removal] = []
    """What was taken down since."""


def now() -> str:
    """The time, UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_record(folder: Folder, record: RunRecord) -> None:
    """Write the record: the last write of a run."""
    folder.write_json(RECORD, record.model_dump(mode="json"))
    folder.remove(PREVIOUS)


def set_aside(folder: Folder) -> None:
    """Take the record away before its outputs are replaced, so that a half-replaced run does not look complete."""
    if folder.exists(RECORD):
        folder.write_bytes(PREVIOUS, folder.read_bytes(RECORD))
        folder.remove(RECORD)


def read_record(folder: Folder, *, interrupted: bool = False, kind: str | None = "corpus") -> RunRecord:
    """The record of a complete run; with `interrupted` also that of a run whose new decisions were not finished.

    Raises:
        RequestError: there is no run, it is not complete, it is not of that kind, or another version of Onggi wrote
            it.
    """
    name = PREVIOUS if interrupted and not folder.exists(RECORD) else RECORD
    if not folder.exists(name):
        state = (
            "is not complete: run the same command again to finish it"
            if folder.exists("measured")
            else "holds no run"
        )
        raise RequestError(f"{folder.path}: {state} (no {RECORD})")
    try:
        record = RunRecord.model_validate(folder.read_json(name))
    except ValueError as error:
        raise RequestError(f"{folder.url(name)}: not a record that this version of Onggi reads: {error}") from None
    if kind and record.kind != kind:
        raise RequestError(f"{folder.path}: is a run of `kind: {record.kind}`; expected one of `kind: {kind}`")
    return record


def measured_folder(run: Folder, record: RunRecord) -> Folder:
    """Where the measured parts of a run lie: in its own folder, which may have moved, or in that of another run.

    Raises:
        RequestError: the parts that it was decided from are no longer there.
    """
    for folder in (run, Folder(record.measured_in)):
        if {name.removesuffix(".parquet") for name in (folder / "measured").names(".parquet")} == set(record.shards):
            return folder
    raise RequestError(f"{run.path}: what it was decided from is no longer in {record.measured_in}: curate again")
