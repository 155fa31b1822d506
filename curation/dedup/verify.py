"""Clusters: the texts of a component of candidates are compared exactly, and what is similar enough is joined.

The shingles of all texts that are in a pair are laid out in the order of their components, so each component is
compared from one stretch of rows, whatever parts its texts were measured in.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.dedup.candidates import node_range
from curation.dedup.exchange import read_numbers, spread, write_rows
from curation.dedup.signatures import Banding, shingle_sets
from curation.kernels.clusters import flatten, unite_similar
from manifests.store import Folder, KeyRange

SHINGLES_PER_RANGE = 16_000_000
"""Shingles (4 bytes each) held at once, about; a component that has more is compared a block against a block."""

SET_ROW_GROUP_SHINGLES = 1 << 20

ALL_PAIRS_MAX = 64
"""Texts of a component up to which every pair is compared: it finds what the bands missed, and costs little."""

_MEMBER = [
    pa.field("place", pa.uint64()),  # of the node's component: its number, spread evenly
    pa.field("node", pa.uint64()),
    pa.field("text_digest", pa.string()),
    pa.field("n_records", pa.int64()),
]
MEMBERS = pa.schema([*_MEMBER, pa.field("part", pa.string())])
"""Nodes that are in a pair."""

EDGES = pa.schema([("place", pa.uint64()), ("left", pa.uint64()), ("right", pa.uint64())])
"""Different pairs, ordered by the place of their component."""

SETS = pa.schema([*_MEMBER, pa.field("shingles", pa.large_list(pa.uint32()))])
"""Members with their shingles, ordered by place."""

CLUSTERS = pa.schema([("text_digest", pa.string()), ("near_cluster", pa.string()), ("near_cluster_size", pa.int64())])
"""Texts that have near-duplicates, ordered by digest. A cluster's name is the least digest in it, its size counts
records."""


@dataclass(frozen=True)
class PlaceTask:
    """Find the places of the nodes and pairs of a range of digests."""

    work: str
    keys: KeyRange
    compared: bool


def place_pairs(task: PlaceTask) -> int:
    """Write the tables `members` and, where pairs are compared, `edges`; returns how many members there are."""
    work, name = Folder(task.work), f"part-{task.keys.index:05d}.parquet"
    if not (work / "members").exists(name):
        labels = (work / "labels").scan([name]).select("node", "component").collect()
        labels = labels.with_columns(place=spread(labels["component"].to_numpy()))
        if task.compared:
            pairs = (work / "pairs").scan().filter(node_range(task.keys)).select("left", "right").unique()
            edges = pairs.join(labels.lazy().select("node", "place"), left_on="left", right_on="node").collect()
            write_rows(work / "edges", name, edges.sort("place", "left", "right"), EDGES)
        nodes = (work / "nodes").scan([name]).select("node", "text_digest", "n_records", "part").collect()
        members = labels.select("place", "node").join(nodes, on="node")
        order = ["part", "place", "node"] if task.compared else ["place", "node"]  # as they are read
        write_rows(work / "members", name, members.sort(order), MEMBERS)
    return int((work / "members").parquet_metadata(name).num_rows)


@dataclass(frozen=True)
class GatherTask:
    """Take the shingles of the members whose texts a measured part holds."""

    run: str
    work: str
    banding: Banding
    part: str


def gather_sets(task: GatherTask) -> int:
    """Write the table `sets` of a measured part; returns how many shingles it holds."""
    run, work, name = Folder(task.run), Folder(task.work), f"{task.part}.parquet"
    if not (work / "sets").exists(name):
        chosen = pl.col("part") == task.part
        members = (work / "members").scan().filter(chosen).select([field.name for field in _MEMBER]).collect()
        if members.height:
            found = members.join(_texts(run / "measured", name, members), on="text_digest").sort("place", "node")
            column = found["text"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
            found = found.with_columns(shingles=pl.Series(shingle_sets(column, task.banding)))
        else:
            found = members.with_columns(shingles=pl.Series([], dtype=pl.List(pl.UInt32)))
        n_shingles = int(found["shingles"].list.len().sum())
        rows = max(1, found.height * SET_ROW_GROUP_SHINGLES // max(n_shingles, 1))
        write_rows(work / "sets", name, found, SETS, row_group_rows=rows)
    sizes = (work / "sets").scan([name]).select(pl.col("shingles").list.len().cast(pl.Int64).sum()).collect()
    return int(sizes.item())


def _texts(measured: Folder, name: str, members: pl.DataFrame) -> pl.DataFrame:
    """The texts of members, by digest; a row group at a time, so that only those are held."""
    wanted, found = members["text_digest"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string()), []
    with measured.fs.open(measured.file(name), "rb") as file:
        parquet = pq.ParquetFile(file)
        for group in range(parquet.num_row_groups):
            rows = parquet.read_row_group(group, columns=["text_digest", "text"])
            found.append(rows.filter(pc.is_in(rows["text_digest"], wanted)))
    texts = pl.from_arrow(pa.concat_tables(found))
    assert isinstance(texts, pl.DataFrame)
    return texts.unique("text_digest")


@dataclass(frozen=True)
class CompareTask:
    """Compare the pairs of a range of places."""

    work: str
    keys: KeyRange
    jaccard: float


@dataclass(frozen=True)
class Compared:
    """What comparing found."""

    n_compared: int = 0
    n_similar: int = 0
    n_clusters: int = 0
    n_texts: int = 0

    def __add__(self, other: "Compared") -> "Compared":
        """Both together."""
        return Compared(
            self.n_compared + other.n_compared,
            self.n_similar + other.n_similar,
            self.n_clusters + other.n_clusters,
            self.n_texts + other.n_texts,
        )


def compare_pairs(task: CompareTask) -> Compared:
    """Write the table `clusters` of a range of places, by comparing every pair that is not connected already."""
    work, name = Folder(task.work), f"part-{task.keys.index:05d}"
    notes = work / "compared"
    if notes.exists(f"{name}.json"):
        return Compared(**notes.read_json(f"{name}.json"))
    members = read_numbers(
        work / "sets",
        "place",
        task.keys,
        ["place", "node", "text_digest", "n_records", pl.col("shingles").list.len().alias("n_shingles")],
    ).sort("node")
    parents = np.arange(members.height, dtype=np.uint32)
    left, right = _pairs(task, members)
    n_compared, n_similar = _compare_blocks(task, members, left, right, parents)
    flatten(parents)
    clusters = _clusters(members.with_columns(root=pl.Series(parents)))
    write_rows(work / "clusters", f"{name}.parquet", clusters, CLUSTERS)
    found = Compared(n_compared, n_similar, clusters["near_cluster"].n_unique(), clusters.height)
    notes.write_json(f"{name}.json", found.__dict__)
    return found


def _pairs(task: CompareTask, members: pl.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of members to compare: all pairs of a small component, of a larger one those that share a band."""
    rows = members.with_row_index("row").select(
        "place", pl.col("row").cast(pl.Int64), "node", n=pl.len().over("place")
    )
    small = rows.filter(pl.col("n") <= ALL_PAIRS_MAX).select("place", "row")
    pairs = small.join(small, on="place").filter(pl.col("row") < pl.col("row_right"))
    edges = read_numbers(Folder(task.work) / "edges", "place", task.keys, ["place", "left", "right"])
    large = rows.filter(pl.col("n") > ALL_PAIRS_MAX).select("place", "node", "row")
    edges = edges.join(large, left_on=["place", "left"], right_on=["place", "node"])
    edges = edges.join(large, left_on=["place", "right"], right_on=["place", "node"])
    both = pl.concat([pairs.select("row", "row_right"), edges.select("row", "row_right")]).sort("row", "row_right")
    return both["row"].to_numpy(), both["row_right"].to_numpy()


def _compare_blocks(
    task: CompareTask,
    members: pl.DataFrame,
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
    parents: npt.NDArray[np.uint32],
) -> tuple[int, int]:
    """Compare all pairs, holding the shingles of two blocks of members at most; one block holds most ranges."""
    sizes = np.cumsum(members["n_shingles"].to_numpy().astype(np.int64))
    block_of = sizes // (4 * SHINGLES_PER_RANGE)
    starts, ends = np.zeros((2, members.height), np.int64)
    n_compared = n_similar = 0
    pairs_of_blocks = np.unique(np.stack([block_of[left], block_of[right]], axis=1), axis=0)
    for first, second in pairs_of_blocks.tolist():
        rows = np.flatnonzero((block_of == first) | (block_of == second))
        chosen = (block_of[left] == first) & (block_of[right] == second)
        shingles, bounds = _sets(task, members["node"].to_numpy()[rows])
        starts[rows], ends[rows] = bounds[:-1], bounds[1:]
        found = unite_similar(parents, left[chosen], right[chosen], shingles, starts, ends, task.jaccard)
        n_compared, n_similar = n_compared + found[0], n_similar + found[1]
    return n_compared, n_similar


def _sets(task: CompareTask, nodes: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """(shingles, bounds) of the sets of these nodes, ascending."""
    low, high = (pl.lit(int(node), pl.UInt64) for node in (nodes[0], nodes[-1]))
    found = read_numbers(
        Folder(task.work) / "sets", "place", task.keys, ["node", "shingles"], pl.col("node").is_between(low, high)
    )
    found = found.filter(pl.col("node").is_in(pl.Series(nodes).implode())).sort("node")
    lists = found["shingles"].to_arrow(compat_level=pl.CompatLevel.oldest())
    return np.asarray(lists.flatten()), np.concatenate([[0], np.cumsum(found["shingles"].list.len())]).astype(
        np.int64
    )


def _clusters(members: pl.DataFrame) -> pl.DataFrame:
    """Clusters of more than one text, from members with the row number of their root; members are in node order."""
    of_root = members.with_columns(
        near_cluster=pl.col("text_digest").first().over("root"),
        near_cluster_size=pl.col("n_records").sum().over("root"),
        n_texts=pl.len().over("root"),
    )
    return of_root.filter(pl.col("n_texts") > 1).select(CLUSTERS.names).sort("text_digest")


@dataclass(frozen=True)
class TakeTask:
    """Take components for clusters without comparing, for a range of places."""

    work: str
    keys: KeyRange


def take_components(task: TakeTask) -> Compared:
    """Write the table `clusters` of a range of places: the components themselves."""
    work, name = Folder(task.work), f"part-{task.keys.index:05d}"
    members = read_numbers(work / "members", "place", task.keys, MEMBERS.names)
    clusters = _clusters(members.sort("node").rename({"place": "root"}))
    write_rows(work / "clusters", f"{name}.parquet", clusters, CLUSTERS)
    return Compared(0, 0, clusters["near_cluster"].n_unique(), clusters.height)
