"""What the tests of reading share: archives built record by record, and everything that a file yields."""

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

from curation.read import plan_splits, read_split
from manifests.contracts import records_schema
from manifests.schema import Input, Limits

HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=EUC-KR\r\n"
LIMITS = Limits(record_bytes=1 << 20)

Row = dict[str, Any]


def stored(
    block: bytes, name: str = "1", kind: str = "response", content_type: str = "application/http", more: str = ""
) -> bytes:
    """A WARC record as it stands in a file that is not compressed."""
    header = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{name}>\r\nContent-Type: {content_type}\r\n"
        f"WARC-Target-URI: http://e.example/{name}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n{more}"
        f"Content-Length: {len(block)}\r\n\r\n"
    )
    return header.encode() + block + b"\r\n\r\n"


def page(body: bytes, name: str = "1", headers: bytes = HTML) -> bytes:
    """A WARC record of a response."""
    return stored(headers + b"\r\n" + body, name)


def member(*records: bytes) -> bytes:
    """A gzip member, the same at all times."""
    return gzip.compress(b"".join(records), mtime=0)


def read_all(
    path: Path | str,
    shard_bytes: int = 1 << 40,
    limits: Limits = LIMITS,
    metadata: tuple[str, ...] = (),
    metadata_map: dict[str, str] | None = None,
    **item: Any,
) -> tuple[list[Row], Counter[str]]:
    """All rows of an input, in order, and what was skipped; checks the contract on the way."""
    of = Input(source="s", path=str(path), metadata=metadata_map or {}, **item)
    rows: list[Row] = []
    skipped: Counter[str] = Counter()
    for split in plan_splits(of, "", shard_bytes):
        for batch in read_split(split, of, limits, list(metadata)):
            batch.records.validate(full=True)
            assert batch.records.schema == records_schema(list(metadata))
            content_bytes = [len(c) for c in batch.records["content"].to_pylist() if c is not None]
            assert sum(content_bytes) <= 4 << 20 or len(content_bytes) == 1
            rows += batch.records.to_pylist()
            skipped.update(batch.skipped)
    for row in rows:
        assert (row["content"] is None) == (row["verdict"] is not None) == (row["reason"] is not None)
    return rows, skipped


def check_cursors(path: Path | str, shard_bytes: int, limits: Limits = LIMITS, **item: Any) -> int:
    """From each cursor exactly what follows is read. Returns how many cursors were tried."""
    of = Input(source="s", path=str(path), **item)
    n_cursors = 0
    for split in plan_splits(of, "", shard_bytes):
        batches = list(read_split(split, of, limits, []))
        rows = [row for batch in batches for row in batch.records.to_pylist()]
        n_read = 0
        for batch in batches:
            n_read += batch.records.num_rows
            rest = [r for b in read_split(split, of, limits, [], batch.cursor) for r in b.records.to_pylist()]
            assert rest == rows[n_read:]
            n_cursors += 1
    return n_cursors


def without_place(rows: list[Row]) -> list[Row]:
    """Rows without what depends on where they were found."""
    return [{name: value for name, value in row.items() if name not in ("file", "offset")} for row in rows]
