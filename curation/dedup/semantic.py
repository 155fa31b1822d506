"""Semantic near-duplicates: embeddings, clusters by k-means, pairs within them, components; once per measured run.

A vector lies in its nearest cluster, its home, and visits the next ones; homes are compared with each other and with
visitors. Every step is a task over a bounded range: of digests, of a measured part, of clusters. A file that is there
is whole, so a killed run goes on where it stopped. Clusters by MinHash are joined in: a group has one survivor.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curation.dedup.candidates import NODES, PAIRS, TEXTS_PER_RANGE, node_numbers
from curation.dedup.centroids import nearest, normalized, train_centroids, worth_visiting
from curation.dedup.components import label_components
from curation.dedup.cosines import GatherTask, gather_vectors
from curation.dedup.embeddings import Encoder
from curation.dedup.exchange import ROWS_PER_RANGE, Finding, fingerprint_of, read_numbers, spread, write_rows
from curation.dedup.verify import Compared, PlaceTask, TakeTask, place_pairs, take_components
from curation.derive import derive
from curation.kernels.clusters import flatten, unite_pairs
from manifests.code import code_digest
from manifests.engine import Engine, run_step
from manifests.schema import SemanticDedup
from manifests.store import Folder, KeyRange, ranges_for

Progress = Callable[[str, int, int], None]
Vectors = npt.NDArray[np.float32]

TEXTS_PER_CLUSTER = 10_000
"""With `clusters: auto`: 10,000 texts are compared with each other in a second."""

SAMPLE_PER_CLUSTER = 64
"""Texts per cluster from which centroids are made."""

VECTORS_PER_TASK = 128_000
"""Vectors that a comparison holds; a larger cluster is compared a block against a block."""

PRODUCTS_AT_ONCE = 1 << 24
_STEPS = ("candidates", "centroids", "components", "cosines", "embeddings", "exchange", "semantic", "verify")
SEMANTIC_CODE = (*(f"curation/dedup/{step}.py" for step in _STEPS), "curation/kernels/clusters.py")

GROUPED = pa.schema(
    [
        ("id", pa.string()),
        ("row_hash", pa.binary(16)),
        ("semantic_cluster", pa.string()),
        ("semantic_cluster_size", pa.int64()),
        ("near_cluster", pa.string()),
        ("near_cluster_size", pa.int64()),
        ("exact_size", pa.int64()),
    ]
)
"""Documents that mean the same as others, or are nearly or quite the same text, ordered by id.

Records of equal id and row hash have equal texts, and stand here once. `near_cluster` is null where none were looked
for.
"""


@dataclass(frozen=True)
class SemanticClusters:
    """What was found: clusters (those of near-duplicates and equal texts joined in), and what finding them took."""

    n_members: int
    """Documents in any cluster."""
    n_clusters: int
    """Clusters of different texts."""
    n_texts: int
    """Different texts in them."""
    n_centroids: int
    n_similar: int
    """Pairs of texts whose cosine is high enough, counted in each cluster by k-means in which they meet."""


def find_clusters(
    run: Folder,
    semantic: SemanticDedup,
    n_rows: int,
    near: str | None = None,
    engine: Engine | int = 1,
    progress: Progress = lambda step, done, total: None,
) -> SemanticClusters:
    """Write the table `semantic` of a measured run, unless it is there for these very parts and settings.

    Args:
        run: the folder with `measured` and `keys`, and `near` where clusters are to be joined in.
        semantic: what counts as the same meaning; the path of its model is absolute.
        n_rows: measured rows, which says how many ranges keep memory bounded.
        near: the fingerprint of what is in `near`; None joins nothing in.
        engine: where tasks execute.
        progress: called with (step, tasks done, tasks in all).

    Raises:
        RequestError: the model cannot be used, or texts are needed that the run did not store (`store: columns`).
    """
    encoder = Encoder.of(semantic)
    depends = [
        encoder.fingerprint,
        f"{semantic.cosine} {semantic.clusters} {semantic.n_probe} {near}",
        code_digest(*SEMANTIC_CODE),
        *(run / "keys").names(".parquet"),
    ]
    finding = Finding(run, "semantic", fingerprint_of(*depends))
    if found := finding.read():
        return SemanticClusters(**found)
    work = finding.start()
    derive(run, encoder.derived, engine, progress)
    counts = _cluster(run, work, semantic, encoder.n_dims, n_rows, near is not None, engine, progress)
    finding.finish(counts.__dict__)
    return counts


def _cluster(
    run: Folder,
    work: Folder,
    semantic: SemanticDedup,
    n_dims: int,
    n_rows: int,
    with_near: bool,
    engine: Engine | int,
    progress: Progress,
) -> SemanticClusters:
    each = partial(run_step, engine, progress)
    ranges = ranges_for(n_rows, TEXTS_PER_RANGE)
    n_nodes = each("number texts", number_texts, [NumberTask(run.path, work.path, keys) for keys in ranges])
    n_clusters = cluster_count(semantic.clusters, sum(n_nodes))
    each("centroids", find_centroids, [CentroidsTask(run.path, work.path, n_clusters, sum(n_nodes))])
    parts = (run / "embeddings").names(".parquet")
    n_probe = min(semantic.n_probe, n_clusters)
    each(
        "place vectors",
        place_vectors,
        [VectorsTask(run.path, work.path, part, n_dims, n_probe, semantic.cosine) for part in parts],
    )
    n_similar = sum(each("compare", compare, list(comparisons(work, semantic.cosine))))
    if with_near:
        each("join near-duplicates", link_near, [LinkTask(run.path, work.path, keys) for keys in ranges])
    label_components(work, ranges, n_nodes, engine)
    n_paired = sum(each("place pairs", place_pairs, [PlaceTask(work.path, keys, False) for keys in ranges]))
    takes = [TakeTask(work.path, keys) for keys in ranges_for(n_paired, ROWS_PER_RANGE)]
    found = sum(each("take components", take_components, takes), Compared())
    each("gather vectors", gather_vectors, [GatherTask(run.path, work.path, part, n_dims) for part in parts])
    groups = [GroupTask(run.path, work.path, keys, with_near) for keys in ranges]
    n_members = sum(each("group", group_records, groups))
    return SemanticClusters(n_members, found.n_clusters, found.n_texts, n_clusters, n_similar)


def cluster_count(clusters: int | str, n_texts: int) -> int:
    """Clusters to make: as asked for, else so many that comparing and placing cost about the same at most."""
    wanted = clusters if isinstance(clusters, int) else min(n_texts // TEXTS_PER_CLUSTER, math.isqrt(n_texts))
    return max(1, min(wanted, n_texts))


@dataclass(frozen=True)
class NumberTask:
    """Number the embedded texts of a range of digests."""

    run: str
    work: str
    keys: KeyRange


def number_texts(task: NumberTask) -> int:
    """Write the table `nodes` of a range of digests, ordered by part; returns how many nodes it has."""
    run, work, name = Folder(task.run), Folder(task.work), f"part-{task.keys.index:05d}.parquet"
    if not (work / "nodes").exists(name):
        texts = (run / "embeddings").read_range("text_digest", task.keys, ["text_digest", "shard"])
        texts = texts.sort("text_digest", "shard").unique("text_digest", keep="first", maintain_order=True)
        records = (run / "keys").read_range("text_digest", task.keys, ["text_digest"]).group_by("text_digest").len()
        nodes = texts.join(records, on="text_digest", maintain_order="left").select(
            "text_digest", part="shard", n_records=pl.col("len").cast(pl.Int64)
        )
        nodes = nodes.with_columns(node=node_numbers(task.keys.index, nodes.height)).sort("part", "node")
        write_rows(work / "nodes", name, nodes, NODES, row_group_rows=1 << 13)
    return int((work / "nodes").parquet_metadata(name).num_rows)


@dataclass(frozen=True)
class CentroidsTask:
    """Make centroids of the texts with the least digests, which are a random sample."""

    run: str
    work: str
    n_clusters: int
    n_texts: int


def find_centroids(task: CentroidsTask) -> None:
    """Write the file `centroids`: float32, cluster by cluster."""
    run, work = Folder(task.run), Folder(task.work)
    if work.exists("centroids") or not task.n_texts:
        return
    frac = min(1.0, 1.5 * SAMPLE_PER_CLUSTER * task.n_clusters / task.n_texts)
    below = f"{int(frac * (2**32 - 1)):08x}~"  # "~" comes after all digits
    sample = (run / "embeddings").scan().filter(pl.col("text_digest") < below).select("text_digest", "embedding")
    rows = sample.collect(engine="streaming").unique("text_digest").sort("text_digest")
    vectors = _vectors(rows.head(max(SAMPLE_PER_CLUSTER * task.n_clusters, 1))["embedding"])
    work.write_bytes("centroids", train_centroids(vectors, task.n_clusters).tobytes())


@dataclass(frozen=True)
class VectorsTask:
    """Place the vectors of one measured part."""

    run: str
    work: str
    part: str
    n_dims: int
    n_probe: int
    cosine: float


def place_vectors(task: VectorsTask) -> None:
    """Write the table `placed` of a part: a row per cluster that a text is compared in, ordered by cluster."""
    run, work = Folder(task.run), Folder(task.work)
    if (work / "placed").exists(task.part):
        return
    part = task.part.removesuffix(".parquet")
    nodes = (work / "nodes").scan().filter(pl.col("part") == part).select("text_digest", "node").collect()
    embedded = (run / "embeddings").scan([task.part]).select("text_digest", "embedding").collect()
    rows = nodes.join(embedded, on="text_digest").sort("node")
    centroids = np.empty((0, task.n_dims), np.float32)
    if rows.height:
        centroids = np.frombuffer(work.read_bytes("centroids"), np.float32).reshape(-1, task.n_dims)
    chosen = _visits(_vectors(rows["embedding"]), centroids, task)
    placed = rows[chosen["row"]].with_columns(chosen.select("cluster", "is_home"))
    placed = placed.with_columns(slot=spread(placed["node"].to_numpy())).sort("cluster", "node")
    write_rows(work / "placed", task.part, placed, placed_schema(task.n_dims), row_group_rows=256, plain=True)


def placed_schema(n_dims: int) -> pa.Schema:
    """Of the table `placed`; `slot` is the node's number spread evenly, by which large clusters are cut."""
    return pa.schema(
        [
            ("cluster", pa.uint32()),
            ("slot", pa.uint64()),
            ("node", pa.uint64()),
            ("is_home", pa.bool_()),
            ("embedding", pa.list_(pa.float16(), n_dims)),
        ]
    )


def _visits(vectors: Vectors, centroids: Vectors, task: VectorsTask) -> pl.DataFrame:
    """(row, cluster, is_home) of each cluster that a vector is compared in."""
    if not len(vectors):
        return pl.DataFrame(schema={"row": pl.Int64, "cluster": pl.UInt32, "is_home": pl.Boolean})
    places, cosines = nearest(vectors, centroids, task.n_probe)
    row, rank = np.nonzero(worth_visiting(cosines, task.cosine))
    return pl.DataFrame({"row": row, "cluster": places[row, rank].astype(np.uint32), "is_home": rank == 0})


@dataclass(frozen=True)
class CompareTask:
    """Compare homes in a range of slots with all that are in another range, in each of the clusters low to high."""

    work: str
    low: int
    high: int
    left: KeyRange
    right: KeyRange
    cosine: float


def comparisons(work: Folder, cosine: float) -> Iterator[CompareTask]:
    """Tasks that compare all clusters: runs of small ones together, large ones a block against a block."""
    sizes = (work / "placed").scan().group_by("cluster").len().sort("cluster").collect().iter_rows()
    whole, low, high, n_held = KeyRange(), 0, -1, 0
    for cluster, size in sizes:
        if n_held and n_held + size > VECTORS_PER_TASK:
            yield CompareTask(work.path, low, high, whole, whole, cosine)
            n_held = 0
        if size > VECTORS_PER_TASK:
            blocks = ranges_for(size, VECTORS_PER_TASK // 2)
            yield from (CompareTask(work.path, cluster, cluster, a, b, cosine) for a in blocks for b in blocks)
            continue
        low, high, n_held = cluster if not n_held else low, cluster, n_held + size
    if n_held:
        yield CompareTask(work.path, low, high, whole, whole, cosine)


def compare(task: CompareTask) -> int:
    """Write the pairs that join what is similar in these clusters; returns how many are similar."""
    work = Folder(task.work)
    name = f"part-{task.low:07d}-{task.left.index:04d}-{task.right.index:04d}"
    notes = work / "compared-vectors"
    if not notes.exists(f"{name}.json"):
        right = _placed(work, task, task.right)
        left = right if task.left == task.right else _placed(work, task, task.left)
        left = left.filter("is_home")
        nodes = np.union1d(left["node"].to_numpy(), right["node"].to_numpy())
        parents = np.arange(len(nodes), dtype=np.uint32)
        n_similar = 0
        of_right = right.partition_by("cluster", as_dict=True)
        for key, homes in left.partition_by("cluster", as_dict=True).items():
            n_similar += _unite_similar(parents, nodes, homes, of_right[key], task) if key in of_right else 0
        flatten(parents)
        joined = np.flatnonzero(parents != np.arange(len(nodes)))
        pairs = pl.DataFrame({"left": nodes[parents[joined]], "right": nodes[joined]}).sort("left", "right")
        write_rows(work / "pairs", f"{name}.parquet", pairs, PAIRS)
        notes.write_json(f"{name}.json", {"n_similar": n_similar})
    return int(notes.read_json(f"{name}.json")["n_similar"])


def _placed(work: Folder, task: CompareTask, slots: KeyRange) -> pl.DataFrame:
    """The rows of the task's clusters in a range of slots: homes first, each in the order of slots."""
    columns = ["cluster", "slot", "node", "is_home", "embedding"]
    chosen = pl.col("cluster").is_between(task.low, task.high)
    return read_numbers(work / "placed", "slot", slots, columns, chosen).sort(
        "cluster", "is_home", "slot", descending=[False, True, False], maintain_order=True
    )


def _unite_similar(
    parents: npt.NDArray[np.uint32],
    nodes: npt.NDArray[np.uint64],
    homes: pl.DataFrame,
    others: pl.DataFrame,
    task: CompareTask,
) -> int:
    """Join the similar pairs of one cluster: homes with later homes, and with visitors; returns how many they are."""
    same = task.left == task.right
    if task.right.index < task.left.index:
        others = others.filter(~pl.col("is_home"))  # its homes were compared when the sides were the other way round
    left, right = _vectors(homes["embedding"]), _vectors(others["embedding"])
    of_left, of_right = (np.searchsorted(nodes, rows["node"].to_numpy()) for rows in (homes, others))
    step, n_similar = max(1, PRODUCTS_AT_ONCE // max(len(right), 1)), 0
    for start in range(0, len(left), step):
        skipped = start if same else 0  # the same homes, in the same order, begin both sides
        products = left[start : start + step] @ right[skipped:].T
        row, column = np.nonzero(products >= task.cosine)
        if same:
            row, column = row[row < column], column[row < column]
        unite_pairs(parents, of_left[start + row], of_right[skipped + column])
        n_similar += len(row)
    return n_similar


def _vectors(embeddings: pl.Series) -> Vectors:
    return normalized(embeddings.to_numpy())


@dataclass(frozen=True)
class LinkTask:
    """Join the clusters of near-duplicates in, for the texts of a range of digests."""

    run: str
    work: str
    keys: KeyRange


def link_near(task: LinkTask) -> None:
    """Write a pair per text that has near-duplicates: it and the first text of its cluster, which names it."""
    run, work, name = Folder(task.run), Folder(task.work), f"near-{task.keys.index:05d}.parquet"
    if not (work / "pairs").exists(name):
        clusters = (
            (run / "near/clusters").read_range("text_digest", task.keys, ["text_digest", "near_cluster"]).lazy()
        )
        nodes = (work / "nodes").scan().select("text_digest", "node")
        pairs = clusters.join(nodes.rename({"node": "right"}), on="text_digest").join(
            nodes.rename({"node": "left"}), left_on="near_cluster", right_on="text_digest"
        )
        found = pairs.select("left", "right").filter(pl.col("left") < pl.col("right")).collect(engine="streaming")
        write_rows(work / "pairs", name, found.sort("left", "right"), PAIRS)


@dataclass(frozen=True)
class GroupTask:
    """Give the records of a range of digests their clusters."""

    run: str
    work: str
    keys: KeyRange
    with_near: bool


def group_records(task: GroupTask) -> int:
    """Write the table `semantic` of a range of digests; returns how many records it holds."""
    run, work, name = Folder(task.run), Folder(task.work), f"part-{task.keys.index:05d}.parquet"
    columns = ["text_digest", "near_cluster", "near_cluster_size"]
    found = (work / "clusters").read_range("text_digest", task.keys, columns)
    found = found.rename({"near_cluster": "semantic_cluster", "near_cluster_size": "semantic_cluster_size"})
    records = (run / "keys").read_range("text_digest", task.keys, ["text_digest", "id", "row_hash"])
    records = records.with_columns(exact_size=pl.len().over("text_digest").cast(pl.Int64))
    grouped = _filled(records.join(found, on="text_digest", how="left"), "semantic_cluster")
    if task.with_near:
        near = (run / "near/clusters").read_range("text_digest", task.keys, columns)
        grouped = _filled(grouped.join(near, on="text_digest", how="left"), "near_cluster")
        alone = pl.col("near_cluster_size") == 1
        grouped = grouped.with_columns(near_cluster=pl.when(~alone).then("near_cluster"))
    else:
        nothing = {"near_cluster": pl.lit(None, pl.String), "near_cluster_size": pl.lit(None, pl.Int64)}
        grouped = grouped.with_columns(**nothing)
    grouped = grouped.filter(pl.col("semantic_cluster_size") > 1)
    write_rows(work / "semantic", name, grouped.unique(["id", "row_hash"]).sort("id", "row_hash"), GROUPED)
    return grouped.height


def _filled(records: pl.DataFrame, cluster: str) -> pl.DataFrame:
    """A text without a cluster is one by itself."""
    return records.with_columns(
        pl.col(cluster).fill_null(pl.col("text_digest")),
        pl.col(f"{cluster}_size").fill_null(pl.col("exact_size")),
    )
