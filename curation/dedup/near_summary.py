"""Near-duplicates in a part of a corpus: sizes of clusters, the largest ones, what earlier runs hold.

Groups of documents that mean the same are told of in the same way, with how similar they are to their survivors.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curation.dedup.survivors import HELD
from curation.summary_models import (
    EDGES,
    LOST_BY,
    N_GROUPS,
    NEAR_CHARS,
    Distribution,
    NearCluster,
    NearMember,
    NearSize,
    NearSummary,
    SemanticSummary,
    first_members,
    least_similar_first,
)
from manifests.store import Folder

_LANGUAGE = pl.when(pl.col("language").is_in(["ko", "en"])).then("language").otherwise(pl.lit("other"))
_COMPARED = {"near_cluster", "near_cluster_size", "exact_size"}
_EMBEDDED = _COMPARED | {"semantic_cluster", "semantic_cluster_size", "cosine", "on_edge"}


def found_counts(measured: Folder, table: str) -> dict[str, int]:
    """What finding the clusters of a measured run found (`near.NearClusters`, `semantic.SemanticClusters`).

    Empty where none were looked for.
    """
    folder = measured / table
    return dict(folder.read_json("found.json")["counts"]) if folder.exists("found.json") else {}


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
    clusters = _clusters(compared, "near_cluster", pl.col("exact_size"))
    return NearSummary(sizes=_sizes(compared, "near_cluster"), clusters=clusters, held=counts)


def summarize_semantic(judged: pl.DataFrame) -> SemanticSummary:
    """What a part of a corpus holds of documents that mean the same.

    Args:
        judged: as for `summarize_near`, with `semantic_cluster`, `semantic_cluster_size`, the `cosine` of semantic
            duplicates to their survivors, and `on_edge` for those that are shown.
    """
    if not _EMBEDDED.issubset(judged.columns):
        return SemanticSummary()
    compared = judged.filter(pl.col("semantic_cluster_size").is_not_null())
    on_edge = compared.filter("on_edge")
    edge = [_cluster(str(name), mine, "semantic_cluster") for (name,), mine in on_edge.group_by("semantic_cluster")]
    return SemanticSummary(
        sizes=_sizes(compared, "semantic_cluster"),
        clusters=_clusters(compared, "semantic_cluster", pl.coalesce("near_cluster_size", "exact_size")),
        edge=least_similar_first(cluster.model_copy(update={"sources": {}}) for cluster in edge),
        cosines=_cosines(compared["cosine"].drop_nulls().to_numpy()),
    )


def _cosines(cosines: npt.NDArray[np.float64]) -> Distribution | None:
    """Where the cosines lie; all are of dropped documents."""
    if not len(cosines):
        return None
    edges = EDGES["fraction"]
    counts = np.bincount(np.searchsorted(edges, cosines, side="right").clip(1) - 1, minlength=len(edges))
    return Distribution(scale="fraction", kept=(0,) * len(edges), dropped=tuple(counts.tolist()), n_missing=0)


def _sizes(compared: pl.DataFrame, cluster: str) -> tuple[NearSize, ...]:
    rows = (
        compared.group_by(size=f"{cluster}_size", language=_LANGUAGE)
        .agg(
            n_docs=pl.len(),
            n_ruled_out=(pl.col("stage") == "rules").fill_null(False).sum(),
            n_kept=(pl.col("verdict") == "kept").sum(),
        )
        .sort("size", "language")
    )
    return tuple(NearSize(**row) for row in rows.iter_rows(named=True))


def _clusters(compared: pl.DataFrame, cluster: str, n_alike: pl.Expr) -> tuple[NearCluster, ...]:
    """The largest clusters, as far as they lie in this part, of more records than the `n_alike` of one kind."""
    size = f"{cluster}_size"
    members = compared.filter(pl.col(size) > n_alike)
    largest = members.select(size, cluster).unique().sort(size, cluster, descending=[True, False]).head(N_GROUPS)
    rows = members.join(largest.select(cluster), on=cluster, how="semi")
    found = [_cluster(str(name), mine, cluster) for (name,), mine in rows.group_by(cluster)]
    return tuple(sorted(found, key=lambda cluster: cluster.order))


def _cluster(name: str, rows: pl.DataFrame, cluster: str) -> NearCluster:
    lost_by = pl.col("reason").replace_strict(LOST_BY, default=3, return_dtype=pl.Int64)
    rank = pl.when(pl.col("verdict") == "kept").then(0).otherwise(lost_by)
    firsts = rows.sort(rank, "id", "copy").unique("text_digest", keep="first", maintain_order=True).head(2)
    return NearCluster(
        cluster=name,
        size=rows[f"{cluster}_size"][0],
        sources=dict(rows["source"].value_counts().sort("source").iter_rows()),
        members=first_members(map(_member, firsts.to_dicts())),
    )


def _member(row: dict[str, Any]) -> NearMember:
    same = ("id", "source", "url", "language", "verdict", "reason", "text_digest")
    text = (row.get("text") or "")[:NEAR_CHARS]
    shown = {name: row[name] for name in same}
    return NearMember(**shown, copy_number=row["copy"], text=text, cosine=row.get("cosine"))
