"""Exact duplicates: documents whose normalised texts are equal.

Groups are found once, over all measured documents, and do not depend on any rule. Which member survives depends on
which members pass the rules, so it is chosen each time that a decision is made. Both steps exchange narrow columns
between two orders (by text digest, by id), a bounded range of keys at a time.
"""

from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import xxhash

from manifests.code import code_digest
from manifests.store import Folder, KeyRange, ranges_for, to_arrow

ROWS_PER_RANGE = 500_000
"""Narrow rows held at once."""

MEMBERS = pa.schema(
    [("id", pa.string()), ("row_hash", pa.binary(16)), ("exact_group", pa.string()), ("exact_size", pa.int64())]
)
"""Documents that share their text with others, ordered by id; the group's name is the text's digest.

Records of equal id and row hash have equal texts, and stand here once.
"""

PASSING = pa.schema([("exact_group", pa.string()), ("id", pa.string()), ("copy", pa.int32())])
"""Members of groups that pass the rules, ordered by group."""

LOSERS = pa.schema(
    [("id", pa.string()), ("copy", pa.int32()), ("duplicate_of", pa.string()), ("duplicate_of_copy", pa.int32())]
)
"""Passing members that are not their group's survivor, ordered by (id, copy)."""


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
    fingerprint = xxhash.xxh3_64_hexdigest("\n".join(depends).encode())
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
        _write(folder, f"part-{keys.index:05d}.parquet", once, MEMBERS)
    folder.write_json("groups.json", {"fingerprint": fingerprint, "n_groups": n_groups, "n_members": n_members})
    return ExactGroups(n_groups, n_members)


def _members(keys: pl.DataFrame) -> pl.DataFrame:
    sized = keys.with_columns(exact_size=pl.len().over("text_digest").cast(pl.Int64))
    return sized.filter(pl.col("exact_size") > 1).rename({"text_digest": "exact_group"})


def read_members(run: Folder, keys: KeyRange) -> pl.DataFrame:
    """Those members of groups whose ids lie in a range, with the columns of MEMBERS."""
    return (run / "exact").read_range("id", keys, MEMBERS.names)


def join_groups(frame: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """The frame (documents of a range of ids) with `exact_group` (null for a text of its own) and `exact_size`."""
    joined = frame.join(members, on=["id", "row_hash"], how="left", maintain_order="left")
    measured = pl.col("text_digest").is_not_null()
    return joined.with_columns(exact_size=pl.when(measured).then(pl.col("exact_size").fill_null(1)))


def write_passing(folder: Folder, name: str, passing: pl.DataFrame) -> None:
    """Write those members of groups that pass the rules, for `choose_survivors`."""
    _write(folder, name, passing.sort("exact_group", "id", "copy"), PASSING)


def choose_survivors(passing: Folder, losers: Folder, n_members: int) -> int:
    """Keep the first member of each group by (id, copy); write the others as losers and return how many they are."""
    n_losers = 0
    for keys in ranges_for(n_members, ROWS_PER_RANGE):
        members = passing.read_range("exact_group", keys, PASSING.names).sort("exact_group", "id", "copy")
        first = pl.col("id", "copy").first().over("exact_group").name.prefix("first_")
        lost = members.with_columns(first).filter(
            (pl.col("id") != pl.col("first_id")) | (pl.col("copy") != pl.col("first_copy"))
        )
        lost = lost.rename({"first_id": "duplicate_of", "first_copy": "duplicate_of_copy"}).sort("id", "copy")
        _write(losers, f"part-{keys.index:05d}.parquet", lost, LOSERS)
        n_losers += lost.height
    return n_losers


def join_losers(frame: pl.DataFrame, losers: Folder, keys: KeyRange) -> pl.DataFrame:
    """The frame (documents of a range of ids) with `duplicate_of` and its copy, null for all but losers."""
    lost = losers.read_range("id", keys, LOSERS.names)
    return frame.join(lost, on=["id", "copy"], how="left", maintain_order="left")


def _write(folder: Folder, name: str, frame: pl.DataFrame, schema: pa.Schema) -> None:
    with folder.table_writer(name, schema, "exchange") as writer:
        writer.write(to_arrow(frame, schema), row_group_rows=1 << 16)
