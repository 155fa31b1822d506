"""Derived tables: what one pass over measured texts leaves beside them, part by part.

Signatures, hashes of lines, hits of benchmarks: each is a table in the run's folder with one file per measured part.
A file is written again only when its part, the table's settings or its code changed, so a decision that asks for one
more of them reads the texts once, and measures nothing again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from curation.shards import has_texts
from manifests.engine import Engine, map_shards
from manifests.errors import RequestError
from manifests.store import Folder

FINGERPRINT = "fingerprint"


@dataclass(frozen=True)
class Derived:
    """A kind of derived table; pickles to a worker, so `make` is a module's function or a frozen dataclass."""

    name: str
    """Of its folder in the run."""
    fingerprint: str
    """The settings and the code (`manifests.code.code_digest`) that its rows depend on."""
    columns: Sequence[str]
    """Columns of the measured parts that `make` reads."""
    schema: pa.Schema
    make: Callable[[pa.Table], pa.Table]
    """Rows of the table for the rows of one measured part, in any number and order."""
    plain: bool = False
    """Whether its values are hashes, which nothing compresses."""


@dataclass(frozen=True)
class _Part:
    run: str
    table: Derived
    name: str


def derive(
    run: Folder,
    table: Derived,
    engine: Engine | int = 1,
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> Folder:
    """Bring a derived table of a measured run up to date; returns its folder.

    Args:
        run: the folder with the table `measured`.
        table: what to derive.
        engine: where to work, or a number of processes.
        progress: called with (name of the table, parts done, parts in all).

    Raises:
        RequestError: texts are needed that the run did not store (`store: columns`).
    """
    folder, parts = run / table.name, (run / "measured").names(".parquet")
    for name in set(folder.names(".parquet")) - set(parts):
        folder.remove(name)
    missing = [_Part(run.path, table, name) for name in parts if not _is_whole(folder, name, table)]
    if missing and "text" in table.columns and not has_texts(run):
        raise RequestError(
            f"{run.path} was measured with `store: columns`: its texts are gone, and {table.name} cannot be derived "
            f"from what is left; curate again with what needs {table.name} in the manifest"
        )
    progress(table.name, len(parts) - len(missing), len(parts))
    for done, _ in enumerate(map_shards(_derive_part, missing, engine), len(parts) - len(missing) + 1):
        progress(table.name, done, len(parts))
    return folder


def _is_whole(folder: Folder, name: str, table: Derived) -> bool:
    return folder.exists(name) and folder.parquet_extra(name, table.name).get(FINGERPRINT) == table.fingerprint


def _derive_part(part: _Part) -> None:
    run, table = Folder(part.run), part.table
    measured = run / "measured"
    with measured.fs.open(measured.file(part.name), "rb") as file:
        rows = table.make(pq.read_table(file, columns=list(table.columns)))
    extra = {FINGERPRINT: table.fingerprint}
    with (run / table.name).table_writer(part.name, table.schema, table.name, extra, table.plain) as writer:
        writer.write(rows, row_group_rows=1 << 16)
