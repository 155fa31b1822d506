"""Exact duplicates: documents whose normalised texts are equal.

Groups are found once, over all measured documents, and do not depend on any rule. Finding them exchanges narrow
columns between two orders (by text digest, by id), a bounded range of keys at a time.
"""

from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from curation.dedup.exchange import ROWS_PER_RANGE, fingerprint_of, write_rows
from manifests.code import code_digest
from manifests.store import Folder, ranges_for

MEMBERS = pa.schema(
    [("id", pa.string()), ("row_hash", pa.binary(16)), ("exact_group", pa.string()), ("exact_size", pa.int64())]
)
"""Documents that share their text with others, ordered by id; the group's name is the text's digest.

Records of equal id and row hash have equal texts, and stand here once.
"""


@dataclass(frozen=True)
class ExactGroups:
    """How much of the corpus shares its text with other documents."""

    n_groups: int
    n_members: int


def number_copies(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame ordered by (id, copy), where `copy` numbers records of equal id in the order of their row hashes."""
    ordered = frame.sort("id", "row_hash")
    return ordered.with_columns(copy=pl.int_range(pl.len(), dtype=pl.Int32).over("id"))


def find_groups(run: Folder, n_rows: int) -> ExactGroups:
    """Write the table `exact` of a measured run, unless it is there for these very parts.

    Args:
        run: the folder with `keys` (ordered by text digest).
        n_rows: measured rows, which says how many ranges keep memory bounded.
    """
    depends = [code_digest("curation/dedup/exact.py"), *(run / "keys").names(".parquet")]
    fingerprint = fingerprint_of(*depends)
    folder = run / "exact"
    if folder.exists("groups.json"):
        found = folder.read_json("groups.json")
        if found["fingerprint"] == fingerprint:
            return ExactGroups(found["n_groups"], found["n_members"])
    run.remove("exact")
    n_groups = n_members = 0
    for keys in ranges_for(n_rows, ROWS_PER_RANGE):
        members = _members((run / "keys").read_range("text_digest", keys, ["text_digest", "id", "row_hash"]))
        n_groups, n_members = n_groups + members["exact_group"].n_unique(), n_members + members.height
        once = members.unique(["id", "row_hash"]).sort("id", "row_hash")
        write_rows(folder, f"part-{keys.index:05d}.parquet", once, MEMBERS)
    folder.write_json("groups.json", {"fingerprint": fingerprint, "n_groups": n_groups, "n_members": n_members})
    return ExactGroups(n_groups, n_members)


def _members(keys: pl.DataFrame) -> pl.DataFrame:
    sized = keys.with_columns(exact_size=pl.len().over("text_digest").cast(pl.Int64))
    return sized.filter(pl.col("exact_size") > 1).rename({"text_digest": "exact_group"})
