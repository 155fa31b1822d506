"""What became of the documents that are nearly one, or that mean the same."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from curation.dedup.cosines import cosines_of
from curation.dedup.near_summary import found_counts
from curation.dedup.signatures import Banding, shingle_sets
from manifests.record import read_record
from manifests.schema import Dedup, NearDedup
from manifests.store import Folder

N_MEMBERS = 50
"""Members that are listed: the survivor, the document itself, then by id."""

Similarities = Callable[[Folder, list[str], str], dict[str, float]]
"""(measured run, ids, another id) -> how similar each of the ids is to the other; empty where that is not known."""


@dataclass(frozen=True)
class NearStory:
    """The cluster of a document."""

    cluster: str
    size: int
    n_by_outcome: dict[str, int]
    """Members by `kept` or by the reason that they are not."""
    compared_with: str | None
    """The id with which the members are compared: the survivor's, or else the document's."""
    members: list[dict[str, Any]]
    """{id, copy, source, url, verdict, reason, duplicate_of, jaccard or cosine}, the last null where it is not known:
    of shingles where texts are not stored."""


def near_story(run: Folder, measured_in: Folder, near: NearDedup, measured: pl.DataFrame) -> NearStory | None:
    """The cluster of a document; None where no other text resembles its own, or clusters were found anew since.

    Args:
        run: the folder of the decisions.
        measured_in: that of the measured parts and the clusters.
        near: what counted as near.
        measured: the document's measured row.
    """
    if not measured_in.exists("near/found.json") or found_counts(measured_in, "near") != read_record(run).near:
        return None
    grouped = (measured_in / "near").scan()
    mine = _of(grouped, measured)
    if mine.is_empty() or mine["near_cluster_size"][0] == mine["exact_size"][0]:
        return None
    return _story(run, measured_in, grouped, mine, "near_cluster", ("jaccard", partial(_jaccards, near)))


def semantic_story(run: Folder, measured_in: Folder, measured: pl.DataFrame) -> NearStory | None:
    """The group of a document by its meaning, as in `near_story`; None where it holds near-duplicates only."""
    found = found_counts(measured_in, "semantic")
    if not found or found != read_record(run).semantic:
        return None
    grouped = (measured_in / "semantic").scan()
    mine = _of(grouped, measured)
    alike = pl.coalesce("near_cluster_size", "exact_size")
    if mine.filter(pl.col("semantic_cluster_size") > alike).is_empty():
        return None
    cosines = partial(_cosines, mine["semantic_cluster"][0])
    return _story(run, measured_in, grouped, mine, "semantic_cluster", ("cosine", cosines))


def _of(grouped: pl.LazyFrame, measured: pl.DataFrame) -> pl.DataFrame:
    """The row of a document in a table of groups, if it is in one."""
    return grouped.filter(pl.col("id") == measured["id"][0], pl.col("row_hash") == measured["row_hash"][0]).collect()


def _story(
    run: Folder,
    measured_in: Folder,
    grouped: pl.LazyFrame,
    mine: pl.DataFrame,
    column: str,
    similar: tuple[str, Similarities],
) -> NearStory:
    """The members of a document's cluster, what became of each, and how similar they are to one of them."""
    cluster, (name, similarities) = mine[column][0], similar
    ids = grouped.filter(pl.col(column) == cluster).select("id").unique().collect()["id"]
    rows = (run / "ledger").scan().filter(pl.col("id").is_in(ids.implode())).collect()
    outcome = pl.coalesce("reason", "verdict").alias("outcome")
    counts = dict(rows.group_by(outcome).len().sort("len", "outcome", descending=[True, False]).iter_rows())
    kept, self = pl.col("verdict") == "kept", pl.col("id") == mine["id"][0]
    columns = ["id", "copy", "source", "url", "verdict", "reason", "duplicate_of"]
    shown = rows.sort(~kept, ~self, "id", "copy").head(N_MEMBERS).select(columns)
    other = shown["id"][0] if shown["verdict"][0] == "kept" else mine["id"][0]
    found = similarities(measured_in, shown["id"].unique().to_list(), other)
    members = [row | {name: found.get(row["id"])} for row in shown.to_dicts()]
    return NearStory(cluster, mine[f"{column}_size"][0], counts, other if found else None, members)


def _jaccards(near: NearDedup, measured_in: Folder, ids: list[str], other: str) -> dict[str, float]:
    """The exact similarity of each document's shingles to those of `other`; empty where texts are not stored."""
    measured = (measured_in / "measured").scan()
    if "text" not in measured.collect_schema().names():
        return {}
    rows = measured.filter(pl.col("id").is_in(ids)).select("id", "text").unique("id").collect()
    texts = rows["text"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast("large_string")
    sets = {
        id_: np.asarray(shingles.values)
        for id_, shingles in zip(rows["id"], shingle_sets(texts, Banding.of(near)), strict=True)
    }
    return {id_: _jaccard(mine, sets[other]) for id_, mine in sets.items()}


def _jaccard(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    n_common = len(np.intersect1d(a, b, assume_unique=True))
    return n_common / max(len(a) + len(b) - n_common, 1)


def _cosines(cluster: str, measured_in: Folder, ids: list[str], other: str) -> dict[str, float]:
    """The cosine of each document's embedding to that of `other`; all are in one group."""
    texts = (measured_in / "measured").scan().filter(pl.col("id").is_in(ids)).select("id", "text_digest")
    rows = texts.unique("id").collect()
    first = rows.filter(pl.col("id") == other)["text_digest"][0]
    pairs = rows.select("id", "text_digest", group=pl.lit(cluster), first_text_digest=pl.lit(first))
    found = cosines_of(pairs, measured_in / "semantic/vectors")
    return dict(found.select("id", "cosine").iter_rows())


def held_by(row: dict[str, Any], measured_in: Folder, dedup: Dedup, measured: pl.DataFrame) -> dict[str, Any] | None:
    """The earlier run that holds a document, {run, id}; also where a rule dropped it before that was asked."""
    if not dedup.against or not measured_in.exists("held/found.json"):
        return None
    held = (
        (measured_in / "held")
        .scan()
        .filter(
            pl.col("id") == row["id"],
            pl.col("row_hash") == measured["row_hash"][0],
            pl.col("held_in").is_in(dedup.against),
        )
    )
    found = held.select(run="held_in", id="held_by").collect().to_dicts()
    return found[0] if found else None
