"""What readers take and give: a split of an input file, a record, and batches in the contract's columns."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from xxhash import xxh3_128_digest

from manifests.contracts import records_schema
from manifests.schema import MIB, Input

BATCH_BYTES = 4 * MIB
"""Content of one batch; only a single record that is larger may exceed it."""
BATCH_RECORDS = 4096
"""Bounds a batch of records that carry no content."""


@dataclass(frozen=True)
class Split:
    """A bounded range of one input file, or a few whole files of a text folder. Every field can stand in JSON.

    `start` and `end` are bytes of the file as stored (WARC, JSONL), row groups (Parquet; of a crawl, of a file of its
    index) or indices into `files` (text). WARC and JSONL ranges begin and end at records, so splits are read
    independently of each other.
    """

    source: str
    path: str  # fsspec URL or absolute path; of text, the folder that `files` are relative to
    format: str  # warc | jsonl | parquet | text | datatrove | crawl | ...
    start: int
    end: int
    file_bytes: int
    file_digest: str  # of the whole file's content, or of what the remote store says identifies it
    files: tuple[str, ...] = ()
    n_max: int | None = None  # of a crawl: how many records it gives at most

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", tuple(self.files))  # JSON knows only lists


@dataclass(frozen=True)
class Batch:
    """Records in the columns of `records_schema`, and what lay between them.

    `cursor` is the position after this batch, to resume from. `skipped` counts what is not a document by nature,
    as WARC requests or blank lines of JSONL, by kind.
    """

    records: pa.RecordBatch
    cursor: int
    skipped: dict[str, int]


@dataclass(frozen=True, slots=True)
class Note:
    """What the ledger is to say of a record that goes on; `detail` says where in the record, never where it lies."""

    kind: str  # as `missing_input`
    detail: str


@dataclass(slots=True)
class Record:
    """One record before it becomes a row. `raw` is what a row with a verdict is identified by."""

    offset: int
    kind: str
    key: str = ""
    url: str | None = None
    date: str | None = None
    license: str | None = None
    category: str | None = None
    metadata: dict[str, str | None] = field(default_factory=dict)
    charset: str | None = None
    utf8: bool = False
    content: bytes | None = None
    content_digest: bytes = b""
    n_bytes: int = 0
    verdict: str | None = None
    stage: str | None = None
    reason: str | None = None
    value: float | None = None
    threshold: float | None = None
    detail: str | None = None
    file: str | None = None  # where it is not the split's path
    notes: list[Note] = field(default_factory=list)
    robots_headers: str | None = None  # lines NAME: VALUE; None where it came without headers

    def keep(self, content: bytes, source_digest: bytes | None = None) -> "Record":
        """This record with content, to go on.

        Args:
            content: its text or HTML.
            source_digest: XXH3-128 of what the content was made from, so that the record's id does not change with
                how that is done; without it, of the content.
        """
        self.content, self.n_bytes = content, len(content)
        self.content_digest = source_digest or xxh3_128_digest(content)
        return self

    def fail(self, reason: str, detail: str | None, raw_digest: bytes, n_raw_bytes: int) -> "Record":
        """This record as a failed row."""
        return self._end("failed", reason, detail, raw_digest, n_raw_bytes)

    def drop(self, reason: str, detail: str | None, raw_digest: bytes, n_raw_bytes: int) -> "Record":
        """This record as a dropped row."""
        return self._end("dropped", reason, detail, raw_digest, n_raw_bytes)

    def too_large(self, limit_bytes: int, n_bytes: int | None, raw_digest: bytes, n_raw_bytes: int) -> "Record":
        """This record as one that exceeds `limits.record_bytes`; `n_bytes` is None where counting was given up."""
        self.value, self.threshold = n_bytes, limit_bytes
        detail = None if n_bytes else f"more than {limit_bytes} bytes when decoded"
        return self.fail("record_too_large", detail, raw_digest, n_raw_bytes)

    def _end(self, verdict: str, reason: str, detail: str | None, digest: bytes, n_bytes: int) -> "Record":
        self.content, self.content_digest, self.n_bytes = None, digest, n_bytes
        self.verdict, self.stage, self.reason, self.detail = verdict, "read", reason, detail
        return self


Event = tuple[Record | str, int]
"""A record, or the kind of what is skipped; with the cursor after it."""


def batches(events: Iterable[Event], split: Split, item: Input, metadata_names: list[str]) -> Iterator[Batch]:
    """Events gathered into batches that are bounded in bytes and in records."""
    rows: list[Record] = []
    skipped: Counter[str] = Counter()
    n_bytes = cursor = 0
    for event, after in events:
        if isinstance(event, str):
            skipped[event] += 1
            cursor = after
            continue
        n_content = len(event.content or b"")
        if rows and (n_bytes + n_content > BATCH_BYTES or len(rows) == BATCH_RECORDS):
            yield Batch(_record_batch(rows, split, item, metadata_names), cursor, dict(skipped))
            rows, n_bytes, skipped = [], 0, Counter()
        rows.append(event)
        n_bytes += n_content
        cursor = after
    if rows or skipped:
        yield Batch(_record_batch(rows, split, item, metadata_names), cursor, dict(skipped))


def _record_batch(rows: list[Record], split: Split, item: Input, metadata_names: list[str]) -> pa.RecordBatch:
    schema = records_schema(metadata_names)
    columns: dict[str, list[Any]] = {
        name: [getattr(row, name) for row in rows]
        for name in schema.names
        if name not in ("source", "metadata", "file", "notes")
    }
    columns["source"] = [split.source] * len(rows)
    columns["file"] = [row.file or split.path for row in rows]
    columns["metadata"] = [{name: row.metadata.get(name) for name in metadata_names} for row in rows]
    columns["notes"] = [[{"kind": note.kind, "detail": note.detail} for note in row.notes] or None for row in rows]
    columns |= {name: [value] * len(rows) for name, value in item.set.items()}
    return pa.RecordBatch.from_arrays([pa.array(columns[f.name], f.type) for f in schema], schema=schema)
