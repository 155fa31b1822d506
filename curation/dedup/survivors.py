"""Which member of a duplicate group survives: the best of those that pass the rules.

Groups were found over all measured documents. Each decision exchanges narrow rows between two orders: members that
pass, by group; then those that lose to a survivor, by id.
"""

from collections.abc import Callable

import polars as pl
import pyarrow as pa

from curation.dedup import earlier, exact, near, semantic
from curation.dedup.cosines import EDGE, cosines_to_survivors, least_similar, write_edge
from curation.dedup.exchange import ROWS_PER_RANGE, write_rows
from curation.dedup.ranks import policy_columns, policy_rank
from manifests.engine import Engine
from manifests.errors import RequestError
from manifests.schema import BestScore, Dedup
from manifests.store import Folder, KeyRange, ranges_for

PASSING = pa.schema(
    [
        ("group", pa.string()),
        ("rank", pa.float64()),  # ascending; null comes last
        ("id", pa.string()),
        ("copy", pa.int32()),
        ("text_digest", pa.string()),
        ("near_cluster", pa.string()),
    ]
)
"""Members of groups that pass the rules, ordered by group."""

LOSERS = pa.schema(
    [
        ("id", pa.string()),
        ("copy", pa.int32()),
        ("duplicate_of", pa.string()),
        ("duplicate_of_copy", pa.int32()),
        ("lost_by", pa.string()),  # the reason
        ("cosine", pa.float64()),  # to the survivor; null but for semantic duplicates
    ]
)
"""Passing members that are not their group's survivor, ordered by (id, copy)."""

GROUP_COLUMNS = {"exact_size", "near_cluster_size", "semantic_cluster_size"}
"""Columns for predicates that are not measured, but joined."""

EXACT, NEAR, SEMANTIC = "exact_duplicate", "near_duplicate", "semantic_duplicate"
HELD = "held_by_earlier_run"


def find_groups(
    run: Folder,
    dedup: Dedup,
    n_rows: int,
    engine: Engine | int = 1,
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> int:
    """Find the groups that a manifest asks for, unless they are there; returns how many documents are in any.

    What earlier runs hold (`dedup.against`) is found as well.
    """
    if dedup.against:
        earlier.find_held(run, dedup, n_rows, engine, progress)
    n_near = near.find_clusters(run, dedup.near, n_rows, engine, progress).n_members if dedup.near else 0
    if dedup.semantic:
        joined = (run / "near").read_json("found.json")["fingerprint"] if dedup.near else None
        return semantic.find_clusters(run, dedup.semantic, n_rows, joined, engine, progress).n_members
    if dedup.near:
        return n_near
    return exact.find_groups(run, n_rows).n_members if dedup.exact else 0


def group_columns(dedup: Dedup) -> dict[str, pa.DataType]:
    """The columns that groups give a document, for predicates."""
    asked = {
        "exact_size": dedup.exact or dedup.near or dedup.semantic,
        "near_cluster_size": dedup.near,
        "semantic_cluster_size": dedup.semantic,
    }
    return {name: pa.int64() for name, is_asked in asked.items() if is_asked}


def join_groups(frame: pl.DataFrame, run: Folder, dedup: Dedup, keys: KeyRange, has_groups: bool) -> pl.DataFrame:
    """The frame (documents of a range of ids) with its groups.

    Adds `group`, `exact_group` (null for a text of its own), `exact_size`, `near_cluster`, `semantic_cluster` and
    their sizes; a size is null where nothing was compared, and 1 for a document that has no duplicate.
    """
    clusters = {"near_cluster": dedup.near, "semantic_cluster": dedup.semantic}
    sizes = group_columns(dedup)
    if has_groups:
        table = "semantic" if dedup.semantic else "near" if dedup.near else "exact"
        names = ["id", "row_hash", *(name for name, asked in clusters.items() if asked), *sizes]
        frame = frame.join(
            (run / table).read_range("id", keys, names), on=["id", "row_hash"], how="left", maintain_order="left"
        )
    nulls = {name: pl.lit(None, pl.String) for name in clusters} | {
        name: pl.lit(None, pl.Int64) for name in GROUP_COLUMNS
    }
    frame = frame.with_columns(null.alias(name) for name, null in nulls.items() if name not in frame.columns)
    has_text = pl.col("text_digest").is_not_null()
    frame = frame.with_columns(pl.when(has_text).then(pl.col(name).fill_null(1)).alias(name) for name in sizes)
    frame = frame.with_columns(exact_group=pl.when(pl.col("exact_size") > 1).then("text_digest"))
    return frame.with_columns(group=pl.coalesce("semantic_cluster", "near_cluster", "exact_group"))


def drop_held(frame: pl.DataFrame, run: Folder, dedup: Dedup, keys: KeyRange) -> pl.DataFrame:
    """The judged frame (of a range of ids), where documents that an earlier run holds are dropped.

    Adds `held_by`, the id of the earlier document, and `held_by_copy`, which an earlier run's does not have.
    """
    frame = frame.with_columns(held_by_copy=pl.lit(None, pl.Int32))
    if not dedup.against:
        return frame.with_columns(held_by=pl.lit(None, pl.String))
    held = (run / "held").read_range("id", keys, earlier.HELD.names)
    frame = frame.join(held, on=["id", "row_hash"], how="left", maintain_order="left")
    lost = (pl.col("verdict") == "kept") & pl.col("held_by").is_not_null()
    return frame.with_columns(
        verdict=pl.when(lost).then(pl.lit("dropped")).otherwise("verdict"),
        stage=pl.when(lost).then(pl.lit("dedup")).otherwise("stage"),
        reason=pl.when(lost).then(pl.lit(HELD)).otherwise("reason"),
        detail=pl.when(lost).then("held_in").otherwise("detail"),
        held_by=pl.when(lost).then("held_by"),
    )


def rank_columns(dedup: Dedup) -> set[str]:
    """The measured columns that the survivor policy reads."""
    return policy_columns(dedup.keep)


def check_policy(dedup: Dedup, columns: dict[str, pa.DataType]) -> None:
    """Refuse a policy by a column that is not there or is no number.

    Raises:
        RequestError: names the column, and those that would do.
    """
    keep = dedup.keep
    if isinstance(keep, BestScore):
        numbers = [name for name, kind in columns.items() if pa.types.is_floating(kind) or pa.types.is_integer(kind)]
        if keep.score not in numbers:
            raise RequestError(
                f"dedup.{'near' if dedup.near else 'semantic'}.keep.score: {keep.score!r} is not a numeric column of "
                f"what is measured; there are {', '.join(sorted(numbers))}"
            )


def rank(dedup: Dedup) -> pl.Expr:
    """The survivor policy as a number per document: the least survives, null comes last."""
    return policy_rank(dedup.keep)


def write_passing(folder: Folder, name: str, passing: pl.DataFrame) -> None:
    """Write those members of groups that pass the rules, for `choose_survivors`."""
    write_rows(folder, name, passing.select(PASSING.names).sort("group"), PASSING)


def choose_survivors(passing: Folder, losers: Folder, n_members: int, vectors: Folder | None = None) -> int:
    """Keep the best member of each group, ties going by (id, copy); write the others, return how many they are.

    With `vectors` (the table `semantic/vectors`) it is told how similar semantic duplicates are to their survivors,
    and which pairs are the least similar (`EDGE`, in the folder `edge` of `losers`).
    """
    n_losers, least = 0, []
    for keys in ranges_for(n_members, ROWS_PER_RANGE):
        members = passing.read_range("group", keys, PASSING.names)
        members = members.sort("group", "rank", "id", "copy", nulls_last=True)
        first = pl.col("id", "copy", "text_digest", "near_cluster").first().over("group").name.prefix("first_")
        lost = members.with_columns(first).filter(
            (pl.col("id") != pl.col("first_id")) | (pl.col("copy") != pl.col("first_copy"))
        )
        lost = lost.with_columns(
            lost_by=pl.when(pl.col("text_digest") == pl.col("first_text_digest"))
            .then(pl.lit(EXACT))
            .when(pl.col("near_cluster") == pl.col("first_near_cluster"))
            .then(pl.lit(NEAR))
            .otherwise(pl.lit(SEMANTIC))
        )
        lost = lost.rename({"first_id": "duplicate_of", "first_copy": "duplicate_of_copy"}).sort("id", "copy")
        lost = _with_cosines(lost, vectors)
        least.append(least_similar(lost))
        write_rows(losers, f"part-{keys.index:05d}.parquet", lost, LOSERS)
        n_losers += lost.height
    if vectors:
        write_edge(losers / "edge", least_similar(pl.concat(least)))
    return n_losers


def _with_cosines(lost: pl.DataFrame, vectors: Folder | None) -> pl.DataFrame:
    """The losers of groups with `cosine`, how similar a semantic duplicate is to its survivor."""
    meant = lost.filter(pl.col("lost_by") == SEMANTIC)
    if vectors is None or meant.is_empty():
        return lost.with_columns(cosine=pl.lit(None, pl.Float64))
    pairs = cosines_to_survivors(meant, vectors)
    return lost.join(pairs, on=["group", "text_digest", "first_text_digest"], how="left", maintain_order="left")


def join_losers(frame: pl.DataFrame, losers: Folder, keys: KeyRange, has_groups: bool) -> pl.DataFrame:
    """The judged frame (of a range of ids, after `drop_held` and `urls.drop_losers`) with the verdicts of those that
    lose to a survivor.

    Adds `duplicate_of` and its copy, null for documents that duplicate nothing; an earlier run's has no copy. Where
    embeddings were compared, adds `cosine` to the survivor, and `on_edge` for the least similar pairs.
    """
    if not has_groups:
        return frame.with_columns(duplicate_of="held_by").rename({"held_by_copy": "duplicate_of_copy"})
    frame = frame.join(
        losers.read_range("id", keys, LOSERS.names), on=["id", "copy"], how="left", maintain_order="left"
    )
    if (losers / "edge").names(".parquet"):
        edge = (losers / "edge").read_range("id", keys, EDGE.names).with_columns(on_edge=True)
        frame = frame.join(edge, on=["id", "copy"], how="left", maintain_order="left")
    lost = pl.col("lost_by").is_not_null()
    return frame.with_columns(
        verdict=pl.when(lost).then(pl.lit("dropped")).otherwise("verdict"),
        stage=pl.when(lost).then(pl.lit("dedup")).otherwise("stage"),
        reason=pl.coalesce("lost_by", "reason"),
        duplicate_of=pl.coalesce("duplicate_of", "held_by"),
        duplicate_of_copy=pl.coalesce("duplicate_of_copy", "held_by_copy"),
    ).drop("lost_by", "held_by_copy")
