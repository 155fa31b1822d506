"""How similar a document is to the survivor of its group, by their embeddings.

Embeddings lie beside the measured parts and a group is spread over them, so those of groups are written once more,
ordered by group. They are read as the groups are when survivors are chosen, a bounded block of losers at a time.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from curation.dedup.centroids import normalized
from curation.dedup.exchange import write_rows
from curation.summary_models import N_GROUPS
from manifests.store import Folder

VALUES_AT_ONCE = 1 << 23
"""Of the embeddings of losers; as many of their survivors are held with them."""

EDGE = pa.schema([("id", pa.string()), ("copy", pa.int32())])
"""Both documents of the least similar pairs of a loser and its survivor, ordered by (id, copy)."""


@dataclass(frozen=True)
class GatherTask:
    """Take the embeddings of a measured part whose texts are in groups of several texts."""

    run: str
    work: str
    part: str
    n_dims: int


def vectors_schema(n_dims: int) -> pa.Schema:
    """Of the table `semantic/vectors`, ordered by group; a text that several parts hold stands here several times."""
    columns = [("semantic_cluster", pa.string()), ("text_digest", pa.string())]
    return pa.schema([*columns, ("embedding", pa.list_(pa.float16(), n_dims))])


def gather_vectors(task: GatherTask) -> None:
    """Write the table `semantic/vectors` of a measured part."""
    run, work = Folder(task.run), Folder(task.work)
    vectors = work / "semantic/vectors"
    if vectors.exists(task.part):
        return
    embedded = (run / "embeddings").scan([task.part]).select("text_digest", "embedding").collect()
    clusters = (work / "clusters").scan().select("text_digest", semantic_cluster="near_cluster")
    mine = clusters.join(embedded.lazy().select("text_digest"), on="text_digest", how="semi")
    rows = embedded.join(mine.collect(engine="streaming"), on="text_digest").sort("semantic_cluster", "text_digest")
    write_rows(vectors, task.part, rows, vectors_schema(task.n_dims), row_group_rows=256, plain=True)


def cosines_to_survivors(lost: pl.DataFrame, vectors: Folder) -> pl.DataFrame:
    """The cosine of each pair of a text and its survivor's.

    Args:
        lost: `group`, `text_digest` and `first_text_digest`, that of the survivor.
        vectors: the table `semantic/vectors` of the measured run.

    Returns:
        The different pairs with their `cosine`, to four digits, since embeddings have no more.
    """
    pairs = lost.select("group", "text_digest", "first_text_digest").unique().sort(pl.all())
    if pairs.is_empty():
        return pairs.with_columns(cosine=pl.lit(None, pl.Float64))
    kind = vectors.scan().collect_schema()["embedding"]
    assert isinstance(kind, pl.Array)
    blocks = pairs.iter_slices(max(1, VALUES_AT_ONCE // kind.shape[0]))
    return pl.concat([cosines_of(block, vectors) for block in blocks])


def cosines_of(pairs: pl.DataFrame, vectors: Folder) -> pl.DataFrame:
    """The cosines of pairs that are in the order of groups, as `cosines_to_survivors` returns them."""
    groups = pl.col("semantic_cluster").is_between(pl.lit(pairs["group"][0]), pl.lit(pairs["group"][-1]))
    digests = pl.concat([pairs["text_digest"], pairs["first_text_digest"]]).unique()
    chosen = vectors.scan().filter(groups).join(digests.to_frame().lazy(), on="text_digest", how="semi")
    found = chosen.select("text_digest", "shard", "embedding").collect(engine="streaming")
    found = found.sort("text_digest", "shard").unique("text_digest", keep="first", maintain_order=True)
    places = found.select("text_digest", place=pl.int_range(pl.len()))
    pairs = pairs.join(places, on="text_digest")
    pairs = pairs.join(places.rename({"text_digest": "first_text_digest", "place": "first"}), on="first_text_digest")
    rows = normalized(found["embedding"].to_numpy())
    left, right = (pairs[name].to_numpy() for name in ("place", "first"))
    products = np.einsum("ij,ij->i", rows[left], rows[right], dtype=np.float64)
    return pairs.drop("place", "first").with_columns(cosine=pl.Series(products.round(4), dtype=pl.Float64))


def least_similar(lost: pl.DataFrame) -> pl.DataFrame:
    """Of each group the loser that is least like the survivor, and of those the N_GROUPS least similar."""
    known = lost.filter(pl.col("cosine").is_not_null()).sort("cosine", "id", "copy")
    return known.unique("group", keep="first", maintain_order=True).head(N_GROUPS)


def write_edge(folder: Folder, least: pl.DataFrame) -> None:
    """Write which documents are to be shown as the least similar pairs."""
    survivors = least.select(id="duplicate_of", copy="duplicate_of_copy")
    rows = pl.concat([least.select("id", "copy"), survivors]).sort("id", "copy")
    write_rows(folder, "part-00000.parquet", rows, EDGE)
