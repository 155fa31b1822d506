"""Connected components of pairs: by union-find in one process, or by rounds of tasks where no memory holds all nodes.

Both leave the same table: of every node that is in a pair, the first node of its component.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curation.dedup.candidates import PAIRS, RANGE_SHIFT, node_range
from curation.dedup.exchange import spread, write_rows
from curation.kernels.clusters import flatten, unite_pairs
from manifests.engine import Engine, map_shards
from manifests.errors import RunError
from manifests.store import Folder, KeyRange

UNION_FIND_NODES_MAX = 1 << 29
"""Nodes whose parents one process holds (4 bytes each)."""

ROUNDS_MAX = 64
"""Far above what is needed: alternating contractions took under 10 rounds on web graphs (Kiveris et al. 2014)."""

LABELS = pa.schema([("node", pa.uint64()), ("component", pa.uint64())])
"""Ordered by node."""


def label_components(
    work: Folder,
    ranges: Sequence[KeyRange],
    n_nodes: Sequence[int],
    engine: Engine | int = 1,
    by_rounds: bool = False,
) -> None:
    """Write the table `labels` of the table `pairs`, a file per range of digests.

    Args:
        work: the folder of both.
        ranges: of digests.
        n_nodes: nodes in each range.
        engine: where rounds execute.
        by_rounds: by tasks over ranges, however few nodes there are.
    """
    if (work / "labels").exists("done.json"):
        return
    if by_rounds or sum(n_nodes) > UNION_FIND_NODES_MAX:
        _by_contraction(work, ranges, engine)
    else:
        _by_union_find(work, ranges, n_nodes)
    (work / "labels").write_json("done.json", {"by_rounds": by_rounds})


def _by_union_find(work: Folder, ranges: Sequence[KeyRange], n_nodes: Sequence[int]) -> None:
    """One pass over the pairs; parents of all nodes are in memory."""
    starts = np.concatenate([[0], np.cumsum(n_nodes)]).astype(np.int64)
    parents = np.arange(starts[-1], dtype=np.uint32)
    paired = np.zeros(len(parents), np.bool_)
    pairs = work / "pairs"
    for name in pairs.names(".parquet"):
        with pairs.fs.open(pairs.file(name), "rb") as file:
            for batch in pq.ParquetFile(file).iter_batches(1 << 20):
                left, right = (_places(batch.column(side).to_numpy(), starts) for side in ("left", "right"))
                unite_pairs(parents, left, right)
                paired[left], paired[right] = True, True
    flatten(parents)
    for keys in ranges:
        of_range = slice(starts[keys.index], starts[keys.index + 1])
        places = np.flatnonzero(paired[of_range]) + starts[keys.index]
        labels = {"node": _nodes(places, starts), "component": _nodes(parents[places].astype(np.int64), starts)}
        write_rows(work / "labels", f"part-{keys.index:05d}.parquet", pl.DataFrame(labels), LABELS)


def _places(nodes: npt.NDArray[np.uint64], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Nodes counted through all ranges."""
    places: npt.NDArray[np.int64] = starts[(nodes >> np.uint64(RANGE_SHIFT)).astype(np.int64)]
    return places + (nodes & np.uint64(2**RANGE_SHIFT - 1)).astype(np.int64)


def _nodes(places: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    ranges = np.searchsorted(starts, places, side="right") - 1
    return (ranges.astype(np.uint64) << np.uint64(RANGE_SHIFT)) + (places - starts[ranges]).astype(np.uint64)


@dataclass(frozen=True)
class ContractTask:
    """One half of a round, for the nodes of a range."""

    work: str
    reads: str
    writes: str
    keys: KeyRange
    is_large: bool


def _by_contraction(work: Folder, ranges: Sequence[KeyRange], engine: Engine | int) -> None:
    """Large-star and small-star in turn until nothing changes (Kiveris et al., SoCC 2014, algorithm 1)."""
    reads, before = "pairs", -1
    for number in range(ROUNDS_MAX):
        for is_large in (True, False):
            writes = f"round-{number:02d}-{'large' if is_large else 'small'}"
            tasks = [ContractTask(work.path, reads, writes, keys, is_large) for keys in ranges]
            states = [state for _, state in map_shards(contract, tasks, engine)]
            if reads != "pairs":
                work.remove(reads)
            reads = writes
        after = sum(states) % 2**64
        if after == before:
            break
        before = after
    else:
        raise RunError(f"connected components did not settle in {ROUNDS_MAX} rounds")
    for keys in ranges:
        down = node_range(keys) & (pl.col("right") <= pl.col("left"))
        stars = (work / reads).scan().filter(down).select("left", "right").unique().collect()
        labels = stars.rename({"left": "node", "right": "component"}).sort("node")
        write_rows(work / "labels", f"part-{keys.index:05d}.parquet", labels, LABELS)
    work.remove(reads)


def contract(task: ContractTask) -> int:
    """Write the edges (left, right) that a half round makes of the nodes of a range; returns a digest of them.

    A large-star joins the greater neighbours of a node to its least one; a small-star its lesser ones and itself. A
    large-star reads edges either way round, a small-star those that point to the lesser node. A root points to itself
    in what small-stars write, which marks it as labelled.
    """
    work, name = Folder(task.work), f"part-{task.keys.index:05d}.parquet"
    edges = (work / task.reads).scan().select("left", "right")
    if task.reads == "pairs":
        edges = pl.concat([edges, edges.select(left="right", right="left")])
    edges = edges.filter(node_range(task.keys)).unique()
    least = pl.min_horizontal(pl.col("right").min().over("left"), "left")
    node, other = pl.col("left"), pl.col("right")
    joined = edges.with_columns(least=least)
    if task.is_large:
        found = joined.filter(other > node).select(left="right", right="least")
        found = pl.concat([found, joined.filter(other == node).select("left", "right")])
    else:
        found = pl.concat(
            [joined.filter(other < node).select(left="right", right="least"), joined.select("left", right="least")]
        )
        found = pl.concat(
            [found, found.select(left="right", right="left"), found.select(left="right", right="right")]
        )
    frame = found.unique().sort("left", "right").collect(engine="streaming")
    write_rows(work / task.writes, name, frame, PAIRS)
    return _digest(frame)


def _digest(edges: pl.DataFrame) -> int:
    left, right = edges["left"].to_numpy(), edges["right"].to_numpy()
    return int(spread(spread(left) + right).sum(dtype=np.uint64))
