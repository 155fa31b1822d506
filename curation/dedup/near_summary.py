"""Near-duplicates in a part of a corpus: sizes of clusters, the largest ones, what earlier runs hold."""

from typing import Any

import polars as pl

from curation.dedup.survivors import HELD, NEAR
from curation.summary_models import (
    N_GROUPS,
    NEAR_CHARS,
    NearCluster,
    NearMember,
    NearSize,
    NearSummary,
    first_members,
)
from manifests.store import Folder

_LANGUAGE = pl.when(pl.col("language").is_in(["ko", "en"])).then("language").otherwise(pl.lit("other"))
_COMPARED = {"near_cluster", "near_cluster_size", "exact_size"}


def found_counts(measured: Folder) -> dict[str, int]:
    """What finding the clusters of a measured run found (`near.NearClusters`); empty where none were looked for."""
    near = measured / "near"
    return dict(near.read_json("found.json")["counts"]) if near.exists("found.json") else {}


def summarize_near(judged: pl.DataFrame) -> NearSummary:
    """What a part of a corpus holds of near-duplicates.

    Args:
        judged: one row per record with the decision, `near_cluster`, `near_cluster_size` and `exact_size`; without a
            `text` column members have no words.
    """
    held = judged.filter(pl.col("reason") == HELD).group_by("detail").len().sort("detail")
    counts = {str(run): n_docs for run, n_docs in held.iter_rows()}
    if not _COMPARED.issubset(judged.columns):
        return NearSummary(held=counts)
    compared = judged.filter(pl.col("near_cluster_size").is_not_null())
    return NearSummary(sizes=_sizes(compared), clusters=_clusters(compared), held=counts)


def _sizes(compared: pl.DataFrame) -> tuple[NearSize, ...]:
    rows = (
        compared.group_by(size="near_cluster_size", language=_LANGUAGE)
        .agg(
            n_docs=pl.len(),
            n_ruled_out=(pl.col("stage") == "rules").fill_null(False).sum(),
            n_kept=(pl.col("verdict") == "kept").sum(),
        )
        .sort("size", "language")
    )
    return tuple(NearSize(**row) for row in rows.iter_rows(named=True))


def _clusters(compared: pl.DataFrame) -> tuple[NearCluster, ...]:
    """The largest clusters of different texts, as far as they lie in this part."""
    members = compared.filter(pl.col("near_cluster_size") > pl.col("exact_size"))
    by_size = members.select("near_cluster_size", "near_cluster").unique()
    largest = by_size.sort("near_cluster_size", "near_cluster", descending=[True, False]).head(N_GROUPS)
    rows = members.join(largest.select("near_cluster"), on="near_cluster", how="semi")
    found = [_cluster(str(name), mine) for (name,), mine in rows.group_by("near_cluster")]
    return tuple(sorted(found, key=lambda cluster: cluster.order))


def _cluster(name: str, rows: pl.DataFrame) -> NearCluster:
    rank = pl.when(pl.col("verdict") == "kept").then(0).when(pl.col("reason") == NEAR).then(1).otherwise(2)
    firsts = rows.sort(rank, "id", "copy").unique("text_digest", keep="first", maintain_order=True).head(2)
    return NearCluster(
        cluster=name,
        size=rows["near_cluster_size"][0],
        sources=dict(rows["source"].value_counts().sort("source").iter_rows()),
        members=first_members(map(_member, firsts.to_dicts())),
    )


def _member(row: dict[str, Any]) -> NearMember:
    same = ("id", "source", "url", "language", "verdict", "reason", "text_digest")
    text = (row.get("text") or "")[:NEAR_CHARS]
    return NearMember(**{name: row[name] for name in same}, copy_number=row["copy"], text=text)
