"""Synthetic data made from documents that were removed: rows whose `provenance` names one, and what came of those.

Any Parquet or JSONL file counts in which rows have a `provenance` with a parent: the id of a document, or a list of
ids. A row's own `id`, where it has one, is what others name as their parent.
"""

import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from classifiers.rows import ENDINGS, GZIP, PARQUET, ZSTD, compression, json_rows
from curation.removal.tables import Rewritten, rewrite, row_groups
from manifests.errors import RunError
from manifests.store import Folder

PROVENANCE = "provenance"
PARENTS = ("parent", "parents", "parent_id", "parent_ids", "document_id", "document_ids")
"""Fields of it that name what a row was made from."""


def tables_of(folder: Folder) -> list[str]:
    """The files of a folder, and of the folders in it, whose rows have a parent; paths in the folder, ordered."""
    found = [name for name in folder.names() if name.lower().endswith(ENDINGS) and _has_parents(folder, name)]
    for inner in folder.folders():
        found += [f"{inner}/{name}" for name in tables_of(folder / inner)]
    return found


def _has_parents(folder: Folder, name: str) -> bool:
    with folder.fs.open(folder.file(name), "rb") as file:
        if _is_parquet(file):
            schema = pq.ParquetFile(file).schema_arrow
            kind = schema.field(PROVENANCE).type if PROVENANCE in schema.names else None
            return kind is not None and pa.types.is_struct(kind) and any(field.name in PARENTS for field in kind)
        rows = next(json_rows(file, folder.url(name)), None)
        return bool(rows) and any(isinstance(row.get(PROVENANCE), dict) for row in rows[2])  # type: ignore[index]


def _is_parquet(file: BinaryIO) -> bool:
    magic = file.read(4)
    file.seek(0)
    return magic == PARQUET


def find_children(folders: Sequence[Folder], ids: set[str]) -> set[str]:
    """The ids of rows that were made from these documents, or from rows that were, in any of the folders."""
    made = [pair for folder in folders for path in tables_of(folder) for pair in _pairs(folder, path)]
    gone: set[str] = set()
    while more := {
        name for name, parents in made if name and name not in gone and not parents.isdisjoint(ids | gone)
    }:
        gone |= more
    return gone


def _pairs(folder: Folder, path: str) -> Iterator[tuple[str | None, set[str]]]:
    """(its own id, its parents) of each row of a file."""
    for rows in _batches(folder, path):
        for row in rows:
            name = row.get("id")
            yield (name if isinstance(name, str) else None), _parents(row)


def _batches(folder: Folder, path: str) -> Iterator[list[dict[str, Any]]]:
    with folder.fs.open(folder.file(path), "rb") as file:
        if _is_parquet(file):
            names = pq.ParquetFile(file).schema_arrow.names
            columns = [name for name in ("id", PROVENANCE) if name in names]
            table, _, name = path.rpartition("/")
            yield from (rows.to_pylist() for rows in row_groups(folder / table if table else folder, name, columns))
        else:
            yield from (rows for _, _, rows in json_rows(file, folder.url(path)))


def _parents(row: dict[str, Any]) -> set[str]:
    provenance = row.get(PROVENANCE)
    if not isinstance(provenance, dict):
        return set()
    found = [provenance.get(name) for name in PARENTS]
    named = [item for value in found for item in (value if isinstance(value, list) else [value])]
    return {item.lower() for item in named if isinstance(item, str)}


@dataclass(frozen=True)
class Gone:
    """What goes from a folder."""

    ids: frozenset[str]
    """Of rows, where they have any."""
    requests: frozenset[str]
    """`provenance.requests` of these rows: keys of a teacher's answers that went into them."""


Forget = Callable[[Folder, Gone, bool], dict[str, int]]
"""Removes what else a folder holds of such rows, but for a dry run; (what, how many) for the receipt. It may be
called again for what is gone already."""


def gone_rows(folder: Folder, ids: set[str], children: set[str]) -> Gone:
    """The rows that were made from these documents or children."""
    names, requests = set[str](), set[str]()
    for path in tables_of(folder):
        for rows in _batches(folder, path):
            for row in rows:
                if not _parents(row).isdisjoint(ids | children):
                    names |= {row["id"]} if isinstance(row.get("id"), str) else set()
                    requests |= set(row[PROVENANCE].get("requests") or [])
    return Gone(frozenset(names), frozenset(requests))


def remove_children(folder: Folder, ids: set[str], children: set[str], dry_run: bool) -> dict[str, Any]:
    """Write the files of a folder again without rows that were made from these documents or children.

    Returns what the receipt says of the folder.
    """
    files, n_rows, parents = list[dict[str, Any]](), 0, set[str]()
    for path in tables_of(folder):
        n_gone = 0
        for _, named in _pairs(folder, path):
            if found := named & (ids | children):
                n_gone += 1
                parents |= found & ids
        if n_gone:
            done = {"path": path} if dry_run else _written(folder, path, ids | children).__dict__
            files.append(done | {"rows_taken": n_gone})
            n_rows += n_gone
    return {"n_documents": len(parents), "ids": sorted(parents), "n_rows": n_rows, "files": files, "rows_left": 0}


def _written(folder: Folder, path: str, gone: set[str]) -> Rewritten:
    """Raises RunError: rows to be removed are still there."""
    with folder.fs.open(folder.file(path), "rb") as file:
        is_parquet = _is_parquet(file)
    done = rewrite(folder, path, lambda rows: _kept(rows, gone)) if is_parquet else _written_jsonl(folder, path, gone)
    if any(not parents.isdisjoint(gone) for _, parents in _pairs(folder, path)):
        raise RunError(f"{folder.url(path)}: rows to be removed are still there")
    return done


def _kept(rows: pa.Table, gone: set[str]) -> pa.Table:
    named = rows.select([PROVENANCE]).to_pylist()
    return rows.filter(pa.array([_parents(row).isdisjoint(gone) for row in named], pa.bool_()))


def _written_jsonl(folder: Folder, path: str, gone: set[str]) -> Rewritten:
    """The lines that stay, to the byte."""
    size_before, n_before, n_after = folder.size_bytes(path), 0, 0
    table, _, name = path.rpartition("/")
    with folder.fs.open(folder.file(path), "rb") as file:
        how = compression(file)
        with (
            (folder / table if table else folder).writing(name) as aside,
            folder.fs.open(aside, "wb") as out,
            _encoded(out, how) as written,
        ):
            for _, lines, rows in json_rows(file, folder.url(path)):
                kept = [line for line, row in zip(lines, rows, strict=True) if _parents(row).isdisjoint(gone)]
                written.write(b"".join(line + b"\n" for line in kept))
                n_before, n_after = n_before + len(lines), n_after + len(kept)
    return Rewritten(path, size_before, folder.size_bytes(path), n_before, n_after)


def _encoded(out: BinaryIO, how: bytes) -> AbstractContextManager[Any]:
    if how == GZIP:
        return gzip.GzipFile("", fileobj=out, mode="wb", mtime=0)
    if how == ZSTD:
        writer: AbstractContextManager[Any] = zstandard.ZstdCompressor().stream_writer(out, closefd=False)
        return writer
    return nullcontext(out)
